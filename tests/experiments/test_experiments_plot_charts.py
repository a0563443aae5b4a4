"""What figures draw equals the table that they are drawn from."""

import itertools

import plot_folders as folders
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.experiments.charts.catalogue import CHARTS, fitting_charts, make_chart
from spusim.experiments.charts.measures import si_prefix
from spusim.experiments.charts.pareto import dominated
from spusim.experiments.charts.records import Role, Scale, chart_table
from spusim.experiments.charts.select import UnfitError
from spusim.experiments.charts.source import open_results


@pytest.fixture
def chart(tmp_path):
    """Return the chart of a name from a folder of `plot_folders`."""

    def make(name, folder):
        return make_chart(open_results(folders.FOLDERS[folder](tmp_path / folder)), name)

    return make


def lines(panel, role=Role.MEASURED):
    return {series.label: dict(zip(series.x, series.y, strict=True))
            for series in panel.series if series.role is role}  # fmt: skip


def test_speedup_is_the_tables_against_measured_sparsity(chart):
    (panel,) = chart("speedup_vs_sparsity", "densities").panels
    assert lines(panel)["network"] == {0: 1, 50: 1.5, 90: 2}
    assert lines(panel, Role.IDEAL)["network"] == pytest.approx({0: 1, 50: 2, 90: 10})
    assert (panel.x.quantity.title, panel.y.scale) == ("weight sparsity (%)", Scale.LOG)


def test_speedup_of_layers_comes_from_the_records(chart):
    (panel,) = chart("speedup_vs_sparsity", "densities").panels
    achieved, ideal = lines(panel), lines(panel, Role.IDEAL)
    assert achieved["fc1"] == {75: 2.5}
    assert ideal["fc1"] == {75: 8}
    assert list(achieved["fc2"].values()) == [1]


def test_note_tells_what_pes_do_in_the_sparsest_point(chart):
    (panel,) = chart("speedup_vs_sparsity", "densities").panels
    assert panel.note.splitlines() == [
        "PEs at 90 % sparsity:", "busy 25 %", "starved 50 %", "idle 25 %",
    ]  # fmt: skip


def test_floor_of_a_layer(tmp_path):
    """400 pushes into 2 PEs are 200 columns: 2000 dense cycles are at most 10 times that."""
    rows = [
        folders.point(n, {"layer.weight_density": d}, network=None, part="layer",
                      weight_density=d, activation_density=0.5, cycles=1000, speedup_achieved=2.0)
        for n, d in enumerate((1.0, 0.5, 0.1))
    ]  # fmt: skip
    one = folders.record(0, identity={"layer": folders.LAYER})
    folder = folders.write_results(
        tmp_path / "layer", rows, ["layer.weight_density"], records=dict.fromkeys(range(3), one)
    )
    (panel,) = make_chart(open_results(folder), "speedup_vs_sparsity").panels
    assert panel.title == "8 \N{MULTIPLICATION SIGN} 16 layer on tiny"
    assert set(lines(panel, Role.BOUND)[""].values()) == {10}
    # the ideal, 1 / (density x 0.5), passes 10 at a density of 20 %
    (mark,) = panel.marks
    assert mark.x == pytest.approx(80)


def test_queue_depth(chart):
    speedup, utilisation = chart("queue_depth", "queues").panels
    assert lines(speedup) == {
        "slot freed at pop": {1: 2.125, 2: 2.25, 8: 3},
        "slot freed at done": {1: 1.125, 2: 1.25, 8: 2},
    }
    assert lines(utilisation) == {"all": {1: 10, 2: 20, 8: 80}}  # of pop and done alike
    assert utilisation.series[0].points == ((0, 1), (2, 3), (4, 5))
    assert speedup.x.scale is Scale.LOG2
    assert [text for _, text in speedup.x.ticks] == ["1", "2", "8"]


def test_shapes_at_equal_macs_leave_the_odd_one_out(chart):
    cycles, utilisation, area = chart("pes_and_lanes", "shapes").panels
    (line,) = lines(cycles).values()
    assert line == {1: 100, 2: 200, 4: 400}
    assert [text.replace("\N{MULTIPLICATION SIGN}", "x") for _, text in cycles.x.ticks] == [
        "1x8", "2x4", "4x2",
    ]  # fmt: skip
    assert utilisation.y.zero
    assert list(lines(area).values()) == [{1: 1, 2: 2, 4: 4}]


def test_banks_are_named_with_their_words(chart):
    cycles, _, _ = chart("banks_and_words", "banks").panels
    assert lines(cycles) == {"": {2: 98, 4: 96, 8: 92}}
    assert cycles.x.ticks[0] == (2, "2\N{MULTIPLICATION SIGN}32")


def test_formats_cross_where_the_curves_meet(chart):
    memory, cycles = chart("formats", "formats").panels
    assert lines(memory)["dense"] == pytest.approx(dict.fromkeys((100, 50, 40, 10), 1000 / 1024))
    (mark,) = memory.marks
    assert mark.text == "bitmap | dense"
    assert 40 < mark.x < 50
    assert mark.x == pytest.approx(45, abs=0.3)  # straight in logarithms, not in numbers
    assert cycles.marks == ()  # equal everywhere


def test_number_formats_stand_side_by_side_under_their_short_names(chart):
    panels = chart("number_formats", "numbers").panels
    assert [panel.y.quantity.unit for panel in panels][::3] == ["KiB", "dB"]
    noise = panels[-1]
    assert [text for _, text in noise.x.ticks] == ["1", "c16", "8"]
    assert noise.y.scale is Scale.LINEAR  # decibels are logarithms already
    assert [(line.x, line.y) for line in noise.series] == [
        ((0.0, 1.0, 2.0), (-1.0, 9.0, 19.0)),
        ((0.0, 1.0, 2.0), (4.0, 14.0, 24.0)),
    ]


def test_structures_at_equal_density(chart):
    panels = chart("structures", "structures").panels
    accuracy = next(p for p in panels if p.y.quantity.label == "accuracy")
    assert lines(accuracy) == {"element": {10: 90, 50: 90}, "pencil:8": {10: 50, 50: 50}}
    assert accuracy.y.scale is Scale.LINEAR


def test_energy_parts_sum_to_the_total(chart):
    (panel,) = chart("energy", "densities").panels
    assert panel.quantity.title == "energy a frame (nJ)"
    assert [sum(values) for values in zip(*(v for _, v in panel.parts), strict=True)] == [5, 5, 5]
    assert dict(panel.parts)["mac"] == pytest.approx((3, 3, 3))


def test_many_energy_terms_leave_a_rest(tmp_path):
    terms = {f"energy_pj.t{k}": 1000.0 * (k + 1) for k in range(12)}
    row = folders.point(0, {}, **terms)
    row = {name: v for name, v in row.items() if name not in ("energy_pj.mac", "energy_pj.clock")}
    row["energy_pj.total"] = sum(terms.values())
    folder = folders.write_results(tmp_path / "one", [row], [])
    (panel,) = make_chart(open_results(folder), "energy").panels
    parts = dict(panel.parts)
    assert list(parts)[:2] == ["t11", "t10"]
    assert len(parts) == 8
    assert parts["everything else"] == (pytest.approx(0.1 * (1 + 2 + 3 + 4 + 5)),)


def test_stalls_of_a_kind_sum_to_100_percent(chart):
    pes, vector = chart("stalls", "densities").panels
    for panel in (pes, vector):
        shares = [sum(values) for values in zip(*(v for _, v in panel.parts), strict=True)]
        assert shares == pytest.approx([100] * 3)
    assert [(cause, values[0]) for cause, values in pes.parts] == [
        ("busy", 25), ("starved", 50), ("idle", 25),
    ]  # fmt: skip


def test_occupancy_of_banks(chart):
    used, busy, *_ = chart("bank_occupancy", "densities").panels
    assert (used.rows, used.columns) == (("core0", "core1"), ("0", "1"))
    assert used.counts == ((10, 11), (20, 21))
    assert used.values == ((25, 27.5), (50, 52.5))
    assert (used.full, busy.full) == (100, 50)  # the next round number above the largest
    assert busy.values == ((10, pytest.approx(10.1)), (20, pytest.approx(20.1)))


def test_roofline_bounds_every_point(chart):
    (panel,) = chart("roofline", "densities").panels
    (roof,) = [s for s in panel.series if s.role is Role.BOUND]
    # four banks of eight bytes; a peak of 4 MACs
    assert (roof.x[1], roof.y[1]) == (4 / 32, 4)
    (cloud,) = [s for s in panel.series if s.role is Role.CLOUD]
    assert set(cloud.x) == {800 / (8 * 200)}
    assert set(cloud.y) == {0.8}
    for x, y in zip(cloud.x, cloud.y, strict=True):
        assert y <= min(4, 32 * x)


def test_front_of_machines(chart):
    found = chart("pareto", "machines")
    energy = found.panels[0]
    front = next(s for s in energy.series if s.role is Role.FRONT)
    assert front.points == ((0,), (1,), (2,))
    assert (front.x, front.y) == (pytest.approx((1, 2, 4)), pytest.approx((9, 5, 1)))
    behind = next(s for s in energy.series if s.role is Role.CLOUD)
    assert behind.points == ((3,), (4,))
    assert found.key_title == "cores (number), MAC lanes a PE (number)"
    assert dict(found.key)["B"] == "2, 2"


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=12))
def test_dominated_as_defined(values):
    def better(one, other):
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    bad = dominated(values)
    assert not all(bad)
    for value, worse in zip(values, bad, strict=True):
        assert worse == any(better(other, value) for other in values)


def test_jobs_of_different_size_are_no_alternatives(tmp_path):
    rows = [folders.point(n, {"layer.inputs": 8 * n + 8, "cores": n % 2 + 1}) for n in range(4)]
    folder = folders.write_results(tmp_path / "s", rows, ["layer.inputs", "cores"])
    with pytest.raises(UnfitError, match="needs at least 4 points that do one job"):
        make_chart(open_results(folder), "pareto")


def test_machines_that_differ_in_latency_alone_have_no_front(tmp_path):
    rows = [
        folders.point(n, {"cores": n % 2 + 1, "core.lanes": n + 1}, latency_s_mean=1e-6 * (n + 1))
        for n in range(4)
    ]
    folder = folders.write_results(tmp_path / "s", rows, ["cores", "core.lanes"])
    with pytest.raises(UnfitError, match="different energy, memory, area or accuracy"):
        make_chart(open_results(folder), "pareto")


def test_overview_of_words_and_of_replicas(chart, tmp_path):
    cycles, _ = chart("overview", "hazards").panels
    assert [text for _, text in cycles.x.ticks] == ["bypass", "stall"]
    assert lines(cycles, Role.CLOUD) == {"": {0: 100, 1: 101}}
    rows = [folders.point(n, {}, replica=n, frame_cycles_mean=10.0 * n) for n in range(3)]
    folder = folders.write_results(tmp_path / "replicas", rows, [])
    cycles, _ = make_chart(open_results(folder), "overview").panels
    assert lines(cycles, Role.CLOUD) == {"": {0: 0, 1: 10, 2: 20}}


def test_replicas_are_averaged_with_their_extremes(tmp_path):
    rows = [
        folders.point(n, {"core.queue.depth": depth}, replica=n % 2, utilization=value)
        for n, (depth, value) in enumerate(((1, 0.1), (1, 0.3), (2, 0.5), (2, 0.5)))
    ]
    folder = folders.write_results(tmp_path / "r", rows, ["core.queue.depth"])
    (line,) = make_chart(open_results(folder), "queue_depth").panels[1].series
    assert line.y == pytest.approx((20, 50))
    assert (line.low, line.high) == (pytest.approx((10, 50)), pytest.approx((30, 50)))
    assert line.points == ((0, 1), (2, 3))


def test_words_that_follow_from_banks_and_width_tell_nothing(tmp_path):
    axes = [f"core.data_memory.{name}" for name in ("banks", "words", "word_bits")]
    combinations = itertools.product((64, 128), (2, 4))
    rows = [
        folders.point(
            n, {axes[0]: b, axes[1]: 1024 // (b * w), axes[2]: w}, frame_cycles_mean=w + b
        )
        for n, (w, b) in enumerate(combinations)
    ]
    folder = folders.write_results(tmp_path / "s", rows, axes, sweep={"zip": dict.fromkeys(axes)})
    panel = make_chart(open_results(folder), "banks_and_words").panels[0]
    assert lines(panel) == {
        "word width 64 bit": {2: 66, 4: 68},
        "word width 128 bit": {2: 130, 4: 132},
    }


@pytest.mark.parametrize("folder", folders.FOLDERS)
def test_every_sweep_gets_figures_with_units_and_all_they_draw(tmp_path, folder):
    charts, reasons = fitting_charts(open_results(folders.FOLDERS[folder](tmp_path / folder)))
    assert set(charts) | set(reasons) == set(CHARTS)
    assert any(
        kind.of_axes or name == "overview" for name, kind in CHARTS.items() if name in charts
    )
    for found in charts.values():
        table = chart_table(found)
        assert table.height == sum(1 for _ in found.rows()) > 0
        for column in {"x_axis", "y_axis", "axis"} & set(table.columns):
            titles = table[column].unique().to_list()
            assert all(title.endswith(")") and " (" in title for title in titles)


def test_the_overview_is_a_last_resort(tmp_path):
    charts, reasons = fitting_charts(open_results(folders.queues(tmp_path / "q")))
    assert "queue_depth" in charts
    assert "ask for it by name" in reasons["overview"]
    charts, _ = fitting_charts(open_results(folders.hazards(tmp_path / "h")))
    assert "overview" in charts


def test_failed_points_are_left_out_and_told(tmp_path):
    rows = [folders.point(n, {"core.queue.depth": 2**n}) for n in range(4)]
    rows[3] = {k: rows[3][k] for k in ("point", "key", "part", "core.queue.depth")} | {
        "status": "failed", "error": "does not fit",
    }  # fmt: skip
    folder = folders.write_results(tmp_path / "f", rows, ["core.queue.depth"], planned=6)
    found = make_chart(open_results(folder), "queue_depth")
    assert found.notes == ("1 failed, 2 not computed of 6 points",)
    assert [series.x for series in found.panels[0].series] == [(1, 2, 4)]


@pytest.mark.parametrize(
    ("values", "prefix"), [([1e-9, 999e-9], "n"), ([1e-6], "µ"), ([5.0], ""), ([1e-13], "p")]
)
def test_prefix_of_the_largest_value(values, prefix):
    each, found = si_prefix(values)
    assert found == prefix
    assert max(values) / each < 1000


def test_csv_of_a_chart_is_its_table(chart):
    table = chart_table(chart("queue_depth", "queues"))
    speedup = table.filter(pl.col("y_axis").str.starts_with("speedup"))
    assert speedup["points"].to_list() == ["0", "2", "4", "1", "3", "5"]
    assert speedup["y"].to_list() == [2.125, 2.25, 3, 1.125, 1.25, 2]
