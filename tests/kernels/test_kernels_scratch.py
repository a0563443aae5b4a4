"""Arrays that kernels make for themselves."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spusim.kernels.declare import kernel
from spusim.kernels.scratch import copied, fresh, release, zeros

MEGABYTE, TIMES = 1 << 20, 300


@kernel
def _shapes(n, out):
    flat, plane = zeros(n, np.int64), zeros((n, n + 1), np.uint8)
    narrow = fresh((2, n, 3), np.int32)
    for i in range(2):
        for j in range(n):
            for k in range(3):
                narrow[i, j, k] = i * 100 + j * 10 + k
    plane[n - 1, n] = 7
    twin = copied(narrow)
    narrow[1, 0, 2] = 5
    out[0], out[1], out[2] = flat.sum(), plane.shape[1], plane.reshape(n * n + n).sum()
    out[3], out[4], out[5] = twin[1, 0, 2], twin[1, n - 1, 2], narrow.size
    # nothing overlaps: each begins on a cache line of its own
    out[6] = (narrow.ctypes.data | twin.ctypes.data | plane.ctypes.data) & 63
    return twin.size


@pytest.mark.parametrize("n", [1, 2, 33])
def test_arrays_have_their_shapes_and_zeros(n):
    out = np.zeros(7, np.int64)
    assert _shapes(n, out) == 6 * n
    assert out.tolist() == [0, n + 1, 7, 102, 100 + 10 * (n - 1) + 2, 6 * n, 0]


@kernel
def _fill(size, ends):
    memory = zeros(size, np.uint8)
    for k in range(0, size, 4096):
        memory[k] = 1
    if ends:
        raise ValueError("over")
    return memory.sum()


@kernel
def _fill_often(size, times):
    total = 0
    for _ in range(times):
        first = zeros(size, np.uint8)
        second = zeros(64, np.int64)
        for k in range(0, size, 4096):
            first[k] = 1
        total += first.sum() + second.sum()
        release(first)
    return total


def _return_often():
    for _ in range(TIMES):
        _fill(8 * MEGABYTE, False)


def _raise_often():
    for _ in range(TIMES):
        with pytest.raises(ValueError, match="over"):
            _fill(8 * MEGABYTE, True)


def _release_often():
    assert _fill_often(8 * MEGABYTE, TIMES) == 2048 * TIMES


CASES = {"return": _return_often, "raise": _raise_often, "release": _release_often}


def grown_by(name: str) -> int:
    """Return by how many bytes this process is larger at its peak after a case."""
    _fill(8 * MEGABYTE, False)
    _fill_often(8 * MEGABYTE, 1)
    peaks = []
    for run in (lambda: None, CASES[name]):
        run()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return peaks[1] - peaks[0]


@pytest.mark.parametrize("name", CASES)
def test_what_was_made_is_given_back(name):
    # in a process of its own, which has never been larger than it is now
    program = f"import {__name__.rpartition('.')[2]} as cases; print(cases.grown_by({name!r}))"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert int(told.stdout) < TIMES * MEGABYTE, told.stderr


@kernel
def _keep(n):
    kept = zeros(n, np.int64)
    for k in range(n):
        kept[k] = k
    other = zeros(n, np.int64)
    other[0] = 9
    release(other)
    again = fresh(n, np.int64)
    for k in range(n):
        again[k] = -1
    return kept.sum()


def test_what_was_made_before_stays():
    assert _keep(1000) == 499500


def test_too_large_an_array_is_said_to_be_so():
    with pytest.raises(MemoryError, match="a kernel found no memory for its own arrays"):
        _fill(1 << 60, False)
