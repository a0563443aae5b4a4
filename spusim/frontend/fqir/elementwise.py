"""Element-wise operations: what each becomes, in nodes that do it exactly."""

from dataclasses import replace

import numpy as np

from spusim.frontend.fqir.draft import Call, Draft, width_of
from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.fqir.value import Value, full_reach
from spusim.network.records import Apply, Lut

MOST_ADDRESS_BITS = 15
TABLE_BITS = 16


def vvadd(draft: Draft, call: Call) -> None:
    """Add two vectors."""
    _sum(draft, call, "add", call.inputs["y"])


def vvsub(draft: Draft, call: Call) -> None:
    """Subtract two vectors."""
    _sum(draft, call, "sub", call.inputs["y"])


def viadd(draft: Draft, call: Call) -> None:
    """Add an integer to a vector."""
    _sum(draft, call, "add", _immediate(draft, call))


def vvmul(draft: Draft, call: Call) -> None:
    """Multiply two vectors."""
    _product(draft, call, call.inputs["y"])


def vimul(draft: Draft, call: Call) -> None:
    """Multiply a vector by an integer."""
    _product(draft, call, _immediate(draft, call))


def vneg(draft: Draft, call: Call) -> None:
    """Negate: x - (x << 1), which takes no constant."""
    x = call.inputs["x"]
    bits, kept = width_of(call, "bw")
    found = draft.combine(call.output, call.layer, "sub", x, x, kept, sb=-1)
    found = replace(found, reach=np.minimum(x.reach, found.reach))
    draft.put(call.output, draft.narrowed(found, bits, call.layer))


def relu(draft: Draft, call: Call) -> None:
    """Cut negatives off."""
    x = call.inputs["x"]
    draft.put(call.output, draft.shift(call.output, call.layer, x, x.bits, relu=True))


def shift(draft: Draft, call: Call) -> None:
    """Shift and saturate."""
    bits, kept = width_of(call, "bw")
    sd = call.right("shamt")
    found = draft.shift(call.output, call.layer, call.inputs["x"], kept, sd, rounding=call.rounding)
    draft.put(call.output, draft.narrowed(found, bits, call.layer))


def gt0(draft: Draft, call: Call) -> None:
    """Tell positives: what is positive saturates on the way left, and comes back as 1."""
    _, kept = width_of(call, "bw")
    x = call.inputs["x"]
    top = draft.shift(f"{call.output}.top", call.layer, x, 16, -15, relu=True)
    found = draft.shift(call.output, call.layer, top, kept, 14)
    draft.put(call.output, replace(found, reach=np.ones(x.size, np.int64)))


def lut(draft: Draft, call: Call) -> None:
    """Look up a table, without interpolation."""
    x, table = call.inputs["x"], _table(call)
    # An FQIR tensor does not say its width: it is the least that holds every entry.
    reach = int(np.abs(table.entries).max())
    bits = 8 if table.entries.min() >= -128 and table.entries.max() <= 127 else TABLE_BITS
    output = draft.tensor(call.output, x.size, bits)
    source = draft.operand(x, call.layer)
    sa = call.right("shamt_address")
    draft.nodes.append(Apply(output.name, call.layer, source, table, output, sa))
    draft.put(call.output, Value(output.name, x.shape, bits, np.full(x.size, reach, np.int64)))


def _table(call: Call) -> Lut:
    """Return a table with an entry for every address. Raises PlanError."""
    values = call.inputs["table_values"].stored
    bits, lowest = int(call.constants["bw_address"]), int(call.constants["table_min"])
    if not 1 <= bits <= MOST_ADDRESS_BITS:
        raise PlanError(f"{call.told}: bw_address (={bits}) must be from 1 to {MOST_ADDRESS_BITS}")
    if values is None or values.ndim != 1:
        raise PlanError(f"{call.told}: its table_values must be a parameter of one dimension")
    half = 1 << (bits - 1)
    where = np.arange(-half, half) - lowest
    if where[0] < 0 or where[-1] >= len(values):
        raise PlanError(
            f"{call.told}: addresses are from {-half} to {half - 1}, and its table has "
            f"{len(values)} entries from {lowest} on; it needs one for every address"
        )
    entries = values[where]
    if entries.min() < -(1 << (TABLE_BITS - 1)) or entries.max() >= 1 << (TABLE_BITS - 1):
        raise PlanError(f"{call.told}: has table entries of more than {TABLE_BITS} bits")
    return Lut(str(call.constants["function"]), entries.astype(np.int32), bits)


def _sum(draft: Draft, call: Call, kind: str, y: Value) -> None:
    a, b, turned = _operands(draft, call, y, kind != "sub")
    sa, sb = (call.right(name) for name in ("shamt_x", "shamt_y"))
    if turned:
        sa, sb = sb, sa
    bits, kept = width_of(call, "bw")
    sd = call.right("shamt_bwred")
    found = draft.combine(
        call.output, call.layer, kind, a, b, kept, sa=sa, sb=sb, sd=sd, rounding=call.rounding
    )
    _finish(draft, call, found, bits)


def _product(draft: Draft, call: Call, y: Value) -> None:
    a, b, _ = _operands(draft, call, y, True)
    bits, kept = width_of(call, "bw")
    sd = call.right("shamt_bwred")
    found = draft.combine(call.output, call.layer, "mul", a, b, kept, sd=sd, rounding=call.rounding)
    if sd >= 0:
        reach = (a.reach * b.reach >> sd) + 1
        found = replace(found, reach=np.minimum(reach, full_reach(a.size, kept)))
    _finish(draft, call, found, bits)


def _finish(draft: Draft, call: Call, found: Value, bits: int) -> None:
    shape = np.broadcast_shapes(*(v.shape for k, v in call.inputs.items() if k in "xy"))
    found = draft.narrowed(found, bits, call.layer)
    draft.put(call.output, replace(found, shape=shape))


def _immediate(draft: Draft, call: Call) -> Value:
    """Return an integer constant as a vector: an element each costs memory, but no cycle."""
    x = call.inputs["x"]
    return replace(
        draft.constant(np.full(x.size, int(call.constants["y"]), np.int64), call.layer),
        shape=x.shape,
    )


def _operands(draft: Draft, call: Call, y: Value, turnable: bool) -> tuple[Value, Value, bool]:
    """Return both operands, the one with one element behind, and whether they changed places."""
    x = call.inputs["x"]
    try:
        size = int(np.prod(np.broadcast_shapes(x.shape, y.shape)))
    except ValueError:
        size = 0
    if size != max(x.size, y.size) or min(x.size, y.size) not in (1, size):
        raise PlanError(
            f"{call.told}: takes shapes {x.shape} and {y.shape}; they must be equal, or one have "
            "one element"
        )
    x, y = (_repeated(value, size) for value in (x, y))
    if x.size == size:
        return x, y, False
    if turnable:
        return y, x, True
    zeros = draft.constant(np.zeros(size, np.int64), call.layer)
    spread = draft.combine(f"{call.output}.all", call.layer, "add", zeros, x, x.bits)
    return replace(spread, reach=np.repeat(x.reach, size)), y, False


def _repeated(value: Value, size: int) -> Value:
    """Repeat a parameter of one element; others are spread where they are read."""
    if value.size == size or value.stored is None:
        return value
    stored = np.full(size, value.stored.flat[0])
    return replace(value, shape=(size,), reach=np.abs(stored), stored=stored)
