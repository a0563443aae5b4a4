"""RunResult: all that a run of the machine tells, in exact integers; energy is attached later."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class BankUse:
    """Words used of a memory bank, e.g. `core0.data_memory.bank3`."""

    used_words: int
    capacity_words: int
    word_bits: int


@dataclass(frozen=True)
class RunResult:
    """Outputs, cycles, stalls, counts, energy and memory of one run.

    outputs (frames, features) int64; frame_cycles (frames,) int64.
    """

    name: str
    arch_name: str
    clock_mhz: float
    cycles: int
    frame_cycles: np.ndarray
    outputs: np.ndarray
    # unit instance -> {"busy", "idle", causes...} -> cycles; each unit's cycles sum to `cycles`
    stalls: dict[str, dict[str, int]]
    # event -> how often, over the whole chip; see docs/energy.md for the names
    counts: dict[str, int]
    # event -> (frames,) int64: of what was begun since the last frame's end; a thread's work up
    # to its next send, recv, post or end is begun as one
    frame_counts: dict[str, np.ndarray]
    # memory bank -> use
    memory: dict[str, BankUse]
    # dense, weight_nonzero, activation_nonzero, effective
    macs: dict[str, int]
    # MACs that all lanes could have done in one cycle at the precision used
    peak_macs_per_cycle: int
    # per matrix-vector layer: dense, weight_nonzero, effective MACs and engine cycles
    layers: dict[str, dict[str, int]] = field(default_factory=dict)
    # bits of all matrices: "weights" with biases, stored zeros and padding, "indices" with pointers
    stored_bits: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    # what the compiler wants said, e.g. fewer entries a word than the preset was made for
    notes: tuple[str, ...] = ()
    # filled in by `spusim.energy`
    energy_pj: dict[str, float] = field(default_factory=dict)
    frame_energy_pj: np.ndarray | None = None
    area_um2: dict[str, float] = field(default_factory=dict)
    # filled in by `spusim.api`: {"achieved", "ideal"}
    speedup: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Number of frames run."""
        return len(self.frame_cycles)

    @property
    def utilization(self) -> float:
        """Effective MACs over those that all lanes could have done in the run's cycles."""
        possible = self.peak_macs_per_cycle * self.cycles
        return self.macs["effective"] / possible if possible else 0.0
