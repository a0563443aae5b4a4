"""Vector operations against what defines them: their plain twins, and NumPy."""

import numba as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.kernels import lanes
from spusim.kernels.lanes_code import plain_pair_adder

ADDERS = {
    "wide": (lanes.add_wide, lanes.WIDE),
    "narrow": (lanes.add_narrow, lanes.NARROW),
    "slim": (lanes.add_slim, lanes.SLIM),
}


def added(adder, buffer, at, offsets, weights, begin, end, sums, to):  # type: ignore[no-untyped-def]
    @nb.njit
    def run(buffer, at, offsets, weights, begin, end, sums, to):  # type: ignore[no-untyped-def]
        adder(buffer, at, offsets, weights, begin, end, sums, to)

    run(buffer, at, offsets, weights, begin, end, sums, to)
    return sums


@pytest.mark.parametrize("name", ADDERS)
def test_pairs_equal_their_twin_and_numpy_modulo_32_bits(name: str) -> None:
    adder, tile = ADDERS[name]
    twin = plain_pair_adder(tile)
    rng = np.random.default_rng(0)
    buffer = rng.choice(np.array([-32768, -1, 0, 1, 77, 32767], np.int16), 900)
    offsets = rng.integers(0, 500, 40).astype(np.int32)
    weights = rng.choice(np.array([-32768, -128, 0, 127, 32767], np.int16), 40)
    start = rng.integers(-(2**31), 2**31, 3 * tile).astype(np.int32)
    for begin, end in ((0, 40), (6, 8), (10, 10)):
        args = buffer, 3, offsets, weights, begin, end
        wanted = start.astype(np.int64)
        for i in range(begin, end):
            run = buffer[3 + offsets[i] : 3 + offsets[i] + tile].astype(np.int64)
            wanted[tile : 2 * tile] += weights[i] * run
        expected = wanted.astype(np.int32)  # modulo 2**32
        assert np.array_equal(added(adder, *args, start.copy(), tile), expected)
        assert np.array_equal(added(twin, *args, start.copy(), tile), expected)


@nb.njit
def _recurrence(steps, amounts, out):  # type: ignore[no-untyped-def]
    value = lanes.load_lanes(steps, 0)
    for i in range(amounts.shape[0]):
        value = lanes.less(lanes.plus(value, lanes.load_lanes(steps, 64 * (i + 1))), amounts[i])
        out[i] = lanes.highest(value)
    kept = np.zeros(64, np.uint8)
    lanes.store_lanes(value, kept)
    return kept


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_lanes_equal_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, 16, (11, 64)).astype(np.uint8)
    amounts = rng.choice([0, 1, 7, 255], 10)
    found = np.zeros(10, np.int64)
    kept = _recurrence(steps.ravel(), amounts, found)
    value, highest = steps[0].astype(np.int64), []
    for step, amount in zip(steps[1:], amounts, strict=True):
        value = np.maximum(0, value + step - amount)
        highest.append(value.max())
    assert found.tolist() == highest
    assert np.array_equal(kept, value)
