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

import llvmlite.binding as llvm
import numba as nb
from numba import _dynfunc
from numba.core import (
    codegen,
    compiler,
    compiler_machinery,
    event,
    sigutils,
    targetconfig,
    typed_passes,
    types,
    untyped_passes,
)
from numba.core.registry import CPUDispatcher, cpu_target
from numba.np import arrayobj

_MANGLED = "_ZN" + "".join(f"{len(part)}{part}" for part in __name__.split(".")[:-1])
_attributes: dict[Callable[..., Any], tuple[str, ...]] = {}  # of functions, for LLVM
_numba_index = arrayobj.fix_integer_index


def _index(context: Any, builder: Any, kind: types.Integer, index: Any, size: Any) -> Any:
    """Return an index as LLVM wants it; from the array's end if negative, but in no kernel."""
    if kind.signed and builder.function.name.startswith(_MANGLED):
        return context.cast(builder, index, kind, types.intp)
    return _numba_index(context, builder, kind, index, size)


arrayobj.fix_integer_index = _index


class PartLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]  # numba has no types
    """Code that is only ever linked into that of an entry."""

    def _optimize_functions(self, ll_module: Any) -> None:
        """Make it small, a fifth of what numba wrote; the entry does the rest."""
        ll_module.data_layout = self._codegen._data_layout
        passes = llvm.create_new_function_pass_manager()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        builder = self._codegen._pass_builder()
        for function in ll_module.functions:
            passes.run(function, builder)

    def finalize(self) -> None:
        """Leave it to the entry, which links what this calls, once for all that call it."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """Return it with all that it calls, for a caller that is not one of ours."""
        if self._shared_module is None:
            self._shared_module = self._final_module.clone()
            link_all(self._shared_module, self)
        return self._shared_module


def _callers_first(library: codegen.CodeLibrary) -> list[codegen.CodeLibrary]:
    """Return the libraries that one calls, and those that parts among them call, callers first."""
    found = list[codegen.CodeLibrary]()
    seen = set[codegen.CodeLibrary]()

    def visit(caller: codegen.CodeLibrary) -> None:
        for called in caller._linking_libraries:
            if called not in seen:
                seen.add(called)
                if isinstance(called, PartLibrary):
                    visit(called)
                found.append(called)

    visit(library)
    return found[::-1]


def link_all(module: Any, library: codegen.CodeLibrary) -> None:
    """Link all that a library calls to its module, each once; LLVM takes what is called by then."""
    for called in _callers_first(library):
        library._reload_init.update(called._reload_init)
        part = isinstance(called, PartLibrary)
        code = called._final_module if part else called._get_module_for_linking()
        module.link_in(code, preserve=True)


@compiler_machinery.register_pass(mutates_CFG=True, analysis_only=False)
class _LowerPart(typed_passes.NativeLowering):  # type: ignore[misc]
    """Lowers a function without emitting it, and tells numba's linker where it is."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        name = state.func_id.func_qualname
        state.library = PartLibrary(state.targetctx.codegen(), name)
        state.flags.no_compile = True
        state.targetctx = state.targetctx.subtarget(enable_nrt=False)  # counts no references
        super().run_pass(state)
        # Numba knows a function by its entry for Python; nobody can come in by this one.
        lowered = state.cr
        code = state.library._final_module.get_function(lowered.fndesc.llvm_func_name)
        for attribute in _attributes[state.func_id.func]:
            code.add_function_attribute(attribute)
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
        for name in ("no_cpython_wrapper", "no_cfunc_wrapper"):
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


class _PartCompiler(compiler.CompilerBase):  # type: ignore[misc]
    """Numba's passes, with another one to lower."""

    def __init__(
        self, typing: Any, target: Any, library: Any, args: Any, returned: Any, flags: Any,
        names: Any,
    ):  # fmt: skip
        super().__init__(typing, target, library, args, returned, _Flags(flags), names)

    def define_pipelines(self) -> list[Any]:
        """Return none of numba's: `PASSES` are run one after the other."""
        return []

    def _compile_core(self) -> Any:
        """Run the passes, without numba's looks at what each of them did."""
        with targetconfig.ConfigStack().enter(self.state.flags.copy()):
            for kind in PASSES:
                step = kind()
                step.analysis = dict.fromkeys(PASSES)  # of which none asks for another's findings
                step.run_pass(self.state)
        return self.state.cr


# Numba's, without those for what no kernel has: closures, `with`, literals that types depend on,
# expressions of whole arrays, parallel loops.
PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.RewriteSemanticConstants,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.RewriteDynamicRaises,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    _LowerPart,
    typed_passes.NoPythonBackend,
)


class _Part(CPUDispatcher):  # type: ignore[misc]
    """A function as kernels meet it: one version for all integers, literal or left out."""

    def compile(self, signature: Any) -> Any:
        """Compile it, as numba does; nobody asks how long that takes."""
        args, returned = sigutils.normalize_signature(signature)
        existing = self.overloads.get(tuple(args))
        if existing is not None:
            return existing.entry_point
        with self._compiling_counter:
            told = {"dispatcher": self, "args": args, "return_type": returned}
            with event.trigger_event("numba:compile", data=told):
                compiled = self._compiler.compile(args, returned)
            self.add_overload(compiled)
        return compiled.entry_point

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Type a call; the values of its integers are left to be found when it is linked."""
        signature, folded = self._compiler.fold_argument_types(args, kws)
        known = (nb.typeof(arg.value) if isinstance(arg, types.Omitted) else arg for arg in folded)
        plain = tuple(types.unliteral(arg) for arg in known)
        template, _, args, kws = super().get_call_template(plain, {})
        return template, signature, args, kws


def part_of(function: Callable[..., Any], attributes: tuple[str, ...]) -> Any:
    """Return a function as kernels meet it; attributes: LLVM's, of how it is called."""
    _attributes[function] = attributes
    part = nb.njit(
        pipeline_class=_PartCompiler,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
    )(function)
    part.__class__ = _Part
    return part


def type_of_global(found: Any) -> Any:
    """Return numba's type of something that a kernel names, and that may be new to numba."""
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    return cpu_target.typing_context.resolve_value_type(found)
