"""Loading a kernel's machine code with llvmlite, and calling it as a C function.

An entry takes the address of its results (64-bit words), then its arguments: arrays as Python
objects, all else as numbers of 64 bits. It returns 0, or else what numba calls a status, and has
then stored the address and length of a pickled exception where results would be.
"""

import ctypes
import functools
import itertools
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import llvmlite.binding as llvm

ENTRY = "spusim_entry"
FAILED_WORDS = 2  # of a failed entry's results: address and length of the exception
ARRAY, INT, BOOL, FLOAT = "O", "i", "b", "f"
_C_TYPES = {
    ARRAY: ctypes.py_object,
    INT: ctypes.c_int64,
    BOOL: ctypes.c_int64,
    FLOAT: ctypes.c_double,
}
_numbers = itertools.count()  # of loaded libraries, whose names cannot be used again


class Compiled(NamedTuple):
    """A kernel's machine code for arguments of certain kinds.

    arguments: a letter each, `ARRAY`, `INT` (an integer, or a handle's address), `BOOL` or `FLOAT`;
    results: likewise, without arrays; single: it returns no tuple; code: an object file that
    defines `ENTRY`.
    """

    arguments: str
    results: str
    single: bool
    code: bytes


@functools.cache
def _jit() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        reloc="pic", codemodel="small"
    )
    return llvm.create_lljit_compiler(machine, use_jit_link=False)


def load(compiled: Compiled) -> Callable[[list[Any]], Any]:
    """Return a function of an entry's arguments, as a list. It keeps the code loaded.

    A call keeps Python's lock: the list of a kernel's own arrays (`entry.RUNTIME`) is one call's.
    """
    library = llvm.JITLibraryBuilder().add_object_img(compiled.code).add_current_process()
    name = f"kernel{next(_numbers)}"
    tracker = library.export_symbol(ENTRY).link(_jit(), name)
    kinds = [_C_TYPES[letter] for letter in compiled.arguments]
    function = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, *kinds)(tracker[ENTRY])
    function.tracker = tracker
    results = ctypes.c_int64 * max(len(compiled.results), FAILED_WORDS)
    read = _reader(compiled)

    def call(values: list[Any]) -> Any:
        found = results()
        if function(found, *values):
            _raise(found)
        return read(found)

    return call


def _reader(compiled: Compiled) -> Callable[[Any], Any]:
    """Return what makes Python's objects of an entry's results."""
    if compiled.single:
        return {"": _nothing, INT: _first, BOOL: _first_bool, FLOAT: _first_float}[compiled.results]
    letters = compiled.results
    return lambda found: tuple(
        _as_float(found[k]) if letter == FLOAT else bool(found[k]) if letter == BOOL else found[k]
        for k, letter in enumerate(letters)
    )


def _nothing(found: Any) -> None:
    return None


def _first(found: Any) -> Any:
    return found[0]


def _first_bool(found: Any) -> bool:
    return bool(found[0])


def _first_float(found: Any) -> float:
    return _as_float(found[0])


def _as_float(word: int) -> float:
    return ctypes.c_double.from_buffer(ctypes.c_int64(word)).value


def _raise(found: Any) -> None:
    """Raise what a kernel raised."""
    address, length = found[0], found[1]
    kind, arguments, _ = pickle.loads(ctypes.string_at(address, length))
    raise kind(*arguments)
