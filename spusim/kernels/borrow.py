"""Handles to arrays, and bytes seen as elements: compiled code counts no references to either.

Counting is atomic, and done whenever an array is taken out of a structure or passed on, which costs
more than most of what the chip's clock does in a cycle. Here Python keeps alive what is pointed to.
"""

import functools
import hashlib
import operator
from collections.abc import Iterable, Mapping

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import default_manager, models
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import (
    NativeValue,
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_getattr_generic,
    unbox,
)

from spusim.kernels.compiling import inlined

_WORD = ir.IntType(64)
WORD_BYTES = 8


@inlined
def overwrite(target, values):
    """Target = values, both (n,): a slice's assignment, without all that it takes to compile."""
    for k in range(values.shape[0]):
        target[k] = values[k]


class HandleType(types.Type):
    """Compiled type of a handle: the address of words, in which its members lie.

    An array's words are its address and its shape; those of another handle, or of a table of
    handles, its address. The type is named by a digest of them: functions are named by the types
    of their arguments, and these names are read and compared ten thousands of times.
    """

    def __init__(self, title, members):
        digest = hashlib.sha256(repr(members).encode()).hexdigest()[:8]
        super().__init__(name=f"{title}{digest}")
        self.members, self.words, at = dict(members), {}, 0
        for name, kind in members:
            self.words[name] = at
            at += 1 + getattr(kind, "ndim", 0)


class TableType(types.Type):
    """Compiled type of handles of one type, which compiled code finds by number."""

    def __init__(self, handle):
        super().__init__(name=f"{handle}Table")
        self.handle = handle


default_manager.register(HandleType, models.OpaqueModel)
default_manager.register(TableType, models.OpaqueModel)


@functools.cache
def _array_type(kind, ndim):
    return types.Array(nb.from_dtype(kind), ndim, "C")


@functools.cache
def _handle_type(title, names, kinds):
    known = (kind if isinstance(kind, types.Type) else _array_type(*kind) for kind in kinds)
    return HandleType(title, tuple(zip(names, known, strict=True)))


class Table:
    """Handles of one type by number, for kernels; it keeps them."""

    def __init__(self, handles: "Iterable[Handle]"):
        self.handles = list(handles)
        self._words = np.array([handle.address for handle in self.handles], np.int64)
        self.address = self._words.ctypes.data
        self._numba_type_ = TableType(self.handles[0]._numba_type_)


class Handle:
    """Arrays behind one pointer, for kernels: cheap to pass, and quick to compile against.

    members: by name, C-contiguous arrays, handles and tables, which must outlive the handle, whose
    kernels see the same memory. Raises ValueError for an array that is not contiguous.
    """

    def __init__(self, title: str, members: "Mapping[str, np.ndarray | Handle | Table]"):
        words, kinds = [], []
        for name, member in members.items():
            if not isinstance(member, np.ndarray):
                words.append(member.address)
                kinds.append(member._numba_type_)
                continue
            if not member.flags.c_contiguous:
                raise ValueError(f"{title}.{name} must be C-contiguous; copy it")
            words += (member.ctypes.data, *member.shape)
            kinds.append((member.dtype, member.ndim))
        self._words = np.array(words, np.int64)
        self.address = self._words.ctypes.data
        self._numba_type_ = _handle_type(title, tuple(members), tuple(kinds))


@unbox(HandleType)
@unbox(TableType)
def _address(kind, pointed, c):
    """Take a handle or a table from Python."""
    number = c.pyapi.object_getattr_string(pointed, "address")
    address = c.pyapi.long_as_longlong(number)
    c.pyapi.decref(number)
    return NativeValue(c.builder.inttoptr(address, cgutils.voidptr_t))


def _load_word(builder, words, at):
    """Load what never changes, so that LLVM need not load it again after any store."""
    place = builder.gep(builder.bitcast(words, _WORD.as_pointer()), [at])
    loaded = builder.load(place)
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


def _pack(context, builder, kind, address, shape):
    """Make an array that nothing holds out of an address and a shape."""
    model = context.data_model_manager[kind]
    width = ir.Constant(_WORD, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    sizes = [*shape, width]  # what a step along the axis before takes, one after another
    strides = [functools.reduce(builder.mul, sizes[axis + 1 :]) for axis in range(kind.ndim)]
    members = {
        "nitems": functools.reduce(builder.mul, shape),
        "itemsize": width,
        "data": builder.inttoptr(address, context.get_data_type(kind.dtype).as_pointer()),
        "shape": cgutils.pack_array(builder, shape),
        "strides": cgutils.pack_array(builder, strides),
    }
    array = ir.Constant(model.get_value_type(), None)  # nothing that holds it, nothing to count
    for name, value in members.items():
        array = builder.insert_value(array, value, model.get_field_position(name))
    return array


@infer_getattr
class _Members(AttributeTemplate):
    """Types of a handle's members."""

    key = HandleType

    def generic_resolve(self, handle, name):
        """Return the type of a member, None for no such member."""
        return handle.members.get(name)


@lower_getattr_generic(HandleType)
def _member(context, builder, handle, words, name):
    """Load a member of a handle: set when the handle was made, and never again."""
    kind, at = handle.members[name], handle.words[name]
    loaded = [
        _load_word(builder, words, ir.Constant(_WORD, at + k))
        for k in range(1 + getattr(kind, "ndim", 0))
    ]
    if isinstance(kind, types.Array):
        return _pack(context, builder, kind, loaded[0], loaded[1:])
    return builder.inttoptr(loaded[0], cgutils.voidptr_t)


@infer_global(operator.getitem)
class _Handles(AbstractTemplate):
    """The type of table[number]."""

    key = operator.getitem

    def generic(self, args, kws):
        """Return its signature, None for what is no table."""
        table, number = args
        if isinstance(table, TableType) and isinstance(number, types.Integer):
            return signature(table.handle, table, types.int64)
        return None


@lower_builtin(operator.getitem, TableType, types.int64)
def _handle_of(context, builder, signature, args):
    """Load a handle from a table."""
    return builder.inttoptr(_load_word(builder, *args), cgutils.voidptr_t)


@intrinsic
def seen_as(typing_context, memory, kind, width):
    """Return a C-contiguous array as elements (n,) of another kind, `width` bytes wide."""
    seen = types.Array(kind.dtype, 1, "C")

    def generate(context, builder, signature, args):
        array = context.make_array(memory)(context, builder, args[0])
        size = builder.mul(
            array.nitems,
            ir.Constant(_WORD, context.get_abi_sizeof(context.get_data_type(memory.dtype))),
        )
        elements = builder.sdiv(size, args[2])
        return _pack(context, builder, seen, builder.ptrtoint(array.data, _WORD), [elements])

    return seen(memory, kind, types.int64), generate
