"""The comparing core: tolerances, kinds, exit codes, and the quantities of a record."""

import copy
import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.experiments.differences import (
    KINDS,
    Difference,
    Quantity,
    ToleranceError,
    Tolerances,
    differences,
    exit_code,
    kinds,
    option_tolerances,
    pairs,
    read_tolerances,
)
from spusim.experiments.measures import (
    RecordError,
    check_record,
    record_quantities,
    row_quantities,
)
from spusim.experiments.record import result_record

NONE = Tolerances()


def cycles(value, **other):
    return {"cycles": Quantity("cycles", value, "cycles", **other)}


def changed(old, new, tolerances=NONE):
    return [d.name for d in differences(old, new, tolerances)]


@given(old=st.integers(0, 10**15), new=st.integers(0, 10**15))
@settings(deadline=None, derandomize=True)
def test_without_tolerance_integers_must_be_equal(old, new):
    assert changed(cycles(old), cycles(new)) == ([] if old == new else ["cycles"])


@given(old=st.integers(1, 10**9), new=st.integers(0, 10**9), percent=st.integers(0, 100))
@settings(deadline=None, derandomize=True)
def test_tolerance_is_a_share_of_the_old(old, new, percent):
    tolerances = read_tolerances(f"{percent}%", "here")
    within = abs(new - old) <= percent / 100 * old
    assert changed(cycles(old), cycles(new), tolerances) == ([] if within else ["cycles"])


def test_tolerance_is_a_share_of_the_scale_where_there_is_one():
    old, new = ({"stall": Quantity("stalls", v, "cycles", 1000.0)} for v in (0, 10))
    assert changed(old, new, option_tolerances(["stalls=1%"])) == []
    assert changed(old, new, option_tolerances(["stalls=0.99%"])) == ["stall"]
    assert changed(old, new, option_tolerances(["cycles=50%"])) == ["stall"]


def test_last_digit_of_a_float_is_no_change_and_the_tenth_is_one():
    assert changed({"e": Quantity("energy", 1.0)}, {"e": Quantity("energy", 1 + 4e-16)}) == []
    assert changed({"e": Quantity("energy", 1.0)}, {"e": Quantity("energy", 1 + 1e-10)}) == ["e"]
    # integers, however large, are exact
    assert changed(cycles(10**15), cycles(10**15 + 1)) == ["cycles"]


def test_what_a_side_lacks_is_zero_unless_it_is_optional():
    assert changed({}, cycles(0)) == []
    (found,) = differences({}, cycles(5), NONE)
    assert (found.old, found.new, found.change, found.percent) == (None, 5, 5, None)
    assert changed(cycles(5), {}) == ["cycles"]
    assert changed(cycles(5, optional=True), {}) == []
    assert pairs(cycles(5, optional=True), {}) == {}


def test_infinite_and_finite_differ():
    assert changed(cycles(float("inf")), cycles(3.0)) == ["cycles"]
    assert changed(cycles(float("inf")), cycles(float("inf"))) == []


def test_texts_have_no_tolerance():
    old, new = ({"o": Quantity("outputs", text)} for text in "ab")
    (found,) = differences(old, new, option_tolerances(["100%"]))
    assert (found.kind, found.change, found.percent) == ("results", None, None)


def test_change_has_a_sign_and_a_percentage():
    found = Difference("cycles", "cycles", "cycles", 200, 150)
    assert (found.change, found.percent) == (-50, -25.0)


@pytest.mark.parametrize(
    ("groups", "code"),
    [([], 0), (["cycles"], 3), (["area", "energy"], 3), (["energy", "outputs"], 4)],
)
def test_exit_codes(groups, code):
    found = [Difference("x", group, "", 1, 2) for group in groups]
    assert exit_code(kinds(found)) == code


def test_kinds_put_results_first():
    found = [Difference("x", group, "", 1, 2) for group in reversed(KINDS)]
    assert kinds(found) == ("results", "time", "counts", "energy", "memory", "area")


def test_tolerances_lie_over_one_another():
    assert option_tolerances(["1%", "cycles=0.5"]).shares["cycles"] == 0.5
    assert option_tolerances(["cycles=0.5", "1%"]).shares["cycles"] == 0.01
    assert "outputs" not in option_tolerances(["1%"]).shares
    over = option_tolerances(["energy=2%"]).over(read_tolerances({"cycles": "1%"}, "file:1"))
    assert over.shares == {"cycles": 0.01, "energy": 0.02}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("-1%", "from 0 to 1"),
        (2, "try 0.5%"),
        ("nan", "percentage"),
        ("a lot", "=a lot"),
        (True, "=True"),
        ("1e", "=1e"),
        ({"outputs": 0.1}, "to the bit"),
        ({"cycle": 0.1}, "tolerance of cycle: there is none; groups: cycles"),
    ],
)
def test_tolerances_that_are_none_are_refused_with_their_place(value, said):
    with pytest.raises(ToleranceError, match=r"^list\.yaml:7: ") as caught:
        read_tolerances(value, "list.yaml:7")
    assert said in str(caught.value)


# records


@pytest.fixture(scope="module")
def record(spotted):
    return result_record(spotted)


def quantities(record):
    return record_quantities(check_record(record, "here"))


def test_a_record_differs_from_itself_in_nothing(record):
    stored = json.loads(json.dumps(record))
    assert changed(quantities(record), quantities(stored)) == []


def test_stalls_by_kind_are_the_sums_of_their_units(record):
    found = quantities(record)
    units = [causes["starved"] for name, causes in record["stalls"].items() if ".pe" in name]
    assert len(units) == 16
    assert found["stall.pe.starved"].value == sum(units)
    assert found["stall.pe.starved"].scale == 16 * record["cycles"]
    assert not found["stall.pe.starved"].detail
    assert found["stall.core1.pe7.starved"].detail


@pytest.mark.parametrize(
    ("change", "name", "kind"),
    [
        (lambda r: r.update(outputs_sha256="0" * 64), "outputs_sha256", "results"),
        (lambda r: r.update(frames=13), "frames", "results"),
        (lambda r: r["files"][1].update(heard="nothing"), "heard.", "results"),
        (lambda r: r.update(utilization=0.5), "utilization", "time"),
        (lambda r: r["per_frame"]["latency_s"].update(max=1.0), "latency_s.max", "time"),
        (lambda r: r["speedup"].update(achieved=9.0), "speedup.achieved", "time"),
        (lambda r: r["layers"]["fc1"].update(engine_cycles=1), "layer.fc1.engine_cycles", "time"),
        (lambda r: r["macs"].update(effective=1), "macs.effective", "counts"),
        (lambda r: r["counts"].update({"new.event": 1}), "count.new.event", "counts"),
        (lambda r: r["energy_pj"].update(mac=1.0), "energy_pj.mac", "energy"),
        (lambda r: r.update(power_w=1.0), "power_w", "energy"),
        (lambda r: r["memory"].update(used=1), "memory.used", "memory"),
        (lambda r: r["area_um2"].update(queue=1.0), "area_um2.queue", "area"),
    ],
)
def test_every_part_of_a_record_is_compared(record, change, name, kind):
    other = copy.deepcopy(record)
    change(other)
    (found,) = differences(quantities(record), quantities(other), NONE)
    assert found.name.startswith(name)
    assert found.kind == kind


def test_cycles_moved_between_two_units_are_found(record):
    other = copy.deepcopy(record)
    other["stalls"]["core0.pe0"]["starved"] += 1
    other["stalls"]["core0.pe1"]["starved"] -= 1
    found = differences(quantities(record), quantities(other), NONE)
    assert [d.name for d in found] == ["stall.core0.pe0.starved", "stall.core0.pe1.starved"]
    assert exit_code(kinds(found)) == 3


def test_speedup_is_compared_only_where_both_have_it(spotted, record):
    alone = result_record(dataclasses.replace(spotted, speedup={}))
    assert alone["speedup"] is None
    assert changed(quantities(record), quantities(alone)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.update(schema_version=99), "result schema 99 (spusim 0.1.0), and this"),
        (lambda r: r.pop("schema_version"), "result schema none"),
        (lambda r: r.pop("stalls"), "damaged: stalls: field required"),
        (lambda r: r.update(cycles="many"), "damaged: cycles:"),
        (lambda r: r.update(cycles=-1), "damaged: cycles:"),
        (lambda r: r["energy_pj"].update(mac=float("nan")), "damaged: energy_pj"),
    ],
)
def test_damaged_records_are_refused(record, change, said):
    other = copy.deepcopy(record)
    change(other)
    with pytest.raises(RecordError, match=r"^x\.json: ") as caught:
        check_record(other, "x.json")
    assert said in str(caught.value)


def test_rows_of_a_sweep_have_the_groups_of_records():
    row = {
        "cycles": 100, "stall.pe.starved": 3, "energy_pj.total": 50.0, "energy_pj.mac": 5.0,
        "area_um2": 7.0, "memory_used_bytes": 8, "speedup_achieved": None, "arch": "tiny",
        "outputs_sha256": "ab", "count.queue.pop": 4, "utilization": float("nan"),
    }  # fmt: skip
    found = row_quantities(row, row)
    assert {name: (q.group, q.scale) for name, q in found.items()} == {
        "cycles": ("cycles", None),
        "stall.pe.starved": ("stalls", 100),
        "energy_pj.total": ("energy", 50.0),
        "energy_pj.mac": ("energy", 50.0),
        "area_um2": ("area", None),
        "memory_used_bytes": ("memory", None),
        "outputs_sha256": ("outputs", None),
        "count.queue.pop": ("counts", None),
    }
