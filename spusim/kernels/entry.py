"""Compiling a kernel's entry: a C function for Python, with all that it calls, as an object file.

Numba types and lowers the functions (`compiling`), links and optimises them. The entry takes
numpy's arrays apart, calls the kernel, and stores what it returns. Nothing in an object refers to
numba: memory for kernels' own arrays, and what little they need of numba's runtime, is `RUNTIME`.
"""

import gc
from contextlib import contextmanager

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core import codegen, config, errors, types
from numba.core.compiler_lock import global_compiler_lock
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import as_dtype

from spusim.errors import SpusimError
from spusim.kernels.compiling import link_all
from spusim.kernels.declare import Handle, plain
from spusim.kernels.handles import HandleType
from spusim.kernels.loading import ARRAY, BOOL, ENTRY, FLOAT, INT, Compiled
from spusim.kernels.scratch_code import give_all_back

_WORD, _HALF, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
_POINTER = _BYTE.as_pointer()
# PyArrayObject_fields in numpy/ndarraytypes.h, by bytes behind the object's own head
_HEAD = object.__basicsize__
_DATA, _DIMENSIONS, _STRIDES = _HEAD, _HEAD + 16, _HEAD + 24

# What numba's code and ours call. A block of memory begins with the address of the one made before;
# an object has one list of them, since only one thread at a time is in it (`loading.load`).
RUNTIME = """
declare ptr @malloc(i64)
declare void @free(ptr)

@made = internal global ptr null

; where the data of a block are: behind the address, on a cache line of their own
define internal ptr @data_of(ptr %block) {
  %address = ptrtoint ptr %block to i64
  %behind = add i64 %address, 71
  %aligned = and i64 %behind, -64
  %data = inttoptr i64 %aligned to ptr
  ret ptr %data
}

define ptr @spusim_allocate(i64 %size) {
  %whole = add i64 %size, 72
  %block = call ptr @malloc(i64 %whole)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %none, label %some
none:
  ret ptr null
some:
  %before = load ptr, ptr @made
  store ptr %before, ptr %block
  store ptr %block, ptr @made
  %data = call ptr @data_of(ptr %block)
  ret ptr %data
}

; free all blocks down to the one with these data; all of them for null
define void @spusim_release(ptr %wanted) {
begin:
  br label %next
next:
  %block = load ptr, ptr @made
  %over = icmp eq ptr %block, null
  br i1 %over, label %end, label %give
give:
  %before = load ptr, ptr %block
  store ptr %before, ptr @made
  %data = call ptr @data_of(ptr %block)
  call void @free(ptr %block)
  %last = icmp eq ptr %data, %wanted
  br i1 %last, label %end, label %next
end:
  ret void
}

; what numba's own functions count is counted nowhere
define void @NRT_incref(ptr %info) alwaysinline {
  ret void
}

define void @NRT_decref(ptr %info) alwaysinline {
  ret void
}

; strides of a C-contiguous array's new shape; 0 if the array is not contiguous
define i32 @numba_attempt_nocopy_reshape(i64 %nd, ptr %dims, ptr %strides,
    i64 %newnd, ptr %newdims, ptr %newstrides, i64 %itemsize, i32 %f_order) {
begin:
  br label %old
old:
  %left = phi i64 [ %nd, %begin ], [ %axis, %next ]
  %wanted = phi i64 [ %itemsize, %begin ], [ %following, %next ]
  %done = icmp eq i64 %left, 0
  br i1 %done, label %new, label %look
look:
  %axis = sub i64 %left, 1
  %dim_at = getelementptr i64, ptr %dims, i64 %axis
  %dim = load i64, ptr %dim_at
  %stride_at = getelementptr i64, ptr %strides, i64 %axis
  %stride = load i64, ptr %stride_at
  %fits = icmp eq i64 %stride, %wanted
  %single = icmp ule i64 %dim, 1
  %fine = or i1 %fits, %single
  br i1 %fine, label %next, label %refuse
next:
  %following = mul i64 %wanted, %dim
  br label %old
refuse:
  ret i32 0
new:
  %newleft = phi i64 [ %newnd, %old ], [ %newaxis, %write ]
  %newstride = phi i64 [ %itemsize, %old ], [ %newfollowing, %write ]
  %all = icmp eq i64 %newleft, 0
  br i1 %all, label %accept, label %write
write:
  %newaxis = sub i64 %newleft, 1
  %newstride_at = getelementptr i64, ptr %newstrides, i64 %newaxis
  store i64 %newstride, ptr %newstride_at
  %newdim_at = getelementptr i64, ptr %newdims, i64 %newaxis
  %newdim = load i64, ptr %newdim_at
  %newfollowing = mul i64 %newstride, %newdim
  br label %new
accept:
  ret i32 1
}
"""

_LETTERS = {
    types.Array: ARRAY,
    types.Float: FLOAT,
    types.Boolean: BOOL,
    types.Integer: INT,
    HandleType: INT,
    types.NoneType: "",
}

# names of what this process may have, too, since it compiles, but others will not
NUMBAS_OWN = ("NRT_", "numba", "_ZN")

REMEDY = "use plain loops over arrays that are given, or made by spusim.kernels.scratch"


class KernelError(SpusimError):
    """A kernel that cannot be called from Python as it is."""


class _EntryLibrary(codegen.JITCodeLibrary):
    """An entry and all that it calls, emitted as an object file and not into this process."""

    level: int  # of LLVM's optimisation, at most
    code: bytes

    def finalize(self):
        """Link every part once, then optimise and emit it all."""
        link_all(self._final_module, self)
        self._linking_libraries = []
        super().finalize()

    def _optimize_final_module(self):
        module = self._final_module
        for defined in (*module.functions, *module.global_variables):
            if not defined.is_declaration and defined.name != ENTRY:
                defined.linkage = "internal"
        # More than the second level, and rounds of a loop side by side, grow the code by half, and
        # hardly a kernel is faster for it: see `declare.thorough`.
        level = min(int(config.OPT), self.level)
        options = llvm.create_pipeline_tuning_options(speed_level=level)
        options.loop_vectorization = level > 1
        options.loop_unrolling = options.loop_interleaving = False
        passes = llvm.create_pass_builder(self._codegen._tm, options)
        passes.getModulePassManager().run(module, passes)

    def _finalize_final_module(self):
        target = llvm.Target.from_triple(self._codegen._tm.triple)
        machine = target.create_target_machine(
            cpu=self._codegen._get_host_cpu_name(), features=self._codegen._tm_features,
            opt=int(config.OPT), reloc="pic", codemodel="small",
        )  # fmt: skip
        self._check_symbols()
        self.code = machine.emit_object(self._final_module)
        self._finalized = True

    def _check_symbols(self):
        """Refuse what no process but numba's could link."""
        functions = self._final_module.functions
        declared = [function.name for function in functions if function.is_declaration]
        for name in declared:
            known = name.startswith("llvm.") or llvm.address_of_symbol(name)
            if not known or name.startswith(NUMBAS_OWN):
                raise KernelError(
                    f"{self.name} needs {name} of numba's runtime, which kernels lack; {REMEDY}"
                )


def _argument_type(argument):
    """Return numba's type of an argument; all integers are one type, and so are all floats."""
    if isinstance(argument, tuple):
        parts = [_argument_type(part) for part in argument]
        if hasattr(argument, "_fields"):
            return types.NamedTuple(parts, type(argument))
        return types.Tuple(parts)
    if isinstance(argument, np.ndarray):
        return typeof(argument.view(np.ndarray))
    return typeof(argument if isinstance(argument, Handle) else plain(argument))


def _letters(kind):
    """Return a letter for each thing that an entry takes or gives of a type (`Compiled`)."""
    if isinstance(kind, types.BaseTuple):
        return "".join(_letters(part) for part in kind)
    for known, letter in _LETTERS.items():
        if isinstance(kind, known):
            return letter
    raise KernelError(f"{kind} cannot pass between Python and kernels: give numbers and arrays")


def _returned(kind, name):
    """Return the letters of a kernel's results."""
    letters = _letters(kind)
    if ARRAY in letters:
        raise KernelError(f"{name} returns {kind}: let it write to an array that it is given")
    return letters


class _EntryWriter:
    """Writes the entry's own code: from what Python gives to a call, and back."""

    def __init__(self, context, builder, given):
        self.context, self.builder = context, builder
        self._given = iter(given)

    def value(self, kind):
        """Return the next argument, of a type."""
        if isinstance(kind, types.BaseTuple):
            parts = [self.value(part) for part in kind]
            return self.context.make_tuple(self.builder, kind, parts)
        given = next(self._given)
        if isinstance(kind, types.Array):
            return self._array(kind, given)
        if isinstance(kind, types.Boolean):
            return self.builder.icmp_signed("!=", given, ir.Constant(_WORD, 0))
        if isinstance(kind, HandleType):
            return self.builder.inttoptr(given, _WORD.as_pointer())
        return given

    def _at(self, thing, offset, kind):
        place = self.builder.gep(thing, [ir.Constant(_WORD, offset)])
        return self.builder.load(self.builder.bitcast(place, kind.as_pointer()))

    def _array(self, kind, thing):
        """Take an array apart, as numpy's own macros do; nothing holds it but Python."""
        array = self.context.make_array(kind)(self.context, self.builder)
        lists = (self._at(thing, offset, _WORD.as_pointer()) for offset in (_DIMENSIONS, _STRIDES))
        shape, strides = (
            [self.builder.load(self.builder.gep(sizes, [ir.Constant(_WORD, axis)]))
             for axis in range(kind.ndim)] for sizes in lists
        )  # fmt: skip
        data = self._at(thing, _DATA, array.data.type)
        itemsize = as_dtype(kind.dtype).itemsize
        populate_array(array, data, shape, strides, itemsize, meminfo=None)
        return array._getvalue()

    def store(self, kind, value, results, at=0):
        """Store a result word by word; return the number of the word behind it."""
        builder = self.builder
        if isinstance(kind, types.NoneType):
            return at
        if isinstance(kind, types.BaseTuple):
            for k, part in enumerate(kind):
                at = self.store(part, builder.extract_value(value, k), results, at)
            return at
        if isinstance(kind, types.Float):
            if value.type != ir.DoubleType():
                value = builder.fpext(value, ir.DoubleType())
            word = builder.bitcast(value, _WORD)
        elif value.type.width == _WORD.width:
            word = value
        else:
            signed = getattr(kind, "signed", False)
            word = (builder.sext if signed else builder.zext)(value, _WORD)
        builder.store(word, builder.gep(results, [ir.Constant(_WORD, at)]))
        return at + 1


def _entry_module(context, descriptor, name, letters):
    """Return an LLVM module with the entry of a lowered function."""
    module = context.create_module(name)
    callee = context.declare_function(module, descriptor)
    takes = {ARRAY: _POINTER, FLOAT: ir.DoubleType()}
    signature = [_WORD.as_pointer(), *(takes.get(letter, _WORD) for letter in letters)]
    entry = ir.Function(module, ir.FunctionType(_HALF, signature), ENTRY)
    builder = ir.IRBuilder(entry.append_basic_block())
    results, *given = entry.args
    writer = _EntryWriter(context, builder, given)
    values = [writer.value(kind) for kind in descriptor.argtypes]
    status, returned = context.call_conv.call_function(
        builder, callee, descriptor.restype, descriptor.argtypes, values
    )
    with builder.if_then(status.is_error, likely=False):
        found = builder.load(status.excinfoptr)
        address = builder.ptrtoint(builder.extract_value(found, 0), _WORD)
        length = builder.sext(builder.extract_value(found, 1), _WORD)
        for k, word in enumerate((address, length)):
            builder.store(word, builder.gep(results, [ir.Constant(_WORD, k)]))
        give_all_back(builder)
        builder.ret(status.code)
    writer.store(descriptor.restype, returned, results)
    give_all_back(builder)
    builder.ret(ir.Constant(_HALF, 0))
    return module


@contextmanager
def _garbage_left():
    """Look for no garbage while a compiler works: nearly all that it makes stays.

    What is there by then, its own and others', goes to the oldest generation without a look. For
    good only where somebody has frozen objects before, as the command line does.
    """
    collects, frozen = gc.isenabled(), gc.get_freeze_count()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if not frozen:
            gc.unfreeze()  # else what a notebook has by now would never be collected
        if collects:
            gc.enable()


@global_compiler_lock
@_garbage_left()
def compile_entry(kernel, arguments) -> Compiled:
    """Compile a kernel for arguments like these. Raises KernelError, and what numba raises."""
    kinds = tuple(_argument_type(argument) for argument in arguments)
    try:
        kernel.part.compile(kinds)
    except errors.NumbaRuntimeError as error:
        raise KernelError(f"{kernel.py_func.__qualname__}: {error}; {REMEDY}") from None
    made = kernel.part.overloads[kinds]
    context, name = made.target_context, kernel.py_func.__qualname__
    returned = made.signature.return_type
    letters, results = "".join(_letters(kind) for kind in kinds), _returned(returned, name)
    library = _EntryLibrary(context.codegen(), name)
    library.level = kernel.level
    library.add_ir_module(_entry_module(context, made.fndesc, name, letters))
    library.add_llvm_module(llvm.parse_assembly(RUNTIME))
    library.add_linking_library(made.library)
    library.finalize()
    single = not isinstance(returned, types.BaseTuple)
    return Compiled(letters, results, single, library.code)
