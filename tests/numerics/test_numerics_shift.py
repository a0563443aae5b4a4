"""Shifts, overflow and requantisation against fractions and Python's integers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.numerics import (
    Numerics,
    NumericsError,
    fits,
    overflow,
    quantise_multiplier,
    requantise,
    round_shift,
)

PLAIN = {
    "floor": math.floor,
    "half_up": lambda exact: math.floor(exact + Fraction(1, 2)),
    "half_even": round,
}
roundings = st.sampled_from(sorted(PLAIN))
modes = st.sampled_from(["saturate", "wrap"])
# Small ones make ties, large ones leave the int64.
numbers = st.one_of(
    st.integers(-40, 40),
    st.integers(-(2**47), 2**47),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**90), 2**90),
)
fast = settings(max_examples=100, deadline=None, derandomize=True)


def plain_overflow(x, bits, mode):
    half = 2 ** (bits - 1)
    return min(max(x, -half), half - 1) if mode == "saturate" else (x + half) % (2 * half) - half


def plain_round_shift(x, shift, rounding):
    return PLAIN[rounding](Fraction(x) / Fraction(2) ** shift)


@fast
@given(st.lists(numbers, min_size=1, max_size=5), st.integers(-70, 90), roundings)
def test_round_shift_is_the_rounded_quotient(values, shift, rounding):
    shifted = round_shift(values, shift, rounding)
    expected = [plain_round_shift(x, shift, rounding) for x in values]
    assert shifted.tolist() == expected
    all_fit = all(-(2**63) <= x < 2**63 for x in expected)
    assert shifted.dtype == (np.int64 if all_fit else object)


@fast
@given(st.lists(st.tuples(numbers, st.integers(-5, 63)), min_size=1, max_size=6), roundings)
def test_round_shift_takes_a_shift_per_value(pairs, rounding):
    values, shifts = zip(*pairs, strict=True)
    expected = [plain_round_shift(x, s, rounding) for x, s in pairs]
    assert round_shift(values, np.array(shifts), rounding).tolist() == expected


@pytest.mark.parametrize("rounding", PLAIN)
@pytest.mark.parametrize("shift", [1, 2, 5, 62])
def test_ties_and_their_neighbours(rounding, shift):
    around = [k * 2**shift // 2 + d for k in range(-7, 8) for d in (-1, 0, 1)]
    values = np.array([x for x in around if abs(x) <= 2**62])
    expected = [plain_round_shift(int(x), shift, rounding) for x in values]
    assert round_shift(values, shift, rounding).tolist() == expected


def test_round_shift_keeps_shapes_and_broadcasts():
    assert round_shift(6, 2, "half_up").shape == ()
    assert int(round_shift(2**80, 3, "half_up")) == 2**77
    assert round_shift(np.ones((2, 3), np.int8), np.zeros((2, 1), np.uint8), "floor").shape == (
        2,
        3,
    )
    assert round_shift(np.zeros((0, 4), np.int64), 3, "half_even").shape == (0, 4)


def test_narrow_and_unsigned_arrays_do_not_wrap():
    assert round_shift(np.array([-128, 127], np.int8), -4, "floor").tolist() == [-2048, 2032]
    assert round_shift(np.array([2**64 - 1], np.uint64), 1, "half_up").tolist() == [2**63]


@fast
@given(st.lists(numbers, min_size=1, max_size=5), st.integers(1, 63), modes)
def test_overflow_is_the_plain_definition(values, bits, mode):
    result = overflow(values, bits, mode)
    assert result.tolist() == [plain_overflow(x, bits, mode) for x in values]
    assert result.dtype == np.int64
    assert fits(result, bits)
    assert overflow(values[0], bits, mode) == result[0]


@fast
@given(numbers, st.integers(1, 63))
def test_fits_exactly_when_saturating_changes_nothing(value, bits):
    assert fits(value, bits) == (plain_overflow(value, bits, "saturate") == value)


@fast
@given(
    st.lists(st.integers(-(2**47), 2**47 - 1), min_size=1, max_size=4),
    st.one_of(st.integers(1, 2**31 - 1), st.just(2**31 - 1)),
    st.integers(0, 62),
    st.sampled_from([8, 16, 32]),
    st.builds(Numerics, rounding=roundings, requantize_overflow=modes),
)
def test_requantise_never_cuts_the_product(acc, multiplier, shift, bits, numerics):
    expected = [
        plain_overflow(
            plain_round_shift(a * multiplier, shift, numerics.rounding),
            bits,
            numerics.requantize_overflow,
        )
        for a in acc
    ]
    assert requantise(np.array(acc), multiplier, shift, bits, numerics).tolist() == expected


def test_requantise_takes_a_scale_per_row():
    acc = np.array([2**47 - 1, 1000, -(2**47)])
    result = requantise(acc, np.array([2**31 - 1, 3, 5]), np.array([62, 1, 40]), 16, Numerics())
    assert result.tolist() == [32767, 1500, -640]


@fast
@given(st.floats(2.0**-62, 2.0**31 - 1, exclude_max=True))
def test_multiplier_is_in_lowest_terms_and_within_its_error_bound(scale):
    multiplier, shift = quantise_multiplier(scale)
    assert 1 <= multiplier < 2**31
    assert 0 <= shift <= 62
    assert shift == 0 or multiplier % 2 == 1
    error = abs(Fraction(multiplier, 2**shift) - Fraction(scale))
    assert error <= (Fraction(scale) / 2**31 if scale >= 2.0**-31 else Fraction(1, 2**63))


@fast
@given(st.floats(2.0**-40, 2.0**20))
def test_no_other_multiplier_is_nearer(scale):
    multiplier, shift = quantise_multiplier(scale)
    error = abs(Fraction(multiplier, 2**shift) - Fraction(scale))
    for other in range(63):
        nearest = round(Fraction(scale) * 2**other)
        if 1 <= nearest < 2**31:
            assert error <= abs(Fraction(nearest, 2**other) - Fraction(scale))


@pytest.mark.parametrize("k", range(63))
def test_a_power_of_two_is_a_bare_shift(k):
    assert quantise_multiplier(2.0**-k) == (1, k)


def test_scales_above_one_and_at_the_end():
    assert quantise_multiplier(3.0) == (3, 0)
    assert quantise_multiplier(2.0**30) == (2**30, 0)
    assert quantise_multiplier(2.0**31 - 1) == (2**31 - 1, 0)


@pytest.mark.parametrize(
    "scale", [0.0, -0.5, math.inf, -math.inf, math.nan, 2.0**31, 2.0**31 - 0.25, 2.0**-63]
)
def test_scales_without_a_multiplier_are_refused(scale):
    with pytest.raises(NumericsError, match=r"scale .* at least 2\*\*-62 and below 2\*\*31"):
        quantise_multiplier(scale)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: round_shift(1, 1, "up"), "rounding 'up' is unknown; use one of floor"),
        (lambda: overflow(1, 8, "clamp"), "overflow 'clamp' is unknown"),
        (lambda: overflow(1, 64, "wrap"), r"bits \(=64\)"),
        (lambda: round_shift(np.array([1.0]), 1, "floor"), r"1\.0.* is not an integer"),
        (lambda: round_shift([2**70, 0.5], 1, "floor"), r"0\.5 .* is not an integer"),
    ],
)
def test_what_has_no_exact_meaning_is_refused(call, message):
    with pytest.raises(NumericsError, match=message):
        call()


@pytest.mark.parametrize("acc", [2**31, 2**32 - 3, 2**32 + 3, 2**33 - 1, 2**33 + 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_products_around_the_end_of_an_int64(acc, sign):
    multiplier, numerics = 2**31 - 1, Numerics()
    expected = plain_round_shift(sign * acc * multiplier, 34, "half_up")
    assert requantise(np.array([sign * acc]), multiplier, 34, 32, numerics).tolist() == [expected]
