"""A convolution engine's parameters, and what a tile cost it."""

from dataclasses import dataclass

import numpy as np

from spusim.kernels.conv_layout import Stall
from spusim.machine.errors import MachineError

WEIGHT_MODES = ("dense", "decompress", "skip")
ACTIVATION_MODES = ("dense", "gate", "skip")
RELEASES = ("pop", "done")
# names of causes, by dataflow: what is empty is a column or a slice
PE_CAUSES = ("load", "busy", "empty", "starved", "accumulators", "imbalance", "drain")
FEEDER_CAUSES = ("load", "busy", "queue_full", "pe_wait", "drain")
EMPTY = {"row": "empty_column", "pixel": "empty_slice"}


@dataclass(frozen=True)
class ConvEngine:
    """What rules T37 to T46 ask of an architecture. Raises MachineError for what cannot be built.

    `macs_per_lane` and `activation_bits` are those of the precision used; `accumulators` are a
    PE's in one of its two buffers; `feeder_words` a cycle (`pixel`), of `word_bits` each.
    """

    pes: int
    lanes: int
    macs_per_lane: int = 1
    accumulators: int = 1024
    queue_depth: int = 8
    release: str = "pop"
    scanner_width: int = 8
    entries_per_cycle: int = 8
    feeder_words: int = 1
    word_bits: int = 64
    activation_bits: int = 8
    mac_stages: int = 3
    weights: str = "skip"
    activations: str = "skip"

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int) and value < 1:
                raise MachineError(f"convolution engine: {name} (={value}) must be at least 1")
        for name, known in (
            ("weights", WEIGHT_MODES),
            ("activations", ACTIVATION_MODES),
            ("release", RELEASES),
        ):
            if getattr(self, name) not in known:
                raise MachineError(
                    f"convolution engine: {name} (={getattr(self, name)}) is unknown; use "
                    f"{', '.join(known)}"
                )

    @property
    def group(self) -> int:
        """Positions that a PE works on in a beat (T43)."""
        return self.lanes * self.macs_per_lane

    @property
    def entries_per_beat(self) -> int:
        """E of T5."""
        return min(self.entries_per_cycle, self.group)

    @property
    def release_done(self) -> bool:
        """Whether a queue slot frees when its slice is done (T12)."""
        return self.release == "done"


@dataclass(frozen=True)
class TileTime:
    """Cycles of one tile, where they went, and what was pushed."""

    cycles: int
    dataflow: str
    pe_stalls: np.ndarray  # (pes, causes) int64, columns `Stall`
    feeder_stalls: np.ndarray  # (causes,) int64
    pushed: np.ndarray  # (columns or channels + 1,) int64: pushes by kind of slice, empty ones last
    examined: int  # windows (`row`) or words (`pixel`) that the feeder read

    def stalls(self) -> dict[str, dict[str, int]]:
        """Return cycles by unit and cause; every unit's sum to `cycles`."""
        units: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {
            "feeder": (self.feeder_stalls, FEEDER_CAUSES)
        }
        units |= {f"pe{p}": (row, PE_CAUSES) for p, row in enumerate(self.pe_stalls)}
        return {
            unit: {
                EMPTY[self.dataflow] if cause == "empty" else cause: int(row[Stall[cause.upper()]])
                for cause in causes
            }
            for unit, (row, causes) in units.items()
        }
