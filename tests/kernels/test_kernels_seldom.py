"""Functions that stay out of their callers."""

import pytest

from spusim.kernels.declare import apart, kernel, seldom
from spusim.kernels.entry import compile_entry


@kernel
def _sum_within(n):
    return n * n + 1


@apart
def _sum_apart(n):
    return n * n + 2


@seldom
def _sum_seldom(n):
    return n * n + 3


@kernel
def _calls_within(n):
    return _sum_within(n) - 1 if n > 2 else n


@kernel
def _calls_apart(n):
    return _sum_apart(n) - 2 if n > 2 else n


@kernel
def _calls_seldom(n):
    return _sum_seldom(n) - 3 if n > 2 else n


@pytest.mark.parametrize(
    ("caller", "called", "stays"),
    [
        (_calls_within, b"_sum_within", False),
        (_calls_apart, b"_sum_apart", True),
        (_calls_seldom, b"_sum_seldom", True),
    ],
)
def test_a_function_stays_out_of_its_callers_and_does_what_it_did(caller, called, stays):
    assert [caller(n) for n in (2, 3)] == [2, 9]
    code = compile_entry(caller, (3,)).code
    assert (called in code) == stays
    assert (b".text.unlikely" in code) == (caller is _calls_seldom)
