"""Look-up tables against the function and a plain interpolation."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.numerics import FUNCTIONS, NumericsError, build_table, lookup, table_entries

PLAIN = {
    "sigmoid": lambda v: 1 / (1 + math.exp(-v)),
    "tanh": math.tanh,
    "hardsigmoid": lambda v: min(max(v + 3, 0), 6) / 6,
    "sqrt": lambda v: math.sqrt(max(v, 0)),
    "rsqrt": lambda v: 1 / math.sqrt(v) if v > 0 else math.inf,
}
ROUNDED = {
    "floor": math.floor,
    "half_up": lambda exact: math.floor(exact + Fraction(1, 2)),
    "half_even": round,
}
INPUTS = np.arange(-(2**15), 2**15)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("interpolate", [True, False])
def test_entries_are_the_function_at_their_inputs(name, interpolate):
    address_bits, fraction_bits, in_exponent = 8, 8, -12
    table = build_table(name, address_bits, fraction_bits, in_exponent, 16, -15, interpolate)
    assert table.dtype == np.int32
    assert len(table) == (257 if interpolate else 256) == table_entries(8, interpolate)
    for k in range(len(table)):
        x = (k - 128) * 256 + (0 if interpolate else 127.5)
        exact = PLAIN[name](x * 2.0**in_exponent) * 2**15
        assert abs(table[k] - min(exact, 32767)) <= 0.5 + 1e-6


def test_rounding_is_to_nearest_even_and_saturates():
    table = build_table(lambda v: v / 2, 3, 0, 0, 3, 0, True)
    # x = -4 ... 4: halves -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2
    assert table.tolist() == [-2, -2, -1, 0, 0, 0, 1, 2, 2]
    assert build_table(lambda v: 10 * v, 3, 0, 0, 4, 0, True).tolist() == [-8] * 4 + [0] + [7] * 4


@pytest.mark.parametrize("rounding", ROUNDED)
def test_interpolated_lookup_over_all_inputs(rounding):
    address_bits, fraction_bits = 6, 8  # half of the 16-bit inputs are beyond the table
    table = build_table("tanh", address_bits, fraction_bits, -12, 16, -15, True)
    found = lookup(table, INPUTS, address_bits, fraction_bits, True, rounding)
    for x in INPUTS[::37].tolist():
        inside = min(max(x, -(2**13)), 2**13 - 1)
        k, fraction = divmod(inside + 2**13, 256)
        t0, t1 = int(table[k]), int(table[k + 1])
        assert found[x + 2**15] == t0 + ROUNDED[rounding](Fraction((t1 - t0) * fraction, 256))


@pytest.mark.parametrize("interpolate", [True, False])
def test_inputs_beyond_the_table_read_as_its_ends(interpolate):
    table = build_table("sigmoid", 4, 3, -4, 16, -15, interpolate)
    found = lookup(table, [-65, -64, 63, 64, 32767, -32768], 4, 3, interpolate, "half_up")
    assert found[0] == found[1] == found[5]
    assert found[2] == found[3] == found[4]
    # The last input is one short of the last entry's: its fraction is 7/8, not 0 or 1.
    if interpolate:
        assert table[15] < found[3] < table[16]


def test_plain_lookup_reads_the_entry_of_the_step():
    table = np.arange(16) * 10
    assert lookup(table, [-64, -57, -56, 0, 7, 8], 4, 3, False, "floor").tolist() == [
        0, 0, 10, 80, 80, 90
    ]  # fmt: skip


def test_without_fraction_bits_every_input_has_its_entry():
    for interpolate in (True, False):
        table = build_table("tanh", 8, 0, -5, 16, -15, interpolate)
        found = lookup(table, np.arange(-128, 128), 8, 0, interpolate, "half_even")
        assert (found == table[:256]).all()


@pytest.mark.parametrize(("name", "bend"), [("sigmoid", 0.0963), ("tanh", 0.7699)])
def test_interpolation_is_near_the_function(name, bend):
    table = build_table(name, 8, 8, -12, 16, -15, True)
    found = lookup(table, INPUTS, 8, 8, True, "half_up")
    exact = np.minimum(FUNCTIONS[name](INPUTS * 2.0**-12) * 2**15, 32767)
    # bend is the largest |f''|: linear interpolation over steps of h = 1/16 is off by at most
    # h**2/8 of it; entry and result are rounded by half a unit each.
    assert np.abs(found - exact).max() <= bend / 8 / 256 * 2**15 + 1


@pytest.mark.parametrize(("name", "both"), [("sigmoid", 1), ("hardsigmoid", 1), ("tanh", 0)])
def test_functions_keep_their_symmetry(name, both):
    v = np.linspace(-800, 800, 4001)
    total = FUNCTIONS[name](v) + FUNCTIONS[name](-v)
    assert np.allclose(total, both, rtol=0, atol=1e-15)


def test_roots_are_finite_everywhere_and_inverse_where_they_count():
    v = np.concatenate([-np.geomspace(1e-9, 1e9, 50), [0.0], np.geomspace(1e-9, 1e9, 50)])
    root, inverse = FUNCTIONS["sqrt"](v), FUNCTIONS["rsqrt"](v)
    assert not root[v <= 0].any() and (inverse[v <= 0] > 1e29).all()
    assert np.isfinite(inverse).all()
    assert np.allclose((root * inverse)[v > 0], 1.0, rtol=1e-15)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 8),
    st.integers(0, 8),
    st.integers(-(2**17), 2**17),
    st.sampled_from(sorted(ROUNDED)),
    st.data(),
)
def test_interpolation_stays_between_its_entries(address_bits, fraction_bits, x, rounding, data):
    size = 2**address_bits + 1
    values = st.integers(-(2**31), 2**31 - 1)
    table = data.draw(st.lists(values, min_size=size, max_size=size))
    found = int(lookup(table, x, address_bits, fraction_bits, True, rounding))
    half = 2 ** (address_bits + fraction_bits - 1)
    k = (min(max(x, -half), half - 1) + half) >> fraction_bits
    assert min(table[k : k + 2]) <= found <= max(table[k : k + 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_table("gelu", 8, 8, -12, 16, -15, True), "'gelu' has no table; use one of"),
        (lambda: build_table(np.log, 8, 8, -12, 16, -15, True), "needs finite values"),
        (lambda: build_table("tanh", 9, 8, -12, 16, -15, True), r"16 at most together"),
        (lambda: build_table("tanh", 8, 8, -12, 33, -15, True), r"out_bits \(=33\)"),
        (lambda: lookup(np.zeros(256, int), 0, 8, 8, True, "floor"), r"must be \(257,\)"),
        (lambda: lookup(np.zeros(257, int), 0, 8, 8, False, "floor"), r"must be \(256,\)"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_tables_that_cannot_be_are_refused(call, message):
    with pytest.raises(NumericsError, match=message):
        call()
