"""Compile a network: plan where everything runs and lies, then write every core's program."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spusim.arch import Arch, arch_hash
from spusim.arch.reads import unwatched
from spusim.compiler.capacity import (
    OUTPUT_PORTS,
    CoreNeeds,
    check_bias,
    check_core,
    check_link,
    check_numbers,
    check_precision,
    check_reach,
    check_zero_point,
    frame_is_external,
    holds,
    holds_vectors,
)
from spusim.compiler.code import CoreCode, ThreadCode, assemble_core
from spusim.compiler.convolution import check_windows, stored_filters
from spusim.compiler.distribution import Distribution, distribute
from spusim.compiler.errors import CompileError
from spusim.compiler.graph import Graph
from spusim.compiler.liveness import shared_words
from spusim.compiler.lowering import Site
from spusim.compiler.matrix_tiles import Named
from spusim.compiler.pieces import broken_words, plan_pieces
from spusim.compiler.places import place
from spusim.compiler.planar import in_planes
from spusim.compiler.rewrite import (
    copied_input,
    copied_output,
    isolated_tops,
    isolated_windows,
    rewrite,
)
from spusim.compiler.space import CoreSpace
from spusim.compiler.storage import (
    Packing,
    Storage,
    choose_format,
    packing_note,
    place_matrices,
    remembering,
    short_note,
)
from spusim.compiler.stream_core import StreamedCore, streamed_core
from spusim.compiler.threads import FRAME, INIT, Threading, core_threads, plan_threading
from spusim.formats import pack, weight_kind
from spusim.isa import Isa, load_isa
from spusim.network.check import check_network
from spusim.network.graph import inputs_of, multiplied_bits
from spusim.network.identity import network_hash
from spusim.network.records import Convolution, Network, Pooling, Product, Prune, Tensor
from spusim.numerics import numerics_of
from spusim.program import CoreImage, InputPort, OutputPort, Program, Segment


def compile_network(
    network: Network, arch: Arch, *, check_capacity: bool = True, pack: Packing = pack,
    share_words: bool = False,
) -> Program:  # fmt: skip
    """Compile a quantised network for an architecture.

    pack: `formats.outline` makes a program that can be placed and timed, but not computed.
    share_words: vectors that are never needed together share words of data memory even where each
    could have its own; else only where they could not.
    check_capacity False: memories may overflow, as for a dense baseline; what instructions cannot
    encode, lanes cannot compute and channels cannot carry is refused all the same. Raises
    CompileError with the numbers and a remedy, and NetworkError for an inconsistent network.
    """
    check_network(network)
    plan = plan_network(network, arch)
    graph = plan.graph
    _check_products(arch, graph)
    check_windows(arch, plan)
    check_link(arch, plan)
    formats, notes = choose_formats(arch, graph.network)
    threading = plan_threading(plan)
    isa = load_isa()
    cores: list[CoreImage] = []
    layer_of: dict[str, str] = {}
    fed, external_words = frame_is_external(arch, plan), 0
    outside: list[Segment] = []
    for core in range(arch.cores):
        blank = CoreSpace(arch, core, formats, check_capacity, remembering(pack))
        lowered = _lowered(threading, blank, share_words, fed)
        cores.append(build_core(isa, lowered.space, lowered.threads, lowered.storage))
        external_words = max(external_words, lowered.external_words)
        outside += lowered.outside
        layer_of |= {tile.name: tile.layer for tile in lowered.space.matrices.tiles}
    output = graph.tensors[graph.network.output]
    return Program(
        name=network.name,
        isa_version=isa.version,
        arch_name=arch.name,
        word_bits=arch.core.data_memory.word_bits,
        pes=arch.core.pes,
        accumulators=arch.core.pes * arch.core.accumulators,
        numerics=numerics_of(arch.numerics),
        cores=tuple(cores),
        input=_input_port(graph, threading, fed),
        outputs=_output_ports(plan, output),
        init_threads=tuple((core, INIT) for core in range(arch.cores)),
        labels=network.labels,
        output_exponent=output.quantum.exponent,
        hashes={"network": network_hash(network), "arch": arch_hash(unwatched(arch))},
        layer_of=layer_of,
        notes=(*network.notes, *notes),
        external_words=external_words,
        external=tuple(outside),
    )


def _lowered(threading: Threading, blank: CoreSpace, share_words: bool, fed: bool) -> StreamedCore:
    """Return a core's memories and threads: as they are, with shared words, or streamed.

    Each only where the one before does not hold everything. blank: memories of which nothing has
    been given away; fed: frames come through external memory.
    """
    if fed:
        return streamed_core(threading, blank, fed)
    found = _resident(threading, blank, share_words)
    if blank.arch.external_memory is None or holds(found.space, found.storage):
        return found
    try:
        return streamed_core(threading, blank, fed)
    except CompileError:
        if blank.check_capacity:
            raise
        return found  # a baseline, whose memories may overflow


def _resident(threading: Threading, blank: CoreSpace, share_words: bool) -> StreamedCore:
    """Return a core with everything in place, words shared if wanted or else all is not held."""
    plan, space = threading.plan, blank.again()
    places = place(space, plan)
    symbols = [*space.data.symbols]
    if not share_words:
        threads = core_threads(threading, Site(space, plan, places))
        if holds_vectors(space):
            return _placed(space, threads)
    shared = blank.again(shared_words(plan, space.core, places, symbols))
    return _placed(shared, core_threads(threading, Site(shared, plan, place(shared, plan))))


def _placed(space: CoreSpace, threads: list[ThreadCode]) -> StreamedCore:
    storage = place_matrices(space.arch, space.matrices.tiles, space.data.used_words)
    return StreamedCore(space, threads, storage, 0)


def plan_network(network: Network, arch: Arch) -> Distribution:
    """Rewrite a network for an architecture, and share it out over its cores.

    Raises CompileError for what neither instructions nor products can do.
    """
    graph = Graph(in_planes(rewrite(network, arch), arch))
    pieces = plan_pieces(graph, arch)
    entered = pieces.layouts[network.input.name]
    if not entered.planar and broken_words(entered):
        # A frame arrives without gaps, so cuts between its words need a copy with gaps.
        graph = Graph(copied_input(graph.network, arch))
        pieces = plan_pieces(graph, arch)
    broken = tuple(
        node.name
        for node in graph.network.nodes
        if isinstance(node, Prune) and node.kind == "top"
        and any(broken_words(pieces.layouts[name]) for name in (node.a, node.output.name))
    )  # fmt: skip
    if broken:
        # One instruction compares all elements, so they must lie together.
        graph = Graph(isolated_tops(graph.network, broken, arch))
        pieces = plan_pieces(graph, arch)
    vectors = frozenset(
        name
        for node in graph.network.nodes
        if graph.pixels and isinstance(node, Convolution | Pooling)
        for name in (node.a, node.output.name)
        if not pieces.layouts[name].planar and broken_words(pieces.layouts[name])
    )
    if vectors:
        # A window reads and makes what lies together, or by planes.
        graph = Graph(isolated_windows(graph.network, vectors, arch))
        pieces = plan_pieces(graph, arch)
    plan = distribute(graph, pieces, arch)
    if parted := _parted_tops(plan):
        graph = Graph(isolated_tops(graph.network, parted, arch))
        plan = distribute(graph, plan_pieces(graph, arch), arch)
    if len(plan.output) > OUTPUT_PORTS:
        graph = Graph(copied_output(graph.network, arch))
        plan = distribute(graph, plan_pieces(graph, arch), arch)
    return plan


def _parted_tops(plan: Distribution) -> tuple[str, ...]:
    """Return the prunings to the top that are shared out, partly unwanted, or of several roots."""
    return tuple(
        node.name
        for node in plan.graph.network.nodes
        if isinstance(node, Prune) and node.kind == "top"
        and (len(set(plan.workers[node.output.name])) > 1
             or len(plan.graph.segments(node.a)) > 1)
    )  # fmt: skip


def build_core(
    isa: Isa, space: CoreSpace, threads: list[ThreadCode], storage: Storage | None = None
) -> CoreImage:
    """Encode a core's threads; raises CompileError if they or the core's data do not fit.

    storage: where matrices lie; without it they are placed one after the other.
    """
    check_reach(space)
    if storage is None:
        storage = place_matrices(space.arch, space.matrices.tiles, space.data.used_words)
    needs = CoreNeeds(
        core=space.core,
        storage=storage,
        tiles=tuple(space.matrices.tiles),
        table_words=space.tables.used_words,
        tables=len(space.tables.tables),
        codebooks=len({tile.codebook for tile in space.matrices.tiles} - {0}),
        instructions=0,
        threads=len(threads),
        vector_words=space.data.used_words,
        windows=len(space.windows),
        transfers=len(space.transfers),
    )
    check_numbers(space.arch, needs)
    code = assemble_core(isa, threads)
    needs = replace(needs, instructions=len(code.words))
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
        windows=tuple(space.windows),
        transfers=tuple(space.transfers),
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


def _check_products(arch: Arch, graph: Graph) -> None:
    """Raise CompileError for precisions or biases that the core's lanes do not have."""
    for node in graph.network.nodes:
        if isinstance(node, Product | Convolution):
            quantum = graph.tensors[inputs_of(node)[0]].quantum
            kind = weight_kind(node.weight_bits, node.codebook)
            check_precision(arch, node.layer, kind, multiplied_bits(node, quantum))
            check_zero_point(arch, node, quantum)
            check_bias(arch, node)


def choose_formats(arch: Arch, network: Network) -> tuple[dict[str, str], list[str]]:
    """Return the format of every product, and notes for people."""
    layers: list[tuple[Named, np.ndarray]] = []
    planar = arch.core.dataflow == "pixel"
    for node in network.nodes:
        if isinstance(node, Product):
            layers.append((node, node.weight))
        elif isinstance(node, Convolution):
            layers.append((node, stored_filters(node, arch.core.sparse.weights, planar)))
    return formats_of(arch, layers)


def formats_of(
    arch: Arch, layers: Sequence[tuple[Named, np.ndarray]]
) -> tuple[dict[str, str], list[str]]:
    """Return formats and notes of layers with their weights (rows, columns)."""
    formats, notes = {}, []
    for layer, weight in layers:
        name, bits = layer.name, layer.weight_bits
        formats[name], chosen = choose_format(arch, weight, bits, layer.codebook, name)
        packing = packing_note(arch, formats[name], bits, name)
        short = short_note(arch, formats[name], weight, name)
        notes += [note for note in (chosen, packing, short) if note]
    return formats, notes


def _input_port(graph: Graph, threading: Threading, fed: bool) -> InputPort:
    """Return where frames go: to a channel, or `fed` to the first words of external memory."""
    entry = graph.network.input
    size, quantum = entry.size, entry.quantum
    return InputPort(
        threading.starters, 0, FRAME, size, quantum.bits, quantum.zero_point, 0 if fed else None,
        _planes(graph, entry),
    )  # fmt: skip


def _output_ports(plan: Distribution, output: Tensor) -> tuple[OutputPort, ...]:
    ports, first, pixels = [], 0, plan.graph.pixels.get(output.name)
    for number, run in enumerate(plan.output):
        size = sum(plan.layouts[run.root].sizes[piece] for piece in run.pieces)
        ports.append(OutputPort(run.sender, number, first, size, output.quantum.bits))
        if pixels:
            planes, whole = size // pixels, output.size // pixels
            stride = whole if planes < whole else 0
            ports[-1] = replace(ports[-1], offset=first // pixels, planes=planes, stride=stride)
        first += size
    return tuple(ports)


def _planes(graph: Graph, tensor: Tensor) -> int:
    """Return the planes in which a tensor enters or leaves."""
    pixels = graph.pixels.get(tensor.name)
    return tensor.size // pixels if pixels else 1
