"""Random networks of tensors with zero points, which products make and products read."""

from dataclasses import replace

import numpy as np

from spusim.network.records import (
    Constant,
    Curve,
    Cut,
    Head,
    Join,
    Network,
    Node,
    Product,
    Quantum,
    Requant,
    State,
    Tensor,
)

SIZES = (3, 5, 8, 12, 13)
WIDTHS = (8, 16)


class ModeNetwork:
    """A chain of products, padded like convolutions, with a state, and branches that are cut."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.input = Tensor("input", self.pick(SIZES), self.quantum(self.pick(WIDTHS)))
        state = Tensor("state", self.pick(SIZES), self.quantum(8))
        start = int(state.quantum.zero_point) if self.rng.random() < 0.5 else 1
        x = self.input
        for number in range(int(self.rng.integers(1, 4))):
            x = self.product(
                f"p{number}", self.padded(f"j{number}", x), self.quantum(x.quantum.bits)
            )
            x = self.cut(f"c{number}", x)
        old = self.product("p.old", state, self.quantum(x.quantum.bits))
        old = replace(old, quantum=x.quantum)
        made = self.nodes[-1]
        head = replace(made.heads[0], output=old)
        self.nodes[-1] = replace(made, heads=(head,))
        both = Tensor("both", x.size + old.size, x.quantum)
        self.nodes.append(Join("both", "layer", (x.name, old.name), both))
        new = self.product("p.new", both, state.quantum, state.size)
        y = self.product("out", both, Quantum(16, -5))
        self.network = Network(
            "net", self.input, (State(state, new.name, start, "layer"),), tuple(self.nodes), y.name
        )

    def pick(self, among):
        """Return one of several."""
        return among[int(self.rng.integers(len(among)))]

    def quantum(self, bits: int) -> Quantum:
        """Return a quantum with a zero point, often one of the ends."""
        half = 2 ** (bits - 1)
        zero = self.pick((-half, half - 1, 0, 1, -3, int(self.rng.integers(-half, half))))
        return Quantum(bits, -7, zero)

    def padded(self, name: str, x: Tensor) -> Tensor:
        """Put zeros around a tensor: the zero point."""
        if self.rng.random() < 0.4:
            return x
        around = Tensor(f"{name}.zeros", self.pick((1, 2, 4)), x.quantum)
        values = np.full(around.size, x.quantum.zero_point)
        self.nodes.append(Constant(around.name, "layer", values, around))
        out = Tensor(name, x.size + 2 * around.size, x.quantum)
        self.nodes.append(Join(name, "layer", (around.name, x.name, around.name), out))
        return out

    def cut(self, name: str, x: Tensor) -> Tensor:
        """Go on with a part of a tensor, sometimes."""
        if self.rng.random() < 0.6 or x.size < 2:
            return x
        first = int(self.rng.integers(0, x.size))
        out = Tensor(name, int(self.rng.integers(1, x.size - first + 1)), x.quantum)
        self.nodes.append(Cut(name, "layer", x.name, first, out))
        return out

    def product(self, name: str, x: Tensor, quantum: Quantum, size: int = 0) -> Tensor:
        """Add a product of one head, with windows unless its size is given."""
        count = 1 if size or self.rng.random() < 0.5 else int(self.rng.integers(1, 4))
        columns = x.size if count == 1 else int(self.rng.integers(1, x.size + 1))
        windows = tuple(int(w) for w in self.rng.integers(0, x.size - columns + 1, count))
        rows = size or self.pick(SIZES)
        weight = self.rng.integers(-128, 128, (rows, columns))
        weight = weight * (self.rng.random(weight.shape) < 0.6)
        bias = self.rng.integers(-(2**10), 2**10, rows) if self.rng.random() < 0.5 else None
        multiplier = self.rng.integers(2**29, 2**31, self.pick((1, rows)))
        requant = Requant(multiplier, np.full(len(multiplier), 31 + int(self.rng.integers(3, 8))))
        if self.rng.random() < 0.5:
            requant = Requant(np.ones(1, np.int64), self.rng.integers(2, 9, 1))
        function = self.pick((None, Curve("relu"), Curve("relu"), Curve("tanh")))
        entry = Quantum(16, -10) if function == Curve("tanh") else None
        y = Tensor(name, rows * count, quantum)
        head = Head(0, y, requant, function, entry)
        self.nodes.append(
            Product(name, "layer", x.name, weight, 8, bias, (head,), windows, self.rounding())
        )
        return y

    def rounding(self) -> str | None:
        """Return a node's rounding."""
        return self.pick((None, None, "floor", "stochastic"))

    def frames(self, count: int) -> np.ndarray:
        """Return frames of which many elements are the zero point."""
        half, zero = 2 ** (self.input.quantum.bits - 1), self.input.quantum.zero_point
        values = self.rng.integers(-half, half, (count, self.input.size))
        return np.where(self.rng.random(values.shape) < 0.6, values, zero)
