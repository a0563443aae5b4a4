"""Rounding, overflow, accumulators, partial sums: numerics and kernels equal big integers."""

import numpy as np
import pytest
from big_integers import brought_into, divided, random_64, summed
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.kernels import arithmetic
from spusim.kernels.matvec import add_columns_stepwise, first_boundary, requantise_partial
from spusim.kernels.random import dither, random_bits
from spusim.machine.load import OVERFLOW, ROUNDING
from spusim.numerics import (
    Draw,
    Numerics,
    NumericsError,
    PartialSums,
    accumulate,
    overflow,
    requantise,
    round_shift,
)
from spusim.numerics.random import threefry

OVERFLOWS = ("saturate", "wrap", "nullify")
DETERMINISTIC = ("floor", "half_up", "half_even")
EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True)
BITS = st.integers(8, 48)
WORDS = st.integers(0, 2**32 - 1)


# --- random bits


# The generator's authors' known answers for threefry4x32 with 20 rounds: counter, key, result.
KNOWN = (
    ((0, 0, 0, 0), (0, 0, 0, 0), (0x9C6CA96A, 0xE17EAE66, 0xFC10ECD4, 0x5256A7D8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 4, (0x2A881696, 0x57012287, 0xF6C7446E, 0xA16A6732)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0, 0x082EFA98, 0xEC4E6C89),
        (0x59CD1DBB, 0xB8879579, 0x86B5D00C, 0xAC8B6D84),
    ),
)


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_generator_gives_its_authors_answers(counter, key, result):
    assert tuple(int(word) for word in threefry(counter, key)) == result


@EXAMPLES
@given(WORDS, st.integers(0, 2**24 - 1), WORDS, WORDS, WORDS)
def test_three_opinions_of_random_bits(seed, stream, activation, ordinal, first):
    draw = Draw(seed, stream, activation, ordinal, first)
    expected = [random_64(seed, stream, activation, ordinal, first + k) for k in range(3)]
    assert draw.bits(3).tolist() == expected
    words = np.array([seed, stream, activation, ordinal, first], np.int64)
    assert [random_bits(words, k) for k in range(3)] == [bits >> 1 for bits in expected]
    assert [dither(words, 0, s) for s in (1, 31, 62)] == [
        expected[0] >> (64 - s) for s in (1, 31, 62)
    ]


def test_every_word_of_an_instance_changes_the_bits():
    base = Draw(1, 2, 3, 4, 5)
    others = [Draw(2, 2, 3, 4, 5), Draw(1, 3, 3, 4, 5), Draw(1, 2, 4, 4, 5), Draw(1, 2, 3, 5, 5)]
    assert len({int(draw.bits(1)[0]) for draw in (base, *others)}) == 5
    # Output k of an instruction that begins with `first` is the same wherever it is cut.
    assert base.bits(9)[4:].tolist() == Draw(1, 2, 3, 4, 9).bits(5).tolist()


# --- rounding, overflow, requantisation


@EXAMPLES
@given(
    st.integers(-(2**47), 2**47 - 1),
    st.integers(1, 2**31 - 1),
    st.integers(0, 62),
    st.sampled_from((8, 16, 32)),
    st.sampled_from((*DETERMINISTIC, "stochastic")),
    st.sampled_from(OVERFLOWS),
    st.integers(-(2**16), 2**16 - 1),
    WORDS,
)
def test_requantisation(acc, multiplier, shift, bits, rounding, mode, zero, seed):
    numerics = Numerics(48, "saturate", rounding, mode, seed)
    draw = Draw(seed, 7, 3, 1, 9)
    random = random_64(seed, 7, 3, 1, 9)
    expected = brought_into(divided(acc * multiplier, shift, rounding, random) + zero, bits, mode)
    found = requantise([acc], multiplier, shift, bits, numerics, zero=zero, random=draw.bits(1))
    assert found.tolist() == [expected]
    assert _kernel_requantised(acc, multiplier, shift, bits, rounding, mode, zero, draw) == expected


def _kernel_requantised(acc, multiplier, shift, bits, rounding, mode, zero, draw):
    way, number = OVERFLOW[mode], ROUNDING[rounding]
    if number == arithmetic.STOCHASTIC and shift > 0:
        words = np.array([draw.seed, draw.stream, draw.activation, draw.ordinal, draw.first])
        noise = dither(words, 0, shift)
        scaled = arithmetic.scale_dithered(acc, multiplier, shift, noise, way)
    else:
        scaled = arithmetic.scale(acc, multiplier, shift, number % 3, way)
    return _fold(scaled + zero, bits, way)


_fold = arithmetic.fold  # inlined into compiled callers; its own compilation is the same


@EXAMPLES
@given(st.integers(-(2**62), 2**62), st.integers(1, 62), st.sampled_from(OVERFLOWS))
def test_overflow_of_any_width(value, bits, mode):
    expected = brought_into(value, bits, mode)
    assert overflow(value, bits, mode) == expected
    assert _fold(value, bits, OVERFLOW[mode]) == expected


def test_stochastic_rounding_needs_bits():
    for random in (None, Draw(0).bits(2)):
        with pytest.raises(NumericsError, match="random bits"):
            round_shift([1], 1, "stochastic", random)
    with pytest.raises(NumericsError, match="shifts of 62 at most"):
        round_shift([1], 63, "stochastic", Draw(0).bits(1))
    assert round_shift([5, -5], -2, "stochastic", Draw(0).bits(2)).tolist() == [20, -20]


# --- accumulation


@st.composite
def sums(draw):
    """Draw a matrix, an operand with zeros, a start, an accumulator and its partial sums."""
    columns = draw(st.integers(1, 12))
    bits = draw(st.one_of(st.sampled_from((8, 12, 16, 31, 32, 33, 48)), BITS))
    size = draw(st.sampled_from((3, 7, 15)))  # magnitudes that overflow at once, or seldom
    values = st.one_of(st.just(0), st.integers(-(2**size), 2**size - 1))
    weight = draw(
        st.lists(st.lists(values, min_size=columns, max_size=columns), min_size=1, max_size=3)
    )
    x = draw(st.lists(values, min_size=columns, max_size=columns))
    ends = st.sampled_from((-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0, -1))
    start = draw(st.lists(st.one_of(ends, values), min_size=len(weight), max_size=len(weight)))
    shift = draw(st.integers(0, bits - 3))
    partial = (
        draw(st.integers(0, 5)), shift, draw(st.integers(2, bits - shift)),
        draw(st.sampled_from(DETERMINISTIC)),
    )  # fmt: skip
    return weight, x, start, bits, partial, draw(st.integers(-6, 20))


@EXAMPLES
@given(sums(), st.sampled_from(OVERFLOWS))
def test_accumulation(case, mode):
    weight, x, start, bits, partial, position = case
    expected = [
        summed(s, [w * v for w, v in zip(row, x, strict=True)], bits, mode, partial, position)
        for s, row in zip(start, weight, strict=True)
    ]
    numerics = Numerics(bits, mode, partial_sums=PartialSums(*partial))
    found = accumulate(weight, x, start, numerics, position=position)
    assert found.tolist() == expected
    again = accumulate(weight, x, None, numerics, start=start, position=position)
    assert again.tolist() == expected
    assert _kernel_sum(weight, x, start, bits, mode, partial, position) == expected


def _kernel_sum(weight, x, start, bits, mode, partial, position):
    """Add as the engine's kernel does: pushed columns up to each boundary, then requantised."""
    every, shift, kept, rounding = partial
    acc = overflow(start, bits, mode)
    columns = np.flatnonzero(x).astype(np.int64)
    w, v = np.array(weight, np.int16).T.copy(), np.array(x, np.int32)
    boundary = first_boundary(position, every) if every else len(x)
    first = 0
    while True:
        end = first + int((columns[first:] <= boundary).sum())
        part = columns[first:end]
        add_columns_stepwise(w, v, part, len(part), acc, bits, OVERFLOW[mode])
        if boundary >= len(x):
            return acc.tolist()
        requantise_partial(acc, shift, kept, ROUNDING[rounding], OVERFLOW[mode])
        first, boundary = end, boundary + every


@EXAMPLES
@given(sums(), st.sampled_from(OVERFLOWS), st.data())
def test_partial_sums_do_not_depend_on_where_a_product_is_cut(case, mode, data):
    weight, x, start, bits, partial, position = case
    numerics = Numerics(bits, mode, partial_sums=PartialSums(*partial))
    cut = data.draw(st.integers(0, len(x)))
    w = np.array(weight)
    part = accumulate(w[:, :cut], x[:cut], start, numerics, position=position)
    whole = accumulate(w[:, cut:], x[cut:], None, numerics, start=part, position=position + cut)
    assert whole.tolist() == accumulate(w, x, start, numerics, position=position).tolist()


@pytest.mark.parametrize("bits", range(8, 49))
@pytest.mark.parametrize("mode", OVERFLOWS)
def test_corners_of_every_accumulator(bits, mode):
    most, least = 2 ** (bits - 1) - 1, -(2 ** (bits - 1))
    starts = [most, most, most - 1, least, least, least + 1, 0]
    terms = [1, -1, 1, -1, 1, -1, 0]
    numerics = Numerics(bits, mode)
    found = [
        int(accumulate([[t, 1]], [1, 1], [s], numerics)[0])
        for s, t in zip(starts, terms, strict=True)
    ]
    expected = {
        "saturate": [most, most, most, least + 1, least + 2, least + 1, 1],
        "wrap": [least + 1, most, least, least, least + 2, least + 1, 1],
        "nullify": [1, most, 0, 1, least + 2, least + 1, 1],
    }
    assert found == expected[mode]
