"""A core whose network does not fit: two threads that hand each other buffers of data memory.

`stream` moves data, `compute` works on it. They meet between stages: while `compute` does one,
`stream` stores what the last one made and loads what the next one needs. Each posts the other a
token and yields, so that neither is ever more than a stage ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spusim.arch import Arch
from spusim.compiler.code import Op, ThreadCode, op
from spusim.compiler.distribution import Distribution
from spusim.compiler.errors import CompileError
from spusim.compiler.lowering import Site
from spusim.compiler.memory import (
    ADDRESS_WORDS,
    FAR_WORDS,
    SCALE_ALIGN_WORDS,
)
from spusim.compiler.places import place
from spusim.compiler.residence import Residence, plan_residence
from spusim.compiler.row_tiles import groups_of
from spusim.compiler.scale_places import ScalePlaces, scale_places
from spusim.compiler.space import CoreSpace, Slicing
from spusim.compiler.stages import Homes, Schedule, schedule_of
from spusim.compiler.storage import Storage, StoredMatrix, depth_rows
from spusim.compiler.streaming import Slot, scheduled, slots_of, work_of
from spusim.compiler.threads import FRAME, Threading, init_ops, received_frame
from spusim.compiler.weight_places import Use, WeightPlaces, finer_slicings, weight_places
from spusim.formats import stored_words
from spusim.network.records import Constant, Network, Product
from spusim.numerics import STOCHASTIC
from spusim.program import Matrix, Segment

STREAM, COMPUTE = FRAME + 1, FRAME + 2
EXTERNAL_ADDRESS_WORDS = 2**24


@dataclass(frozen=True)
class StreamedCore:
    """A core's memories, threads and matrices, and the words of external memory that it uses."""

    space: CoreSpace
    threads: list[ThreadCode]
    storage: Storage
    external_words: int
    outside: tuple[Segment, ...] = ()


def streamed_core(threading: Threading, blank: CoreSpace, fed: bool) -> StreamedCore:
    """Compile a core with what does not fit kept in external memory.

    fed: the host writes frames there. Raises CompileError with numbers for what cannot be cut.
    """
    arch, plan = blank.arch, threading.plan
    _check(arch, plan.graph.network)
    trial = blank.again()
    places = place(trial, plan)
    words, units = _vector_words(arch), groups_of(plan)
    if not units:
        raise CompileError(
            f"{arch.name}: network {plan.graph.network.name} computes nothing, and its frames do "
            "not fit; enlarge link.channel_words or data memory"
        )
    scales = scale_places(arch, plan, units, words)
    taken = scales.words + scales.staying + SCALE_ALIGN_WORDS
    residence = plan_residence(arch, plan, places, trial.data.symbols, words - taken, fed)
    site, slots, uses = _lowered(blank, plan, residence, scales)
    space, tiles = site.space, site.space.matrices.tiles
    weights = weight_places(arch, tiles, uses, work_of(space, slots), _fetch_cycles(space))
    homes = _homes(space, weights, residence.external_words)
    _check_external(arch, plan.graph.network, homes.end)
    schedule = schedule_of(space, residence, site, scheduled(slots, weights), homes)
    outside = [Segment(name, home, space.loaded[name]) for name, home in homes.scales.items()]
    return StreamedCore(
        space, _threads(site, schedule, fed), _storage(arch, tiles, weights, homes.matrices),
        homes.end, tuple(outside),
    )  # fmt: skip


def _lowered(
    blank: CoreSpace, plan: Distribution, residence: Residence, scales: ScalePlaces
) -> tuple[Site, list[Slot], list[Use]]:
    """Lower all steps, products cut so finely that their matrices can take turns."""
    network = plan.graph.network
    products = {node.name for node in network.nodes if isinstance(node, Product)}
    slicings: dict[str, Slicing] = {}
    while True:
        space = blank.again(residence.planned)
        space.slicings = slicings
        _give_scales(space, scales, residence)
        site = Site(space, plan, place(space, plan))
        site.places.fills = [f for f in site.places.fills if f.vector.address < FAR_WORDS]
        _keep_uniform(space, network, residence)
        slots, uses = slots_of(site, residence)
        tiles = space.matrices.tiles
        finer = finer_slicings(blank.arch, tiles, uses, slicings, products)
        if not finer:
            return site, slots, uses
        slicings = slicings | finer


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


def _give_scales(space: CoreSpace, scales: ScalePlaces, residence: Residence) -> None:
    """Give scales that take turns words behind all that is planned, which is noted too."""
    first = -(-residence.end // SCALE_ALIGN_WORDS) * SCALE_ALIGN_WORDS
    space.turns = {name: first + word for name, word in scales.loaded.items()}
    turns = [("scale entries in turns", first, scales.words)] if scales.words else []
    space.data.buffers([*residence.buffers, *turns], first + scales.words)


def _fetch_cycles(space: CoreSpace) -> list[float]:
    """Return about how many cycles the fetch of each matrix takes."""
    memory, bits = space.arch.external_memory, space.data.word_bits
    assert memory is not None
    return [
        stored_words(tile.packed, bits) * bits / 8 / memory.bytes_per_cycle
        for tile in space.matrices.tiles
    ]


def _homes(space: CoreSpace, weights: WeightPlaces, first: int) -> Homes:
    """Return the homes of what is loaded, behind the tensors."""
    matrices, scales, at = {}, {}, first
    for number in sorted(weights.streamed):
        matrices[number] = at
        packed = space.matrices.tiles[number].packed
        at += stored_words(packed, space.data.word_bits)
    for name, words in space.loaded.items():
        scales[name] = at
        at += len(words)
    return Homes(matrices, scales, at)


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
