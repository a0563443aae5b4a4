"""What a kernel calls is compiled once for all integers, and emitted with the kernel alone."""

from types import SimpleNamespace

import numpy as np
import pytest
from numba.core import event
from numba.core.caching import NullCache

from spusim.kernels.compiling import inlined, kernel


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
    for function in (whole, add_to, twice):
        function._cache = NullCache()  # what an earlier run compiled is compiled again
    listener = Compiled()
    with event.install_listener("numba:compile", listener):
        table = np.array([10, 20], np.int64)
        assert whole(table, 1) == 11 + 22 + 10 + 12
        assert table.tolist() == [11, 12]
    return SimpleNamespace(
        names=listener.names,
        ready=[len(function.overloads) for function in (add_to, twice)],
        parts=[len(function.part.overloads) for function in (add_to, twice)],
    )


def test_literal_and_omitted_integers_share_a_version(compiled):
    assert sorted(compiled.names) == ["add_to", "twice", "whole"]


def test_what_kernels_call_is_not_made_ready_for_python(compiled):
    assert compiled.ready == [0, 0]
    assert compiled.parts == [1, 1]


def test_python_calls_what_kernels_call_too(compiled):
    table = np.array([1, 1], np.int64)
    assert add_to(table, 1, 5) == 6 and twice(4) == 8
    assert len(add_to.overloads) == 1 and len(add_to.part.overloads) == 1
    assert whole.py_func(np.array([10, 20], np.int64), 1) == 55


def test_parts_are_in_the_kernels_code_alone(compiled):
    (cres,) = whole.overloads.values()
    names = [function.name for function in cres.library.get_defined_functions()]
    assert not any("twice" in name for name in names)  # inlined
