"""`spusim layer conv2d`: its figures, and the mistakes that one makes with it."""

import json

import numpy as np
import pytest

from spusim.arch import load_arch
from spusim.experiments.conv_layers import RandomConv, draw_conv, run_conv
from spusim.experiments.smartskip import layer_time

LAYER = ("layer", "conv2d", "--in-channels", "16", "--out-channels", "24", "--kernel", "3",
         "--size", "7", "--weight-density", "0.25", "--activation-density", "0.5")  # fmt: skip


@pytest.mark.parametrize(("arch", "ideal"), [("smartskip", 4.0), ("row64", None)])
def test_figures(spusim, arch, ideal):
    record = json.loads(spusim(*LAYER, "--frames", "2", "--arch", arch, "--json").stdout)
    dense, positions = 2 * 49 * 24 * 16 * 9, 2 * 49
    assert record["macs"]["dense"] == dense
    assert record["macs"]["weight_nonzero"] == positions * round(0.25 * 24 * 16 * 9)
    assert record["frames"] == 2
    ideal = ideal or dense / record["macs"]["effective"]
    assert record["speedup"]["ideal"] == pytest.approx(ideal)
    assert 1 < record["speedup"]["achieved"] <= ideal
    (kind,) = [name for name in record["counts"] if name.startswith("mac.")]
    assert record["counts"][kind] == record["macs"]["effective"]
    for causes in record["stalls"].values():
        assert sum(causes.values()) == record["cycles"]
    terms = {name: pj for name, pj in record["energy_pj"].items() if name != "total"}
    assert record["energy_pj"]["total"] == pytest.approx(sum(terms.values()))


def test_the_preset_is_the_machine_of_the_fit():
    layer = RandomConv(64, 48, 3, 9, 0.2, 1.0)
    arch = load_arch("smartskip")
    weight, _ = draw_conv(layer, layer.shape(), (8, 8))
    from spusim.experiments.smartskip import ENGINE

    result = run_conv(layer, arch)
    assert result.cycles == layer_time(layer.shape(), weight, ENGINE).cycles


@pytest.mark.parametrize("arch", ["smartskip", "row64"])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_outputs_are_the_sums(arch, groups):
    layer = RandomConv(6, 12, 3, 8, 0.4, 0.6, stride=2, padding=2, dilation=2, groups=groups)
    machine = load_arch(arch)
    bits = (8, machine.core.layer_activation_bits)
    weight, frames = draw_conv(layer, layer.shape(), bits)
    assert np.count_nonzero(weight) == round(0.4 * weight.size)
    assert np.count_nonzero(frames) == round(0.6 * frames.size)
    x = np.pad(frames[0].astype(np.int64), ((0, 0), (2, 2), (2, 2)))
    inputs, per_group = 6 // groups, 12 // groups
    expected = [
        (weight[k] * x[k // per_group * inputs :][:inputs, y : y + 5 : 2, c : c + 5 : 2]).sum()
        for k in range(12)
        for y in range(0, 8, 2)
        for c in range(0, 8, 2)
    ]
    assert run_conv(layer, machine, baseline=False).outputs.tolist() == [expected]


def test_the_dense_twin_of_a_grouped_layer_stores_only_what_filters_see():
    layer = RandomConv(32, 64, 3, 6, 1.0, 1.0, groups=32)
    result = run_conv(layer, load_arch("row64"))
    assert result.macs["dense"] == 64 * 9 * 36
    assert result.speedup["achieved"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kernel", "9", "--padding", "0"), "the output has no positions"),
        (("--kernel", "0"), "kernel_height (=0) must be at least 1"),
        (("--groups", "3"), "groups (=3) must divide channels (=16)"),
        (("--weight-density", "1.5"), "weight density (=1.5) must be from 0 to 1"),
        (("--activation-density", "nan"), "activation density (=nan) must be from 0 to 1"),
        (("--frames", "0"), "frames (=0) must be at least 1"),
        (("--arch", "spu001"), "core.weight_memory, core.ports: reserved and core.hazard: bypass"),
        (("--set", "cores=2"), "set cores=1"),
        (("--weight-bits", "4"), "needs 4x8 (weight x activation bits)"),
        (("--activation-bits", "4"), "needs 8x4 (weight x activation bits)"),
        (("--size", "260"), "words for vectors"),
        (("--size", "100000", "--in-channels", "1000", "--groups", "8"), "make the layer smaller"),
        (("--size", "70000", "--in-channels", "1", "--stride", "60000"), "make the layer smaller"),
        (("--set", "core.accumulators=16", "--out-channels", "128"),
         "a PE needs 32 accumulators (2 filters at 16 positions)"),
    ],
)  # fmt: skip
def test_mistakes(spusim, options, said):
    result = spusim(*LAYER, "--no-baseline", *options)
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.stderr.split())
