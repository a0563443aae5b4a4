"""A core whose network does not fit: two threads that hand each other buffers of data memory.

`stream` moves data, `compute` works on it. They meet between stages: while `compute` does one,
`stream` stores what the last one made and loads what the next one needs. Each posts the other a
token and yields, so that neither is ever more than a stage ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spusim.arch import Arch
from spusim.compiler.code import Op, ThreadCode, op
from spusim.compiler.errors import CompileError
from spusim.compiler.lowering import Site
from spusim.compiler.memory import (
    ADDRESS_WORDS,
    FAR_WORDS,
    SCALE_ALIGN_WORDS,
    SCALE_ENTRY_BYTES,
    words_of,
)
from spusim.compiler.places import place
from spusim.compiler.product import requant_rows
from spusim.compiler.residence import Residence, plan_residence
from spusim.compiler.space import CoreSpace
from spusim.compiler.storage import Storage, StoredMatrix, depth_rows
from spusim.compiler.streaming import Schedule, schedule_of, scheduled, slots_of
from spusim.compiler.threads import FRAME, Threading, init_ops, received_frame
from spusim.compiler.weight_places import WeightPlaces, weight_places
from spusim.formats import stored_words
from spusim.network.records import Constant, Convolution, Network, Product, Requant
from spusim.numerics import STOCHASTIC
from spusim.program import Matrix

STREAM, COMPUTE = FRAME + 1, FRAME + 2
EXTERNAL_ADDRESS_WORDS = 2**24


@dataclass(frozen=True)
class StreamedCore:
    """A core's memories, threads and matrices, and the words of external memory that it uses."""

    space: CoreSpace
    threads: list[ThreadCode]
    storage: Storage
    external_words: int


def streamed_core(threading: Threading, blank: CoreSpace, fed: bool) -> StreamedCore:
    """Compile a core with what does not fit kept in external memory.

    fed: the host writes frames there. Raises CompileError with numbers for what cannot be cut.
    """
    arch, plan = blank.arch, threading.plan
    _check(arch, plan.graph.network)
    trial = blank.again()
    places = place(trial, plan)
    words = _vector_words(arch) - _scale_words(plan.graph.network, arch)
    residence = plan_residence(arch, plan, places, trial.data.symbols, words, fed)
    space = blank.again(residence.planned)
    site = Site(space, plan, place(space, plan))
    site.places.fills = [f for f in site.places.fills if f.vector.address < FAR_WORDS]
    space.data.buffers(residence.buffers, residence.end)
    _keep_uniform(space, plan.graph.network, residence)
    slots, uses = slots_of(site, residence)
    tiles = space.matrices.tiles
    weights = weight_places(arch, tiles, uses, _first_row(arch, space.data.used_words))
    homes, end = _homes(arch, tiles, weights, residence.external_words)
    _check_external(arch, plan.graph.network, end)
    schedule = schedule_of(space, residence, site, scheduled(slots, weights, uses), homes)
    threads = _threads(site, schedule, fed)
    return StreamedCore(space, threads, _storage(arch, tiles, weights, homes), end)


def _check(arch: Arch, network: Network) -> None:
    """Raise CompileError for what is not streamed."""
    if arch.cores > 1:
        raise CompileError(
            f"{arch.name}: network {network.name} does not fit without streaming, which is planned "
            f"for one core, and cores is {arch.cores}; set cores=1"
        )
    if arch.core.weight_memory is None:
        raise CompileError(
            f"{arch.name}: network {network.name} does not fit, and weights that lie in data banks "
            "(core.weight_memory: null) are not streamed; give PEs a core.weight_memory"
        )
    modes = {arch.numerics.rounding, *(getattr(node, "rounding", None) for node in network.nodes)}
    if STOCHASTIC in modes:
        raise CompileError(
            f"{arch.name}: network {network.name} does not fit without streaming, and rounds "
            "stochastically by bits that belong to a thread's run, which streaming cuts; set "
            "numerics.rounding=half_up, or enlarge the memories"
        )


def _keep_uniform(space: CoreSpace, network: Network, residence: Residence) -> None:
    """Have constants of one value in their words, and nowhere else."""
    space.segments = [each for each in space.segments if each.address < FAR_WORDS]
    stored: set[int] = set()
    for node in network.nodes:
        words = residence.uniform.get(node.output.name) if isinstance(node, Constant) else None
        if isinstance(node, Constant) and words and words.start not in stored:
            stored.add(words.start)
            bits = node.output.quantum.bits
            values = node.values[: len(words) * space.data.word_bits // bits]
            space.constant(node.output.name, words.start, values, bits)


def _vector_words(arch: Arch) -> int:
    memory = arch.core.data_memory
    return min(memory.banks * memory.words, ADDRESS_WORDS)


def _first_row(arch: Arch, vector_words: int) -> int:
    return 0 if arch.core.weight_memory else -(-vector_words // arch.core.data_memory.banks)


def _scale_words(network: Network, arch: Arch) -> int:
    """Return the most words that scale entries can take."""
    requants: list[tuple[Requant, int]] = []
    for node in network.nodes:
        if isinstance(node, Convolution):
            requants.append((node.requant, node.geometry.filters))
        elif isinstance(node, Product):
            requants += [(head.requant, len(node.weight)) for head in node.heads]
    total = 0
    for requant, rows in requants:
        multiplier, _ = requant_rows(requant, slice(None))
        if len(multiplier) > 1 or multiplier[0] > 1:
            entries = min(rows, max(1, len(multiplier)))
            words = words_of(entries, 8 * SCALE_ENTRY_BYTES, arch.core.data_memory.word_bits)
            total += words + SCALE_ALIGN_WORDS
    return total


def _homes(
    arch: Arch, tiles: Sequence[StoredMatrix], weights: WeightPlaces, first: int
) -> tuple[dict[int, int], int]:
    """Return the home of every matrix that is fetched, and the word behind the last."""
    homes, at = {}, first
    for number in sorted(weights.streamed):
        homes[number] = at
        at += stored_words(tiles[number].packed, arch.core.data_memory.word_bits)
    return homes, at


def _check_external(arch: Arch, network: Network, words: int) -> None:
    """Raise CompileError for more than external memory holds, or addresses reach."""
    memory = arch.external_memory
    assert memory is not None
    there = min(memory.words, EXTERNAL_ADDRESS_WORDS)
    if words > there:
        limit = "" if memory.words <= there else f" ({there} of which addresses reach)"
        remedy = (
            f"set external_memory.words={words}"
            if words <= EXTERNAL_ADDRESS_WORDS
            else "prune it, or give the core more memory of its own"
        )
        raise CompileError(
            f"{arch.name}: network {network.name} needs {words} words of external memory, and "
            f"external_memory.words is {memory.words}{limit}; {remedy}"
        )


def _storage(
    arch: Arch, tiles: Sequence[StoredMatrix], weights: WeightPlaces, homes: dict[int, int]
) -> Storage:
    preload = arch.core.index_memory.mode == "preload"
    matrices = tuple(
        Matrix(
            tile.name, tile.packed, tile.activation_bits, base, index_base, preload, tile.operand,
            tile.void, tile.codebook, homes.get(tile.number),
        )
        for tile, base, index_base in zip(tiles, weights.bases, weights.index_bases, strict=True)
    )  # fmt: skip
    depths = tuple(depth_rows(arch, tile) for tile in tiles)
    return Storage(matrices, depths, weights.rows, weights.index_words)


def _threads(site: Site, schedule: Schedule, fed: bool) -> list[ThreadCode]:
    """Return the threads in the order of their numbers."""
    core = site.space.core
    go = op("post", "the frame is there", core=core, thread=STREAM)
    frame = [go] if fed else [received_frame(site), go]
    ready = op("post", "ready for the next frame", core=core, thread=FRAME)
    return [
        ThreadCode("init", 1, (*init_ops(site), ready)),
        ThreadCode("frame", 2, tuple(frame)),
        ThreadCode("stream", 1, (*_stream_ops(core, schedule), ready)),
        ThreadCode("compute", 1, tuple(_compute_ops(core, schedule))),
    ]


def _stream_ops(core: int, schedule: Schedule) -> list[Op]:
    ops = list(schedule.before)
    for number, stage in enumerate(schedule.stages):
        ops.append(op("post", f"stage {number}: {stage.layer}", core=core, thread=COMPUTE))
        ops += stage.beside
        ops.append(op("yield", f"until stage {number} is done"))
    return [*ops, *schedule.after]


def _compute_ops(core: int, schedule: Schedule) -> list[Op]:
    ops: list[Op] = []
    for number, stage in enumerate(schedule.stages):
        ops += stage.ops
        ops.append(op("post", f"stage {number} is done", core=core, thread=STREAM))
        if number + 1 < len(schedule.stages):
            ops.append(op("yield", "until the next stage's data is there"))
    return ops
