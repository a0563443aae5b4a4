"""The buffers of a group's tiles: how large, and from which step to which they are taken."""

from collections.abc import Container, Sequence, Set
from dataclasses import dataclass

from spusim.compiler.distribution import Distribution
from spusim.compiler.first_fit import Span
from spusim.compiler.row_tiles import (
    Elements,
    Group,
    Rows,
    elements_of,
    tile_words,
    tiles_of,
)

BEFORE = -1  # the step in front of a tile's own, in which its operands are loaded
BEHIND = 1  # and the one in which its results are stored


@dataclass(frozen=True)
class Buffer:
    """Words for a time, counted from a tile's own step, and whose elements are in that place."""

    span: Span
    parts: tuple[Elements, ...]


@dataclass(frozen=True)
class Tile:
    """A tile's buffers before they have places; numbers of those that are loaded and stored."""

    rows: Rows
    buffers: tuple[Buffer, ...]
    loaded: tuple[int, ...]
    stored: tuple[int, ...]


class TileBuffers:
    """Groups' tiles with their buffers, each cut found once.

    outside: tensors that are kept there.
    """

    def __init__(self, plan: Distribution) -> None:
        self._plan = plan
        self._found: dict[tuple[int, int, frozenset[str]], tuple[Group, list[Tile]]] = {}

    def tiles(self, group: Group, rows: int, outside: Set[str]) -> list[Tile]:
        """Return a group's tiles of so many rows."""
        # of all that is outside only what the group takes and gives makes a difference
        key = id(group), rows, frozenset((*group.inputs, group.output)) & outside
        if key not in self._found:
            cut = [_tile(self._plan, group, tile, outside) for tile in tiles_of(group, rows)]
            self._found[key] = group, cut
        return self._found[key][1]

    def most_words(self, group: Group, rows: int, outside: Set[str]) -> int:
        """Return the words that a group's tiles take when that is most."""
        tiles = self.tiles(group, rows, outside)
        most = 0
        for n in range(len(tiles)):
            near = [(m - n, tiles[m]) for m in (n - 1, n, n + 1) if 0 <= m < len(tiles)]
            taken = sum(
                buffer.span.words
                for offset, tile in near
                for buffer in tile.buffers
                if buffer.span.first + offset <= 0 <= buffer.span.last + offset
            )
            most = max(most, taken)
        return most

    def least_words(self, group: Group, rows: int, outside: Set[str]) -> int:
        """Return the words of a group's largest tile alone: nothing is loaded or stored beside."""
        tiles = self.tiles(group, rows, outside)
        return max(sum(buffer.span.words for buffer in tile.buffers) for tile in tiles)

    def rows_within(
        self, group: Group, choices: Sequence[int], room: float, outside: Set[str]
    ) -> int:
        """Return the rows of a group's tiles: the first choice with enough room, or the last."""
        fitting = (rows for rows in choices if self.most_words(group, rows, outside) <= room)
        return next(fitting, choices[-1])


def _tile(plan: Distribution, group: Group, rows: Rows, outside: Container[str]) -> Tile:
    loads = [
        _buffer(plan, (elements_of(plan, group, rows, name),), BEFORE, 0)
        for name in group.inputs
        if name in outside
    ]
    made = [
        _buffer(plan, parts, 0, BEHIND if parts[-1].tensor == group.output else 0)
        for parts in _made(plan, group, rows, outside)
    ]
    stored = (len(loads) + len(made) - 1,) if group.output in outside else ()
    return Tile(rows, (*loads, *made), tuple(range(len(loads))), stored)


def _made(
    plan: Distribution, group: Group, rows: Rows, outside: Container[str]
) -> list[tuple[Elements, ...]]:
    """Return what nodes make in buffers: element by element in their operand's place if it fits."""
    chain: list[list[Elements]] = []
    for node in group.nodes:
        name = node.output.name
        if name == group.output and name not in outside:
            continue
        part = elements_of(plan, group, rows, name)
        if chain and plan.layouts[chain[-1][0].tensor].bits == plan.layouts[name].bits:
            chain[-1].append(part)
        else:
            chain.append([part])
    return [tuple(parts) for parts in chain]


def _buffer(plan: Distribution, parts: tuple[Elements, ...], first: int, last: int) -> Buffer:
    words = max(tile_words(plan, part) for part in parts)
    return Buffer(Span(words, first, last), parts)
