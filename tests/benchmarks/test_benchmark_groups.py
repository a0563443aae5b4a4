"""The benchmarks' own figures: what they compute from times, and that each group still runs.

Groups run on the smallest sizes; nothing is asserted of times, much of what is timed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import growth, lstm_pair, machine, processes, speed, stepping, stopwatch, sweeps
from benchmarks.growth import slope, slope_row
from benchmarks.product import load_contest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_a_slope_is_the_power_of_the_work(power: float) -> None:
    work = [1.0, 10.0, 1000.0]
    assert slope(work, [3 * size**power for size in work]) == pytest.approx(power)


def test_a_growth_beyond_linear_misses_its_target() -> None:
    sizes = (1, 10, 100)
    linear = slope_row("x", sizes, list(sizes), [1e-3, 1e-2, 1e-1])
    assert linear.met and "1.00 in the last step; ms at 1: 1, 10: 10, 100: 100" in linear.detail
    assert not slope_row("x", sizes, list(sizes), [1e-3, 1.5e-2, 2e-1]).met


def test_contestants_take_turns_and_medians_leave_the_first_call_out() -> None:
    now, calls = [0.0], []

    def call(name: str, seconds: list[float]) -> None:
        calls.append(name)
        now[0] += seconds[calls.count(name) % len(seconds)]

    found = stopwatch.interleave(
        {"a": lambda: call("a", [2.0]), "b": lambda: call("b", [5.0, 5.0, 50.0])},
        rounds=4, calls=3, clock=lambda: now[0],
    )  # fmt: skip
    assert calls.count("a") == calls.count("b") == 1 + 4 * 3
    assert found == {"a": 2.0, "b": 5.0}


def test_a_childs_processor_time_is_counted() -> None:
    before = stopwatch.children_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    assert stopwatch.children_seconds() > before


def test_growth_runs_on_small_sizes() -> None:
    for row in (
        growth.measure_sides((16, 32), rounds=1),
        growth.measure_frames((1, 2), rounds=1),
        growth.measure_layers_deep((1, 2), rounds=1),
    ):
        assert row.target == growth.TARGET and np.isfinite(row.measured)


def test_a_product_of_any_side_is_runs_own() -> None:
    core, macs = growth.load_product(64)
    before = core.arrays.matrix_use.copy()
    growth._product(core)()
    assert (core.arrays.matrix_use - before)[0, 1:].tolist() == [macs, 1]


def test_peak_memory_is_told_with_what_is_kept() -> None:
    row = growth.measure_memory((2, 40))
    assert 0.9 < row.measured < 1.2
    assert " bytes a frame, of which stream and result " in row.detail


def test_stepped_cycles_are_the_recurrences() -> None:
    core, cycles = stepping.load_product()
    assert stepping.stepped(core.state) == stepping.cycles_only(core.state) == cycles


def test_a_product_with_rivals_takes_longer_and_is_checked_cycle_by_cycle() -> None:
    core, alone = stepping.load_product()
    assert stepping.check_contended(core, stepping.competing_units(core)) > alone


def test_what_is_timed_of_a_small_product_is_checked() -> None:
    load_contest(0.3, 64).check()


def test_two_lstm_layers_agree_with_golden_and_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_pair, "SIZE", 32)
    monkeypatch.setattr(lstm_pair, "NETWORK", lstm_pair.NETWORK.replace("256", "32"))
    contest = lstm_pair.Contest()
    contest.check()
    weight = contest._cells[0].weight_hh.detach().numpy()
    kept = np.abs(weight).reshape(-1, lstm_pair.PENCIL, 32).sum(axis=1) > 0
    assert kept.mean() == pytest.approx(lstm_pair.DENSITY, abs=0.02)


def test_a_sweeps_file_has_the_points_it_is_named_for(tmp_path: Path) -> None:
    path = sweeps.write_sweep(tmp_path, 200, 3)
    points = sweeps.make_points(sweeps.open_parts(sweeps.load_sweep(path)))
    assert len(points) == 200
    assert "frames=3," in path.read_text()


def test_processes_are_timed_with_byte_code() -> None:
    assert "PYTHONDONTWRITEBYTECODE" not in processes.ENVIRONMENT
    assert "PATH" in processes.ENVIRONMENT


def test_a_busy_machine_is_told() -> None:
    assert machine.busy_note(0.1) == ""
    assert "load average 4.00" in machine.busy_note(4.0)
    assert {"processor", "cores", "numba", "load"} <= set(machine.describe_machine())


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run the table's command with two groups that take no time."""
    made = {name: [growth.Row(name, 1.0, "x", "<=", 2.0)] for name in ("one", "two")}
    monkeypatch.setattr(speed, "GROUPS", {name: lambda n=name: made[n] for name in made})
    monkeypatch.setattr("sys.argv", ["speed", *arguments])
    speed.main()


def test_the_table_is_printed_and_saved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "-o", str(tmp_path / "new"))
    assert "2 of 2 targets met; saved in " in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"speed.csv", "speed.json", "speed.md", "speed.png"}
    told = json.loads((tmp_path / "new" / "speed.json").read_text())
    assert [row["name"] for row in told["rows"]] == ["one", "two"]
    assert told["machine"]["processor"]


def test_groups_can_be_chosen_and_unknown_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "two")
    assert "1 of 1 targets met\n" in capsys.readouterr().out
    assert os.listdir(tmp_path) == []
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, "three")
    assert caught.value.code == 2
    assert "no group three; there are one, two" in capsys.readouterr().err
