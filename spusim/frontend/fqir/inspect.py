"""What a plan holds: its operations, what goes in and out and stays, and its parameters."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spusim.frontend.checkpoint import Checkpoint
from spusim.frontend.fqir.load import Plan, open_plan
from spusim.frontend.fqir.plan import DTYPES, VERSION, PlanTensor, array_of
from spusim.frontend.inspect import LayerStatistics, inspect_tensors


@dataclass(frozen=True)
class PlanContents:
    """A plan for people: how often each operation is there, facts in words, and parameters."""

    operations: dict[str, int]
    facts: tuple[str, ...]
    tensors: tuple[LayerStatistics, ...]


def inspect_plan(
    path: str | Path, pes: int = 8, group: int = 8, block: tuple[int, int] = (4, 4)
) -> PlanContents:
    """Describe a plan; matrices as (out, in), each as wide as its dtype says.

    pes, group and block as in `inspect_checkpoint`. Raises PlanError.
    """
    plan = open_plan(path)
    counts = Counter(str(node.op_name) for node in plan.graph.nodes)
    transposed = {
        name
        for node in plan.graph.nodes
        for key, name in node.inputs.items()
        if key == "y" and node.op_name in ("addmm", "matmul")
    }
    tensors = tuple(
        _described(tensor, tensor.name in transposed, (pes, group), block)
        for tensor in plan.graph.parameters
    )
    return PlanContents(dict(counts.most_common()), _facts(plan), tensors)


def _described(
    tensor: PlanTensor, transposed: bool, shares: tuple[int, int], block: tuple[int, int]
) -> LayerStatistics:
    values = array_of(tensor)
    one = Checkpoint({tensor.name: values.T if transposed else values}, {tensor.name: tensor.kind})
    return inspect_tensors(one, *shares, DTYPES.get(tensor.kind, 16), block)[0]


def _facts(plan: Plan) -> tuple[str, ...]:
    network, graph = plan.network, plan.graph
    bits = network.input.quantum
    states = {state.tensor.name: state.tensor for state in network.states}
    kept = ", ".join(f"{name} ({t.size} of {t.quantum.bits} bits)" for name, t in states.items())
    widest = max((row.bits for row in plan.bounds), default=0)
    outputs = ", ".join(
        f"{t.name} ({int(np.prod(t.shape))}, {t.kind}, 2**{t.quanta})" for t in graph.outputs
    )
    return (
        f"an FQIR plan of version {VERSION}, {len(graph.nodes)} operations a frame",
        f"input {network.input.name} ({network.input.size}, {bits.bits} bits, 2**{bits.exponent})",
        f"output {outputs}",
        f"states: {kept or 'none'}",
        f"its sums take accumulators of {widest} bits",
    )
