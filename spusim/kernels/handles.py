"""What numba knows of handles (`declare.Handle`)."""

import hashlib
import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    overload,
    register_model,
    unbox,
)
from numba.np.numpy_support import as_dtype, from_dtype

from spusim.kernels.declare import Handle, order_of

_WORD = ir.IntType(64)
_SHAPE = 2  # words of an array before its shape: its elements and its address


class HandleType(types.Type):
    """Numba's type of a handle: its class's name, and its members' types by name."""

    def __init__(self, title, members):
        self.title, self.members = title, dict(members)
        self.at, word = {}, 0  # each member's first word
        for name, kind in members:
            self.at[name] = word
            word += _SHAPE + 2 * kind.ndim if isinstance(kind, types.Array) else 1
        super().__init__(name=f"{title}({', '.join(str(kind) for _, kind in members)})")

    @property
    def mangling_args(self):
        """A short name for symbols: a whole one would fill pages, once for every function."""
        return f"{self.title}_{hashlib.sha256(self.name.encode()).hexdigest()[:8]}", ()


def handle_type(handle: Handle) -> HandleType:
    """Return numba's type of a handle."""
    kinds = [_member_type(member) for member in handle.members]
    return HandleType(type(handle).__name__, list(zip(handle.fields, kinds, strict=True)))


def _member_type(member):
    if isinstance(member, Handle):
        return handle_type(member)
    return types.Array(from_dtype(member.dtype), member.ndim, order_of(member))


@register_model(HandleType)
class _HandleModel(models.PrimitiveModel):
    """A pointer to the handle's words, of which compiled code counts no references."""

    def __init__(self, manager, kind):
        super().__init__(manager, kind, _WORD.as_pointer())


@unbox(HandleType)
def _unbox(kind, handle, c):
    """Let functions that numba itself wraps take handles, too."""
    boxed = c.pyapi.object_getattr_string(handle, "address")
    address = c.pyapi.long_as_longlong(boxed)
    c.pyapi.decref(boxed)
    return NativeValue(c.builder.inttoptr(address, _WORD.as_pointer()))


@infer_getattr
class _Members(AttributeTemplate):
    """Types of a handle's members."""

    key = HandleType

    def generic_resolve(self, handle, name):
        """Return the type of a member, None for no such member."""
        return handle.members.get(name)


def _load_once(builder, words, at, kind=_WORD):
    """Load what never changes, so that LLVM need not load it again after any store."""
    place = builder.gep(words, [ir.Constant(_WORD, at)], inbounds=True)
    loaded = builder.load(builder.bitcast(place, kind.as_pointer()))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


def _load_array(context, builder, kind, words, at):
    """Load an array that nothing holds, word by word."""
    array = context.make_array(kind)(context, builder)
    array.nitems = _load_once(builder, words, at)
    array.itemsize = ir.Constant(_WORD, as_dtype(kind.dtype).itemsize)
    array.data = _load_once(builder, words, at + 1, array.data.type)
    for part, name in enumerate(("shape", "strides")):
        first = at + _SHAPE + part * kind.ndim
        sizes = [_load_once(builder, words, first + axis) for axis in range(kind.ndim)]
        setattr(array, name, cgutils.pack_array(builder, sizes))
    return array._getvalue()


@lower_getattr_generic(HandleType)
def _member(context, builder, handle, words, name):
    """Load a member of a handle: set when the handle was made, and never again."""
    kind, at = handle.members[name], handle.at[name]
    if isinstance(kind, types.Array):
        return _load_array(context, builder, kind, words, at)
    return _load_once(builder, words, at, _WORD.as_pointer())


@intrinsic
def handle_at(typing_context, like, address):
    """Return the handle at an address; its type is that of `like`."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[1], arguments[0].type)

    return like(like, address), generate


@overload(operator.getitem)
def _handle_of(table, number):
    """Let compiled code write table[number] for a handle of a table (`core.CoreTable`)."""
    if isinstance(table, HandleType) and table.title == "CoreTable":
        return lambda table, number: handle_at(table.first, table.addresses[number])
    return None
