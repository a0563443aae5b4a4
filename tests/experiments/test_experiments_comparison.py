"""Sweeps side by side: which point belongs to which, and what is told of them."""

import json

import polars as pl
import pytest

from spusim.experiments.comparison import ComparisonError, SweepComparison, compare
from spusim.experiments.difference_sheets import comparison_record, comparison_sheets
from spusim.experiments.differences import Tolerances, option_tolerances
from spusim.experiments.sheets import Sheet, markdown

NONE = Tolerances()


def rows(replicas=1):
    return [
        {
            "point": number, "key": f"{number:064x}", "status": "done", "error": None,
            "core.pes": pes, "prune.density": density, "replica": replica, "seed": replica,
            "arch": "tiny", "network_hash": "n", "frames": 5, "cycles": 1000 * pes,
            "energy_pj.total": 10.0 * pes, "stall.pe.starved": 7, "outputs_sha256": "aa",
        }
        for number, (pes, density, replica) in enumerate(
            (p, d, r) for p in (2, 4) for d in (0.1, 0.5) for r in range(replicas)
        )
    ]  # fmt: skip


@pytest.fixture
def sweep(tmp_path):
    """Write a sweep's folder as `spusim sweep` leaves it."""

    def write(name, points, axes=("core.pes", "prune.density"), version=1, csv=False):
        folder = tmp_path / name
        folder.mkdir()
        told = {
            "schema_version": version, "name": name, "versions": {"spusim": "0.1.0"},
            "axes": [{"name": axis} for axis in axes],
        }  # fmt: skip
        (folder / "sweep.json").write_text(json.dumps(told))
        table = pl.DataFrame(points)
        if csv:
            table.write_csv(folder / "results.csv")
        else:
            table.write_parquet(folder / "results.parquet")
        return folder

    return write


def only(found):
    return {place: found for place, found in found.items() if found}


def test_a_sweep_is_the_same_as_itself_in_any_order(sweep):
    old, new = sweep("a", rows()), sweep("b", rows()[::-1])
    comparison = compare(old, new, NONE)
    assert isinstance(comparison, SweepComparison)
    assert len(comparison.found) == 4
    assert comparison.exit_code == 0
    assert comparison_record(comparison)["differs_in"] == []


def test_table_and_csv_are_read_alike(sweep):
    assert compare(sweep("a", rows()), sweep("b", rows(), csv=True), NONE).exit_code == 0


def test_changes_are_told_at_their_point(sweep):
    other = rows()
    other[2]["cycles"] = 4400
    other[3]["cycles"] = 4004
    comparison = compare(sweep("a", rows()), sweep("b", other), NONE)
    found = only(comparison.found)
    assert [dict(place) for place in found] == [
        {"core.pes": 4, "prune.density": 0.1, "replica": 0},
        {"core.pes": 4, "prune.density": 0.5, "replica": 0},
    ]
    assert comparison.kinds == ("time",)
    assert comparison.exit_code == 3
    sheet = next(part for part in comparison_sheets(comparison, False) if isinstance(part, Sheet))
    assert sheet.rows == (
        ("cycles", "2 of 4", "4,000", "4,400", "+10.00",
         "core.pes=4 prune.density=0.1 replica=0"),
    )  # fmt: skip
    assert compare(*(sweep(n, r) for n, r in (("c", rows()), ("d", other))),
                   option_tolerances(["cycles=10%"])).exit_code == 0  # fmt: skip


def test_outputs_are_results(sweep):
    other = rows()
    other[0]["outputs_sha256"] = "bb"
    assert compare(sweep("a", rows()), sweep("b", other), NONE).exit_code == 4


def test_replicas_are_matched_by_their_number(sweep):
    other = rows(replicas=3)
    other[1]["cycles"] += 1
    comparison = compare(sweep("a", rows(replicas=3)), sweep("b", other[::-1]), NONE)
    (place,) = only(comparison.found)
    assert place == (("core.pes", 2), ("prune.density", 0.1), ("replica", 1))


def test_points_of_one_side_are_listed_and_count_as_results(sweep):
    comparison = compare(sweep("a", rows()), sweep("b", rows()[1:]), NONE)
    assert [dict(p) for p in comparison.only_old] == [
        {"core.pes": 2, "prune.density": 0.1, "replica": 0}
    ]
    assert comparison.only_new == ()
    assert comparison.exit_code == 4
    text = markdown("a and b", comparison_sheets(comparison, False))
    assert "* only the old has core.pes=2 prune.density=0.1 replica=0" in text


def test_a_point_that_began_to_fail_differs_in_results(sweep):
    other = rows()
    other[1].update(status="failed", error="no room", cycles=None, outputs_sha256=None)
    comparison = compare(sweep("a", rows()), sweep("b", other), NONE)
    ((found,),) = only(comparison.found).values()
    assert (found.name, found.old, found.new) == ("status", "done", "failed: no room")
    assert comparison.exit_code == 4
    assert compare(sweep("c", other), sweep("d", other), NONE).exit_code == 0


def test_inputs_that_differ_are_noted(sweep):
    other = rows()
    other[0].update(network_hash="m", cycles=1)
    notes = compare(sweep("a", rows()), sweep("b", other), NONE).notes
    assert notes == (
        "the inputs differ: network_hash at 1 of 4 points; a difference may be theirs",
    )


def test_a_metric_of_one_side_is_noted(sweep):
    other = [{**row, "accuracy": 0.9} for row in rows()]
    new = sweep("b", other)
    comparison = compare(sweep("a", rows()), new, NONE)
    assert comparison.notes == (f"only {new} has accuracy: not compared",)
    assert comparison.exit_code == 0


def test_verbose_lists_every_point(sweep):
    other = [{**row, "cycles": row["cycles"] + 1} for row in rows()]
    comparison = compare(sweep("a", rows()), sweep("b", other), NONE)
    parts = list(comparison_sheets(comparison, True))
    assert sum(isinstance(part, Sheet) for part in parts) == 1 + 4


def test_json_names_points_and_quantities(sweep):
    other = rows()
    other[3]["stall.pe.starved"] = 9
    told = comparison_record(compare(sweep("a", rows()), sweep("b", other), NONE))
    assert told["exit_code"] == 3
    assert told["points"] == 4
    assert told["differences"] == [
        {
            "point": {"core.pes": 4, "prune.density": 0.5, "replica": 0},
            "quantity": "stall.pe.starved", "kind": "time", "group": "stalls", "unit": "cycles",
            "old": 7, "new": 9, "change": 2, "percent": pytest.approx(200 / 7),
        }
    ]  # fmt: skip


def test_bad_sweeps_are_refused(sweep, tmp_path):
    good = sweep("good", rows())
    with pytest.raises(ComparisonError, match=r"sweep schema 1, .* 2; run one of them again"):
        compare(good, sweep("newer", rows(), version=2), NONE)
    with pytest.raises(ComparisonError, match="the axes must be the same"):
        compare(good, sweep("axes", rows(), axes=("core.pes",)), NONE)
    with pytest.raises(ComparisonError, match=r"lacks core\.lanes"):
        compare(good, sweep("lacks", rows(), axes=("core.lanes",)), NONE)
    away = [{**row, "core.pes": 99} for row in rows()]
    with pytest.raises(ComparisonError, match="no point in common"):
        compare(good, sweep("away", away), NONE)
    broken = sweep("broken", rows())
    (broken / "results.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ComparisonError, match=r"results\.parquet: is damaged"):
        compare(good, broken, NONE)
    (broken / "results.parquet").unlink()
    with pytest.raises(ComparisonError, match=r"has no results\.parquet yet"):
        compare(good, broken, NONE)
    (broken / "sweep.json").write_text("[]")
    with pytest.raises(ComparisonError, match="names no axes"):
        compare(good, broken, NONE)
    with pytest.raises(ComparisonError, match=r"holds neither result\.json"):
        compare(good, tmp_path, NONE)
