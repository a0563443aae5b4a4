"""What textbooks say of fixed point, as the arithmetic has it."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from spusim.numerics import Draw, Numerics, accumulate, overflow, round_shift

BITS = 8
ALL = np.arange(-(2 ** (BITS - 1)), 2 ** (BITS - 1))


@pytest.mark.parametrize("common", [1, 100, 127, 5000])
def test_wrap_around_preserves_differences_and_saturation_does_not(common):
    a, b = np.meshgrid(ALL, ALL)
    differences = overflow(a - b, BITS, "wrap")

    def after(mode):
        moved = (overflow(side + common, BITS, mode) for side in (a, b))
        left, right = moved
        return overflow(left - right, BITS, "wrap")

    assert (after("wrap") == differences).all()
    assert (after("saturate") != differences).any()
    assert (after("nullify") != differences).any()


def test_saturation_depends_on_the_order_and_wrap_around_does_not():
    terms = (100, 100, -100, -50)

    def sums(mode):
        numerics = Numerics(BITS, mode)
        return {
            int(accumulate([order], [1] * 4, [0], numerics)[0]) for order in permutations(terms)
        }

    assert sums("wrap") == {50}
    assert sums("saturate") == {-23, 27, 50, 72}
    assert len(sums("nullify")) > 1


def test_wrap_around_is_right_in_the_end_though_partial_sums_leave():
    # The textbook's reason for it: the last sum fits, whatever happened on the way.
    numerics = Numerics(BITS, "wrap")
    assert accumulate([[127, 127, -127, -100]], [1] * 4, [0], numerics).tolist() == [27]
    assert accumulate([[127, 127, -127, -100]], [1] * 4, [0], Numerics(BITS)).tolist() == [-100]


def mean_error(rounding: str, shift: int) -> Fraction:
    """Return the mean of rounded - exact, in units of the result, over two whole periods."""
    x = np.arange(2 ** (shift + 1))
    rounded = round_shift(x, shift, rounding)
    return Fraction(int((rounded * 2**shift - x).sum()), len(x) * 2**shift)


@pytest.mark.parametrize("shift", range(1, 10))
def test_floor_is_biased_by_half_a_unit_half_up_by_ties_and_half_even_not_at_all(shift):
    assert mean_error("floor", shift) == Fraction(1 - 2**shift, 2 ** (shift + 1))
    assert mean_error("half_up", shift) == Fraction(1, 2 ** (shift + 1))
    assert mean_error("half_even", shift) == 0


@pytest.mark.parametrize("shift", [1, 3, 17, 40, 62])
def test_half_even_is_unbiased_on_ties(shift):
    # Odd multiples of half a unit: all of them ties, beyond shifts of 55 too few to matter.
    count = min(64, 2 ** (62 - shift)) & ~1 or 2
    ties = (2 * np.arange(count, dtype=object) + 1) * 2 ** (shift - 1)
    error = {
        way: int((round_shift(ties, shift, way).astype(object) * 2**shift - ties).sum())
        for way in ("half_up", "half_even")
    }
    assert error["half_even"] == 0 and error["half_up"] == count * 2 ** (shift - 1)


@pytest.mark.parametrize(("x", "shift"), [(5, 4), (-5, 4), (1, 10), (-1023, 10), (3 * 2**40, 43)])
def test_stochastic_rounding_is_right_on_average(x, shift):
    count = 200_000
    rounded = round_shift(np.full(count, x), shift, "stochastic", Draw(2024).bits(count))
    exact = x / 2**shift
    assert set(np.unique(rounded)) == {int(np.floor(exact)), int(np.floor(exact)) + 1}
    share = exact - np.floor(exact)
    deviation = np.sqrt(share * (1 - share) / count)
    assert abs(rounded.mean() - exact) < 4 * deviation


def test_stochastic_rounding_keeps_what_does_not_need_it():
    whole = np.arange(-50, 50)
    assert (round_shift(whole * 64, 6, "stochastic", Draw(1).bits(100)) == whole).all()


def test_stochastic_sums_of_small_steps_do_not_stall_where_nearest_does():
    # Adding a quarter of a unit a thousand times, rounding each time.
    nearest = noisy = 0
    bits = Draw(3).bits(1000)
    for k in range(1000):
        nearest = int(round_shift(4 * nearest + 1, 2, "half_even"))
        noisy = int(round_shift([4 * noisy + 1], 2, "stochastic", bits[k : k + 1])[0])
    assert nearest == 0 and abs(noisy - 250) < 4 * np.sqrt(1000 * 3 / 16)
