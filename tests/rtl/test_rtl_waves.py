"""Waves of stepper and RTL carry the same names and values; reports say where traces part."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from compare import Disagreement, check_equal, field_names, run_both
from parameter_sets import SETS
from programs import random_program
from rtl_engine import RtlEngine, RtlRun
from waves import main, read_vcd

SET = SETS[3]  # three PEs


def test_both_dumps_are_equal_and_hold_the_trace(verilator: None, tmp_path: Path) -> None:
    assert main(["--set", str(SET.number), "--seed", "5", "-o", str(tmp_path / "waves")]) == 0
    dumps = [read_vcd(tmp_path / "waves" / f"{name}.vcd") for name in ("stepper", "rtl")]
    assert dumps[0] == dumps[1]
    engine = RtlEngine(SET)
    _, expected, _ = run_both(engine, random_program(SET, 5))
    engine.close()
    names = [f"engine.{name}" for name in field_names(SET.config.pes)]
    assert dumps[0] == dict(zip(names, map(list, zip(*expected.trace, strict=True)), strict=True))
    assert -1 in dumps[0]["engine.pe0.column"]


def test_a_program_is_given_as_a_report_prints_it(
    verilator: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = random_program(SET, 11)
    text = json.dumps(asdict(program))
    assert main(["--set", str(SET.number), "--program", text, "-o", str(tmp_path)]) == 0
    assert str(program) in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": 3}'])
def test_another_text_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--set", "0", "--program", text, "-o", str(tmp_path)]) == 1
    assert "--program must be a JSON object of rows, columns" in capsys.readouterr().err


def altered(rtl: RtlRun, cycle: int, field: int) -> RtlRun:
    """Return a run whose state word differs in one field of one cycle."""
    trace = list(rtl.result.trace)
    word = list(trace[cycle])
    word[field] += 1
    trace[cycle] = tuple(word)
    return RtlRun(replace(rtl.result, trace=trace), rtl.causes)


def test_report_shows_the_first_differing_cycle_by_field(verilator: None) -> None:
    engine = RtlEngine(SET)
    program = random_program(SET, 5)
    _, expected, rtl = run_both(engine, program)
    engine.close()
    check_equal(SET, program, expected, rtl)
    wrong = altered(altered(rtl, 9, 2), 7, field_names(SET.config.pes).index("pe1.column"))
    with pytest.raises(Disagreement) as raised:
        check_equal(SET, program, expected, wrong)
    lines = str(raised.value).splitlines()
    assert lines[0] == "stepper and RTL differ in trace"
    assert "first differing cycle: 7" in lines
    marked = [line.split() for line in lines if line.endswith("<--")]
    column = expected.trace[7][field_names(3).index("pe1.column")]
    assert marked == [["pe1.column", str(column), str(column + 1), "<--"]]
    assert lines[-1].startswith('waves: python tests/rtl/waves.py --set 3 --program \'{"rows":')


def test_causes_by_cycle_must_be_those_counted(verilator: None) -> None:
    engine = RtlEngine(SET)
    program = random_program(SET, 5)
    _, expected, rtl = run_both(engine, program)
    engine.close()
    wrong = RtlRun(rtl.result, [("busy",) * 4, *rtl.causes[1:]])
    assert wrong.causes != rtl.causes
    with pytest.raises(Disagreement, match="the causes by cycle"):
        check_equal(SET, program, expected, wrong)
