"""Kernels as Python sees them: declared here, called here, and compiled only if they never were.

A kernel is known by the kinds of its arguments. For each combination of kinds it has an entry:
machine code, which an earlier process has kept (`cache`) or numba compiles now (`entry`), and which
llvmlite loads (`loading`). Numba takes twice as long to load as a run of the keyword spotter does,
so nothing here imports it before something has to be compiled.
"""

import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial, update_wrapper
from importlib import import_module
from typing import Any

import numpy as np

C_ORDER, F_ORDER, WRITEABLE = 0x1, 0x2, 0x400  # numpy's flags of an array
_FLAGS = C_ORDER | F_ORDER | WRITEABLE
_LIMIT = 1 << 63

_compiling: list[Callable[[str], None]] = []  # who is told that a kernel is compiled


class Deferred:
    """A name that kernels use and that needs numba: it is found when one of them is compiled."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    @cached_property
    def _numba_type_(self) -> Any:
        from spusim.kernels.compiling import type_of_global

        return type_of_global(getattr(import_module(self.module), self.name))


class Handle:
    """Arrays and other handles behind one pointer: cheap to pass, and quick to compile against.

    Compiled code counts no references to what a handle holds; the handle in Python keeps it alive,
    and must itself outlive all that compiled code keeps. Which arrays may be written to is not a
    matter of their kind here, or one that came from a file would make another kernel. Its words
    are, member after member, of an array the number of its elements, its address, shape and
    strides; of a handle its address.
    """

    fields: tuple[str, ...]

    def __init__(self, *members: "np.ndarray | Handle"):
        if len(members) != len(self.fields):
            raise TypeError(f"{type(self).__name__} has {len(self.fields)} members: {self.fields}")
        self.members = members
        words = [word for member in members for word in _words(member)]
        self._words = np.array(words, np.int64)
        self.address = int(self._words.__array_interface__["data"][0])
        kinds = ",".join(_member_told(member) for member in members)
        self.kind = sys.intern(f"{type(self).__name__}({kinds})")

    @property
    def _numba_type_(self) -> Any:
        from spusim.kernels.handles import handle_type

        return handle_type(self)


def _words(member: "np.ndarray | Handle") -> list[int]:
    if isinstance(member, Handle):
        return [member.address]
    data = member.__array_interface__["data"][0]
    return [member.size, data, *member.shape, *member.strides]


def _member_told(member: "np.ndarray | Handle") -> str:
    if isinstance(member, Handle):
        return member.kind
    return f"{member.dtype.str}{member.ndim}{order_of(member)}"


def order_of(array: np.ndarray) -> str:
    """Return numba's letter for how an array lies: C or F where it is contiguous, else A."""
    flags = array.flags.num
    return "C" if flags & C_ORDER else "F" if flags & F_ORDER else "A"


def _told(argument: Any) -> str:
    """Return an argument's kind as a text that means the same in every process."""
    if isinstance(argument, np.ndarray):
        return f"{_member_told(argument)}{'w' if argument.flags.writeable else 'r'}"
    if isinstance(argument, Handle):
        return argument.kind
    if isinstance(argument, tuple):
        return f"{type(argument).__qualname__}[{','.join(_told(part) for part in argument)}]"
    return type(plain(argument)).__name__


def plain(argument: Any) -> Any:
    """Return a scalar as Python's int, float or bool. Raises TypeError for anything else."""
    if isinstance(argument, bool | np.bool_):
        return bool(argument)
    if isinstance(argument, int | np.integer):
        return int(argument)
    if isinstance(argument, float | np.floating):
        return float(argument)
    raise TypeError(
        f"{type(argument).__name__} is nothing that a kernel takes: give it arrays, handles, "
        "integers, floats, truth values, or tuples of them"
    )


class Kernel:
    """A function of arrays, handles and numbers that Python and other kernels can call.

    Python gets integers, floats, truth values, tuples of them, or None back. Raises TypeError for
    other arguments, OverflowError for integers beyond 64 bits, and what the compiled code raises.
    """

    def __init__(
        self, function: Callable[..., Any], attributes: tuple[str, ...] = (), level: int = 2
    ):
        update_wrapper(self, function)
        self.py_func, self._attributes, self.level = function, attributes, level
        self._signature = inspect.signature(function)
        self._count = len(self._signature.parameters)
        self._entries: dict[tuple[Any, ...], Callable[[list[Any]], Any]] = {}
        self._part: Any = None

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Run it, after it was loaded or compiled for arguments of these kinds."""
        if named or len(args) != self._count:
            bound = self._signature.bind(*args, **named)
            bound.apply_defaults()
            args = bound.args
        kinds: list[Any] = []
        values: list[Any] = []
        for argument in args:
            _flatten(argument, kinds, values)
        key = tuple(kinds)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._find(args)
        return entry(values)

    def _find(self, args: tuple[Any, ...]) -> Callable[[list[Any]], Any]:
        from spusim.kernels import cache, loading

        place = cache.place_of(self.py_func, ",".join(_told(argument) for argument in args))
        kept = cache.read(place)
        if kept is not None:
            with suppress(RuntimeError):  # llvmlite's, of code that this process cannot link
                return loading.load(kept)
        for tell in _compiling:
            tell(self.__name__)
        from spusim.kernels.entry import compile_entry

        made = compile_entry(self, args)
        cache.write(place, made)
        return loading.load(made)

    @property
    def part(self) -> Any:
        """The function as other kernels meet it, numba's."""
        if self._part is None:
            from spusim.kernels.compiling import part_of

            self._part = part_of(self.py_func, self._attributes)
        return self._part

    @property
    def _numba_type_(self) -> Any:
        return self.part._numba_type_


def _flatten(argument: Any, kinds: list[Any], values: list[Any]) -> None:
    """Append what tells an argument's kind within this process, and what its entry takes for it."""
    kind = type(argument)
    if kind is int:
        if not -_LIMIT <= argument < _LIMIT:
            raise OverflowError(f"{argument} does not fit the 64 bits of a kernel's integers")
        kinds.append(int)
        values.append(argument)
    elif kind is np.ndarray:
        kinds += (argument.dtype, argument.ndim, argument.flags.num & _FLAGS)
        values.append(argument)
    elif isinstance(argument, Handle):
        kinds.append(argument.kind)
        values.append(argument.address)
    elif kind is bool or kind is float:
        kinds.append(kind)
        values.append(argument)
    elif isinstance(argument, tuple):
        kinds += (kind, len(argument))
        for part in argument:
            _flatten(part, kinds, values)
    elif isinstance(argument, np.ndarray):
        _flatten(argument.view(np.ndarray), kinds, values)
    else:
        _flatten(plain(argument), kinds, values)


def kernel(function: Callable[..., Any]) -> Any:
    """Declare a function that Python and kernels can call."""
    return Kernel(function)


# What LLVM does with calls from other kernels. `inlined`: a few operations, always part of the
# caller; `apart`: never; `seldom`: never, and what leads to the call is put aside, too.
# A frame of a small network goes through as many instructions as a first-level cache holds, and a
# large function takes longer to compile than its parts do.
inlined = partial(Kernel, attributes=("alwaysinline",))
apart = partial(Kernel, attributes=("noinline",))
seldom = partial(Kernel, attributes=("noinline", "cold"))
# Called from Python it is optimised at LLVM's third level, which writes a loop once for each answer
# to what it asks in every round; that takes longer, and few kernels gain from it.
thorough = partial(Kernel, level=3)


def tell_when_compiling(tell: Callable[[str], None]) -> Callable[[], None]:
    """Have somebody told the name of each kernel that is compiled; return what ends it."""
    _compiling.append(tell)
    return lambda: _compiling.remove(tell)
