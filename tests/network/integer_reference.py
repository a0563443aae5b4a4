"""What a quantised Network computes, in plain integers: independent of golden and machine.

Follows `spusim/network/records.py`, node by node. Of spusim's arithmetic it uses the look-up
tables of real functions only; rounding and overflow (`integer_rounding.py`), requantisation and
accumulation are written here a second time, as plainly as they go.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from integer_rounding import fitted, random_bits, rounded

from spusim.network.records import (
    Apply,
    Combine,
    Constant,
    Convolution,
    Curve,
    Cut,
    Function,
    Head,
    Join,
    Lut,
    Network,
    Pooling,
    Product,
    Prune,
    Quantum,
    Requant,
    Shift,
)
from spusim.numerics import Numerics, build_table, lookup


@dataclass(frozen=True)
class TableSettings:
    """How tables are made: `numerics.table_address_bits` and `table_interpolate` of an Arch."""

    address_bits: int = 8
    interpolate: bool = True


@dataclass(frozen=True)
class Machine:
    """The arithmetic that all nodes share."""

    numerics: Numerics
    tables: TableSettings

    frame: int = 0  # of its file

    def shift(
        self, values: Sequence[int], amount: int, rounding: str | None, name: str = ""
    ) -> list[int]:
        """Shift right with rounding, left where `amount` is negative; exact. name: the node's."""
        way = rounding or self.numerics.rounding
        return [rounded(v, amount, way, self.random(name, k)) for k, v in enumerate(values)]

    def random(self, name: str, output: int) -> Callable[[], int]:
        """Return what draws the 64 random bits of a node's output in the frame."""
        counter = (output, 0, self.frame, zlib.crc32(name.encode()) % 2**24)
        return lambda: random_bits(counter, self.numerics.seed)

    @property
    def table_rounding(self) -> str:
        """How interpolation rounds, which draws no bits."""
        way = self.numerics.rounding
        return "half_up" if way == "stochastic" else way

    def fit(self, values: Sequence[int], bits: int) -> list[int]:
        """Bring results that are written to memory into `bits`: into one, their signs (N8)."""
        if bits == 1:
            return [-1 if v < 0 else 1 for v in values]
        return [fitted(v, bits, self.numerics.requantize_overflow) for v in values]

    def product(self, weight: np.ndarray, x: np.ndarray, bias: np.ndarray | None) -> list[int]:
        """bias + W x in the accumulators, which overflow after every accumulation."""
        start = np.zeros(len(weight), np.int64) if bias is None else bias.astype(np.int64)
        bits, mode = self.numerics.accumulator_bits, self.numerics.overflow
        if self.numerics.partial_sums.every:
            return [
                self.quantised_sum(int(s), [int(w) * int(v) for w, v in zip(row, x, strict=True)])
                for s, row in zip(start, weight, strict=True)
            ]
        wide = weight.astype(np.int64)
        bound = np.abs(start) + np.abs(wide) @ np.abs(x)
        if bound.max(initial=0) < 2 ** (bits - 1):
            return [int(v) for v in start + wide @ x]
        acc = [fitted(int(v), bits, mode) for v in start]
        for column in np.flatnonzero(x):
            terms = wide[:, column] * x[column]
            acc = [fitted(a + int(t), bits, mode) for a, t in zip(acc, terms, strict=True)]
        return acc

    def quantised_sum(self, start: int, terms: Sequence[int]) -> int:
        """Sum one row, and bring it into the partial sum's bits after every so many terms."""
        n, p = self.numerics, self.numerics.partial_sums
        acc = fitted(start, n.accumulator_bits, n.overflow)
        for number, term in enumerate(terms, 1):
            acc = fitted(acc + term, n.accumulator_bits, n.overflow)
            if number % p.every == 0:
                acc = fitted(rounded(acc, p.shift, p.rounding), p.bits, n.overflow) * 2**p.shift
        return acc

    def normalised(self, node: Product, x: list[int]) -> tuple[list[int], int]:
        """Return the operand that a product multiplies, and the shift that brought it there."""
        bits = node.normalised_bits
        if not bits:
            return x, 0
        shift = -bits - 1
        while not all(-(2**bits) <= 2 * (v / 2**shift) < 2**bits for v in x):
            shift += 1
        shift = max(shift, 1 - bits)
        way = node.rounding or self.numerics.rounding
        way = "half_up" if way == "stochastic" else way
        most = 2 ** (bits - 1) - 1
        return [min(rounded(v, shift, way), most) for v in x], shift

    def requantise(
        self, acc: Sequence[int], requant: Any, bits: int, rounding: str | None = None,
        zero: int = 0, name: str = "", output: int = 0,
    ) -> list[int]:  # fmt: skip
        """Multiply, shift, add the zero point, fit. name, output: node, and number of the first."""
        multipliers = np.broadcast_to(requant.multiplier, len(acc))
        shifts = np.broadcast_to(requant.shift, len(acc))
        way = rounding or self.numerics.rounding
        scaled = [
            rounded(a * int(m), int(s), way, self.random(name, output + k)) + zero
            for k, (a, m, s) in enumerate(zip(acc, multipliers, shifts, strict=True))
        ]
        return self.fit(scaled, bits)

    def function(
        self, values: Sequence[int], function: Function, entry: Quantum, output: Quantum
    ) -> list[int]:
        """Apply a function to integers of quantum `entry`."""
        if function == Curve("relu"):
            return [max(output.zero_point, v) for v in values]
        zero = output.zero_point
        if isinstance(function, Lut):
            half = 2 ** (function.address_bits - 1)
            places = [min(max(v, -half), half - 1) + half for v in values]
            return self.fit([int(function.entries[p]) + zero for p in places], output.bits)
        bits, interpolate = self.tables.address_bits, self.tables.interpolate
        entries = build_table(
            function.function, bits, 16 - bits, entry.exponent, 16 if zero else output.bits,
            output.exponent, interpolate,
        )  # fmt: skip
        if zero:  # what is added to it must stay an integer of the output
            half = 2 ** (output.bits - 1)
            entries = np.array([min(max(int(e), -half - zero), half - 1 - zero) for e in entries])
        rounding = self.table_rounding
        x = np.array([fitted(v, 16, "saturate") for v in values])
        found = lookup(entries, x, bits, 16 - bits, interpolate, rounding)
        return self.fit([int(v) + zero for v in found], output.bits)


def evaluate(
    network: Network,
    frames: np.ndarray,
    starts: Sequence[int],
    numerics: Numerics | None = None,
    tables: TableSettings | None = None,
) -> np.ndarray:
    """Evaluate a network on integer frames (frames, in): outputs (frames, out) int32.

    State is reset at every frame of `starts`.
    """
    machine = Machine(numerics or Numerics(), tables or TableSettings())
    outputs, values = [], {}
    for number, frame in enumerate(np.asarray(frames)):
        machine = replace(machine, frame=0 if number in starts else machine.frame + 1)
        if number in starts:
            values = {
                s.tensor.name: [int(v) for v in np.broadcast_to(s.start, s.tensor.size)]
                for s in network.states
            }
        values[network.input.name] = [int(v) for v in frame]
        quanta = {network.input.name: network.input.quantum}
        quanta |= {s.tensor.name: s.tensor.quantum for s in network.states}
        for node in network.nodes:
            _NODES[type(node)](machine, node, values, quanta)
        outputs.append(values[network.output])
        values = {s.tensor.name: values[s.next] for s in network.states}
    return np.array(outputs, dtype=np.int32)


Values = dict[str, list[int]]
Quanta = dict[str, Quantum]


def _product(machine: Machine, node: Product, values: Values, quanta: Quanta) -> None:
    zero = quanta[node.input].zero_point
    x, norm = machine.normalised(node, [v - zero for v in values[node.input]])
    found: dict[str, list[int]] = {head.output.name: [] for head in node.heads}
    columns = node.weight.shape[1]
    for number, first in enumerate(node.windows):
        window = np.array(x[first : first + columns])
        acc = machine.product(node.weight, window, node.bias)
        for head in node.heads:
            rows = head.output.size // len(node.windows)
            mine = acc[head.first : head.first + rows]
            output = number * len(node.weight) + head.first
            found[head.output.name] += _head(machine, node, head, mine, output, norm)
    for head in node.heads:
        values[head.output.name] = found[head.output.name]
        quanta[head.output.name] = head.output.quantum


def _head(
    machine: Machine, node: Product, head: Head, acc: list[int], output: int, norm: int
) -> list[int]:
    entry = head.entry or head.output.quantum
    shift = np.clip(head.requant.shift - norm, -30, 62)
    requant = Requant(head.requant.multiplier, shift)
    q = machine.requantise(
        acc, requant, entry.bits, node.rounding, entry.zero_point, node.name, output
    )
    if head.function is None:
        return q
    return machine.function(q, head.function, entry, head.output.quantum)


def _convolution(machine: Machine, node: Convolution, values: Values, quanta: Quanta) -> None:
    """Follow every position and filter: what lies under the kernel, by (ky, kx, channel)."""
    shape = node.geometry
    grid = _padded(np.array(values[node.a]).reshape(shape.height, shape.width, -1), shape.padding)
    per_group = shape.filters // shape.groups
    inner = shape.channels // shape.groups
    found: list[int] = []
    for y, x in _positions(shape):
        seen = _under(grid, shape, y, x)
        for group in range(shape.groups):
            filters = slice(group * per_group, (group + 1) * per_group)
            columns = seen[:, group * inner : (group + 1) * inner].reshape(-1)
            weight = node.weight[filters].transpose(0, 2, 3, 1).reshape(per_group, -1)
            bias = None if node.bias is None else node.bias[filters]
            found += machine.product(weight, columns, bias)
    requant = Requant(
        np.tile(np.broadcast_to(node.requant.multiplier, shape.filters), shape.positions),
        np.tile(np.broadcast_to(node.requant.shift, shape.filters), shape.positions),
    )
    q = machine.requantise(found, requant, node.output.quantum.bits, node.rounding)
    _put(values, quanta, node, [max(0, v) for v in q] if node.relu else q)


def _pooling(machine: Machine, node: Pooling, values: Values, quanta: Quanta) -> None:
    shape = node.geometry
    image = np.array(values[node.a], np.int64).reshape(shape.height, shape.width, -1)
    outside = int(image.min()) if node.kind == "max" else 0  # never larger than what is inside
    grid = _padded(image, shape.padding, outside)
    pool = np.max if node.kind == "max" else np.sum
    inside = _padded(np.ones((shape.height, shape.width, 1), int), shape.padding)
    found, multipliers = [], []
    for y, x in _positions(shape):
        found += [int(v) for v in pool(_under(grid, shape, y, x), axis=0)]
        there, every = int(_under(inside, shape, y, x).sum()), shape.places
        whole = int(node.requant.multiplier[0])
        multiplier = whole if node.count_outside else (whole * every + there // 2) // there
        multipliers += [multiplier] * shape.channels
    requant = Requant(np.array(multipliers), node.requant.shift)
    after = machine.requantise(found, requant, node.output.quantum.bits, node.rounding)
    _put(values, quanta, node, after)


def _padded(image: np.ndarray, padding: tuple[int, ...], value: int = 0) -> np.ndarray:
    top, left, bottom, right = padding
    widths = ((top, bottom), (left, right), (0, 0))
    return np.pad(image, widths, constant_values=value)


def _positions(shape: Any) -> Any:
    return ((y, x) for y in range(shape.out_height) for x in range(shape.out_width))


def _under(grid: np.ndarray, shape: Any, y: int, x: int) -> np.ndarray:
    """What lies under the kernel at a position: (places, channels), ky before kx."""
    top, left = y * shape.stride[0], x * shape.stride[1]
    rows = [top + ky * shape.dilation[0] for ky in range(shape.kernel_height)]
    columns = [left + kx * shape.dilation[1] for kx in range(shape.kernel_width)]
    return np.array([grid[row, column] for row in rows for column in columns])


_KINDS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "max": max,
    "min": min,
}


def _combine(machine: Machine, node: Combine, values: Values, quanta: Quanta) -> None:
    a, b = values[node.a], values[node.b]
    b = b * len(a) if len(b) < len(a) else b
    before = [
        _KINDS[node.kind](rounded(x, node.sa, "floor"), rounded(y, node.sb, "floor"))
        for x, y in zip(a, b, strict=True)
    ]
    after = machine.shift(before, node.sd, node.rounding, node.name)
    _put(values, quanta, node, machine.fit(after, node.output.quantum.bits))


def _shift(machine: Machine, node: Shift, values: Values, quanta: Quanta) -> None:
    after = machine.shift(values[node.a], node.sd, node.rounding, node.name)
    after = machine.fit(after, node.output.quantum.bits)
    _put(values, quanta, node, [max(0, v) for v in after] if node.relu else after)


def _apply(machine: Machine, node: Apply, values: Values, quanta: Quanta) -> None:
    before = quanta[node.a]
    entry = Quantum(16, before.exponent + node.sa)
    shifted = [fitted(rounded(v, node.sa, "floor"), 16, "saturate") for v in values[node.a]]
    _put(values, quanta, node, machine.function(shifted, node.function, entry, node.output.quantum))


def _prune(machine: Machine, node: Prune, values: Values, quanta: Quanta) -> None:
    before = values[node.a]
    if node.kind == "threshold":
        kept = [v if abs(v) >= node.parameter else 0 for v in before]
    else:
        ranks = [
            sum(abs(w) > abs(v) or (abs(w) == abs(v) and j < i) for j, w in enumerate(before))
            for i, v in enumerate(before)
        ]
        kept = [v if rank < node.parameter else 0 for v, rank in zip(before, ranks, strict=True)]
    _put(values, quanta, node, kept)


def _constant(machine: Machine, node: Constant, values: Values, quanta: Quanta) -> None:
    _put(values, quanta, node, [int(v) for v in node.values])


def _join(machine: Machine, node: Join, values: Values, quanta: Quanta) -> None:
    _put(values, quanta, node, [v for name in node.inputs for v in values[name]])


def _cut(machine: Machine, node: Cut, values: Values, quanta: Quanta) -> None:
    _put(values, quanta, node, values[node.a][node.first : node.first + node.output.size])


def _put(values: Values, quanta: Quanta, node: Any, found: list[int]) -> None:
    values[node.output.name] = found
    quanta[node.output.name] = node.output.quantum


_NODES: dict[type, Callable[[Machine, Any, Values, Quanta], None]] = {
    Product: _product,
    Convolution: _convolution,
    Pooling: _pooling,
    Combine: _combine,
    Shift: _shift,
    Apply: _apply,
    Prune: _prune,
    Constant: _constant,
    Join: _join,
    Cut: _cut,
}
