"""What pruning structures buy: the charts' numbers, the bytes behind them, the study."""

import json

import plot_folders as folders
import pytest
from typer.testing import CliRunner

from spusim.api import compile_network, load_arch, load_network, load_stream, simulate
from spusim.cli.app import app
from spusim.experiments.charts.catalogue import make_chart
from spusim.experiments.charts.records import Role
from spusim.experiments.charts.select import UnfitError
from spusim.experiments.charts.source import open_results
from spusim.experiments.validation.tradeoffs import pruning_tradeoffs
from spusim.network.records import Stream


@pytest.fixture
def panels(tmp_path):
    """Return the panels of the folder that is made for the chart."""
    return make_chart(open_results(folders.tradeoffs(tmp_path / "t")), "tradeoffs").panels


def curves(panel, role=Role.MEASURED):
    """Return label -> points of the panel's series of a role."""
    return {s.label: list(zip(s.x, s.y, strict=True)) for s in panel.series if s.role is role}


def test_a_row_of_panels_for_each_machine_units_among_the_rest(panels):
    assert [panel.title for panel in panels] == ["tiny"] * 3 + ["spu001"] * 3
    assert [*curves(panels[0])] == ["element", "pencil:8", "unit"]


def test_bytes_with_and_without_indices(panels):
    counted, alone = curves(panels[0]), curves(panels[0], Role.IDEAL)
    assert counted["element"] == [(50, (512 + 100) / 1024), (100, (1024 + 100) / 1024)]
    assert counted["unit"] == alone["unit"] == alone["element"] == [(50, 0.5), (100, 1.0)]


def test_speedups_are_over_the_network_that_was_not_pruned(panels):
    """The units' own dense twin, which has shrunk, would make them 1.2 times as fast."""
    speedups = curves(panels[1])
    assert speedups["element"] == [(50, 1.25), (100, 1)]
    assert speedups["unit"] == [(50, 2), (100, 1)]
    (bound,) = curves(panels[1], Role.BOUND).values()
    assert bound == [(50, 2), (100, 1)]


def test_other_axes_than_structure_and_density_have_other_charts(tmp_path):
    for make in (folders.structures, folders.maps, folders.densities):
        with pytest.raises(UnfitError, match=r"needs parts whose axes are prune\.structure"):
            make_chart(open_results(make(tmp_path / make.__name__)), "tradeoffs")


def test_maps_of_structures_and_machines(tmp_path):
    chart = make_chart(open_results(folders.maps(tmp_path / "m")), "structures_by_machine")
    skipped, decompressed, *_, noise = chart.panels
    assert (skipped.title, decompressed.title) == ("weights skip", "weights decompress")
    assert (skipped.rows, skipped.columns) == (("element", "pencil:8"), ("tiny", "spu001"))
    assert skipped.values[0] == pytest.approx((1, 3))
    assert skipped.values[1] == pytest.approx((5, 7))
    assert decompressed.values[0] == pytest.approx((2, 4))
    assert decompressed.values[1][1] is None  # failed
    assert skipped.full == decompressed.full == pytest.approx(7)
    assert noise.quantity.unit == "dB"
    assert chart.notes == ("1 failed of 8 points",)


@pytest.mark.parametrize("network", ["kws", "kws_dense"])
@pytest.mark.parametrize("arch", ["spu001", "eie64"])
def test_stored_bits_are_the_words_of_the_images(network, arch):
    found, machine = load_network(network), load_arch(arch)
    stream = load_stream("kws", found)
    result = simulate(found, machine, Stream(stream.frames[:1], (0,), ("a",)))
    matrices = [m for core in compile_network(found, machine).cores for m in core.matrices]
    words = [w for m in matrices for w in (*m.packed.slices, *m.packed.indices)]
    assert sum(result.stored_bits.values()) == sum(8 * w.size for w in words)
    nonzeros = sum(m.packed.footprint.values for m in matrices)
    assert result.stored_bits["weights"] >= nonzeros
    # run lengths lie beside the weights that they are of, everything else in words of its own
    if arch == "spu001":
        apart = sum(8 * w.size for m in matrices for w in m.packed.indices)
        assert apart >= result.stored_bits["indices"] >= 0.9 * apart
    else:
        assert result.stored_bits["indices"] > 4 * nonzeros / 8


@pytest.fixture(scope="module")
def study():
    """Return the study, run once."""
    return pruning_tradeoffs()


def ours(study):
    """Return our gain by row."""
    return {row.name: row.ours for row in study.rows}


def test_gains_in_macs_and_bytes_are_those_of_the_papers_where_nothing_else_is_counted(study):
    gains = ours(study)
    # biases of 32 bits are a tenth of what 9.5 % of the weights leave
    assert gains["42x: elements, bitmap not counted"] == pytest.approx(42, rel=0.1)
    assert gains["27x: pencils of 8, map not counted"] == pytest.approx(27, rel=0.1)
    assert gains["6.7x: 8 x 8 blocks, MACs alone"] == pytest.approx(6.7, rel=0.1)
    assert gains["27x: MACs x weight bits, over float32"] == pytest.approx(27, rel=0.1)


def test_what_is_counted_beside_it_takes_its_share(study):
    gains = ours(study)
    bitmap = (
        971_008 * 4 / gains["42x: elements"]
        - 971_008 * 4 / gains["42x: elements, bitmap not counted"]
    )
    assert bitmap == pytest.approx(966_656 / 8, rel=0.001)  # a bit for each weight
    assert bitmap > 87_000
    assert gains["42x: elements"] < gains["42x: pencils of 8"] < 42
    for what in ("8 x 8 blocks", "16 x 16 blocks", "units"):
        assert gains[f"6.7x: {what}, frame"] < gains[f"6.7x: {what}, engine"] < 6.7
    assert gains["6.7x: units, frame"] > gains["6.7x: 8 x 8 blocks, frame"]


def test_nothing_is_bounded_and_the_chart_has_every_row(study):
    assert all(row.holds is None for row in study.rows)
    drawn = [s for panel in study.chart.panels for s in panel.series if s.label == "spusim"]
    assert [y for series in drawn for y in series.y] == [row.ours for row in study.rows]
    assert [name for _, name in study.chart.key] == [row.name for row in study.rows]


def test_the_command_tells_the_densities(study):
    run = CliRunner().invoke(app, ["validate", "pruning_tradeoffs", "--json"])
    assert run.exit_code == 0
    told = json.loads(run.stdout)["studies"]["pruning_tradeoffs"]
    assert "2111.02351" in told["source"]
    notes = {row["name"]: row["note"] for row in told["rows"]}
    assert notes["42x: elements, bitmap not counted"].startswith("9.5% of the weights")
    assert notes["6.7x: units, engine"].startswith("35% of the units, 15")
