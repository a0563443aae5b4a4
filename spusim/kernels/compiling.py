"""How kernels are compiled: once, together with all that they call.

Numba makes every function ready to be called from Python. It wraps it, optimises it and emits it
with all that it calls, and does so again for each of its callers, though most are only ever called
by other kernels. Here a function that a kernel calls is typed and lowered, and then waits to be
linked into a kernel that Python calls, which alone is optimised, emitted and cached.
"""

import gc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import llvmlite.binding as llvm
import numba as nb
from numba import _dynfunc
from numba.core import codegen, compiler, compiler_machinery, typed_passes, types
from numba.core.registry import CPUDispatcher


class _PartLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]  # numba has no types
    """Code that is only ever linked into that of a kernel."""

    def _optimize_functions(self, ll_module: Any) -> None:
        """Make it small, a fifth of what numba wrote; the kernel does the rest."""
        ll_module.data_layout = self._codegen._data_layout
        passes = llvm.create_new_function_pass_manager()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        builder = self._codegen._pass_builder()
        for function in ll_module.functions:
            passes.run(function, builder)

    def finalize(self) -> None:
        """Leave it to the kernel, which links what this calls, once for all that call it."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """Return it with all that it calls, for a caller that is not one of ours."""
        if self._shared_module is None:
            self._shared_module = self._final_module.clone()
            _link_all(self._shared_module, self)
        return self._shared_module


class _KernelLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
    """A kernel's code, with all that it calls."""

    def finalize(self) -> None:
        """Link every part once, then optimise and emit it all."""
        _link_all(self._final_module, self)
        self._linking_libraries = []
        super().finalize()


def _callers_first(library: codegen.CodeLibrary) -> Iterator[codegen.CodeLibrary]:
    """Iterate over the libraries that one calls, and those that parts among them call in turn."""
    for called in library._linking_libraries:
        yield called
        if isinstance(called, _PartLibrary):
            yield from _callers_first(called)


def _link_all(module: Any, library: codegen.CodeLibrary) -> None:
    """Link all that a library calls to its module; each is only linked if something calls it."""
    for called in dict.fromkeys(_callers_first(library)):
        library._reload_init.update(called._reload_init)
        part = isinstance(called, _PartLibrary)
        code = called._final_module if part else called._get_module_for_linking()
        module.link_in(code, preserve=True)


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


class _Flags(compiler.Flags):  # type: ignore[misc]
    """Numba's options, which it compares with those of other calls at nearly every operation."""

    __slots__ = ("_known",)

    def __init__(self, copy_from: compiler.Flags):
        super().__init__(copy_from)
        self._known: tuple[Any, ...] | None = None

    def copy(self) -> "_Flags":
        """Return the options that the functions of numba's own that are called depend on."""
        called = _Flags(self)
        for name in ("no_cpython_wrapper", "no_cfunc_wrapper", "forceinline"):
            called.discard(name)
        return called

    def _what(self) -> tuple[Any, ...]:
        if self._known is None:
            self._known = tuple(self.values().values())
        return self._known

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, _Flags) and self._what() == other._what())


class _KernelCompiler(compiler.CompilerBase):  # type: ignore[misc]
    """Numba's passes, with another one to lower."""

    lowering = _LowerKernel

    def __init__(
        self, typing: Any, target: Any, library: Any, args: Any, returned: Any, flags: Any,
        names: Any,
    ):  # fmt: skip
        super().__init__(typing, target, library, args, returned, _Flags(flags), names)

    def define_pipelines(self) -> list[Any]:
        whole = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes = compiler_machinery.PassManager("kernel")
        for found, description in whole.passes:
            lowers = found is typed_passes.NativeLowering
            passes.add_pass(self.lowering if lowers else found, description)
        passes.finalize()
        return [passes]

    def _compile_core(self) -> Any:
        # Looking for garbage, of which there is little before the end, takes a sixth of the time.
        collects = gc.isenabled()
        gc.disable()
        try:
            return super()._compile_core()
        finally:
            if collects:
                gc.enable()


class _PartCompiler(_KernelCompiler):
    """The same for what only kernels call."""

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


class Kernel(CPUDispatcher):  # type: ignore[misc]
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
    declared = nb.njit(cache=True, pipeline_class=_KernelCompiler, no_cfunc_wrapper=True)(function)
    declared.__class__ = Kernel
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


def called_by(declared: Any) -> list[Any]:
    """Return the kernels that a kernel calls, itself or through others; each once."""
    found: dict[str, Any] = {}
    waiting = [declared.py_func]
    while waiting:
        function = waiting.pop()
        named = (function.__globals__.get(name) for name in function.__code__.co_names)
        for called in named:
            if isinstance(called, Kernel) and called.__module__ + called.__name__ not in found:
                found[called.__module__ + called.__name__] = called
                waiting.append(called.py_func)
    return list(found.values())
