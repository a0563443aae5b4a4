"""Canonical accumulation against a loop over Python's integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.numerics import (
    Numerics,
    NumericsError,
    PartialSums,
    accumulate,
    accumulate_positions,
    row_bound,
)

fast = settings(max_examples=100, deadline=None, derandomize=True)


def plain(weight, x, first, numerics):
    half = 2 ** (numerics.accumulator_bits - 1)

    def fold(value):
        if numerics.overflow == "saturate":
            return min(max(value, -half), half - 1)
        return (value + half) % (2 * half) - half

    result = []
    for row, begin in zip(weight.tolist(), first, strict=True):
        acc = fold(int(begin))
        for w, a in zip(row, x.tolist(), strict=True):
            acc = fold(acc + w * a)
        result.append(acc)
    return result


@st.composite
def products(draw):
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    # Half of all activations are zero; the ends of the ranges make sums hit the rails.
    weights = st.one_of(st.integers(-8, 7), st.sampled_from([-(2**15), 2**15 - 1]))
    values = st.one_of(st.just(0), st.integers(-9, 9), st.sampled_from([-(2**15), 2**15 - 1]))
    weight = [[draw(weights) for _ in range(columns)] for _ in range(rows)]
    x = [draw(values) for _ in range(columns)]
    first = [draw(st.integers(-(2**33), 2**33)) for _ in range(rows)]
    numerics = Numerics(
        accumulator_bits=draw(st.sampled_from([8, 16, 31, 32, 48])),
        overflow=draw(st.sampled_from(["saturate", "wrap"])),
    )
    return np.array(weight), np.array(x), np.array(first), numerics


@fast
@given(products())
def test_accumulate_is_the_plain_loop(case):
    weight, x, bias, numerics = case
    result = accumulate(weight, x, bias, numerics)
    assert result.tolist() == plain(weight, x, bias, numerics)
    assert result.dtype == np.int64


@fast
@given(products(), st.integers(1, 5))
def test_positions_are_accumulated_as_each_alone(case, positions):
    weight, x, bias, numerics = case
    shifted = np.stack([np.roll(x, k) // (k + 1) for k in range(positions)], axis=1)
    result = accumulate_positions(weight, shifted, bias, numerics)
    alone = [plain(weight, column, bias, numerics) for column in shifted.T]
    assert result.tolist() == np.transpose(alone).tolist()
    assert result.dtype == np.int64


def test_positions_keep_no_partial_sums():
    numerics = Numerics(partial_sums=PartialSums(every=2, bits=16, shift=1))
    with pytest.raises(NumericsError, match="keeps no partial sums; call accumulate for each"):
        accumulate_positions(np.ones((1, 2), int), np.ones((2, 3), int), None, numerics)


@fast
@given(products())
def test_start_takes_the_place_of_the_bias(case):
    weight, x, start, numerics = case
    result = accumulate(weight, x, np.full_like(start, 77), numerics, start=start)
    assert result.tolist() == plain(weight, x, start, numerics)


@pytest.mark.parametrize(
    ("row", "total"),
    # A sum that saturates in the middle and comes back: only the order of columns decides.
    [([100, 100, -100], 27), ([100, -100, 100], 100), ([-100, -100, 100], -28)],
)
def test_saturation_applies_to_every_sum_in_column_order(row, total):
    numerics = Numerics(accumulator_bits=8, overflow="saturate")
    assert accumulate(np.array([row]), np.ones(3, int), None, numerics).tolist() == [total]


@pytest.mark.parametrize("bias", [0, 5, -5])
@pytest.mark.parametrize("excess", [-1, 0, 1])
@pytest.mark.parametrize("mode", ["saturate", "wrap"])
def test_fast_path_ends_exactly_at_the_bound(bias, excess, mode):
    numerics = Numerics(accumulator_bits=16, overflow=mode)
    last = 2**15 - 1 - abs(bias) - 127 * 100 * 2 + excess
    weight = np.array([[100, 100, 1, last // 127, last % 127]])
    for sign in (1, -1):
        x = sign * np.array([127, 127, 0, 127, 1])
        expected = plain(weight, x, [bias], numerics)
        assert accumulate(weight, x, np.array([bias]), numerics).tolist() == expected


def test_fast_and_slow_rows_of_one_matrix():
    rng = np.random.default_rng(3)
    weight = rng.integers(-128, 128, (40, 64))
    weight[::2] //= 32  # every second row is provably safe, the others saturate
    x = rng.integers(-128, 128, 64) * (rng.random(64) < 0.6)
    numerics = Numerics(accumulator_bits=17)
    safe = row_bound(weight, int(np.abs(x).max())) < 2**16
    assert safe.any()
    assert not safe.all()
    assert accumulate(weight, x, None, numerics).tolist() == plain(weight, x, [0] * 40, numerics)


def test_a_bias_that_does_not_fit_overflows_first():
    numerics = Numerics(accumulator_bits=8)
    assert accumulate(np.array([[-27]]), np.array([1]), np.array([500]), numerics) == [100]


def test_int8_operands_do_not_wrap():
    weight, x = np.full((1, 9), -128, np.int8), np.full(9, -128, np.int8)
    assert accumulate(weight, x, None, Numerics()).tolist() == [9 * 2**14]


def test_no_nonzero_activation_leaves_the_bias():
    bias = np.array([3, -4])
    result = accumulate(np.ones((2, 5), int), np.zeros(5, int), bias, Numerics())
    assert result.tolist() == [3, -4]


@fast
@given(products())
def test_row_bound_bounds_every_partial_sum(case):
    weight, x, bias, _ = case
    bound = row_bound(weight, int(np.abs(x).max()), bias)
    partial = bias[:, None] + np.cumsum(weight * x, axis=1)
    assert (np.abs(partial).max(axis=1) <= bound).all()
    exact = [abs(b) + sum(map(abs, row)) * int(np.abs(x).max())
             for row, b in zip(weight.tolist(), bias.tolist(), strict=True)]  # fmt: skip
    assert bound.tolist() == exact


def test_row_bound_does_not_overflow():
    weight = np.full((1, 3), -(2**31))
    assert row_bound(weight, 2**40, 2**62).tolist() == [2**62 + 3 * 2**71]


@pytest.mark.parametrize(
    ("weight", "x", "bias", "message"),
    [
        (np.ones((2, 3), int), np.ones(2, int), None, r"x \(2,\) does not fit weight \(2, 3\)"),
        (np.ones((2, 3), int), np.ones(3, int), np.ones(3, int), "one value per row 2"),
        (np.ones((2, 3)), np.ones(3, int), None, "is not an integer"),
        (np.full((1, 1), 2**31), np.ones(1, int), None, "must fit 32 bits"),
    ],
)
def test_operands_that_do_not_match_are_refused(weight, x, bias, message):
    with pytest.raises(NumericsError, match=message):
        accumulate(weight, x, bias, Numerics())
