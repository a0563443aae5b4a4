"""The steps of a core that streams: a tile of a group, or any other node."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spusim.compiler.row_tiles import Elements, Group, Place, Rows
from spusim.network.records import Node

Unit = Group | Node


@dataclass(frozen=True)
class Copy:
    """Elements of a tensor that are loaded to, or stored from, words of data memory."""

    part: Elements
    address: int


@dataclass(frozen=True)
class Step:
    """What is computed between two meetings of threads.

    origins: where each tensor is that is in a buffer. idle: nothing is computed, for a load or
    store that has no room beside it.
    """

    unit: Unit
    tile: Rows | None = None
    origins: Mapping[str, Place] = field(default_factory=dict)
    loads: tuple[Copy, ...] = ()
    stores: tuple[Copy, ...] = ()
    idle: bool = False


def nodes_of(unit: Unit) -> tuple[Node, ...]:
    """Return the nodes that are computed together."""
    return unit.nodes if isinstance(unit, Group) else (unit,)
