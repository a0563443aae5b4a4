"""Points and the jobs that compute them, as plain frozen records that travel to workers."""

from dataclasses import dataclass
from typing import Any

from spusim.arch import Arch
from spusim.experiments.conv_layers import RandomConv
from spusim.experiments.layers import RandomLinear
from spusim.experiments.sweep.axes import shown
from spusim.experiments.sweep.identity import hash_of
from spusim.frontend.audio import Framing


@dataclass(frozen=True)
class NetworkRef:
    """A network to be opened: its file, a checkpoint in place of its own, settings.

    content: sha256 of the files, so that whoever opens it knows that they are the same.
    """

    name: str
    path: str
    checkpoint: str | None
    settings: tuple[str, ...]
    content: str
    input_size: int
    framing: Framing | None = None  # None: frames of input_size features, at any rate


@dataclass(frozen=True)
class Job:
    """All that computing a point takes; equal keys mean equal results."""

    key: str
    identity: dict[str, Any]
    arch: Arch
    baseline: bool
    layer: RandomLinear | RandomConv | None = None
    network: NetworkRef | None = None
    stream: str | None = None
    input_period: int | None = None
    sqnr: bool = False

    @property
    def group(self) -> str:
        """Hash of what its values depend on: points of one group share network and stream."""
        return hash_of([*(self.identity[k] for k in ("layer", "network", "stream")),
                        self.arch.numerics.model_dump()])  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A row of the table: which values, and the job that computes it.

    impossible: why no such machine can be built, or None; skippable: that is no failure of the
    sweep. stream: as tables show it.
    """

    number: int
    part: str
    values: dict[str, Any]
    replica: int
    seed: int | None
    stream: str | None
    job: Job
    impossible: str | None = None
    skippable: bool = False

    @property
    def told(self) -> str:
        """The point as messages name it."""
        values = ", ".join(f"{name}={shown(value)}" for name, value in self.values.items())
        return f"point {self.number} ({values})"
