"""How kernels are compiled: once, together with all that they call.

Numba makes every function ready to be called from Python. It wraps it, optimises it and emits it
with all that it calls, and does so again for each of its callers, though most are only ever called
by other kernels. Here a function that a kernel calls is typed and lowered, and then waits to be
linked into the entry of a kernel that Python calls (`entry`), which alone is optimised, emitted and
cached.

No kernel counts from an array's end: an index is never negative, and nobody looks whether it is.
"""

from collections.abc import Callable
from typing import Any

import numba as nb
from numba import _dynfunc
from numba.core import codegen, compiler, compiler_machinery, typed_passes, types
from numba.core.registry import CPUDispatcher, cpu_target
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


class _PartCompiler(compiler.CompilerBase):  # type: ignore[misc]
    """Numba's passes, with another one to lower."""

    def define_pipelines(self) -> list[Any]:
        whole = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes = compiler_machinery.PassManager("part")
        for found, description in whole.passes:
            lowers = found is typed_passes.NativeLowering
            passes.add_pass(_LowerPart if lowers else found, description)
        passes.finalize()
        return [passes]


class _Part(CPUDispatcher):  # type: ignore[misc]
    """A function as kernels meet it: one version for all integers, literal or left out."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Type a call; the values of its integers are left to be found when it is linked."""
        signature, folded = self._compiler.fold_argument_types(args, kws)
        known = (nb.typeof(arg.value) if isinstance(arg, types.Omitted) else arg for arg in folded)
        plain = tuple(types.unliteral(arg) for arg in known)
        template, _, args, kws = super().get_call_template(plain, {})
        return template, signature, args, kws


def part_of(function: Callable[..., Any], inlined: bool) -> Any:
    """Return a function as kernels meet it; inlined: LLVM has no choice."""
    part = nb.njit(
        pipeline_class=_PartCompiler,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        forceinline=inlined,
    )(function)
    part.__class__ = _Part
    return part


def type_of_global(found: Any) -> Any:
    """Return numba's type of something that a kernel names, and that may be new to numba."""
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    return cpu_target.typing_context.resolve_value_type(found)
