"""The table of FQIR's operations: what each takes, what lowers it, and what it means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spusim.frontend.fqir import elementwise, memory, products, views
from spusim.frontend.fqir.draft import Call, Draft
from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.fqir.plan import PlanNode

REQUIRED = object()
Lowering = Callable[[Draft, Call], None]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(_is_whole(item) for item in value)


@dataclass(frozen=True)
class Kind:
    """A kind of constant: what messages call it, and what tells it."""

    told: str
    accepts: Callable[[Any], bool]


WHOLE = Kind("an integer", _is_whole)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
LIST = Kind("a list of integers", _is_list)
WHOLES = Kind("an integer or a list of them", lambda value: _is_whole(value) or _is_list(value))
TEXT = Kind("a text", lambda value: isinstance(value, str))


@dataclass(frozen=True)
class Operation:
    """An operation: where it stands, its operands, its constants, and its meaning for people.

    graph: the one that it belongs to. lower: None where the reader does it itself. constants:
    name -> (kind, default). many: operands x0, x1, ... in any number.
    """

    graph: str
    lower: Lowering | None
    meaning: str
    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    constants: Mapping[str, tuple[Kind, Any]] = field(default_factory=dict)
    many: bool = False
    outputs: int | None = 1  # None: as many as there are


def _whole(*names: str) -> dict[str, tuple[Kind, Any]]:
    return dict.fromkeys(names, (WHOLE, REQUIRED))


_ROUNDED: dict[str, tuple[Kind, Any]] = {"rounded": (FLAG, False)}
_ADD = _whole("shamt_x", "shamt_y", "shamt_bwred", "bw") | _ROUNDED
_ADD |= {"bw_x": (WHOLE, 0), "bw_y": (WHOLE, 0)}  # the operands' widths: they have them anyway
_MUL = _whole("shamt_bwred", "bw") | _ROUNDED
_MATRIX = _whole("shamt_bwred", "bw_out") | _ROUNDED
_SHAPE = {"shape": (WHOLES, REQUIRED)}
_LUT = _whole("bw_address", "table_min") | {
    "shamt_address": (WHOLE, 0), "function": (TEXT, "table")
}  # fmt: skip
_UNFOLD = _whole("kernel_size", "dilation", "buffer_length")
_BANDS = {"dilation_band": (WHOLE, 1), "stride_band": (WHOLE, 1), "padding_band": (WHOLE, 0)}
_CONV = (
    _whole("kernel_size_t", "kernel_size_band", "d_band_in", "n_band_in", "shamt_bwred", "bw")
    | {"dilation_t": (WHOLE, 1), "groups": (WHOLE, 1), "shamt_bias": (WHOLE, 0)}
    | _BANDS
)
_SUM = {"dim": (WHOLES, REQUIRED), "keepdim": (FLAG, False)} | _whole("shamt_bwred", "bw")

OPERATIONS: dict[str, Operation] = {
    "quantize": Operation(
        "QUANT", None, "real values to integers: divide by 2**quanta, floor, clip to bw",
        ("x",), constants=_whole("quanta", "bw"),
    ),
    "dequantize": Operation(
        "DEQUANT", None, "integers to real values: times 2**quanta", ("x",),
        constants=_whole("quanta"),
    ),
    "addmm": Operation(
        "ARITH", products.addmm, "sat(shift(x @ y + sat32(shift(bias, shamt_bias)), shamt_bwred))",
        ("bias", "x", "y"), constants=_MATRIX | _whole("shamt_bias"),
    ),
    "matmul": Operation(
        "ARITH", products.matmul, "sat(shift(x @ y, shamt_bwred))", ("x", "y"), constants=_MATRIX
    ),
    "vvadd": Operation(
        "ARITH", elementwise.vvadd,
        "sat(shift(shift(x, shamt_x) + shift(y, shamt_y), shamt_bwred))", ("x", "y"),
        constants=_ADD,
    ),
    "vvsub": Operation(
        "ARITH", elementwise.vvsub,
        "sat(shift(shift(x, shamt_x) - shift(y, shamt_y), shamt_bwred))", ("x", "y"),
        constants=_ADD,
    ),
    "viadd": Operation(
        "ARITH", elementwise.viadd, "vvadd with an integer y", ("x",),
        constants=_ADD | _whole("y"),
    ),
    "vvmul": Operation(
        "ARITH", elementwise.vvmul, "sat(shift(x * y, shamt_bwred))", ("x", "y"), constants=_MUL
    ),
    "vimul": Operation(
        "ARITH", elementwise.vimul, "vvmul with an integer y", ("x",), constants=_MUL | _whole("y")
    ),
    "vneg": Operation(
        "ARITH", elementwise.vneg, "sat(-x)", ("x",), constants=_whole("bw")
    ),
    "relu": Operation("ARITH", elementwise.relu, "max(0, x)", ("x",)),
    "shift": Operation(
        "ARITH", elementwise.shift, "sat(shift(x, shamt))", ("x",),
        constants=_whole("shamt", "bw") | _ROUNDED,
    ),
    "lut": Operation(
        "ARITH", elementwise.lut,
        "table_values[sat(shift(x, shamt_address), bw_address) - table_min]",
        ("x", "table_values"), constants=_LUT,
    ),
    "cat": Operation(
        "ARITH", views.cat, "x0, x1, ... one after the other along dim", ("x0",),
        constants=_whole("dim"), many=True,
    ),
    "chunk": Operation(
        "ARITH", views.chunk, "x cut into `chunks` parts along dim", ("x",),
        constants=_whole("chunks", "dim"), outputs=None,
    ),
    "split": Operation(
        "ARITH", views.split, "x cut into parts of `lengths` along dim", ("x",),
        constants=_whole("dim") | {"lengths": (LIST, REQUIRED)}, outputs=None,
    ),
    "copy": Operation("ARITH", views.copy, "x", ("x",)),
    "reshape": Operation("ARITH", views.reshape, "x with another shape", ("x",), constants=_SHAPE),
    "sum": Operation(
        "ARITH", products.total, "sat(shift(sum of x over dim, shamt_bwred))", ("x",),
        constants=_SUM,
    ),
    "gt0": Operation(
        "ARITH", elementwise.gt0, "1 where x > 0, else 0", ("x",), constants=_whole("bw")
    ),
    "assign": Operation(
        "ARITH", memory.assign, "y becomes x, for the rest of the frame and the next one",
        ("y", "x"), outputs=0,
    ),
    "zeros": Operation(
        "INIT", memory.zeros, "a vector of zeros; in INIT, a state's start", constants=_SHAPE
    ),
    "temporal_unfold": Operation(
        "ARITH", memory.temporal_unfold,
        "the last kernel_size frames, dilation apart, the oldest first",
        ("x", "buffer"), constants=_UNFOLD,
    ),
    "temporal_conv2d": Operation(
        "ARITH", products.temporal_conv2d,
        "sat(shift(sum of weight * frames + shift(bias, shamt_bias), shamt_bwred)) for every band",
        ("input", "weight"), ("bias", "buffer"), _CONV,
    ),
}  # fmt: skip


def call_of(draft: Draft, node: PlanNode) -> Call:
    """Return a node with its operands found and its constants checked. Raises PlanError."""
    operation = OPERATIONS[str(node.op_name)]
    wanted, given = set(operation.inputs), set(node.inputs)
    known = wanted | set(operation.optional)
    if operation.many:
        known = {f"x{number}" for number in range(len(given))}
    _check_names(node, "input", wanted, known, given)
    if operation.outputs is not None and len(node.outputs) != operation.outputs:
        raise PlanError(f"{node.told}: makes {operation.outputs} tensors, not {len(node.outputs)}")
    constants = _constants(node, operation)
    inputs = {key: draft.find(node.told, name) for key, name in node.inputs.items()}
    for key, value in inputs.items():
        if value.size == 0 and key != "buffer":
            raise PlanError(f"{node.told}: takes {node.inputs[key]}, which has no elements")
    return Call(node, inputs, constants)


def _constants(node: PlanNode, operation: Operation) -> dict[str, Any]:
    wanted = {name for name, (_, default) in operation.constants.items() if default is REQUIRED}
    _check_names(node, "constant", wanted, set(operation.constants), set(node.constants))
    found = {name: default for name, (_, default) in operation.constants.items()}
    for name, value in node.constants.items():
        kind = operation.constants[name][0]
        if not kind.accepts(value):
            raise PlanError(f"{node.told}: {name} (={value}) must be {kind.told}")
        found[name] = value
    return found


def _check_names(
    node: PlanNode, what: str, wanted: set[str], known: set[str], given: set[str]
) -> None:
    missing, unknown = sorted(wanted - given), sorted(given - known)
    if missing:
        raise PlanError(f"{node.told}: lacks the {what} {', '.join(missing)}; save the plan again")
    if unknown:
        raise PlanError(
            f"{node.told}: has the {what} {', '.join(unknown)}, which {node.op_name} does not "
            f"have here; known: {', '.join(sorted(known)) or 'none'}"
        )
