"""Values of convolutions against a NumPy reference of their own, in every mode and order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.machine.conv_values import plan_values, run_tile_values, run_values
from spusim.machine.errors import MachineError
from spusim.numerics.convolution import Convolution
from spusim.numerics.errors import NumericsError


def random_layer(seed: int, most: int = 127):  # type: ignore[no-untyped-def]
    """Return shape, weights, bias and activations of up to `most`."""
    rng = np.random.default_rng(seed)
    while True:
        groups = int(rng.choice([1, 1, 2, 3]))
        low, high = [1, 1, 1, 1, 0, 0, 0, 0], [3, 3, 3, 2, 3, 3, 3, 3]
        *sizes, top, left, bottom, right = (int(v) for v in rng.integers(low, np.add(high, 1)))
        try:
            shape = Convolution(
                groups * int(rng.integers(1, 6)), *(int(v) for v in rng.integers(1, 19, 2)),
                groups * int(rng.integers(1, 5)), sizes[0], sizes[1],
                (int(rng.integers(1, 4)), sizes[2]), (top, left, bottom, right),
                (int(rng.integers(1, 3)), sizes[3]), groups,
            )  # fmt: skip
        except NumericsError:
            continue
        break
    weights = rng.integers(-128, 128, shape.weight_shape).astype(np.int8)
    weights[rng.random(weights.shape) < rng.choice([0.0, 0.5, 0.9, 1.0])] = 0
    x = rng.integers(-most - 1, most + 1, (shape.channels, shape.height, shape.width))
    x[rng.random(x.shape) < 0.4] = 0
    return shape, weights, rng.integers(-(2**20), 2**20, shape.filters), x


def terms(shape: Convolution, weights: np.ndarray, x: np.ndarray, order: str):  # type: ignore[no-untyped-def]
    """Yield the products of all outputs in order: (filters, positions) each."""
    top, left, bottom, right = shape.padding
    padded = np.pad(x.astype(np.int64), ((0, 0), (top, bottom), (left, right)))
    inputs, filters = shape.channels // shape.groups, shape.filters // shape.groups
    (sy, sx), (dy, dx) = shape.stride, shape.dilation
    places = [(ky, kx, c) for ky in range(shape.kernel_height)
              for kx in range(shape.kernel_width) for c in range(inputs)]  # fmt: skip
    if order == "channel":
        places.sort(key=lambda place: (place[2], place[0], place[1]))
    for ky, kx, c in places:
        seen = padded[:, ky * dy :: sy, kx * dx :: sx][:, : shape.out_height, : shape.out_width]
        channels = np.arange(shape.filters) // filters * inputs + c
        yield weights[:, c, ky, kx, None].astype(np.int64) * seen[channels].reshape(
            shape.filters, -1
        )


def folded(value: np.ndarray, bits: int, wrap: bool) -> np.ndarray:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return (value - low) % 2**bits + low if wrap else np.clip(value, low, high)


def reference(shape, weights, bias, x, order, bits, wrap):  # type: ignore[no-untyped-def]
    total = folded(np.repeat(bias[:, None], shape.positions, axis=1), bits, wrap)
    for term in terms(shape, weights, x, order):
        total = folded(total + term, bits, wrap)
    return total


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([8, 12, 16, 24, 31, 32, 33, 40, 48]), st.booleans(),
    st.sampled_from(["spatial", "channel"]), st.sampled_from([1, 127, 32767, 65535]),
)  # fmt: skip
def test_values_equal_the_reference(
    seed: int, bits: int, wrap: bool, order: str, most: int
) -> None:
    shape, weights, bias, x = random_layer(seed, most)
    plan = plan_values(shape, weights, bias, order)
    wanted = reference(shape, weights, bias, x, order, bits, wrap)
    found = run_values(plan, x, bits, wrap)
    assert found.shape == (shape.filters, shape.out_height, shape.out_width)
    assert np.array_equal(found.reshape(shape.filters, -1), wanted)
    first = seed % shape.positions
    count = 1 + seed // 7 % (shape.positions - first)
    part = run_tile_values(plan, x, first, count, bits, wrap)
    assert np.array_equal(part, wanted[:, first : first + count])


def test_T35_orders_differ_where_an_accumulator_saturates() -> None:
    # 8 bits: channel 0 has taps 100, 100, channel 1 has -100 at the first; all activations 1
    weights = np.array([[[[100, 100]], [[-100, 0]]]], np.int8)
    shape = Convolution(2, 1, 2, 1, 1, 2)
    x = np.ones((2, 1, 2), np.int8)
    # ky, kx, c: 100 - 100 + 100; c, ky, kx: 100 + 100 stays at 127, then - 100
    assert run_values(plan_values(shape, weights), x, 8).item() == 100
    assert run_values(plan_values(shape, weights, order="channel"), x, 8).item() == 27


def test_the_bound_decides_at_its_very_edge() -> None:
    # 2**15 - 1 = 32767 = 127 * 258 + 1: with a bias of 1 all is exact, with 2 it saturates
    weights = np.full((1, 3, 1, 1), 86, np.int8)
    shape, x = Convolution(3, 1, 1, 1), np.full((3, 1, 1), 127)
    for bias, wanted in ((1, 32767), (2, 32767), (-1, 32765)):
        plan = plan_values(shape, weights, np.array([bias]))
        assert run_values(plan, x, 16).item() == wanted


@pytest.mark.parametrize(
    ("weights", "bias", "order", "message"),
    [
        (np.zeros((2, 3, 1, 1), np.int8), None, "spatial", r"weights have shape \(2, 3, 1, 1\)"),
        (np.zeros((2, 2, 1, 1)), None, "spatial", r"weights are float64; quantise them"),
        (np.full((2, 2, 1, 1), 40000), None, "spatial", r"reach from 40000 to 40000"),
        (np.zeros((2, 2, 1, 1), np.int8), np.zeros(3), "spatial", r"bias has shape \(3,\)"),
        (np.zeros((2, 2, 1, 1), np.int8), None, "rows", r"order \(=rows\) is unknown"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, bias, order, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MachineError, match=message):
        plan_values(Convolution(2, 3, 3, 2), weights, bias, order)


def test_activations_and_tiles_that_do_not_fit_are_refused() -> None:
    plan = plan_values(Convolution(2, 3, 3, 2), np.ones((2, 2, 1, 1), np.int8))
    with pytest.raises(MachineError, match=r"must be integers \(2, 3, 3\)"):
        run_values(plan, np.zeros((2, 3, 4), int))
    with pytest.raises(MachineError, match="are float64"):
        run_values(plan, np.zeros((2, 3, 3)))
    with pytest.raises(MachineError, match="of 7 bits; they have 8 to 48"):
        run_values(plan, np.zeros((2, 3, 3), int), 7)
    with pytest.raises(MachineError, match=r"tile of 3 positions from 7; .* 0 to 8"):
        run_tile_values(plan, np.zeros((2, 3, 3), int), 7, 3)
