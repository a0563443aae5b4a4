"""A network in the making: the nodes so far, and what each FQIR name stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.fqir.plan import DTYPES, PlanNode, PlanTensor, array_of
from spusim.frontend.fqir.value import Value, check_size, full_reach
from spusim.network.records import Combine, Constant, Cut, Join, Node, Quantum, Shift, Tensor
from spusim.numerics import MOST_LEFT, MOST_RIGHT

WIDTHS = (8, 16)  # of vectors in memory; narrower ones are kept in the next
CONSTANT_WIDTHS = (8, 16, 32)


@dataclass(frozen=True)
class RowBound:
    """The largest magnitude that any partial sum of a product can reach."""

    told: str
    bound: int

    @property
    def bits(self) -> int:
        """Accumulator bits in which it cannot overflow."""
        return self.bound.bit_length() + 1


@dataclass(frozen=True)
class Call:
    """A node of a plan with its operands and constants checked."""

    node: PlanNode
    inputs: Mapping[str, Value]
    constants: Mapping[str, Any]

    @property
    def told(self) -> str:
        """The node as messages name it."""
        return self.node.told

    @property
    def layer(self) -> str:
        """Where the node comes from, for people."""
        return self.node.name or self.output

    @property
    def output(self) -> str:
        """The first tensor that the node makes."""
        return self.node.outputs[0]

    def right(self, name: str) -> int:
        """Return a shift constant, which counts to the left, as a right shift."""
        shift = -int(self.constants[name])
        if not -MOST_LEFT <= shift <= MOST_RIGHT:
            raise PlanError(
                f"{self.told}: {name} (={-shift}) must be from -{MOST_RIGHT} to {MOST_LEFT}, the "
                "shifts that a machine does"
            )
        return shift

    @property
    def rounding(self) -> str:
        """How its last shift rounds."""
        return "half_up" if self.constants.get("rounded") else "floor"


@dataclass
class Draft:
    """Nodes, values by FQIR name, and row bounds, as far as a plan has been read.

    waiting: names that later nodes make. states: the tensor of each state.
    """

    values: dict[str, Value]
    waiting: set[str]
    nodes: list[Node] = field(default_factory=list)
    bounds: list[RowBound] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    _constants: dict[tuple[int, bytes], str] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def find(self, who: str, name: str) -> Value:
        """Return what a name stands for now. Raises PlanError."""
        if name in self.values:
            return self.values[name]
        if name in self.waiting:
            raise PlanError(
                f"{who} takes {name} before it is made; nodes must stand in order, and what goes "
                "round needs a state: `zeros` in INIT and `assign`"
            )
        raise PlanError(f"{who} takes {name}, which nothing in the plan makes; save the plan again")

    def put(self, name: str, value: Value) -> None:
        """Let a name stand for a value from now on."""
        self.values[name] = value

    def fresh(self, name: str) -> str:
        """Return a tensor's name that is not taken yet."""
        found, count = name, 1
        while found in self._names:
            found, count = f"{name}.{count}", count + 1
        self._names.add(found)
        return found

    def tensor(self, name: str, size: int, bits: int) -> Tensor:
        """Return a tensor with a name of its own. Raises PlanError for one that is too large."""
        check_size(name, size)
        return Tensor(self.fresh(name), size, Quantum(bits, 0))

    def constant(self, values: np.ndarray, layer: str, bits: int = WIDTHS[0]) -> Value:
        """Return a constant vector (size,), equal ones once, in `bits` or as many as it needs."""
        bits = next((b for b in CONSTANT_WIDTHS if b >= bits and _fits(values, b)), 0)
        if not bits:
            raise PlanError(
                f"{layer}: has a constant of more than {CONSTANT_WIDTHS[-1]} bits; rescale it"
            )
        key = bits, values.tobytes()
        if key not in self._constants:
            output = self.tensor(f"{layer}.constant", values.size, bits)
            self.nodes.append(Constant(output.name, layer, values, output))
            self._constants[key] = output.name
        return Value(self._constants[key], values.shape, bits, np.abs(values), values)

    def vector(self, value: Value, layer: str) -> Value:
        """Return a value that lies in a tensor: a parameter becomes a constant vector."""
        if value.name is not None:
            return value
        assert value.stored is not None
        if value.dtype not in DTYPES:
            raise PlanError(
                f"{layer}: takes a parameter of dtype {value.dtype}; use {', '.join(DTYPES)}"
            )
        return self.constant(value.stored.reshape(-1), layer)

    def operand(self, value: Value, layer: str) -> str:
        """Return the name of the tensor that a value lies in."""
        return str(self.vector(value, layer).name)

    def combine(
        self, name: str, layer: str, kind: str, a: Value, b: Value, bits: int, *,
        sa: int = 0, sb: int = 0, sd: int = 0, rounding: str = "floor",
    ) -> Value:  # fmt: skip
        """Append a Combine; b has one element or as many as a."""
        output = self.tensor(name, a.size, bits)
        operands = (self.operand(a, layer), self.operand(b, layer))
        shifts = (sa, sb, sd)
        self.nodes.append(Combine(output.name, layer, kind, *operands, output, *shifts, rounding))
        return Value(output.name, a.shape, bits, full_reach(a.size, bits))

    def shift(
        self, name: str, layer: str, a: Value, bits: int, sd: int = 0, *, relu: bool = False,
        rounding: str = "floor",
    ) -> Value:  # fmt: skip
        """Append a Shift."""
        output = self.tensor(name, a.size, bits)
        self.nodes.append(
            Shift(output.name, layer, self.operand(a, layer), output, sd, relu, rounding)
        )
        limit = (1 << (bits - 1)) - int(relu)
        reach = (
            np.minimum((a.reach >> sd) + (sd > 0), limit) if sd >= 0 else full_reach(a.size, bits)
        )
        return Value(output.name, a.shape, bits, reach)

    def widened(self, value: Value, bits: int, layer: str) -> Value:
        """Return a value in a tensor of so many bits."""
        value = self.vector(value, layer)
        if value.bits == bits:
            return value
        if value.stored is not None:
            return self.constant(value.stored.reshape(-1), layer, bits)
        return self.shift(f"{value.name}.wide", layer, value, bits)

    def narrowed(self, value: Value, bits: int, layer: str) -> Value:
        """Saturate a value to fewer bits than it is kept in: to the left, and back."""
        if bits == value.bits:
            return value
        room = value.bits - bits
        left = self.shift(f"{value.name}.left", layer, value, value.bits, -room)
        back = self.shift(f"{value.name}.narrow", layer, left, value.bits, room)
        return Value(back.name, value.shape, value.bits, np.minimum(back.reach, 1 << (bits - 1)))

    def join(self, name: str, layer: str, parts: Sequence[Value]) -> Value:
        """Append a Join of values one after the other, all as wide as the widest."""
        check_size(layer, sum(part.size for part in parts))
        found = [self.vector(part, layer) for part in parts]
        bits = max(part.bits for part in found)
        wide = [self.widened(part, bits, layer) for part in found]
        reach = np.concatenate([part.reach for part in wide])
        if len(wide) == 1:
            return Value(wide[0].name, (reach.size,), bits, reach)
        output = self.tensor(name, reach.size, bits)
        names = tuple(str(part.name) for part in wide)
        self.nodes.append(Join(output.name, layer, names, output))
        return Value(output.name, (reach.size,), bits, reach)

    def cut(self, name: str, layer: str, value: Value, first: int, size: int) -> Value:
        """Append a Cut, unless it is of all elements."""
        value = self.vector(value, layer)
        reach = value.reach[first : first + size]
        if size == value.size:
            return Value(value.name, (size,), value.bits, reach)
        output = self.tensor(name, size, value.bits)
        self.nodes.append(Cut(output.name, layer, str(value.name), first, output))
        return Value(output.name, (size,), value.bits, reach)


def width_of(call: Call, name: str) -> tuple[int, int]:
    """Return (bits that a result saturates to, bits that it is kept in). Raises PlanError."""
    bits = int(call.constants[name])
    kept = next((width for width in WIDTHS if bits <= width), None)
    if kept is None or bits < 2:
        raise PlanError(
            f"{call.told}: {name} (={bits}) must be from 2 to {WIDTHS[-1]} bits, what vectors in "
            "memory are kept in"
        )
    return bits, kept


def parameter(tensor: PlanTensor) -> Value:
    """Return a parameter as a value, its integers checked against its data type."""
    stored = array_of(tensor)
    bits = DTYPES.get(tensor.kind, 64)
    if not _fits(stored, bits):
        worst = stored.flat[int(np.argmax(np.abs(stored)))]
        raise PlanError(
            f"parameter {tensor.name} has the value {worst}, outside its dtype {tensor.kind}; "
            "save the plan again"
        )
    shape, reach = tuple(tensor.shape), np.abs(stored.reshape(-1))
    return Value(None, shape, bits, reach, stored, tensor.kind)


def _fits(values: np.ndarray, bits: int) -> bool:
    half = 1 << (bits - 1)
    return bool(values.min() >= -half and values.max() <= half - 1)
