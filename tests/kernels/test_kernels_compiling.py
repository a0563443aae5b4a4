"""What a kernel calls is compiled once for all integers, and emitted with the kernel alone."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import config, event

from spusim.kernels import loading
from spusim.kernels.declare import Handle, inlined, kernel, tell_when_compiling
from spusim.kernels.entry import KernelError, compile_entry

ROOT = Path(__file__).resolve().parents[2]


@kernel
def add_to(table, at, by=1, most=1 << 60):
    """Add `by` to an element, up to `most`."""
    table[at] = min(table[at] + by, most)
    return table[at]


@inlined
def twice(x):
    """Return x + x."""
    return x + x


@kernel
def whole(table, at):
    """Call the others in every way."""
    return (
        add_to(table, 0)
        + add_to(table, at, 2)
        + add_to(table, at, by=-3, most=twice(5))
        + add_to(table, 1, twice(at))
    )


class Compiled(event.Listener):
    """Names of the functions that were compiled."""

    def __init__(self):
        self.names = []

    def on_start(self, event):
        """Note a name."""
        function = event.data["dispatcher"].py_func
        if function.__module__ == __name__:
            self.names.append(function.__name__)

    def on_end(self, event):
        """Note nothing."""


@pytest.fixture(scope="module")
def compiled():
    listener = Compiled()
    with event.install_listener("numba:compile", listener):
        entry = compile_entry(whole, (np.array([10, 20], np.int64), 1))
    return listener.names, entry


def test_literal_and_omitted_integers_share_a_version(compiled):
    assert sorted(compiled[0]) == ["add_to", "twice", "whole"]
    assert len(add_to.part.overloads) == len(twice.part.overloads) == 1


def test_only_the_entry_is_seen_from_outside(compiled):
    code = compiled[1].code
    assert b"spusim_entry" in code
    assert b"twice" not in code and b"cpython" not in code and b"cfunc" not in code


def test_python_calls_what_kernels_call_too():
    table = np.array([10, 20], np.int64)
    assert whole(table, 1) == 11 + 22 + 10 + 12 == whole.py_func(np.array([10, 20]), 1)
    assert table.tolist() == [11, 12]
    assert add_to(np.array([1, 1], np.int64), 1, 5) == 6 and twice(4) == 8


def test_what_python_leaves_out_or_names_is_the_same_call():
    calls = (
        lambda t: add_to(t, 1, 1, 1 << 60),
        lambda t: add_to(t, 1),
        lambda t: add_to(t, at=1),
        lambda t: add_to(at=1, table=t, by=1),
    )
    assert {call(np.array([5, 6], np.int64)) for call in calls} == {7}
    with pytest.raises(TypeError, match="missing a required argument: 'at'"):
        add_to(np.zeros(1, np.int64))


@kernel
def everything(pair, flag, scale, matrix):
    """Return a number of each kind, from arguments of each kind."""
    rows, (small, wide) = matrix.shape[0], pair
    return rows, flag or small[0] > wide[1, 0], scale * 0.5, np.uint8(small[0]), -matrix[1, 0]


def test_arguments_and_results_of_every_kind():
    small, wide = np.array([200], np.uint8), np.array([[1], [250]], np.int32)
    matrix = np.arange(12, dtype=np.int16).reshape(3, 4)
    for flag, scale in ((False, 3.0), (np.bool_(True), np.float32(0.25))):
        for seen in (matrix, matrix.T, matrix[::2, ::-1]):
            got = everything((small, wide), flag, scale, seen)
            assert got == everything.py_func((small, wide), flag, scale, seen)
            kinds = tuple(type(value) for value in got)
            assert kinds == (int, bool, float, int, int)
    frozen = matrix.copy()
    frozen.flags.writeable = False
    assert everything((small, wide), False, 1.0, frozen)[4] == -4


@kernel
def checked(x, at):
    """Raise what can go wrong in compiled code."""
    if at < 0:
        raise ValueError("no such place", 7)
    return 100 // x[at]


def test_what_a_kernel_raises_python_gets():
    x = np.array([4, 0], np.int64)
    assert checked(x, 0) == 25
    with pytest.raises(ValueError, match="no such place") as raised:
        checked(x, -1)
    assert raised.value.args == ("no such place", 7)
    with pytest.raises(ZeroDivisionError):
        checked(x, 1)


@kernel
def gives_an_array(x):
    """Return what cannot pass to Python."""
    return x[1:]


def test_a_kernel_that_returns_an_array_is_refused():
    with pytest.raises(KernelError, match="let it write to an array that it is given"):
        gives_an_array(np.ones(3, np.int64))


@kernel
def rows_of(x, least):
    """Use what numba has functions of its own for, which count references."""
    part = x[1:]
    part[:] = max(part[0], least)
    return x.reshape(2, x.size // 2).sum() + min(part.size, least)


@pytest.mark.parametrize("level", range(4))
def test_kernels_compile_at_every_level_of_optimisation(monkeypatch, level):
    monkeypatch.setattr(config, "OPT", level)
    entry = loading.load(compile_entry(rows_of, (np.zeros(4, np.int64), 1)))
    x = np.array([1, 2, 3, 4], np.int64)
    assert entry([x, 7]) == 1 + 3 * 7 + 3
    assert x.tolist() == [1, 7, 7, 7]


@kernel
def makes_a_list(x):
    """Make a list, of which numba counts the references."""
    found = [x[0]]
    found.append(x[1])
    return len(found)


@kernel
def makes_an_array(x):
    """Make an array, of which numba counts the references."""
    return np.zeros(x.size, np.int64).sum()


@pytest.mark.parametrize("wrong", [makes_a_list, makes_an_array])
def test_what_numba_would_count_is_refused(wrong):
    with pytest.raises(KernelError, match=r"or made by spusim\.kernels\.scratch"):
        wrong(np.ones(3, np.int64))


@pytest.mark.parametrize("wrong", ["text", None, 1j, [1], {}])
def test_what_is_no_argument_is_refused(wrong):
    with pytest.raises(TypeError, match="nothing that a kernel takes"):
        twice(wrong)


@pytest.mark.parametrize("wrong", [1 << 63, -(1 << 63) - 1, np.uint64(1 << 63)])
def test_integers_beyond_64_bits_are_refused(wrong):
    with pytest.raises(OverflowError, match="does not fit the 64 bits"):
        twice(wrong)


def test_who_asks_is_told_of_what_is_compiled(monkeypatch, tmp_path):
    from spusim.kernels import cache

    told = []
    end = tell_when_compiling(told.append)
    try:
        monkeypatch.setattr(cache, "_root", lambda: tmp_path)
        assert kernel(twice.py_func)(4) == 8
        assert kernel(twice.py_func)(5) == 10  # kept by now
    finally:
        end()
    assert kernel(twice.py_func)(2.5) == 5.0
    assert told == ["twice"]


class Pair(Handle):
    """Two arrays."""

    fields = ("few", "many")


class Nest(Handle):
    """A handle in a handle."""

    fields = ("pair", "last")


@kernel
def through(nest, at):
    """Read and write members."""
    nest.last[0] += nest.pair.many[at, 1] + len(nest.pair.few)
    return nest.last[0]


def test_members_of_handles_are_seen_through_them():
    few, many = np.zeros(3, np.uint8), np.arange(8, dtype=np.int16).reshape(2, 4)
    last = np.array([10], np.int64)
    nest = Nest(Pair(few, many[:, ::2]), last)
    assert through(nest, 1) == 10 + 6 + 3 == last[0]
    assert through(Nest(Pair(few, many[:, 1:3]), last), 0) == 19 + 2 + 3


def test_an_array_that_cannot_be_written_to_makes_no_other_kind_of_handle():
    frozen = np.zeros(3, np.uint8)
    frozen.flags.writeable = False
    many = np.zeros((1, 2), np.int16)
    assert Pair(frozen, many).kind == Pair(frozen.copy(), many).kind == "Pair(|u11C,<i22C)"
    assert Pair(frozen, many).kind != Pair(many[0], many).kind


def test_a_handle_keeps_its_arrays_and_wants_them_all():
    nest = Nest(Pair(np.zeros(1 << 20, np.uint8), np.ones((1 << 17, 4), np.int16)), np.zeros(1))
    waste = [np.full(1 << 20, 7, np.uint8) for _ in range(20)]  # would lie where those lay
    assert through(nest, 5) == 1 + (1 << 20) and len(waste) == 20
    with pytest.raises(TypeError, match="has 2 members"):
        Pair(np.zeros(3))


def test_no_kernel_counts_from_an_arrays_end():
    """Nobody looks whether an index is negative (`compiling`), so none may be."""
    counted = [
        f"{path.name}:{node.lineno}"
        for path in (ROOT / "spusim/kernels").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Subscript) and _negative(node.slice)
    ]
    assert counted == []


CHECKED = """
import numpy as np

__name__ = "spusim.kernels.checked"
from spusim.kernels.declare import kernel


@kernel
def element(array, at):
    return array[at]


@kernel
def read(array, at):
    return element(array, at)


print(read(np.array([5, 6, 7]), 2))
for at in (3, -1):
    try:
        read(np.array([5, 6, 7]), at)
    except IndexError as error:
        print(at, error)
"""


def test_make_bounds_checks_both_ends(tmp_path):
    script = tmp_path / "checked.py"
    script.write_text(CHECKED)
    told = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    for _ in range(2):  # compiled, and loaded
        done = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, env={**os.environ, **told}
        )
        beyond = "index is out of bounds"
        assert done.stdout.splitlines() == ["7", f"3 {beyond}", f"-1 {beyond}"], done.stderr


def _negative(index):
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return any(isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub) for part in parts)
