"""Plans of kinds that people bring, written as the tool writes them, against the reference."""

from pathlib import Path

import numpy as np
import pytest
from fqir_agreement import check_plan
from fqir_plans import PlanBuilder, sigmoid, write_plan

from spusim.api import load_plan
from spusim.network.records import Product


def rnn() -> tuple[PlanBuilder, dict]:
    p = PlanBuilder(1, 24)
    h = p.state(40)
    both = p.add(p.linear("x", 40), p.linear(h, 40), shamt_y=-1, shamt_bwred=1)
    new = p.curve(both, np.tanh)
    p.assign(h, new)
    return p, p.plan(p.linear(new, 12))


def gru() -> tuple[PlanBuilder, dict]:
    p = PlanBuilder(2, 16)
    h = p.state(24)
    left = p.op("chunk", {"x": p.linear("x", 72)}, 24, 3, chunks=3, dim=0)
    right = p.op("chunk", {"x": p.linear(h, 72)}, 24, 3, chunks=3, dim=-1)
    r, z = (p.curve(p.add(left[n], right[n]), sigmoid) for n in (0, 1))
    n = p.curve(p.add(left[2], p.multiply(r, right[2], -14), shamt_y=-3), np.tanh)
    rest = p.op(
        "viadd", {"x": p.op("vneg", {"x": z}, 24, bw=16)}, 24, shamt_x=-1, shamt_y=0, shamt_bwred=1,
        bw=16, bw_x=16, bw_y=16, y=16384, rounded=True,
    )  # fmt: skip
    new = p.add(p.multiply(rest, n, -15), p.multiply(z, h, -15))
    p.assign(h, new)
    return p, p.plan(p.linear(new, 8))


def four_bit() -> tuple[PlanBuilder, dict]:
    """4-bit weights and 8-bit activations, whose table is used without interpolation."""
    p = PlanBuilder(3, 32, bits=8, quanta=-4)
    h = p.state(32)
    x = p.linear("x", 32, wbits=4, bits=8, shift=-4)
    y = p.linear(h, 32, wbits=4, bits=8, shift=-5)
    both = p.add(x, y, bits=8, shamt_y=-1)
    table = p.table(np.round(127 * np.tanh(np.arange(-128, 128) / 32)))
    new = p.op(
        "lut", {"x": both, "table_values": table}, 32, shamt_address=0, bw_address=8,
        function="tanh", table_min=-128,
    )  # fmt: skip
    p.assign(h, new)
    return p, p.plan(p.linear(new, 16, wbits=4, bits=8, shift=-4), bits=8, quanta=-8)


def pruned_lstm() -> tuple[PlanBuilder, dict]:
    p = PlanBuilder(4, 64)
    return p, p.plan(p.linear(p.lstm("x", 160, density=0.1), 32, density=0.1))


def speech_enhancement() -> tuple[PlanBuilder, dict]:
    """Two LSTMs give a mask, by which the input is multiplied."""
    p = PlanBuilder(5, 40)
    hidden = p.lstm(p.lstm("x", 48, density=0.3), 48, density=0.3)
    mask = p.curve(p.linear(hidden, 40), sigmoid)
    return p, p.plan(p.multiply(mask, "x", -15))


def depthwise() -> tuple[PlanBuilder, dict]:
    p = PlanBuilder(6, 32)
    a = p.op("relu", {"x": p.conv("x", 32, 32, dilation=2, groups=32)}, 32)
    return p, p.plan(p.conv(a, 16, 32, taps=1))


def bands() -> tuple[PlanBuilder, dict]:
    """Convolution over time and bands: 6 bands of 8 channels, then depthwise with a stride."""
    p = PlanBuilder(7, 48)
    a = p.conv("x", 16, 8, bands=6, kernel_bands=3, padding=1)
    b = p.conv(a, 16, 16, bands=6, kernel_bands=2, groups=16, stride=2, dilation=2, bias=False)
    return p, p.plan(p.linear(b, 8))


def grouped() -> tuple[PlanBuilder, dict]:
    """Groups of several channels, bands apart, and no time: one frame is its own window."""
    p = PlanBuilder(8, 40)
    a = p.conv("x", 8, 8, bands=5, kernel_bands=2, dilation_band=2, groups=2, taps=1)
    return p, p.plan(p.linear(a, 8))


def unfolded() -> tuple[PlanBuilder, dict]:
    p = PlanBuilder(9, 16)
    buffer = p.state(16 * 4)
    frames = p.op(
        "temporal_unfold", {"x": "x", "buffer": buffer}, 48, kernel_size=3, dilation=2,
        buffer_length=4,
    )  # fmt: skip
    return p, p.plan(p.linear(frames, 24))


KINDS = {
    f.__name__: f
    for f in (
        rnn, gru, four_bit, pruned_lstm, speech_enhancement, depthwise, bands, grouped, unfolded,
    )
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_network_equals_the_plan(kind: str, tmp_path: Path) -> None:
    builder, plan = KINDS[kind]()
    frames = builder.frames(4 if kind == "pruned_lstm" else 7).astype(np.int32)
    outputs = check_plan(tmp_path, plan, frames, machine=True)
    assert len(np.unique(outputs)) > 12  # neither stuck at a limit nor at zero
    assert (outputs[1:] != outputs[0]).any()


def test_bands_share_a_matrix(tmp_path: Path) -> None:
    _, plan = bands()
    products = [n for n in load_plan(write_plan(tmp_path, plan)).nodes if isinstance(n, Product)]
    assert [len(p.windows) for p in products] == [6, 3, 1]
    assert products[0].weight.shape == (16, 3 * 3 * 8)
    assert np.count_nonzero(products[1].weight) <= 16 * 2 * 3
