"""Random integer networks, streams and architectures for the compiler's tests."""

from collections.abc import Sequence

import numpy as np
from integer_reference import TableSettings, evaluate

from spusim.arch import Arch, load_arch
from spusim.golden import GoldenResult, run
from spusim.network.records import (
    Activation,
    Layer,
    Linear,
    Lstm,
    Network,
    PoolTime,
    Quantum,
    Requant,
)
from spusim.numerics import Numerics
from spusim.program import Program

GATE = Quantum(16, -12)
TABLE_OUTPUT = Quantum(16, -15)
ROOM = (
    "core.sequencer.threads=64",
    "core.sequencer.descriptors=64",
    "core.instruction_memory.words=4096",
    "core.data_memory.words=8192",
    "core.table_memory.words=4096",
    "link.channels=8",
)


def arch_of(*settings: str) -> Arch:
    """Return `tiny` with room for what the tests compile, changed by `settings`."""
    return load_arch("tiny", [*ROOM, *settings])


class NetworkBuilder:
    """A chain of layers with random integers, each taking what the last one gives."""

    def __init__(self, seed: int, inputs: int, bits: int = 16, exponent: int = -10) -> None:
        self.rng = np.random.default_rng(seed)
        self.input = self.quantum = Quantum(bits, exponent)
        self.inputs = self.size = inputs
        self.layers: list[Layer] = []

    def weight(self, rows: int, columns: int, bits: int, density: float) -> np.ndarray:
        """Return random weights in which whole pencils of four rows are kept or dropped."""
        limit = 2 ** (bits - 1)
        values = self.rng.integers(-limit, limit, (rows, columns))
        kept = self.rng.random((-(-rows // 4), columns)) < density
        return values * np.repeat(kept, 4, axis=0)[:rows]

    def requant(self, rows: int, kind: str, shift: int) -> Requant:
        """Return a shift, a multiplier of the tensor, or one of every channel."""
        if kind == "shift":
            return Requant(np.array([1]), np.array([shift]))
        count = rows if kind == "channel" else 1
        multiplier = self.rng.integers(2**29, 2**31, count)
        return Requant(multiplier, self.rng.integers(shift + 29, shift + 31, count))

    def linear(
        self, rows: int, weight_bits: int = 8, bits: int = 16, requant: str = "shift",
        density: float = 0.4, biased: bool = True, exponent: int = -10,
    ) -> "NetworkBuilder":  # fmt: skip
        """Append a Linear."""
        self.layers.append(
            Linear(
                f"fc{len(self.layers)}",
                self.weight(rows, self.size, weight_bits, density),
                weight_bits,
                self.rng.integers(-(2**12), 2**12, rows) if biased else None,
                self.quantum,
                Quantum(bits, exponent),
                self.requant(rows, requant, max(0, weight_bits + self.quantum.bits - bits)),
            )
        )
        self.size, self.quantum = rows, Quantum(bits, exponent)
        return self

    def lstm(self, hidden: int, requant: str = "shift", weight_bits: int = 8) -> "NetworkBuilder":
        """Append an Lstm."""
        self.layers.append(
            Lstm(
                f"lstm{len(self.layers)}",
                hidden,
                self.weight(4 * hidden, self.size + hidden, weight_bits, 0.4),
                weight_bits,
                self.rng.integers(-(2**12), 2**12, 4 * hidden),
                self.quantum,
                GATE,
                Quantum(16, -11),
                self.requant(4 * hidden, requant, max(0, weight_bits + self.quantum.bits - 16)),
            )
        )
        self.size = hidden
        return self

    def activation(self, function: str) -> "NetworkBuilder":
        """Append an Activation."""
        output = self.quantum if function == "relu" else TABLE_OUTPUT
        name = f"{function}{len(self.layers)}"
        self.layers.append(Activation(name, function, self.size, self.quantum, output))
        self.quantum = output
        return self

    def pool(self, kind: str, shift: int = 2) -> "NetworkBuilder":
        """Append a PoolTime."""
        shift = shift if kind == "mean" else 0
        output = Quantum(self.quantum.bits, self.quantum.exponent + shift)
        name = f"pool{len(self.layers)}"
        self.layers.append(PoolTime(name, kind, self.size, shift, 4, self.quantum, output))
        self.quantum = output
        return self

    def build(self) -> Network:
        """Return the network."""
        return Network("net", tuple(self.layers), self.inputs, self.input)

    def frames(self, count: int, density: float = 0.7) -> np.ndarray:
        """Return random frames (count, inputs) of which a share is not zero."""
        half = 2 ** (self.input.bits - 1)
        values = self.rng.integers(-half, half, (count, self.inputs))
        return values * (self.rng.random(values.shape) < density)


def reference(
    network: Network, arch: Arch, frames: np.ndarray, starts: Sequence[int]
) -> np.ndarray:
    """Return what a network computes with an architecture's arithmetic."""
    n = arch.numerics
    return evaluate(
        network,
        frames,
        starts,
        Numerics(n.accumulator_bits, n.overflow, n.rounding, n.requantize_overflow),
        TableSettings(n.table_address_bits, n.table_interpolate),
    )


def golden(program: Program, frames: np.ndarray, starts: Sequence[int]) -> GoldenResult:
    """Run a program on golden, races checked."""
    return run(program, frames, starts)
