from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeps import points_of, write_sweep

from spusim.experiments.sweep.axes import read_axes
from spusim.experiments.sweep.file import SweepError, load_sweep

TARGET = "target: kws\n"


def axes_of(folder, text):
    (part,) = load_sweep(write_sweep(folder, TARGET + text)).parts
    return read_axes(part)


def combinations(axes):
    return [{name: e.plain for name, e in a.items()} for a in axes.assignments()]


def test_grid_is_every_combination_the_last_axis_fastest(tmp_path):
    axes = axes_of(tmp_path, "grid: {core.pes: [4, 8], core.lanes: [2, 4, 8]}\n")
    assert axes.count == 6
    assert combinations(axes) == [
        {"core.pes": pes, "core.lanes": lanes} for pes in (4, 8) for lanes in (2, 4, 8)
    ]


def test_zip_goes_together_and_list_names_points_and_they_multiply(tmp_path):
    axes = axes_of(
        tmp_path,
        "list: [{arch: spu001, cores: 1}, {arch: tiny, cores: 2}]\n"
        "zip: {core.pes: [4, 8], core.lanes: [8, 4]}\n"
        "grid: {core.queue.depth: [1, 2, 3]}\n",
    )
    assert axes.count == 12
    assert combinations(axes)[0] == {
        "arch": "spu001", "cores": 1, "core.pes": 4, "core.lanes": 8, "core.queue.depth": 1,
    }  # fmt: skip
    assert combinations(axes)[-1] == {
        "arch": "tiny", "cores": 2, "core.pes": 8, "core.lanes": 4, "core.queue.depth": 3,
    }  # fmt: skip
    assert [axis.how for axis in axes.axes] == ["list", "list", "zip", "zip", "grid"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{from: 0, to: 1, steps: 5}", [0, 0.25, 0.5, 0.75, 1]),
        ("{from: 0.1, to: 0.5, by: 0.1}", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("{from: 1, to: 64, steps: 7, log: true}", [1, 2, 4, 8, 16, 32, 64]),
        ("{from: 8, to: 2, by: -3}", [8, 5, 2]),
        ("{from: 2, to: 7, by: 2}", [2, 4, 6]),
    ],
)
def test_ranges(tmp_path, text, values):
    (axis,) = axes_of(tmp_path, f"grid: {{x: {text}}}\n").axes
    assert axis.values == values
    assert [type(v) for v in axis.values if float(v).is_integer() and "." not in text] == [
        int for v in axis.values if float(v).is_integer() and "." not in text
    ]


@given(first=st.integers(-50, 50), last=st.integers(-50, 50), steps=st.integers(2, 40))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_ranges_are_even_and_hit_both_ends(tmp_path_factory, first, last, steps):
    folder = tmp_path_factory.mktemp("range")
    text = f"grid: {{x: {{from: {first}, to: {last}, steps: {steps}}}}}\n"
    if first == last:
        with pytest.raises(SweepError, match="must differ"):
            axes_of(folder, text)
        return
    values = axes_of(folder, text).axes[0].values
    assert len(values) == steps and values[0] == first and values[-1] == last
    gaps = [b - a for a, b in pairwise(values)]
    assert max(gaps) - min(gaps) < 1e-9 * 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.yaml:1: kws: has no axes"),
        ("grid: {}", "has no axes"),
        ("grid: {core.pes: []}", "s.yaml:2: core.pes has no values"),
        ("grid: {core.pes: 4}", r"core.pes \(=4\) must be a list of values or a range"),
        ("grid: {core.pes: [4, 4]}", "core.pes: 4 is there twice"),
        ("grid: {core.pes: {from: 1, til: 3}}", "a range is from and to with steps or by"),
        ("grid: {core.pes: {from: 1, to: 3, steps: 1}}", "steps .=1. must be a whole number"),
        ("grid: {core.pes: {from: 1, to: 3, by: -1}}", "by .=-1. must lead from 1 to 3"),
        ("grid: {core.pes: {from: 0, to: 3, steps: 3, log: true}}", "must be above 0 for log"),
        ("grid: {core.pes: {from: 0, to: 1, by: 1.0e-9}}", "at most 1,000,000"),
        ("zip: {core.pes: [4, 8], core.lanes: [1]}", "equally many values; core.pes has 2"),
        ("list: [{core.pes: 4}, {core.lanes: 8}]", "must name the same parameters"),
        ("grid: {core.pes: [4]}\nzip: {core.pes: [8]}", "is in grid and in zip .*; keep one"),
    ],
)
def test_bad_axes_are_refused_with_their_line(tmp_path, text, message):
    with pytest.raises(SweepError, match=message):
        axes_of(tmp_path, text + "\n")


def test_base_lends_axes_and_null_takes_one_back(tmp_path):
    write_sweep(tmp_path, TARGET + "grid: {core.queue.depth: [1, 2], core.hazard: [stall]}\n", "a")
    path = write_sweep(
        tmp_path, "base: a.yaml\ngrid: {core.hazard: null, core.queue.release: [pop, done]}\n", "b"
    )
    assert [p.values for p in points_of(path)] == [
        {"core.queue.depth": depth, "core.queue.release": release}
        for depth in (1, 2)
        for release in ("pop", "done")
    ]
    assert load_sweep(path).name == "b"
