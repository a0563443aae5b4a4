"""Arrays and handles without a reference count, whose owner in Python keeps them alive.

Compiled code counts references atomically whenever it takes an array out of a handle or passes a
handle on, which costs more than most of what the chip's clock does in a cycle. A borrowed array
has nothing to count, and an uncounted handle is never counted.
"""

import numba as nb
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import default_manager, models
from numba.core.runtime.nrtdynmod import _meminfo_struct_type
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    box,
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    lower_setattr_generic,
    unbox,
)

from spusim.kernels.compiling import inlined


@intrinsic
def _pointer(typing_context, address):
    """Turn an address into a pointer."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@inlined
def borrow(array):
    """Return the same C-contiguous array, without a hold on its memory."""
    return nb.carray(_pointer(array.ctypes.data), array.shape, array.dtype)


@inlined
def seen_as(memory, kind, width):
    """Return a C-contiguous array as elements (n,) of another kind, `width` bytes wide."""
    elements = memory.size * memory.itemsize // width
    return nb.carray(_pointer(memory.ctypes.data), (elements,), kind)


@inlined
def overwrite(target, values):
    """Target = values, both (n,): a slice's assignment, without all that it takes to compile."""
    for k in range(values.shape[0]):
        target[k] = values[k]


@intrinsic
def address_of(typing_context, handle):
    """Return an uncounted handle as an address."""

    def generate(context, builder, signature, arguments):
        pointer = cgutils.create_struct_proxy(handle)(context, builder, value=arguments[0]).meminfo
        return builder.ptrtoint(pointer, context.get_value_type(types.intp))

    return types.intp(handle), generate


@intrinsic
def handle_at(typing_context, like, address):
    """Return the uncounted handle at an address; its type is that of `like`."""

    def generate(context, builder, signature, arguments):
        handle = cgutils.create_struct_proxy(like)(context, builder)
        handle.meminfo = builder.inttoptr(arguments[1], handle.meminfo.type)
        return handle._getvalue()

    return like(like, address), generate


class HandleType(types.StructRef):
    """Base of the compiled types of handles."""

    def preprocess_fields(self, fields):
        """Drop what is only known of a literal."""
        return tuple((name, types.unliteral(kind)) for name, kind in fields)


def _load_once(builder, pointer, path):
    """Load what never changes, so that LLVM need not load it again after any store."""
    loaded = builder.load(builder.gep(pointer, [ir.Constant(ir.IntType(32), k) for k in path]))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


def _load_array(context, builder, kind, pointer):
    """Load an array that nothing holds, member by member."""
    model = context.data_model_manager[kind]
    array = context.make_array(kind)(context, builder)
    for name in ("nitems", "itemsize", "data"):
        setattr(array, name, _load_once(builder, pointer, [0, model.get_field_position(name)]))
    for name in ("shape", "strides"):
        at = model.get_field_position(name)
        sizes = [_load_once(builder, pointer, [0, at, axis]) for axis in range(kind.ndim)]
        setattr(array, name, cgutils.pack_array(builder, sizes))
    return array._getvalue()


@infer_getattr
class _Members(AttributeTemplate):
    """Types of a handle's members."""

    key = HandleType

    def generic_resolve(self, handle, name):
        """Return the type of a member, None for no such member."""
        return handle.field_dict.get(name)


def _payload(context, builder, handle, value):
    """Return a pointer to a handle's members, and their data model."""
    meminfo = cgutils.create_struct_proxy(handle)(context, builder, value=value).meminfo
    meminfo = builder.bitcast(meminfo, _meminfo_struct_type.as_pointer())
    model = context.data_model_manager[handle.get_data_type()]
    members = _load_once(builder, meminfo, [0, 3])
    return builder.bitcast(members, model.get_value_type().as_pointer()), model


@lower_getattr_generic(HandleType)
def _member(context, builder, handle, value, name):
    """Load a member of a handle: set when the handle was made, and never again."""
    members, model = _payload(context, builder, handle, value)
    kind, at = handle.field_dict[name], model.get_field_position(name)
    if isinstance(kind, types.Array):
        place = builder.gep(members, [ir.Constant(ir.IntType(32), k) for k in (0, at)])
        return _load_array(context, builder, kind, place)
    return _load_once(builder, members, [0, at])


@lower_setattr_generic(HandleType)
def _set_member(context, builder, signature, arguments, name):
    """Store a member of a handle that is being made."""
    members, model = _payload(context, builder, signature.args[0], arguments[0])
    at = model.get_field_position(name)
    place = builder.gep(members, [ir.Constant(ir.IntType(32), k) for k in (0, at)])
    builder.store(arguments[1], place)


class _UncountedModel(models.StructRefModel):
    """A pointer to a structref's payload of which compiled code counts no references."""

    def traverse(self, builder):
        """Name no member that has a count."""
        return []

    def inner_models(self):
        """Name no member that has a count."""
        return []


def define_uncounted(struct_type, proxy_class):
    """Have compiled code count no references to a type of handles, and box it.

    The Python object holds the only reference, and must outlive all that compiled code keeps.
    """
    default_manager.register(struct_type, _UncountedModel)
    counted = types.MemInfoPointer(types.voidptr)

    @box(struct_type)
    def _box(typ, handle, c):
        pointer = cgutils.create_struct_proxy(typ)(c.context, c.builder, value=handle).meminfo
        objects = (proxy_class._numba_box_, typ)
        parts = [c.pyapi.unserialize(c.pyapi.serialize_object(known)) for known in objects]
        parts.append(c.box(counted, pointer))  # takes over the reference that creation made
        proxy = c.pyapi.call_function_objargs(parts[0], parts[1:])
        for part in parts:
            c.pyapi.decref(part)
        return proxy

    @unbox(struct_type)
    def _unbox(typ, proxy, c):
        boxed = c.pyapi.object_getattr_string(proxy, "_meminfo")
        pointer = c.unbox(counted, boxed).value
        c.context.nrt.decref(c.builder, counted, pointer)  # the proxy keeps its own
        c.pyapi.decref(boxed)
        handle = cgutils.create_struct_proxy(typ)(c.context, c.builder)
        handle.meminfo = pointer
        return NativeValue(handle._getvalue())
