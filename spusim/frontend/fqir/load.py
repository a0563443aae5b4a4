"""From a plan file to a Network: its graphs are checked, its operations become nodes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spusim.frontend.fqir.draft import WIDTHS, Call, Draft, RowBound, parameter
from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.fqir.exponents import relabelled, with_output_exponent
from spusim.frontend.fqir.memory import zero_shape
from spusim.frontend.fqir.operations import OPERATIONS, call_of
from spusim.frontend.fqir.plan import (
    DTYPES,
    FLOATS,
    TABLE_DTYPES,
    PlanGraph,
    PlanTensor,
    read_plan,
)
from spusim.frontend.fqir.value import MOST_ELEMENTS, Value, full_reach
from spusim.network.check import check_network
from spusim.network.graph import outputs_of
from spusim.network.records import Constant, Network, NetworkError, Quantum, State, Tensor
from spusim.numerics import Numerics

GRAPHS = ("QUANT", "ARITH", "DEQUANT")  # INIT only where there is a state
WIDEST_ACCUMULATOR = 48


@dataclass(frozen=True)
class Plan:
    """A plan, checked: its network, its graph of operations, and how far its sums can get."""

    path: Path
    network: Network
    graph: PlanGraph
    bounds: tuple[RowBound, ...]


def load_plan(path: str | Path, numerics: Numerics | None = None) -> Network:
    """Return the network of an FQIR plan; its outputs are the plan's, bit for bit.

    numerics: refuse a plan whose sums this arithmetic might change. Raises PlanError.
    """
    plan = open_plan(path)
    if numerics is not None:
        check_numerics(plan, numerics)
    return plan.network


def open_plan(path: str | Path) -> Plan:
    """Read a plan, with what `inspect` tells of it. Raises PlanError."""
    path = Path(path)
    main = read_plan(path)
    try:
        graphs = _graphs(main)
        _check_words(main, graphs)
        return _plan(path, graphs)
    except (PlanError, NetworkError) as error:
        raise PlanError(f"{path}: {error}") from error


def check_numerics(plan: Plan, numerics: Numerics) -> None:
    """Raise PlanError where an arithmetic might give other integers than the plan means.

    Sums do not saturate step by step in FQIR, so that no partial sum may leave the accumulator,
    whatever the frame is; and what leaves it saturates.
    """
    if numerics.requantize_overflow != "saturate":
        raise PlanError(
            f"{plan.path}: results of FQIR saturate, and numerics.requantize_overflow is "
            f"{numerics.requantize_overflow}; use --set numerics.requantize_overflow=saturate"
        )
    worst = max(plan.bounds, key=lambda row: row.bound, default=None)
    if worst is None or worst.bits <= numerics.accumulator_bits:
        return
    remedy = (
        f"use --set numerics.accumulator_bits={worst.bits}"
        if worst.bits <= WIDEST_ACCUMULATOR
        else f"no accumulator has more than {WIDEST_ACCUMULATOR}; prune or rescale the layer"
    )
    raise PlanError(
        f"{plan.path}: {worst.told} can reach sums of {worst.bound:,}, which takes {worst.bits} "
        f"bits, and accumulators have {numerics.accumulator_bits} (numerics.accumulator_bits); "
        f"{remedy}"
    )


def _graphs(main: PlanGraph) -> dict[str, PlanGraph]:
    """Return the graphs that MAIN calls, by name."""
    called = [node.subgraph for node in main.nodes]
    strange = [node.told for node in main.nodes if node.subgraph is None]
    if strange:
        raise PlanError(f"MAIN has {strange[0]}; it may only call graphs")
    missing = [name for name in (*GRAPHS, *called) if name not in main.subgraphs]
    missing += [name for name in GRAPHS if name in main.subgraphs and name not in called]
    if missing:
        raise PlanError(
            f"MAIN has no graph {missing[0]}; a plan has {', '.join(GRAPHS)}, and INIT if it has "
            "states: save it again"
        )
    known = (*GRAPHS, "INIT")
    other = [name for name in main.subgraphs if name not in known]
    other += [
        g.name for n in known if n in main.subgraphs for g in main.subgraphs[n].subgraphs.values()
    ]
    if other:
        raise PlanError(
            f"has the graph {other[0]}; loops, conditions and other graphs than "
            f"{', '.join(known)} are not run"
        )
    return main.subgraphs


def _check_words(main: PlanGraph, graphs: Mapping[str, PlanGraph]) -> None:
    """Raise PlanError for operations and data types that are unknown, naming all of them."""
    nodes = [(name, node) for name, graph in graphs.items() for node in graph.nodes]
    unknown = Counter(str(node.op_name) for _, node in nodes if node.op_name not in OPERATIONS)
    if unknown:
        told = ", ".join(f"{name} ({count} times)" for name, count in unknown.items())
        raise PlanError(f"has unknown operations: {told}; known are {', '.join(OPERATIONS)}")
    tensors = [
        (tensor, allowed)
        for name, graph in graphs.items()
        for tensor, allowed in _tensors(name, graph)
    ]
    strange = {
        tensor.kind: tensor.name for tensor, allowed in tensors if tensor.kind not in allowed
    }
    if strange:
        told = ", ".join(f"{kind} of {name}" for kind, name in strange.items())
        raise PlanError(f"has dtypes that are not run: {told}; known are {', '.join(DTYPES)}")
    for name, node in nodes:
        home = OPERATIONS[str(node.op_name)].graph
        if home != name and not (node.op_name == "zeros" and name == "ARITH"):
            raise PlanError(f"{name} has {node.told}, which belongs into {home}")


def _tensors(name: str, graph: PlanGraph) -> Iterator[tuple[PlanTensor, tuple[str, ...]]]:
    inner, outer = tuple(DTYPES), (*DTYPES, *FLOATS)
    for tensor in graph.inputs:
        yield tensor, outer if name == "QUANT" else inner
    for tensor in graph.outputs:
        yield tensor, outer if name == "DEQUANT" else inner
    for tensor in graph.parameters:
        yield tensor, (*inner, *TABLE_DTYPES)


def _plan(path: Path, graphs: Mapping[str, PlanGraph]) -> Plan:
    arith, starts = graphs["ARITH"], _starts(graphs)
    bits = dict.fromkeys(starts, WIDTHS[0])
    while True:  # a state is as wide as what is assigned to it, which may depend on its width
        draft = _draft(graphs, starts, bits)
        wider = {n: v.bits for n in starts if (v := draft.values[n]).bits > bits[n]}
        if not wider:
            break
        bits |= wider
    states = tuple(_state(draft, name, bits[name]) for name in starts if starts[name].size)
    output, notes = _output(draft, arith)
    network = Network(
        path.name.removesuffix(".json").removesuffix(".plan"), _input(graphs), states,
        tuple(draft.nodes), output, notes=notes, input_rounding="floor",
    )  # fmt: skip
    if not _computes(network, output):
        network = relabelled(network)
    network = with_output_exponent(network, _output_exponent(graphs))
    check_network(network)
    return Plan(path, network, arith, tuple(draft.bounds))


def _draft(
    graphs: Mapping[str, PlanGraph], starts: Mapping[str, Value], bits: Mapping[str, int]
) -> Draft:
    """Lower ARITH's operations, with states of so many bits."""
    arith = graphs["ARITH"]
    draft = Draft({}, {name for node in arith.nodes for name in node.outputs})
    source = _input(graphs)
    draft.fresh(source.name)
    _put_inputs(draft, graphs, source)
    for name, start in starts.items():
        full = full_reach(start.size, bits[name])
        draft.states[name] = draft.fresh(name)
        draft.put(name, replace(start, name=draft.states[name], bits=bits[name], reach=full))
    for tensor in arith.parameters:
        _check_new(draft, tensor.name)
        draft.put(tensor.name, parameter(tensor))
    for node in arith.nodes:
        call = call_of(draft, node)
        for name in node.outputs:
            _check_new(draft, name)
        lower = OPERATIONS[str(node.op_name)].lower
        assert lower is not None  # those of QUANT and DEQUANT do not stand in ARITH
        lower(draft, call)
    return draft


def _check_new(draft: Draft, name: str) -> None:
    if name in draft.values:
        raise PlanError(f"ARITH makes {name} twice; names must be unique")


def _input(graphs: Mapping[str, PlanGraph]) -> Tensor:
    """Return the network's input: all of QUANT's outputs, one after the other."""
    found = []
    for node in graphs["QUANT"].nodes:
        call = call_of(Draft({n: _placeholder() for n in node.inputs.values()}, set()), node)
        found.append((call.output, call.constants["quanta"], call.constants["bw"]))
    wanted = graphs["ARITH"].inputs
    if len(wanted) == 0 or [name for name, _, _ in found] != [t.name for t in wanted]:
        told = ", ".join(tensor.name for tensor in wanted) or "none"
        raise PlanError(
            f"ARITH takes {told} and QUANT makes {', '.join(n for n, _, _ in found) or 'none'}; "
            "they must be the same, in order"
        )
    formats = {(bits, quanta) for _, quanta, bits in found}
    bits, quanta = next(iter(formats))
    if len(formats) > 1 or bits not in WIDTHS:
        told = ", ".join(f"{name}: {bits} bits of 2**{quanta}" for name, quanta, bits in found)
        raise PlanError(f"its inputs must be of one format, of 8 or 16 bits; they are {told}")
    for tensor in wanted:
        if DTYPES[tensor.kind] != bits:
            raise PlanError(
                f"{tensor.name} is quantised to {bits} bits and taken as {tensor.kind}; they must "
                "agree"
            )
    size = sum(_size(tensor) for tensor in wanted)
    return Tensor(wanted[0].name if len(wanted) == 1 else "inputs", size, Quantum(bits, quanta))


def _placeholder() -> Value:
    return Value("input", (1,), WIDTHS[0], np.ones(1, np.int64))


def _put_inputs(draft: Draft, graphs: Mapping[str, PlanGraph], source: Tensor) -> None:
    bits = source.quantum.bits
    whole = Value(source.name, (source.size,), bits, full_reach(source.size, bits))
    first = 0
    for tensor in graphs["ARITH"].inputs:
        size = _size(tensor)
        part = draft.cut(tensor.name, "input", whole, first, size)
        draft.put(tensor.name, replace(part, shape=tuple(tensor.shape)))
        first += size


def _starts(graphs: Mapping[str, PlanGraph]) -> dict[str, Value]:
    """Return the states that INIT sets to zeros, by name."""
    found: dict[str, Value] = {}
    for node in graphs["INIT"].nodes if "INIT" in graphs else ():
        call: Call = call_of(Draft({}, set()), node)
        shape = zero_shape(call)
        size = int(np.prod(shape))
        if call.output in found:
            raise PlanError(f"INIT makes {call.output} twice; names must be unique")
        found[call.output] = Value(call.output, shape, WIDTHS[0], full_reach(size, WIDTHS[0]))
    return found


def _state(draft: Draft, name: str, bits: int) -> State:
    last = draft.widened(draft.values[name], bits, name)
    tensor = Tensor(draft.states[name], last.size, Quantum(bits, 0))
    return State(tensor, str(last.name), 0, name)


def _output(draft: Draft, arith: PlanGraph) -> tuple[str, tuple[str, ...]]:
    """Return the tensor that leaves, all of ARITH's outputs one after the other, and notes."""
    parts = []
    for tensor in arith.outputs:
        value = draft.find("the output of ARITH", tensor.name)
        if value.shape != tuple(tensor.shape):
            raise PlanError(
                f"output {tensor.name} is said to have shape {tuple(tensor.shape)}, and its "
                f"operation makes {value.shape}; save the plan again"
            )
        bits = DTYPES[tensor.kind]
        value = draft.vector(value, "output")
        if bits not in WIDTHS or value.bits > bits:
            raise PlanError(
                f"output {tensor.name} is said to be {tensor.kind}, and its operation makes "
                f"{value.bits} bits; they must agree"
            )
        parts.append(draft.widened(value, bits, "output"))
    if not parts:
        raise PlanError("ARITH has no output; save the plan again")
    name = draft.join("outputs", "output", parts).name
    told = ", ".join(
        f"{t.name} ({_size(t)}) as {t.kind} of 2**{t.quanta or 0}" for t in arith.outputs
    )
    return str(name), (f"FQIR plan: outputs are the integers of {told}",)


def _output_exponent(graphs: Mapping[str, PlanGraph]) -> int:
    first = graphs["ARITH"].outputs[0]
    for node in graphs["DEQUANT"].nodes:
        call = call_of(Draft({n: _placeholder() for n in node.inputs.values()}, set()), node)
        if node.inputs["x"] == first.name:
            return int(call.constants["quanta"])
    raise PlanError(f"DEQUANT does not take the output {first.name}; save the plan again")


def _size(tensor: PlanTensor) -> int:
    size = int(np.prod([int(n) for n in tensor.shape], dtype=object))
    if not 0 < size <= MOST_ELEMENTS or min(tensor.shape, default=1) < 1:
        raise PlanError(
            f"tensor {tensor.name} has shape {tuple(tensor.shape)}; it needs 1 to "
            f"{MOST_ELEMENTS:,} elements"
        )
    return size


def _computes(network: Network, name: str) -> bool:
    """Tell whether some node computes a tensor, and does not only hold or show it."""
    return any(
        out.name == name
        for node in network.nodes
        if not isinstance(node, Constant)
        for out in outputs_of(node)
    )
