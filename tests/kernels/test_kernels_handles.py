"""Handles: what Python put behind a pointer is what compiled code reads and writes."""

import gc
import weakref

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import event

from spusim.kernels.core import CoreTable
from spusim.kernels.declare import Handle, kernel
from spusim.kernels.entry import compile_entry
from spusim.kernels.views import seen_as


class Unit(Handle):
    """A handle of one array."""

    fields = ("flat",)


class Renamed(Handle):
    """The same by another name."""

    fields = ("plat",)


class Whole(Handle):
    """Arrays of several dimensions, and handles by number."""

    fields = ("deep", "wide", "cores")


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
    return np.int64(seen_as(memory, np.int16)[at]), np.int64(seen_as(memory, np.uint32)[at])


def chip_of(depths, seed):
    rng = np.random.default_rng(seed)
    flats = [np.arange(3, dtype=np.int64) * (c + 1) for c in range(2)]
    deep = rng.integers(-9, 9, (3, *depths))
    wide = rng.integers(0, 255, (3, depths[0])).astype(np.uint8)
    cores = [Unit(flat) for flat in flats]
    addresses = np.array([core.address for core in cores], np.int64)
    return flats, deep, wide, Whole(deep, wide, CoreTable(cores[0], addresses)), cores


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(0, 1), st.data(), st.integers(0, 9)
)
@settings(deadline=None, derandomize=True, max_examples=40)
def test_members_are_the_arrays(depths, number, data, seed):
    flats, deep, wide, chip, _cores = chip_of(depths, seed)
    i = data.draw(st.integers(0, 2))
    j, k = data.draw(st.integers(0, depths[0] - 1)), data.draw(st.integers(0, depths[1] - 1))
    expected = flats[number].copy()
    expected[i] += deep[i, j, k]
    found = touch(chip, number, i, j, k)
    assert found == expected[i] + int(wide[i, j]) + 3 * depths[0] * depths[1]
    assert flats[number].tolist() == expected.tolist()
    assert flats[1 - number].tolist() == [m * (2 - number) for m in range(3)]
    assert deep[i, j, k] == 330 + depths[0]


def test_a_kind_is_told_by_its_members():
    chip, (first, second) = chip_of((2, 2), 1)[3:]
    assert first.kind == second.kind != chip.kind
    assert first._numba_type_ == second._numba_type_ != chip._numba_type_
    others = [Unit(np.zeros(3, np.int32)), Renamed(np.zeros(3, np.int64))]
    assert len({first._numba_type_, *(other._numba_type_ for other in others)}) == 3


def test_members_that_do_not_lie_in_a_row_are_read_by_their_strides():
    square = np.arange(16, dtype=np.int64).reshape(4, 4)
    table = CoreTable(Unit(square), np.zeros(1, np.int64))
    assert first_column(Whole(square.T, square[::2, ::-1], table), 1) == (4, 11)


@kernel
def first_column(chip, row):
    """Return an element of each array's first column."""
    return chip.deep[0, row], chip.wide[row, 0]


@given(st.binary(min_size=16, max_size=40), st.integers(0, 3))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_bytes_are_seen_as_elements(memory, at):
    found = elements(np.frombuffer(memory, np.uint8).copy(), at)
    shorts, words = np.frombuffer(memory[:16], "<i2"), np.frombuffer(memory[:16], "<u4")
    assert found == (shorts[at], words[at])


class Collecting(event.Listener):
    """Whether garbage was looked for when a function was compiled."""

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

    listener = Collecting()
    with event.install_listener("numba:compile", listener):
        compile_entry(added, (1, 2))
    assert listener.found == [False]
    assert gc.isenabled()


class Ring:
    """Garbage as soon as nobody holds it, for the collector alone."""

    def __init__(self):
        self.itself = self


def test_what_others_held_while_a_kernel_was_compiled_is_collected_after_it():
    @kernel
    def taken(a, b):
        return a - b

    gc.unfreeze()  # nobody has frozen anything
    ring = Ring()
    gone = weakref.ref(ring)
    compile_entry(taken, (1, 2))
    assert gc.get_freeze_count() == 0
    del ring
    gc.collect()
    assert gone() is None


def test_where_objects_were_frozen_before_what_a_compiler_makes_is_frozen_too():
    @kernel
    def joined(a, b):
        return a | b

    gc.freeze()
    before = gc.get_freeze_count()
    try:
        compile_entry(joined, (1, 2))
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
