"""Handles: what Python put behind a pointer is what compiled code reads and writes."""

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import event
from numba.core.caching import NullCache

from spusim.kernels.borrow import Handle, Table, seen_as
from spusim.kernels.compiling import kernel


@kernel
def touch(chip, number, i, j, k):
    """Read and write members of every kind."""
    core = chip.cores[number]
    core.flat[i] += chip.deep[i, j, k]
    chip.deep[i, j, k] = core.flat.shape[0] * 100 + chip.deep.shape[0] * 10 + chip.wide.shape[1]
    return core.flat[i] + np.int64(chip.wide[i, j]) + chip.deep.size


@kernel
def elements(memory, at):
    """Return what is seen at a place as elements of two widths."""
    return np.int64(seen_as(memory, np.int16, 2)[at]), np.int64(seen_as(memory, np.uint32, 4)[at])


touch._cache = elements._cache = NullCache()  # the tests' own, compiled for the tests


def chip_of(depths, seed):
    rng = np.random.default_rng(seed)
    flats = [np.arange(3, dtype=np.int64) * (c + 1) for c in range(2)]
    arrays = {
        "deep": rng.integers(-9, 9, (3, *depths)),
        "wide": rng.integers(0, 255, (3, depths[0])).astype(np.uint8),
    }
    cores = [Handle("Unit", {"flat": flat}) for flat in flats]
    return flats, arrays, Handle("Whole", {**arrays, "cores": Table(cores)}), cores


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(0, 1), st.data(), st.integers(0, 9)
)
@settings(deadline=None, derandomize=True, max_examples=40)
def test_members_are_the_arrays(depths, number, data, seed):
    flats, arrays, chip, _ = chip_of(depths, seed)
    i = data.draw(st.integers(0, 2))
    j, k = data.draw(st.integers(0, depths[0] - 1)), data.draw(st.integers(0, depths[1] - 1))
    expected = flats[number].copy()
    expected[i] += arrays["deep"][i, j, k]
    found = touch(chip, number, i, j, k)
    assert found == expected[i] + int(arrays["wide"][i, j]) + 3 * depths[0] * depths[1]
    assert flats[number].tolist() == expected.tolist()
    assert flats[1 - number].tolist() == [m * (2 - number) for m in range(3)]
    assert arrays["deep"][i, j, k] == 330 + depths[0]
    assert len(touch.overloads) == 1  # sizes are no part of a type


def test_a_type_is_named_by_its_members():
    _, _, chip, (first, second) = chip_of((2, 2), 1)
    named = first._numba_type_
    assert named == second._numba_type_ != chip._numba_type_
    other = Handle("Unit", {"flat": np.zeros(3, np.int32)})._numba_type_
    renamed = Handle("Unit", {"plat": np.zeros(3, np.int64)})._numba_type_
    assert len({named, other, renamed}) == 3
    assert len(chip._numba_type_.name) < 20


def test_what_is_not_contiguous_is_refused():
    with pytest.raises(ValueError, match=r"Unit\.flat must be C-contiguous"):
        Handle("Unit", {"flat": np.zeros((4, 4), np.int64).T[:2]})


@given(st.binary(min_size=16, max_size=40), st.integers(0, 3))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_bytes_are_seen_as_elements(memory, at):
    found = elements(np.frombuffer(memory, np.uint8).copy(), at)
    shorts, words = np.frombuffer(memory[:16], "<i2"), np.frombuffer(memory[:16], "<u4")
    assert found == (shorts[at], words[at])


class Collecting(event.Listener):
    """Whether garbage was looked for while a function was lowered."""

    def __init__(self):
        self.found = []

    def on_start(self, event):
        """Note it."""
        self.found.append(gc.isenabled())

    def on_end(self, event):
        """Note nothing."""


def test_the_collector_waits_for_a_kernel_and_is_back_after_it():
    @kernel
    def added(a, b):
        return a + b

    added._cache = NullCache()
    listener = Collecting()
    with event.install_listener("numba:run_pass", listener):
        assert added(1, 2) == 3
    assert listener.found and not any(listener.found[1:])
    assert gc.isenabled()
