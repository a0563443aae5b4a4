"""How kernels are compiled: once, together with all that they call.

Numba makes every function ready to be called from Python. It wraps it, optimises it and emits it
with all that it calls, and does so again for each of its callers, though most are only ever called
by other kernels. Here a function that a kernel calls is typed and lowered, and then waits to be
linked into a kernel that Python calls, which alone is optimised, emitted and cached. Nobody else
can reach what is linked into it, so that LLVM inlines what is called from one place.

No kernel counts from an array's end: an index is never negative, and nobody looks whether it is.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import llvmlite.binding as llvm
import numba as nb
from numba import _dynfunc
from numba.core import codegen, compiler, compiler_machinery, typed_passes, types
from numba.core.registry import CPUDispatcher
from numba.np import arrayobj

_MANGLED = "_ZN" + "".join(f"{len(part)}{part}" for part in __name__.split(".")[:-1])
_numba_index = arrayobj.fix_integer_index


def _index(context: Any, builder: Any, kind: types.Integer, index: Any, size: Any) -> Any:
    """Return an index as LLVM wants it; from the array's end if negative, but in no kernel."""
    if kind.signed and builder.function.name.startswith(_MANGLED):
        return context.cast(builder, index, kind, types.intp)
    return _numba_index(context, builder, kind, index, size)


arrayobj.fix_integer_index = _index


class _PartLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]  # numba has no types
    """Code that is only ever linked into that of a kernel."""

    def _optimize_final_module(self) -> None:
        """Leave it to the kernel."""

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _KernelLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
    """Code of a kernel, and of its parts, which only it can call."""

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage is llvm.Linkage.linkonce_odr:
                function.linkage = llvm.Linkage.internal
        super()._optimize_final_module()


@compiler_machinery.register_pass(mutates_CFG=True, analysis_only=False)
class _LowerKernel(typed_passes.NativeLowering):  # type: ignore[misc]
    """Lowers a function that Python calls."""

    _name = "kernel_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _KernelLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


@compiler_machinery.register_pass(mutates_CFG=True, analysis_only=False)
class _LowerPart(typed_passes.NativeLowering):  # type: ignore[misc]
    """Lowers a function without emitting it, and tells numba's linker where it is."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        name = state.func_id.func_qualname
        state.library = _PartLibrary(state.targetctx.codegen(), name)
        state.flags.no_compile = True
        super().run_pass(state)
        # Numba knows a function by its entry for Python; nobody can come in by this one.
        lowered = state.cr
        module = lowered.fndesc.lookup_module()
        entry = _dynfunc.make_function(module, name, "", 0, lowered.env, (state.library,))
        state.targetctx.insert_user_function(entry, lowered.fndesc, [state.library])
        state.cr = lowered._replace(cfunc=entry)
        return True


class _KernelCompiler(compiler.CompilerBase):  # type: ignore[misc]
    """Numba's passes, with another one to lower."""

    lowering: type[typed_passes.NativeLowering] = _LowerKernel

    def define_pipelines(self) -> list[Any]:
        whole = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes = compiler_machinery.PassManager("kernel")
        for found, description in whole.passes:
            lowers = found is typed_passes.NativeLowering
            passes.add_pass(self.lowering if lowers else found, description)
        passes.finalize()
        return [passes]


class _PartCompiler(_KernelCompiler):
    """The same for a function that only kernels call."""

    lowering = _LowerPart


class _Part(CPUDispatcher):  # type: ignore[misc]
    """A function as kernels meet it: one version for all integers, literal or left out."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Type a call; the values of its integers are left to be found when it is linked."""
        signature, folded = self._compiler.fold_argument_types(args, kws)
        known = (nb.typeof(arg.value) if isinstance(arg, types.Omitted) else arg for arg in folded)
        plain = tuple(types.unliteral(arg) for arg in known)
        template, _, args, kws = super().get_call_template(plain, {})
        return template, signature, args, kws


class _Kernel(CPUDispatcher):  # type: ignore[misc]
    """A function that Python calls; kernels that call it meet its part instead."""

    part: _Part

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Type a call in another kernel."""
        return self.part.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        """Return what a call in another kernel is linked to."""
        return self.part.get_overload(sig)


def kernel(function: Callable[..., Any], inlined: bool = False) -> Any:
    """Declare a function that Python and kernels can call; inlined: LLVM has no choice."""
    declared = nb.njit(cache=True, pipeline_class=_KernelCompiler)(function)
    declared.__class__ = _Kernel
    declared.part = nb.njit(
        pipeline_class=_PartCompiler,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        forceinline=inlined,
    )(function)
    declared.part.__class__ = _Part
    return declared


# a kernel of a few operations; unlike numba's own way of inlining this costs no compile time
inlined = partial(kernel, inlined=True)
