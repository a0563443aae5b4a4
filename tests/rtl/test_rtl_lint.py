"""The Verilog is lint-clean, and Yosys builds it without latches or combinational loops."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from build import SOURCES, run, verilator_command
from parameter_sets import SETS, ParameterSet

LINTED = SETS[::3]
SYNTHESISED = [SETS[number] for number in (2, 3, 8, 15, 20, 25)]  # every format, both memories

# What the tests' memories hold, Yosys need not: it would map every word.
SMALL = {
    "ROW_BITS": 2,
    "BANK_ADDRESS_BITS": 3,
    "SLICE_ADDRESS_BITS": 3,
    "INDEX_ADDRESS_BITS": 3,
    "BUFFER_ADDRESS_BITS": 2,
}
LATCHES = "t:$dlatch t:$adlatch t:$dlatchsr t:$sr"

LATCH = """
module latch (input wire enable, input wire d, output reg q);
    always @* if (enable) q = d;
endmodule
"""
LOOP = """
module loop (input wire d, output wire q);
    wire back = d ^ q;
    assign q = ~back;
endmodule
"""


def ids(sets: Sequence[ParameterSet]) -> list[str]:
    return [f"set{each.number}-{each.config.format}" for each in sets]


@pytest.mark.parametrize("parameter_set", LINTED, ids=ids(LINTED))
def test_lint_clean(parameter_set: ParameterSet, verilator: None) -> None:
    flags = ("--lint-only", "-Wall", "--top-module", "engine")
    run(verilator_command(parameter_set, *flags), "lint")


def test_lint_is_switched_off_nowhere() -> None:
    assert not [path.name for path in SOURCES if "lint_off" in path.read_text(encoding="utf-8")]


def synthesise(
    sources: Sequence[Path], top: str, parameters: dict[str, int]
) -> subprocess.CompletedProcess[str]:
    """Elaborate a module, then refuse latches, loops and undriven wires."""
    settings = "".join(f" -set {name} {value}" for name, value in parameters.items())
    commands = [
        f"read_verilog -sv {' '.join(map(str, sources))}",
        f"chparam{settings} {top}" if settings else "log no parameters",
        f"hierarchy -check -top {top}",
        "proc", "flatten", "opt_expr", "opt_clean", "check -assert",
        f"select -assert-none {LATCHES}",
    ]  # fmt: skip
    return subprocess.run(
        ["yosys", "-q", "-p", "; ".join(commands)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("parameter_set", SYNTHESISED, ids=ids(SYNTHESISED))
def test_synthesises_without_latches(parameter_set: ParameterSet, yosys: None) -> None:
    done = synthesise(SOURCES, "engine", parameter_set.verilog_parameters() | SMALL)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("top", "text"), [("latch", LATCH), ("loop", LOOP)])
def test_synthesis_refuses_a_planted_fault(
    top: str, text: str, tmp_path: Path, yosys: None
) -> None:
    source = tmp_path / f"{top}.v"
    source.write_text(text, encoding="utf-8")
    assert synthesise([source], top, {}).returncode != 0


def test_every_block_cites_the_rule_that_it_implements() -> None:
    plain = {"counter.v", "selector.v", "accumulate.v"}  # nothing of time in them
    silent = [
        path.name
        for path in SOURCES
        if path.name not in plain
        and not any(f"T{n}" in path.read_text(encoding="utf-8") for n in range(1, 21))
    ]
    assert silent == []
