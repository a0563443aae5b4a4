"""What a core must hold, and what to do when it does not: numbers and remedies."""

from collections.abc import Iterable
from dataclasses import dataclass

from spusim.arch import Arch, presets_computing
from spusim.compiler.copying import copied_from
from spusim.compiler.distribution import Distribution, Run
from spusim.compiler.errors import CompileError
from spusim.compiler.memory import ADDRESS_WORDS
from spusim.compiler.space import CoreSpace
from spusim.compiler.storage import Storage, StoredMatrix, depth_rows, place_matrices, words_per_row
from spusim.compiler.threads import HOST_CHANNEL, sender_channel
from spusim.formats import GROUPED, entries_per_word, entry_bits
from spusim.network.records import Convolution, Product, Quantum
from spusim.numerics import fits

MATRIX_NUMBERS = 256  # what the operand `matrix` can name
WINDOW_NUMBERS = 256  # and `window`
TRANSFER_NUMBERS = 256  # and `transfer`
TABLE_NUMBERS = 62  # and `table`, whose last two numbers are built in
THREAD_NUMBERS = 64
OUTPUT_PORTS = 16  # the host's channels
MESSAGE_WORDS = 4095  # what `send` and `recv` can count
MEGABYTE = 2**20
KILOBYTE = 2**10


@dataclass(frozen=True)
class CoreNeeds:
    """All that one core's program takes up."""

    core: int
    storage: Storage
    tiles: tuple[StoredMatrix, ...]
    table_words: int
    tables: int
    codebooks: int
    instructions: int
    threads: int
    vector_words: int
    windows: int = 0
    transfers: int = 0


def check_precision(arch: Arch, name: str, weights: str, activation_bits: int) -> None:
    """Raise CompileError for a precision that the lanes do not compute.

    weights: as `formats.weight_kind` names them.
    """
    precision = f"{weights}x{activation_bits}"
    if precision not in arch.core.precisions:
        raise CompileError(
            f"{arch.name}: layer {name} needs {precision} (weight x activation bits), and the "
            f"lanes compute {', '.join(arch.core.precisions)}; quantise it to one of these, "
            f"{_preset_for(precision)} or add {precision} to core.precisions"
        )


def _preset_for(precision: str) -> str:
    """Return advice to take a preset whose lanes compute a precision; nothing without any."""
    presets = presets_computing(precision)
    return f"take --arch {' or '.join(presets)}," if presets else ""


def check_zero_point(arch: Arch, node: Product | Convolution, input_: Quantum) -> None:
    """Raise CompileError for an operand with a zero point whose products no accumulator holds."""
    needed = node.weight_bits + input_.bits + 1
    if input_.zero_point and arch.numerics.accumulator_bits < needed:
        raise CompileError(
            f"{arch.name}: layer {node.layer} multiplies {node.weight_bits}-bit weights by "
            f"{input_.bits}-bit activations less a zero point, {needed} bits, and "
            f"numerics.accumulator_bits is {arch.numerics.accumulator_bits}; set it to {needed}, "
            "or quantise the activations symmetrically"
        )


def check_bias(arch: Arch, node: Product | Convolution) -> None:
    """Raise CompileError for a bias that is wider than what is stored of it (T3)."""
    bits = arch.bias_bits
    if node.bias is not None and not fits(node.bias, bits):
        raise CompileError(
            f"{arch.name}: layer {node.layer} has a bias wider than the {bits} bits stored with "
            f"accumulators of {arch.numerics.accumulator_bits} bits; rescale it, or set "
            "numerics.accumulator_bits=48"
        )


def check_numbers(arch: Arch, needs: CoreNeeds) -> None:
    """Raise CompileError for more of anything than instructions can name."""
    _check_limits(arch, needs, _encoded(arch, needs))


def check_reach(space: CoreSpace) -> None:
    """Raise CompileError for vectors that addresses do not reach."""
    used, data = space.data.used_words, space.data
    if used > ADDRESS_WORDS:
        past = next(name for name, at, words in data.symbols if at + words > ADDRESS_WORDS)
        raise CompileError(
            f"core {space.core} needs {used} words for vectors up to {past}, and 16-bit addresses "
            f"reach {ADDRESS_WORDS}; use more cores or smaller layers{or_outside(space.arch)}"
        )


def check_core(arch: Arch, needs: CoreNeeds, check_capacity: bool) -> None:
    """Raise CompileError for the first thing that a core's memories do not hold."""
    if check_capacity:
        _check_limits(arch, needs, _capacities(arch, needs))
        _check_weights(arch, needs)


def _check_limits(arch: Arch, needs: CoreNeeds, rules: "Iterable[_Limit]") -> None:
    for rule in rules:
        if rule.needed > rule.there:
            raise CompileError(
                f"{arch.name}: core {needs.core} needs {rule.needed} {rule.what}, and has "
                f"{rule.there}; {rule.remedy}"
            )


def holds_vectors(space: CoreSpace) -> bool:
    """Tell whether data memory holds a core's vectors, and the weights that lie behind them."""
    memory, words = space.arch.core.data_memory, space.data.used_words
    if words > ADDRESS_WORDS:
        return False
    if not space.check_capacity:
        return True
    if space.arch.core.weight_memory:
        return words <= memory.banks * memory.words
    return place_matrices(space.arch, space.matrices.tiles, words).end_row <= memory.words


def holds(space: CoreSpace, storage: Storage) -> bool:
    """Tell whether a core's memories hold its vectors and matrices, be that asked for or not."""
    core, words = space.arch.core, space.data.used_words
    memory = core.data_memory
    rows = core.weight_memory.words if core.weight_memory else memory.words
    return (
        words <= min(ADDRESS_WORDS, memory.banks * memory.words)
        and storage.end_row <= rows
        and storage.index_words <= core.index_memory.words
    )


@dataclass(frozen=True)
class _Limit:
    what: str
    needed: int
    there: int
    remedy: str


def _encoded(arch: Arch, needs: CoreNeeds) -> Iterable[_Limit]:
    layers = "use fewer layers, or more cores with larger buffers, so that there are fewer tiles"
    return (
        _Limit("matrix descriptors", len(needs.tiles), MATRIX_NUMBERS, layers),
        _Limit("window descriptors", needs.windows, WINDOW_NUMBERS, "use fewer layers"),
        _Limit("transfer descriptors", needs.transfers, TRANSFER_NUMBERS, "use fewer layers"),
        _Limit("tables", needs.tables, TABLE_NUMBERS, "give activations the same quanta"),
        _Limit("threads", needs.threads, THREAD_NUMBERS, "use fewer layers or one core"),
        _Limit(
            "codebooks",
            needs.codebooks,
            arch.core.decoder.codebooks,
            f"set core.decoder.codebooks={needs.codebooks}, or give layers integer weights",
        ),
    )


def _capacities(arch: Arch, needs: CoreNeeds) -> Iterable[_Limit]:
    core = arch.core
    data_memory, table_memory = core.data_memory, core.table_memory
    return (
        _Limit(
            "words of data memory for vectors",
            needs.vector_words,
            data_memory.banks * data_memory.words,
            f"set core.data_memory.words={-(-needs.vector_words // data_memory.banks)}, or use "
            f"more cores or smaller layers{or_outside(arch)}",
        ),
        _Limit(
            "instructions",
            needs.instructions,
            core.instruction_memory.words,
            f"set core.instruction_memory.words={needs.instructions} or use fewer layers",
        ),
        _Limit(
            "threads",
            needs.threads,
            core.sequencer.threads,
            f"set core.sequencer.threads={needs.threads}, or cores=1, which exchanges nothing",
        ),
        _Limit(
            "matrix descriptors",
            len(needs.tiles),
            core.sequencer.descriptors,
            f"set core.sequencer.descriptors={len(needs.tiles)}, or enlarge accumulators, index "
            "memory or scanner buffer for fewer tiles",
        ),
        _Limit(
            f"words of table memory for {needs.tables} tables",
            needs.table_words,
            table_memory.banks * table_memory.words,
            f"set core.table_memory.words={-(-needs.table_words // table_memory.banks)} or a "
            "smaller numerics.table_address_bits",
        ),
        _Limit(
            "words of index memory in each PE",
            needs.storage.index_words,
            core.index_memory.words,
            f"set core.index_memory.words={needs.storage.index_words}, use more cores or a format "
            f"with fewer indices{or_outside(arch)}",
        ),
    )


def _check_weights(arch: Arch, needs: CoreNeeds) -> None:
    """Raise CompileError unless the memory that holds the weights is large enough."""
    core = arch.core
    capacity = (core.weight_memory or core.data_memory).words
    over_rows = needs.storage.end_row - capacity
    if over_rows <= 0:
        return
    kind = "weight" if core.weight_memory else "data"
    raise CompileError(
        f"{arch.name}: core {needs.core} needs {_sizes(arch, needs.storage.end_row, capacity)} "
        f"{kind} memory: {_weight_remedy(arch, needs.tiles, over_rows)}{or_outside(arch)}"
    )


def or_outside(arch: Arch) -> str:
    """Return the advice to stream, where a machine without external memory could."""
    could = arch.external_memory is None and arch.cores == 1 and arch.core.weight_memory
    return ", or give it an external_memory to stream from" if could else ""


def _sizes(arch: Arch, needed_rows: int, capacity_rows: int) -> str:
    """Return `1.31 MB of 0.50 MB`, in KB where the memory is small."""
    needed, capacity = (rows * _row_bytes(arch) for rows in (needed_rows, capacity_rows))
    unit, name = (MEGABYTE, "MB") if capacity >= MEGABYTE // 10 else (KILOBYTE, "KB")
    return f"{needed / unit:.2f} {name} of {capacity / unit:.2f} {name}"


def _row_bytes(arch: Arch) -> int:
    core = arch.core
    if core.weight_memory:
        return core.pes * core.weight_memory.word_bits // 8
    return core.data_memory.banks * core.data_memory.word_bits // 8


def _weight_remedy(arch: Arch, tiles: tuple[StoredMatrix, ...], over_rows: int) -> str:
    """Say which layer pruned how far, or which weight width, would make the weights fit."""
    remedies = [
        remedy
        for remedy in (
            _pruning_remedy(arch, tiles, over_rows),
            _width_remedy(arch, tiles, over_rows),
        )
        if remedy
    ]
    return " or ".join(remedies) or (
        f"use more cores than {arch.cores}, a larger memory or a smaller network"
    )


def _pruning_remedy(arch: Arch, tiles: tuple[StoredMatrix, ...], over_rows: int) -> str:
    """Name the largest layer whose pruning alone is enough, else prune them all alike."""
    sparse = [tile for tile in tiles if tile.packed.layout.format != "dense"]
    layers = {tile.layer: [t for t in sparse if t.layer == tile.layer] for tile in sparse}
    by_size = sorted(layers, key=lambda name: -sum(depth_rows(arch, t) for t in layers[name]))
    choices = [(f"layer {name}", layers[name]) for name in by_size[:1]]
    for who, chosen in [*choices, ("every layer", sparse)]:
        zeros = _zeros_needed(arch, chosen, over_rows)
        if zeros is not None:
            return f"prune {who} to {zeros} % zeros"
    return ""


def _zeros_needed(arch: Arch, tiles: list[StoredMatrix], over_rows: int) -> int | None:
    """Return the least whole percentage of zeros, spread evenly, that saves `over_rows`."""
    entry_words = sum(_entry_words(tile) for tile in tiles)
    if not entry_words:
        return None
    # A word a tile is lost to rounding, and slices are never quite even.
    saved_words = over_rows * words_per_row(arch) + len(tiles)
    kept = 1 - saved_words / entry_words
    zeros = int(100 * (1 - kept * _density(tiles))) + 1
    return zeros if kept > 0 and zeros < 100 else None


def _entry_words(tile: StoredMatrix) -> int:
    """Return the words that entries, and not bias, take in the longest slice."""
    slices = zip(tile.packed.slices, tile.packed.bias_words, strict=True)
    return max(len(words) - bias for words, bias in slices)


def _density(tiles: list[StoredMatrix]) -> float:
    """Return the stored share: nonzero weights, in pencils and blocks those of kept ones."""
    stored = sum(
        (t.packed.footprint.values + _inner_zeros(t)) // t.packed.layout.weight_bits for t in tiles
    )
    elements = sum(t.packed.rows * t.packed.columns - t.void for t in tiles)
    return min(1.0, stored / elements)


def _inner_zeros(tile: StoredMatrix) -> int:
    return tile.packed.footprint.explicit_zeros if tile.packed.layout.format in GROUPED else 0


def _width_remedy(arch: Arch, tiles: tuple[StoredMatrix, ...], over_rows: int) -> str:
    """Return the widest weights, narrower than now, with which everything fits."""
    now = max(tile.packed.layout.weight_bits for tile in tiles)
    for bits in (8, 4):
        computable = all(f"{bits}x{tile.activation_bits}" in arch.core.precisions for tile in tiles)
        if bits < now and computable and _saved_rows(arch, tiles, bits) >= over_rows:
            return f"use {bits}-bit weights"
    return ""


def _saved_rows(arch: Arch, tiles: tuple[StoredMatrix, ...], bits: int) -> int:
    saved = 0
    for tile in tiles:
        layout = tile.packed.layout
        if layout.codebook:
            continue
        narrower = layout.word_bits // (entry_bits(layout) - layout.weight_bits + bits)
        words = -(-_entry_words(tile) * entries_per_word(layout) // narrower)
        if bits < layout.weight_bits:
            saved += max(0, _entry_words(tile) - words) // words_per_row(arch)
    return saved


def check_link(arch: Arch, plan: Distribution) -> None:
    """Raise CompileError where channels are too few, or too short for what they must hold."""
    if not frame_is_external(arch, plan):
        size = plan.graph.network.input.size
        _check_channel(arch, HOST_CHANNEL, f"a frame of {size} inputs", [_frame_words(plan)])
    for runs in plan.exchanges:
        for sender, receiver in sorted({(r.sender, core) for r in runs for core in r.receivers}):
            mine = [r for r in runs if r.sender == sender and receiver in r.receivers]
            parts = dict.fromkeys(copied_from(plan.graph, run.root) for run in mine)
            what = f"core {sender}'s part of {', '.join(parts)}"
            _check_channel(
                arch, sender_channel(sender), what, [_run_words(plan, run) for run in mine]
            )
    if len(plan.output) > OUTPUT_PORTS:
        raise CompileError(
            f"{arch.name}: the output {plan.graph.network.output} lies in {len(plan.output)} "
            f"places, and the host has {OUTPUT_PORTS} channels; use fewer cores, or join it"
        )
    for run in plan.output:
        _check_message(arch, f"core {run.sender}'s output", _run_words(plan, run))


def frame_is_external(arch: Arch, plan: Distribution) -> bool:
    """Tell whether the host writes frames to external memory: no channel takes them."""
    most = min(arch.link.channel_words, MESSAGE_WORDS)
    return arch.external_memory is not None and _frame_words(plan) > most


def _frame_words(plan: Distribution) -> int:
    return plan.layouts[plan.graph.network.input.name].words[-1]


def _run_words(plan: Distribution, run: Run) -> int:
    words = plan.layouts[run.root].words
    return words[run.pieces.stop] - words[run.pieces.start]


def _check_channel(arch: Arch, channel: int, what: str, words: list[int]) -> None:
    """Check messages that wait in a channel together: all arrive before the first is taken."""
    if channel >= arch.link.channels:
        raise CompileError(
            f"{arch.name}: exchanging {what} takes {arch.cores} channels and the host's, and "
            f"link.channels (={arch.link.channels}); set link.channels={1 + arch.cores} or cores=1"
        )
    if sum(words) > arch.link.channel_words:
        raise CompileError(
            f"{arch.name}: {what} takes {sum(words)} words of a channel, and link.channel_words "
            f"(={arch.link.channel_words}); set link.channel_words={sum(words)} or use narrower "
            f"activations{or_outside(arch)}"
        )
    for count in words:
        _check_message(arch, what, count)


def _check_message(arch: Arch, what: str, words: int) -> None:
    if words > MESSAGE_WORDS:
        raise CompileError(
            f"{arch.name}: {what} takes {words} words, and a message has {MESSAGE_WORDS} at most; "
            f"use narrower activations or more cores{or_outside(arch)}"
        )
