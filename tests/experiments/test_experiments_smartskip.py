"""SmartSkip's published speedups: our engine within the bounds that are claimed for it."""

from dataclasses import replace
from pathlib import Path

import pytest

from spusim.api import load_arch
from spusim.experiments.charts.smartskip import network_gains, smartskip_curve
from spusim.experiments.figures.draw import chart_files
from spusim.experiments.resnet50 import resnet50_convolutions
from spusim.experiments.smartskip import (
    ENGINE,
    FITTED,
    GAINS,
    NetworkGain,
    curve,
    network_gain,
    profile_path,
    speedup,
)
from spusim.experiments.validation.published import published
from spusim.frontend.sparsity_profile import read_profile
from spusim.machine.conv_plan import engine_for

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gains() -> dict[str, NetworkGain]:
    return {f"resnet50_pruned_{n}": network_gain(f"resnet50_pruned_{n}") for n in (70, 83)}


def test_the_figure_is_met_within_5_percent() -> None:
    points = curve()
    assert [point.reduction for point in points] == list(range(2, 11))
    assert max(abs(point.error) for point in points) < 0.05


def test_speedup_grows_with_channels() -> None:
    found = [speedup(channels, 5) for channels in (64, 128, 256, 512)]
    assert found == sorted(found)
    assert found[-1] - found[0] > 1


def test_the_70_profile_is_met_and_the_83_profile_holds(gains: dict[str, NetworkGain]) -> None:
    fitted, held = gains.values()
    assert abs(fitted.error) < 0.05
    assert abs(held.error) < 0.10
    # conv1 and the head count, and dense layers gain nothing
    assert len(fitted.layers) == 54
    assert fitted.layers[0].gain == 1


def test_every_unit_of_every_layer_is_accounted_for(gains: dict[str, NetworkGain]) -> None:
    for gain in gains.values():
        for layer in gain.layers:
            for time in (layer.dense, layer.sparse):
                assert all(sum(c.values()) == time.cycles for c in time.stalls().values())
            # no PE works less than its beats: gain stays below ideal but for rounding up
            assert layer.gain <= 1.02 * layer.ideal


def test_layers_are_those_that_the_profile_counts() -> None:
    profile = read_profile(profile_path("resnet50_pruned_83"))
    shapes = resnet50_convolutions({n: layer.shape for n, layer in profile.layers.items()})
    rows = published("resnet50_pruned_83").iter_rows(named=True)
    for shape, row in zip(shapes.values(), rows, strict=True):
        assert shape.out_height == shape.out_width == row["out_hw"]
        assert shape.dense_macs == row["dense_macs"]
    # the published ideals are what the profiles' MACs give
    for row in list(published(GAINS).iter_rows(named=True))[1:]:
        told = published(row["network"].lower())
        ideal = told["dense_macs"].sum() / told["eff_macs"].sum()
        assert ideal == pytest.approx(row["compute_reduction"], abs=0.01)


def test_each_fitted_number_matters() -> None:
    # what is fitted must be felt: another value misses the figure or the 70 profile by more
    assert len(FITTED) == 3
    for name, value in (("pes", 128), ("queue_depth", 2)):
        assert max(abs(point.error) for point in curve(replace(ENGINE, **{name: value}))) > 0.1
    assert network_gain("resnet50_pruned_70", replace(ENGINE, feeder_words=1)).error < -0.05


def test_the_page_tells_what_is_found(gains: dict[str, NetworkGain]) -> None:
    page = (ROOT / "docs" / "smartskip_fit.md").read_text(encoding="utf-8")
    for point in curve():
        ours = f"| {point.reduction:g} | {point.published:.2f} | {point.ours:.2f} |"
        assert f"{ours} {point.error:+.1%} |" in page
    for gain in gains.values():
        assert f"| {gain.published:.2f} | {gain.ours:.2f} |" in page


def test_the_charts_have_all_that_is_drawn() -> None:
    curves = {256: [(2.0, 1.9), (4.0, 3.6)], 64: [(2.0, 1.7)]}
    files = chart_files(smartskip_curve([(2.0, 1.8), (4.0, 3.5)], curves))
    assert sorted(files) == [f"smartskip_figure.{kind}" for kind in ("csv", "png", "svg")]
    assert files["smartskip_figure.csv"].decode().count("ours") == 2
    gains = {"ideal": {"all": 2.2, "stem": 1.0}, "published": {"all": 2.0}}
    panel = network_gains({"70 %": gains, "83 %": gains}).panels[1]
    assert panel.title == "83 %"
    assert {(s.label, x): y for s in panel.series for x, y in zip(s.x, s.y, strict=True)} == {
        ("ideal", 0): 2.2, ("ideal", 1): 1.0, ("published", 0): 2.0,
    }  # fmt: skip
    assert panel.x.ticks == ((0.0, "all"), (1.0, "stem"))


def test_the_machine_is_the_preset_and_nothing_else() -> None:
    # an override of the file would be a second machine
    assert engine_for(load_arch("smartskip"), "8x8", 8) == ENGINE
    assert (ENGINE.pes, ENGINE.queue_depth, ENGINE.feeder_words) == (64, 3, 2)
