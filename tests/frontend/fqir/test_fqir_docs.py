"""docs/fqir.md says what the code does: its operations, and what the examples cost."""

import re
from pathlib import Path

import numpy as np
import pytest

from spusim.api import load_arch, load_plan, load_stream, simulate
from spusim.experiments.record import result_record
from spusim.frontend.fqir import OPERATIONS, Operation
from spusim.frontend.fqir.operations import REQUIRED
from spusim.frontend.fqir.plan import DTYPES

DOC = Path(__file__).resolve().parents[3] / "docs" / "fqir.md"
DATA = Path(__file__).parent / "data"
COST = re.compile(
    r"^\| (\w+) \| (\d) \| (\d+) \| ([\d,]+) \| ([\d.,]+) \| ([\d.]+) \| ([\d,]+) \|", re.M
)


def operation_row(name: str, operation: Operation) -> str:
    """Return an operation's line of the table."""
    operands = ["x0, x1, ..."] if operation.many else list(operation.inputs)
    operands += [f"[{name}]" for name in operation.optional]
    constants = [
        name if default is REQUIRED else f"[{name}]"
        for name, (_, default) in operation.constants.items()
    ]
    graph = "INIT, ARITH" if name == "zeros" else operation.graph
    cells = [f"`{name}`", graph, ", ".join(operands), ", ".join(constants), operation.meaning]
    return "| " + " | ".join(cells) + " |"


def test_table_of_operations_is_the_codes() -> None:
    table = DOC.read_text().partition("## Operations")[2].partition("What they become")[0]
    shown = re.findall(r"^\| `\w+` \|.*$", table, re.MULTILINE)
    assert shown == [operation_row(name, op) for name, op in OPERATIONS.items()]


def test_dtypes_are_named() -> None:
    text = DOC.read_text()
    assert all(f"`{name}`" in text for name in DTYPES)


def test_all_examples_have_their_costs() -> None:
    rows = [(row[0], row[1]) for row in COST.findall(DOC.read_text())]
    assert rows == [(n, c) for n in ("mlp", "mlp8", "gru", "lstm", "tcn") for c in "12"]


@pytest.mark.parametrize("row", COST.findall(DOC.read_text()), ids=lambda row: f"{row[0]}{row[1]}")
def test_costs_are_what_runs_cost(row: tuple[str, ...]) -> None:
    name, cores, frames, cycles, mean, energy, memory = row
    folder = (
        DATA
        if (DATA / f"{name}.npz").exists()
        else Path(__file__).resolve().parents[4] / "shared" / "fqir"
    )
    if not (folder / f"{name}.npz").exists():
        pytest.skip(f"the example {name} is not here: it comes with the project's shared data")
    arch = load_arch("spu001", [f"cores={cores}"])
    network = load_plan(folder / f"{name}.plan.json", arch)
    result = simulate(network, arch, load_stream(f"{folder}/{name}.npz:x_int", network))
    with np.load(folder / f"{name}.npz") as arrays:
        np.testing.assert_array_equal(result.outputs, np.atleast_2d(arrays["y_int"]))
    assert (str(result.frames), f"{result.cycles:,}") == (frames, cycles)
    assert f"{np.mean(result.frame_cycles):,.1f}" == mean
    assert f"{result.energy_pj['total'] / result.frames / 1e3:.1f}" == energy
    assert f"{result_record(result)['memory']['used']:,}" == memory
