"""Random integer networks, streams and architectures for the compiler's tests."""

from collections.abc import Sequence

import numpy as np
from integer_reference import TableSettings, evaluate

from spusim.arch import Arch, load_arch
from spusim.golden import GoldenResult, run
from spusim.network.records import (
    Apply,
    Combine,
    Curve,
    Head,
    Join,
    Network,
    Node,
    Product,
    Quantum,
    Requant,
    Shift,
    State,
    Tensor,
)
from spusim.numerics import numerics_of
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
        self.input = self.x = Tensor("input", inputs, Quantum(bits, exponent))
        self.layers = 0
        self.nodes: list[Node] = []
        self.states: list[State] = []

    def name(self, kind: str) -> str:
        """Return the next layer's name."""
        self.layers += 1
        return f"{kind}{self.layers - 1}"

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
        name, shift = self.name("fc"), max(0, weight_bits + self.x.quantum.bits - bits)
        weight = self.weight(rows, self.x.size, weight_bits, density)
        bias = self.rng.integers(-(2**12), 2**12, rows) if biased else None
        output = Tensor(name, rows, Quantum(bits, exponent))
        head = Head(0, output, self.requant(rows, requant, shift))
        self.nodes.append(Product(name, name, self.x.name, weight, weight_bits, bias, (head,)))
        self.x = output
        return self

    def lstm(self, hidden: int, requant: str = "shift", weight_bits: int = 8) -> "NetworkBuilder":
        """Append an Lstm."""
        name, x, cell = self.name("lstm"), self.x, Quantum(16, -11)
        weight = self.weight(4 * hidden, x.size + hidden, weight_bits, 0.4)
        bias = self.rng.integers(-(2**12), 2**12, 4 * hidden)
        whole = self.requant(4 * hidden, requant, max(0, weight_bits + x.quantum.bits - 16))
        h = self.state(f"{name}.h", hidden, x.quantum, name, 0)
        both = Tensor(f"{name}.xh", x.size + hidden, x.quantum)
        self.nodes.append(Join(both.name, name, (x.name, h.name), both))
        heads = []
        for number, gate in enumerate("ifgo"):
            rows = slice(number * hidden, (number + 1) * hidden)
            pair = (v if len(v) == 1 else v[rows] for v in (whole.multiplier, whole.shift))
            function = Curve("tanh" if gate == "g" else "sigmoid")
            output = Tensor(f"{name}.{gate}", hidden, TABLE_OUTPUT)
            heads.append(Head(number * hidden, output, Requant(*pair), function, GATE))
        self.nodes.append(Product(name, name, both.name, weight, weight_bits, bias, tuple(heads)))
        i, f, g, o = (head.output for head in heads)
        c = self.state(f"{name}.c", hidden, cell, f"{name}.new_c", 0)
        kept = self.combine("mul", f, c, f"{name}.kept", cell, sd=15)
        added = self.combine("mul", i, g, f"{name}.added", cell, sd=30 + cell.exponent)
        new = self.combine("add", kept, added, f"{name}.new_c", cell)
        shown = Tensor(f"{name}.tanh_c", hidden, TABLE_OUTPUT)
        self.nodes.append(Apply(shown.name, name, new.name, Curve("tanh"), shown))
        self.x = self.combine("mul", o, shown, name, x.quantum, sd=30 + x.quantum.exponent)
        return self

    def state(self, name: str, size: int, quantum: Quantum, becomes: str, start: int) -> Tensor:
        """Append a state."""
        tensor = Tensor(name, size, quantum)
        self.states.append(State(tensor, becomes, start, name.split(".")[0]))
        return tensor

    def combine(
        self, kind: str, a: Tensor, b: Tensor, name: str, quantum: Quantum, **shifts: int
    ) -> Tensor:
        """Append a Combine."""
        output = Tensor(name, a.size, quantum)
        layer = name.split(".")[0]
        self.nodes.append(Combine(f"{name} {kind}", layer, kind, a.name, b.name, output, **shifts))
        return output

    def activation(self, function: str) -> "NetworkBuilder":
        """Append an element-wise function."""
        name, x = self.name(function), self.x
        self.x = Tensor(name, x.size, x.quantum if function == "relu" else TABLE_OUTPUT)
        if function == "relu":
            self.nodes.append(Shift(name, name, x.name, self.x, relu=True))
        else:
            self.nodes.append(Apply(name, name, x.name, Curve(function), self.x))
        return self

    def pool(self, kind: str, shift: int = 2) -> "NetworkBuilder":
        """Append a pooling over time; `last` is the frame itself."""
        name, x = self.name("pool"), self.x
        if kind == "last":
            return self
        shift = shift if kind == "mean" else 0
        quantum = Quantum(x.quantum.bits, x.quantum.exponent + shift)
        start = 0 if kind == "mean" else -(2 ** (x.quantum.bits - 1))
        so_far = self.state(f"{name}.so_far", x.size, quantum, name, start)
        op = "add" if kind == "mean" else "max"
        self.x = self.combine(op, so_far, x, name, quantum, sb=shift)
        return self

    def build(self) -> Network:
        """Return the network."""
        return Network("net", self.input, tuple(self.states), tuple(self.nodes), self.x.name)

    def frames(self, count: int, density: float = 0.7) -> np.ndarray:
        """Return random frames (count, inputs) of which a share is not zero."""
        half = 2 ** (self.input.quantum.bits - 1)
        values = self.rng.integers(-half, half, (count, self.input.size))
        return values * (self.rng.random(values.shape) < density)


def reference(
    network: Network, arch: Arch, frames: np.ndarray, starts: Sequence[int]
) -> np.ndarray:
    """Return what a network computes with an architecture's arithmetic."""
    return evaluate(
        network,
        frames,
        starts,
        numerics_of(arch.numerics),
        TableSettings(arch.numerics.table_address_bits, arch.numerics.table_interpolate),
    )


def golden(program: Program, frames: np.ndarray, starts: Sequence[int]) -> GoldenResult:
    """Run a program on golden, races checked."""
    return run(program, frames, starts)
