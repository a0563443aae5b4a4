"""Random graphs of integer operations: everything that the records allow, in any order."""

from dataclasses import replace

import numpy as np

from spusim.network.records import (
    Apply,
    Combine,
    Constant,
    Curve,
    Cut,
    Head,
    Join,
    Lut,
    Network,
    Node,
    Product,
    Prune,
    Quantum,
    Requant,
    Shift,
    State,
    Tensor,
)

ROUNDINGS = (None, "floor", "half_up", "half_even", "stochastic")
WIDE = (8, 16, 32)
NARROW = (8, 16)  # what products take


class GraphBuilder:
    """A graph that grows by random nodes; sizes repeat, so that nodes find partners."""

    def __init__(self, seed: int, sizes: tuple[int, ...] = (1, 5, 8, 12, 13)) -> None:
        self.rng = np.random.default_rng(seed)
        self.sizes = sizes
        self.input = self.tensor("input", self.pick(sizes[1:]), self.pick(NARROW))
        self.nodes: list[Node] = []
        self.states: list[State] = []
        self.known = [self.input]
        for number in range(int(self.rng.integers(0, 4))):
            self.known.append(self.tensor(f"s{number}", self.pick(sizes), self.pick(WIDE)))

    def pick(self, among):
        """Return one of several."""
        return among[int(self.rng.integers(len(among)))]

    def tensor(self, name: str, size: int, bits: int) -> Tensor:
        """Return a tensor with some exponent."""
        return Tensor(name, size, Quantum(bits, -int(self.rng.integers(4, 13))))

    def some(self, bits: tuple[int, ...] = WIDE, size: int = 0) -> Tensor | None:
        """Return a known tensor of one of these widths, the newer the likelier."""
        fitting = [t for t in self.known if t.quantum.bits in bits and size in (0, t.size)]
        if not fitting:
            return None
        return fitting[-1 - int(len(fitting) * self.rng.random() ** 2)]

    def grow(self, count: int) -> "GraphBuilder":
        """Add nodes."""
        kinds = (
            self.product, self.product, self.combine, self.combine, self.combine, self.shift,
            self.apply, self.prune, self.constant, self.join, self.join, self.cut, self.cut,
        )  # fmt: skip
        while len(self.nodes) < count:
            self.pick(kinds)(f"n{len(self.nodes)}")
        return self

    def put(self, node: Node, *outputs: Tensor) -> None:
        """Add a node with what it makes."""
        self.nodes.append(node)
        self.known += outputs

    def product(self, name: str) -> None:
        """Add a product with one or several windows and heads."""
        x = self.some(NARROW)
        if x is None:
            return
        columns = int(self.rng.integers(1, x.size + 1)) if self.rng.random() < 0.5 else x.size
        starts = x.size - columns + 1
        count = int(self.rng.integers(1, 4)) if starts > 1 else 1
        windows = tuple(int(w) for w in self.rng.integers(0, starts, count))
        heads, row = [], 0
        for number in range(int(self.rng.integers(1, 4))):
            rows = self.pick(self.sizes)
            heads.append(self.head(f"{name}.{number}", row, rows, len(windows)))
            row += rows
        weight = self.rng.integers(-128, 128, (row, columns))
        kept = self.rng.random((-(-row // 4), columns)) < 0.5
        weight = weight * np.repeat(kept, 4, axis=0)[:row]
        bias = self.rng.integers(-(2**12), 2**12, row) if self.rng.random() < 0.5 else None
        made = tuple(heads)
        rounding = self.pick(ROUNDINGS)
        node = Product(name, "layer", x.name, weight, 8, bias, made, windows, rounding)
        self.put(node, *(head.output for head in made))

    def head(self, name: str, first: int, rows: int, windows: int) -> Head:
        """Return a head with any requantisation and function."""
        function = self.pick((None, None, Curve("relu"), Curve("tanh"), self.lut()))
        output = self.tensor(name, rows * windows, self.pick(WIDE))
        entry = None
        if function not in (None, Curve("relu")):
            entry = Quantum(16, -int(self.rng.integers(8, 13)))
        shift = int(self.rng.integers(3, 9))
        kind = self.pick(("shift", "left", "tensor", "channel", "mixed"))
        one = np.ones(1, np.int64)
        requant = Requant(one, np.array([shift if kind == "shift" else -2]))
        if kind in ("tensor", "channel"):
            count = rows if kind == "channel" else 1
            multiplier = self.rng.integers(2**29, 2**31, count)
            requant = Requant(multiplier, np.full(count, shift + 30))
        elif kind == "mixed":
            requant = Requant(one, self.rng.integers(-3, 8, rows))
        return Head(first, output, requant, function, entry)

    def lut(self) -> Lut:
        """Return one of two tables, of which one may be stored twice otherwise."""
        bits = self.pick((3, 6))
        entries = np.random.default_rng(bits).integers(-(2**15), 2**15, 2**bits)
        return Lut(f"lut{bits}", entries.astype(np.int32), bits)

    def combine(self, name: str) -> None:
        """Add any Combine; b may have one element."""
        a = self.some()
        b = self.some(size=a.size)
        if self.rng.random() < 0.2:
            b = self.some(NARROW, 1) or b
        kind = self.pick(("add", "sub", "mul", "max", "min"))
        sa, sb, sd = (int(s) for s in self.rng.integers(-2, 8, 3))
        sa, sb = (0, 0) if kind == "mul" else (sa, sb)
        out = self.tensor(name, a.size, self.pick(WIDE))
        rounding = self.pick(ROUNDINGS)
        self.put(Combine(name, "layer", kind, a.name, b.name, out, sa, sb, sd, rounding), out)

    def shift(self, name: str) -> None:
        """Add a Shift, sometimes a relu."""
        a = self.some()
        out = self.tensor(name, a.size, self.pick((a.quantum.bits, *WIDE)))
        sd = int(self.pick((0, 0, -2, 3, 7)))
        relu = bool(self.rng.random() < 0.5)
        self.put(Shift(name, "layer", a.name, out, sd, relu, self.pick(ROUNDINGS)), out)

    def prune(self, name: str) -> None:
        """Add a Prune of either kind."""
        a = self.some()
        kind = self.pick(("threshold", "top"))
        if kind == "top" and a.quantum.bits not in NARROW:
            a = self.some(NARROW) or a
        kind = kind if a.quantum.bits in NARROW else "threshold"
        most = a.size + 1 if kind == "top" else 2 ** (a.quantum.bits - 2)
        out = Tensor(name, a.size, a.quantum)
        parameter = int(self.rng.integers(0, min(most, 2**20) + 1))
        self.put(Prune(name, "layer", kind, a.name, parameter, out), out)

    def apply(self, name: str) -> None:
        """Add a table."""
        a = self.some()
        function = self.pick((Curve("sigmoid"), Curve("tanh"), self.lut()))
        out = self.tensor(name, a.size, self.pick(WIDE))
        self.put(Apply(name, "layer", a.name, function, out, int(self.pick((0, 0, 3, -1)))), out)

    def constant(self, name: str) -> None:
        """Add a constant."""
        bits = self.pick(NARROW)
        out = self.tensor(name, self.pick(self.sizes), bits)
        values = self.rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), out.size)
        self.put(Constant(name, "layer", values, out), out)

    def join(self, name: str) -> None:
        """Join tensors of one quantum, perhaps one of them twice."""
        first = self.some()
        alike = [t for t in self.known if t.quantum == first.quantum]
        parts = [first, *(self.pick(alike) for _ in range(int(self.rng.integers(0, 3))))]
        out = Tensor(name, sum(t.size for t in parts), first.quantum)
        if out.size <= 60:
            self.put(Join(name, "layer", tuple(t.name for t in parts), out), out)

    def cut(self, name: str) -> None:
        """Cut anywhere, or in the middle."""
        a = self.some()
        size = int(self.rng.integers(1, a.size + 1))
        if self.rng.random() < 0.5 and a.size % 2 == 0:
            size = a.size // 2
        first = int(self.rng.integers(0, a.size - size + 1))
        out = Tensor(name, size, a.quantum)
        self.put(Cut(name, "layer", a.name, first, out), out)

    def build(self) -> Network:
        """Close the graph: states get next values, of whatever was made."""
        made = self.known
        nodes, states = list(self.nodes), []
        names = [t.name for t in made if t.name.startswith("s")]
        for state in [t for t in made if t.name in names]:
            alike = [t for t in made if t.size == state.size and t.quantum == state.quantum]
            new = alike[-1 - int(len(alike) * self.rng.random() ** 2)]
            if new is state:
                source = self.pick([t for t in made if t.size == state.size])
                new = replace(state, name=f"{state.name}.new")
                nodes.append(Shift(new.name, "layer", source.name, new, 1))
            start: int | np.ndarray = int(self.rng.integers(-100, 100))
            if self.rng.random() < 0.3:
                start = self.rng.integers(-100, 100, state.size)
            states.append(State(state, new.name, start, "layer"))
        output = made[-1 - int(self.rng.integers(min(3, len(made))))].name
        return Network("net", self.input, tuple(states), tuple(nodes), output)

    def frames(self, count: int) -> np.ndarray:
        """Return random frames (count, inputs) of which some elements are zero."""
        half = 2 ** (self.input.quantum.bits - 1)
        values = self.rng.integers(-half, half, (count, self.input.size))
        return values * (self.rng.random(values.shape) < 0.8)
