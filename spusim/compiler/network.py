"""Compile a network: plan where everything runs and lies, then write every core's program."""

import numpy as np

from spusim.arch import Arch, arch_hash
from spusim.compiler.capacity import CoreNeeds, check_core, check_link, check_precision
from spusim.compiler.code import CoreCode, ThreadCode, assemble_core
from spusim.compiler.core import plan_core
from spusim.compiler.errors import CompileError
from spusim.compiler.space import CoreSpace
from spusim.compiler.stages import Stage, plan_stages
from spusim.compiler.storage import Packing, Storage, choose_format, packing_note, place_matrices
from spusim.compiler.threads import FRAME, INIT, Threading, core_threads, plan_threading
from spusim.formats import pack
from spusim.isa import Isa, load_isa
from spusim.network.check import check_network
from spusim.network.identity import network_hash
from spusim.network.records import Network
from spusim.numerics import Numerics
from spusim.program import CoreImage, InputPort, OutputPort, Program

VECTOR_BITS = (8, 16, 32)


def compile_network(
    network: Network, arch: Arch, *, check_capacity: bool = True, pack: Packing = pack
) -> Program:
    """Compile a quantised network for an architecture.

    pack: `formats.outline` makes a program that can be placed and timed, but not computed.
    check_capacity False: memories may overflow, as for a dense baseline; what instructions cannot
    encode, lanes cannot compute and channels cannot carry is refused all the same. Raises
    CompileError with the numbers and a remedy, and NetworkError for an inconsistent network.
    """
    check_network(network)
    stages = plan_stages(network, arch)
    _check_stages(arch, stages)
    threading = plan_threading(stages)
    check_link(arch, threading)
    formats, notes = choose_formats(arch, stages)
    isa = load_isa()
    cores: list[CoreImage] = []
    layer_of: dict[str, str] = {}
    for core in range(arch.cores):
        space = CoreSpace(arch, core, formats, check_capacity, pack)
        threads = core_threads(threading, plan_core(space, stages))
        cores.append(build_core(isa, space, threads))
        layer_of |= {tile.name: tile.layer for tile in space.matrices.tiles}
    return Program(
        name=network.name,
        isa_version=isa.version,
        arch_name=arch.name,
        word_bits=arch.core.data_memory.word_bits,
        pes=arch.core.pes,
        accumulators=arch.core.pes * arch.core.accumulators,
        numerics=numerics_of(arch),
        cores=tuple(cores),
        input=_input_port(stages[0]),
        outputs=_output_ports(threading),
        init_threads=tuple((core, INIT) for core in range(arch.cores)),
        labels=network.labels,
        output_exponent=stages[-1].output.exponent,
        hashes={"network": network_hash(network), "arch": arch_hash(arch)},
        layer_of=layer_of,
        notes=(*network.notes, *notes),
    )


def numerics_of(arch: Arch) -> Numerics:
    """Return the arithmetic of an architecture."""
    n = arch.numerics
    return Numerics(n.accumulator_bits, n.overflow, n.rounding, n.requantize_overflow)


def build_core(isa: Isa, space: CoreSpace, threads: list[ThreadCode]) -> CoreImage:
    """Encode a core's threads and place its matrices; raises CompileError if they do not fit."""
    storage = place_matrices(space.arch, space.matrices.tiles, space.data.used_words)
    code = assemble_core(isa, threads)
    needs = CoreNeeds(
        core=space.core,
        storage=storage,
        tiles=tuple(space.matrices.tiles),
        table_words=space.tables.used_words,
        tables=len(space.tables.tables),
        instructions=len(code.words),
        threads=len(threads),
    )
    check_core(space.arch, needs, space.check_capacity)
    return _image(space, storage, code)


def _image(space: CoreSpace, storage: Storage, code: CoreCode) -> CoreImage:
    return CoreImage(
        code=code.words,
        threads=code.threads,
        matrices=storage.matrices,
        tables=tuple(space.tables.tables),
        segments=tuple(space.segments),
        symbols=(*space.data.symbols, *_matrix_symbols(space.arch, storage)),
        comments=code.comments,
    )


def _matrix_symbols(arch: Arch, storage: Storage) -> list[tuple[str, int, int]]:
    """Return the matrices' place in data memory, if that is where they are."""
    if arch.core.weight_memory:
        return []
    banks = arch.core.data_memory.banks
    return [
        (matrix.name, matrix.base * banks, depth * banks)
        for matrix, depth in zip(storage.matrices, storage.depths, strict=True)
    ]


def _check_stages(arch: Arch, stages: tuple[Stage, ...]) -> None:
    """Raise CompileError for precisions or widths that the core's units do not have."""
    for stage in stages:
        if stage.matrix:
            layer = stage.matrix
            check_precision(arch, layer.name, layer.weight_bits, layer.input.bits)
        widths = [(stage.name, stage.input.bits)]
        widths += [(layer.name, layer.output.bits) for layer in stage.layers]
        for name, bits in widths:
            if bits not in VECTOR_BITS:
                raise CompileError(
                    f"{arch.name}: layer {name} has elements of {bits} bits, and the vector unit "
                    f"has {', '.join(map(str, VECTOR_BITS))}; use one of these"
                )


def choose_formats(arch: Arch, stages: tuple[Stage, ...]) -> tuple[dict[str, str], list[str]]:
    """Return the format of every layer with weights, and notes for people."""
    layers = [stage.matrix for stage in stages if stage.matrix]
    return formats_of(arch, [(x.name, x.weight, x.weight_bits) for x in layers])


def formats_of(
    arch: Arch, layers: list[tuple[str, np.ndarray, int]]
) -> tuple[dict[str, str], list[str]]:
    """Return formats and notes of layers (name, weight, weight_bits)."""
    formats, notes = {}, []
    for name, weight, bits in layers:
        formats[name], chosen = choose_format(arch, weight, bits, name)
        notes += [note for note in (chosen, packing_note(arch, formats[name], bits, name)) if note]
    return formats, notes


def _input_port(first: Stage) -> InputPort:
    return InputPort(first.cores, 0, FRAME, first.inputs, first.input.bits)


def _output_ports(threading: Threading) -> tuple[OutputPort, ...]:
    last = threading.stages[-1]
    return tuple(
        OutputPort(part.core, threading.ports[part.core], part.offset, part.size, last.output.bits)
        for part in last.parts
    )
