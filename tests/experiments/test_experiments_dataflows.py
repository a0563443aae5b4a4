"""Random convolutions in sweeps, and what the dataflows' figure shows."""

from pathlib import Path

import polars as pl
import pytest
from sweeps import points_of, run, write_sweep

from spusim.api import load_arch
from spusim.experiments.charts.catalogue import make_chart
from spusim.experiments.charts.records import LineChart, Panel
from spusim.experiments.charts.select import UnfitError
from spusim.experiments.charts.source import open_results
from spusim.experiments.conv_layers import RandomConv, run_conv
from spusim.experiments.results import Results
from spusim.experiments.sweep.file import SweepError

CONV = "{in_channels: 32, out_channels: 64, kernel: 3, size: 6, weight_bits: 8, activation_bits: 8}"
SETTINGS = ("core.pes=8", "core.lanes=4", "core.decoder.entries_per_cycle=4")
BOTH = f"""\
conv: {CONV}
set: [{", ".join(SETTINGS)}]
grid:
  conv.activation_density: [1, 0.25]
  conv.weight_density: [0.05, 0.5, 1]
parts:
  one: {{arch: row64}}
  two: {{arch: smartskip}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return both dataflows over both densities, on machines of as many MACs."""
    folder = tmp_path_factory.mktemp("dataflows")
    run(write_sweep(folder, BOTH), folder / "out")
    return open_results(folder / "out")


@pytest.fixture(scope="module")
def chart(results: Results) -> LineChart:
    made = make_chart(results, "dataflows")
    assert isinstance(made, LineChart)
    return made


def lines(panel: Panel) -> dict[str, dict[float, float]]:
    return {s.label: dict(zip(s.x, s.y, strict=True)) for s in panel.series}


def test_a_point_is_what_the_layer_command_runs(results: Results) -> None:
    layer = RandomConv(32, 64, 3, 6, 0.5, 0.25, weight_bits=8, activation_bits=8)
    for part, arch in (("one", "row64"), ("two", "smartskip")):
        alone = run_conv(layer, load_arch(arch, SETTINGS))
        row = results.done.filter(
            (pl.col("part") == part)
            & (pl.col("conv.weight_density") == 0.5)
            & (pl.col("conv.activation_density") == 0.25)
        ).row(0, named=True)
        assert row["cycles"] == alone.cycles
        assert row["speedup_achieved"] == alone.speedup["achieved"]
        assert (row["weight_density"], row["network"]) == (0.5, None)


def test_row_skips_both_sides_and_pixel_weights_only(chart: LineChart) -> None:
    cycles, speedup = map(lines, chart.panels)
    # pixel is drawn once: activations change nothing
    assert list(cycles) == [
        "row, activation density 100 %",
        "row, activation density 25 %",
        "pixel",
    ]
    assert cycles["pixel"][100] > cycles["pixel"][50] > cycles["pixel"][5]
    dense, sparse = cycles["row, activation density 100 %"], cycles["row, activation density 25 %"]
    assert all(sparse[density] < 0.35 * dense[density] for density in dense)
    # each over its own dense machine
    assert speedup["pixel"][100] == 1 == speedup["row, activation density 100 %"][100]


def test_the_crossing_is_where_the_faster_one_changes(chart: LineChart) -> None:
    cycles = lines(chart.panels[0])
    (mark,) = [mark for mark in chart.panels[0].marks if mark.text == "25 %"]
    row, pixel = cycles["row, activation density 25 %"], cycles["pixel"]
    for density in row:
        assert (row[density] < pixel[density]) == (density > mark.x)
    assert chart.notes[0].startswith("dashed: beyond it, row takes fewer cycles")
    assert not chart.panels[1].marks


def test_machines_of_different_size_have_panels_of_their_own(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path,
        f"conv: {CONV}\nbaseline: false\narch: row64\n"
        "grid: {conv.weight_density: [0.5, 1]}\n"
        "parts: {a: {set: [core.lanes=4]}, b: {set: [core.lanes=8]}, c: {set: [core.pes=32]}}\n",
    )
    run(path, tmp_path / "out")
    chart = make_chart(open_results(tmp_path / "out"), "dataflows")
    assert isinstance(chart, LineChart)
    assert [panel.title for panel in chart.panels] == ["256 MACs a cycle", "512 MACs a cycle"]
    # no baseline, no speedup; equal dataflows are told apart by part
    assert [list(lines(panel)) for panel in chart.panels] == [["a", "c"], ["row"]]
    assert "64 filters of 3 \N{MULTIPLICATION SIGN} 3" in chart.title


def test_results_without_convolutions_do_not_fit(tmp_path: Path) -> None:
    run(write_sweep(tmp_path, "layer: {inputs: 8, outputs: 8}\narch: tiny\n"
        "grid: {layer.weight_density: [0.5, 1]}\n"), tmp_path / "out")  # fmt: skip
    with pytest.raises(UnfitError, match=r"dataflows needs random convolutions \(conv:\)"):
        make_chart(open_results(tmp_path / "out"), "dataflows")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "conv: {in_channels: 2}\ngrid: {conv.size: [4]}\n",
            r"conv needs in_channels, out_channels, kernel and size; give",
        ),
        (f"conv: {CONV}\ntarget: kws\n", r"target \(=kws\) does not go with conv, which is run al"),
        (
            f"conv: {CONV}\nlayer: {{inputs: 8, outputs: 8}}\n",
            r"conv does not go with layer, which",
        ),
        (
            f"conv: {CONV}\ngrid: {{layer.inputs: [8]}}\n",
            r"layer.inputs goes with `layer:`, and he",
        ),
        (f"conv: {CONV}\ngrid: {{prune.density: [1]}}\n", r"prune.density goes with a target, and"),
        (
            f"conv: {CONV}\ngrid: {{conv.sise: [8]}}\n",
            r"conv.sise names no.*did you mean conv.size",
        ),
        (f"conv: {CONV}\ngrid: {{conv.size: [0]}}\n", r"conv.size \(=0\) must be at least 1"),
        (f"conv: {CONV}\ngrid: {{conv.groups: [3]}}\n", r"groups \(=3\)"),
        (f"conv: {CONV}\ngrid: {{conv.weight_density: [1.5]}}\n", r"conv.weight_density \(=1.5\)"),
        ("target: kws\ngrid: {conv.size: [8]}\n", r"conv.size goes with `conv:`, and here a netw"),
    ],
)
def test_bad_convolutions_are_refused_before_anything_runs(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SweepError, match=message):
        points_of(write_sweep(tmp_path, f"arch: row64\n{text}"))
