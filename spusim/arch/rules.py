"""Rules between the fields of an architecture: what cannot be built, and what to do instead."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from spusim.arch.spec import Arch, ArchError, CoreSpec

ADDRESS_WORDS = 1 << 16  # data and table addresses of the instruction set are 16 bits
ACCUMULATOR_ROWS = 1 << 20  # and accumulator rows 20
MOST_PARTS = 10**6  # of a byte that a bandwidth may tell
CODEBOOK = "c"  # of a precision


# a preset whose decoder understands each format
FORMAT_PRESETS = {
    "dense": "spu001_dense",
    "bitmap": "row64",
    "run_length": "eie64",
    "pencil": "spu001",
    "block": "micronpu",
    "n_of_m": "n2m4",
}


@dataclass(frozen=True)
class Rule:
    """One rule: `holds` says whether an Arch obeys it, `message` and `remedy` what to say if not.

    fields: dotted paths of the values involved, the likeliest culprit first.
    """

    name: str
    fields: tuple[str, ...]
    docs: str
    holds: Callable[[Arch], bool]
    message: Callable[[Arch], str]
    remedy: Callable[[Arch], str]

    def complaint(self, arch: Arch) -> str:
        """Message and remedy for an architecture that breaks the rule."""
        return f"{self.message(arch)}; {self.remedy(arch)}"


def broken_rules(arch: Arch) -> list[Rule]:
    """Return the rules that arch breaks, in the table's order."""
    return [rule for rule in RULES if not rule.holds(arch)]


def check_arch(arch: Arch) -> Arch:
    """Return arch if it obeys every rule; raises ArchError with a line per broken rule.

    For architectures made in Python (`model_copy`); `load_arch` has checked its own.
    """
    broken = broken_rules(arch)
    if broken:
        raise ArchError("\n".join(f"{arch.name}: {rule.complaint(arch)}" for rule in broken))
    return arch


def describe_rules() -> str:
    """Return the rules as a Markdown table, for the manual."""
    rows = [f"| {rule.name} | `{'`, `'.join(rule.fields)}` | {rule.docs} |" for rule in RULES]
    return "\n".join(["| rule | fields | what it asks |", "|---|---|---|", *rows])


def conv_complaint(arch: Arch) -> str:
    """Say why an architecture cannot convolve, and what to do; "" if it can."""
    core = arch.core
    if core.weight_memory and core.ports == "reserved" and core.hazard == "bypass":
        return ""
    return (
        f"{arch.name} cannot convolve: that takes core.weight_memory, core.ports: reserved and "
        "core.hazard: bypass; set them, or choose row64 or smartskip"
    )


@cache
def operand_bits(precision: str) -> tuple[int, int]:
    """Split a precision such as `8x16` into the bits multiplied; of `c8x16` entry bits first."""
    weight, activation = precision.split("x")
    return int(weight.removeprefix(CODEBOOK)), int(activation)


def codebook_entry_bits(core: CoreSpec) -> int:
    """Bits of the widest codebook entry that the lanes multiply; 0 where there is no codebook."""
    named = [name for name in core.precisions if name.startswith(CODEBOOK)]
    return max((operand_bits(name)[0] for name in named), default=0)


def widest_activation_bits(core: CoreSpec) -> int:
    """Bits of the widest activation that the lanes multiply."""
    return max(operand_bits(precision)[1] for precision in core.precisions)


def _widest_product(arch: Arch) -> tuple[int, str]:
    return max((sum(operand_bits(p)), p) for p in arch.core.precisions)


def _partial_sum_bits(arch: Arch) -> int:
    return arch.numerics.partial_sums.bits + arch.numerics.partial_sums.shift


def _nearest_divisors(arch: Arch) -> str:
    """Name the divisors of the bank count on either side of the PE count."""
    banks, pes = arch.core.data_memory.banks, arch.core.pes
    divisors = [d for d in range(1, banks + 1) if banks % d == 0]
    below = [d for d in divisors if d < pes][-1:]
    above = [d for d in divisors if d > pes][:1]
    return f"try {' or '.join(str(d) for d in below + above)}"


def _memory_words(arch: Arch) -> int:
    return arch.core.data_memory.banks * arch.core.data_memory.words


def _table_words(arch: Arch) -> int:
    return arch.core.table_memory.banks * arch.core.table_memory.words


def _table_entries(arch: Arch) -> int:
    return (1 << arch.numerics.table_address_bits) + arch.numerics.table_interpolate


def _window_words(arch: Arch) -> int:
    """Most data memory words that a scanner window touches; windows follow without gaps."""
    word = arch.core.data_memory.word_bits
    bits = arch.core.scanner.width * widest_activation_bits(arch.core)
    return math.ceil((word - math.gcd(bits, word) + bits) / word)


def _bytes_per_cycle(arch: Arch) -> float:
    return arch.external_memory.bytes_per_cycle if arch.external_memory else 0.0


def _layer_precision(arch: Arch) -> str:
    return f"{arch.core.layer_weight_bits}x{arch.core.layer_activation_bits}"


def _beat_positions(arch: Arch) -> int:
    return arch.core.lanes * max(arch.core.precisions.values())


def _accumulator_rows(arch: Arch) -> int:
    return arch.core.pes * arch.core.accumulators


RULES: tuple[Rule, ...] = (
    Rule(
        "pixel_engine",
        ("core.dataflow", "core.weight_memory", "core.ports", "core.hazard"),
        "Dataflow `pixel` needs `core.weight_memory`, `ports: reserved` and `hazard: bypass`.",
        lambda a: a.core.dataflow == "row" or not conv_complaint(a),
        lambda a: f"core.dataflow (=pixel): {conv_complaint(a).split(';')[0]}",
        lambda a: "set them, or core.dataflow to row",
    ),
    Rule(
        "external_ports",
        ("core.ports", "external_memory"),
        "With `external_memory` ports are reserved: transfers take no part in the arbitration of "
        "shared ones.",
        lambda a: a.external_memory is None or a.core.ports == "reserved",
        lambda a: "core.ports (=shared) cannot go with external_memory (T57)",
        lambda a: "set core.ports to reserved, or external_memory to null",
    ),
    Rule(
        "external_bandwidth",
        ("external_memory.bytes_per_cycle",),
        "A bandwidth has at most six decimals, so that cycles are counted exactly.",
        lambda a: (
            a.external_memory is None or a.external_memory.bandwidth.denominator <= MOST_PARTS
        ),
        lambda a: (
            f"external_memory.bytes_per_cycle (={_bytes_per_cycle(a):g}) must have at most six "
            "decimals (T55)"
        ),
        lambda a: f"try {max(round(_bytes_per_cycle(a), 6), 1e-6):g}",
    ),
    Rule(
        "feeder_banks",
        ("core.feeder.words", "core.data_memory.banks"),
        "The feeder fetches each of its words from another single-port bank.",
        lambda a: a.core.feeder.words <= a.core.data_memory.banks,
        lambda a: f"core.feeder.words (={a.core.feeder.words}) are fetched from as many banks",
        lambda a: f"try {a.core.data_memory.banks}",
    ),
    Rule(
        "pixel_accumulators",
        ("core.accumulators", "core.lanes", "core.precisions"),
        "Dataflow `pixel` has accumulators for at least one filter at the positions of a beat.",
        lambda a: a.core.dataflow == "row" or _beat_positions(a) <= a.core.accumulators,
        lambda a: (
            f"core.accumulators (={a.core.accumulators}) must hold one filter at the "
            f"{_beat_positions(a)} positions that lanes and MACs a lane work on in a beat"
        ),
        lambda a: f"try {_beat_positions(a)}",
    ),
    Rule(
        "pes_divide_banks",
        ("core.pes", "core.data_memory.banks"),
        "Without `core.weight_memory` the data banks are the weight banks, shared out evenly: "
        "the number of PEs divides the number of banks.",
        lambda a: a.core.weight_memory is not None or a.core.data_memory.banks % a.core.pes == 0,
        lambda a: (
            f"core.pes (={a.core.pes}) must divide core.data_memory.banks "
            f"(={a.core.data_memory.banks}), which are its weight banks"
        ),
        _nearest_divisors,
    ),
    Rule(
        "resident_index",
        ("core.index_memory.mode", "core.weight_memory", "core.sparse.weights"),
        "Resident pointers and indices ask for private weight memories, unless weights are "
        "stored dense and have none.",
        lambda a: (
            a.core.index_memory.mode == "preload"
            or a.core.weight_memory is not None
            or a.core.sparse.weights == "dense"
        ),
        lambda a: (
            "core.index_memory.mode (=resident) needs core.weight_memory (=null): the data "
            "banks, which then hold the weights, are no place for resident pointers"
        ),
        lambda a: "set core.index_memory.mode to preload, or give core.weight_memory its words",
    ),
    Rule(
        "format_understood",
        ("core.sparse.format", "core.sparse.formats"),
        "The format matrices are stored in is one that the decoder understands, or `auto`.",
        lambda a: a.core.sparse.format in (*a.core.sparse.formats, "auto"),
        lambda a: (
            f"core.sparse.format (={a.core.sparse.format}) must be one of "
            f"core.sparse.formats (={', '.join(a.core.sparse.formats)}) or auto"
        ),
        lambda a: (
            f"try {a.core.sparse.formats[0]}, add {a.core.sparse.format} to the formats, or take "
            f"preset {FORMAT_PRESETS[a.core.sparse.format]}, which has it"
        ),
    ),
    Rule(
        "formats_once",
        ("core.sparse.formats",),
        "No format is listed twice.",
        lambda a: len(set(a.core.sparse.formats)) == len(a.core.sparse.formats),
        lambda a: (
            f"core.sparse.formats (={', '.join(a.core.sparse.formats)}) must name each format once"
        ),
        lambda a: f"write [{', '.join(dict.fromkeys(a.core.sparse.formats))}]",
    ),
    Rule(
        "dense_format",
        ("core.sparse.weights", "core.sparse.formats"),
        "`core.sparse.weights: dense` stores matrices in the format `dense`.",
        lambda a: a.core.sparse.weights != "dense" or "dense" in a.core.sparse.formats,
        lambda a: (
            "core.sparse.weights (=dense) stores matrices dense, which core.sparse.formats "
            f"(={', '.join(a.core.sparse.formats)}) must include"
        ),
        lambda a: "add dense to the formats, or try skip",
    ),
    Rule(
        "pencil_rows",
        ("core.sparse.pencil", "core.accumulators", "core.sparse.formats"),
        "A PE has an accumulator for every row of a pencil.",
        lambda a: (
            "pencil" not in a.core.sparse.formats or a.core.sparse.pencil <= a.core.accumulators
        ),
        lambda a: (
            f"core.sparse.pencil (={a.core.sparse.pencil}) must be at most "
            f"core.accumulators (={a.core.accumulators}): a PE owns whole pencils"
        ),
        lambda a: f"try {a.core.accumulators} rows, or more accumulators",
    ),
    Rule(
        "block_rows",
        ("core.sparse.block.rows", "core.accumulators", "core.sparse.formats"),
        "A PE has an accumulator for every row of a block.",
        lambda a: (
            "block" not in a.core.sparse.formats or a.core.sparse.block.rows <= a.core.accumulators
        ),
        lambda a: (
            f"core.sparse.block.rows (={a.core.sparse.block.rows}) must be at most "
            f"core.accumulators (={a.core.accumulators}): a PE owns whole blocks"
        ),
        lambda a: f"try {a.core.accumulators} rows, or more accumulators",
    ),
    Rule(
        "group_rows",
        ("core.sparse.n_of_m.group", "core.accumulators", "core.sparse.formats"),
        "A PE has an accumulator for every row of an N:M group.",
        lambda a: (
            "n_of_m" not in a.core.sparse.formats
            or a.core.sparse.n_of_m.group <= a.core.accumulators
        ),
        lambda a: (
            f"core.sparse.n_of_m.group (={a.core.sparse.n_of_m.group}) must be at most "
            f"core.accumulators (={a.core.accumulators}): a PE owns whole groups"
        ),
        lambda a: f"try {a.core.accumulators} rows, or more accumulators",
    ),
    Rule(
        "kept_of_group",
        ("core.sparse.n_of_m.kept", "core.sparse.n_of_m.group"),
        "N of N:M is at most M.",
        lambda a: a.core.sparse.n_of_m.kept <= a.core.sparse.n_of_m.group,
        lambda a: (
            f"core.sparse.n_of_m.kept (={a.core.sparse.n_of_m.kept}) must be at most "
            f"core.sparse.n_of_m.group (={a.core.sparse.n_of_m.group}), of which it keeps them"
        ),
        lambda a: "try 2 of 4",
    ),
    Rule(
        "product_fits",
        ("numerics.accumulator_bits", "core.precisions"),
        "An accumulator is at least as wide as the widest product: weight bits + activation bits.",
        lambda a: a.numerics.accumulator_bits >= _widest_product(a)[0],
        lambda a: (
            f"numerics.accumulator_bits (={a.numerics.accumulator_bits}) must hold a product of "
            f"core.precisions: {_widest_product(a)[1]} makes {_widest_product(a)[0]} bits"
        ),
        lambda a: f"try {_widest_product(a)[0]}, or drop {_widest_product(a)[1]}",
    ),
    Rule(
        "partial_sums_fit",
        (
            "numerics.partial_sums.bits",
            "numerics.partial_sums.shift",
            "numerics.accumulator_bits",
        ),
        "A requantised partial sum, shifted back, fits its accumulator.",
        lambda a: (
            not a.numerics.partial_sums.every or _partial_sum_bits(a) <= a.numerics.accumulator_bits
        ),
        lambda a: (
            f"numerics.partial_sums: bits (={a.numerics.partial_sums.bits}) + shift "
            f"(={a.numerics.partial_sums.shift}) must be at most numerics.accumulator_bits "
            f"(={a.numerics.accumulator_bits}), in which the sum goes on"
        ),
        lambda a: (
            f"try bits {a.numerics.accumulator_bits - a.numerics.partial_sums.shift}"
            if a.numerics.accumulator_bits - a.numerics.partial_sums.shift >= 2
            else f"try shift {max(0, a.numerics.accumulator_bits - a.numerics.partial_sums.bits)}"
        ),
    ),
    Rule(
        "layer_precision",
        ("core.layer_weight_bits", "core.layer_activation_bits", "core.precisions"),
        "The default precision of `spusim layer` is one that the lanes compute.",
        lambda a: _layer_precision(a) in a.core.precisions,
        lambda a: (
            f"core.layer_weight_bits x core.layer_activation_bits (={_layer_precision(a)}) "
            f"must be one of core.precisions (={', '.join(a.core.precisions)})"
        ),
        lambda a: "try weight and activation bits from that list, or add the precision",
    ),
    Rule(
        "codebook_registers",
        ("core.decoder.codebooks", "core.precisions"),
        "Decoders that look weights up in a codebook have registers for at least one.",
        lambda a: a.core.decoder.codebooks > 0 or not codebook_entry_bits(a.core),
        lambda a: (
            f"core.decoder.codebooks (={a.core.decoder.codebooks}) must be at least 1 where "
            f"core.precisions (={', '.join(a.core.precisions)}) name weights by codebook"
        ),
        lambda a: "try 16, or drop the precisions that begin with c",
    ),
    Rule(
        "codebook_entries",
        ("core.table_memory.word_bits", "core.precisions"),
        "Codebooks lie in table memory, whose words hold an entry.",
        lambda a: a.core.table_memory.word_bits >= codebook_entry_bits(a.core),
        lambda a: (
            f"core.table_memory.word_bits (={a.core.table_memory.word_bits}) must hold a codebook "
            f"entry of {codebook_entry_bits(a.core)} bits"
        ),
        lambda a: f"try {codebook_entry_bits(a.core)}, or codebooks of 8-bit entries (c8)",
    ),
    Rule(
        "data_addresses",
        ("core.data_memory.words", "core.data_memory.banks"),
        "A core's data memory has at most 65536 words, which 16-bit addresses reach.",
        lambda a: _memory_words(a) <= ADDRESS_WORDS,
        lambda a: (
            f"core.data_memory.banks x core.data_memory.words (={a.core.data_memory.banks} "
            f"x {a.core.data_memory.words} = {_memory_words(a)}) must be at most {ADDRESS_WORDS}, "
            "which 16-bit addresses reach"
        ),
        lambda a: f"try {max(1, ADDRESS_WORDS // a.core.data_memory.banks)} words a bank",
    ),
    Rule(
        "table_addresses",
        ("core.table_memory.words", "core.table_memory.banks"),
        "A core's table memory has at most 65536 entries, which 16-bit addresses reach.",
        lambda a: _table_words(a) <= ADDRESS_WORDS,
        lambda a: (
            f"core.table_memory.banks x core.table_memory.words (={_table_words(a)}) must "
            f"be at most {ADDRESS_WORDS}, which 16-bit addresses reach"
        ),
        lambda a: f"try {ADDRESS_WORDS // a.core.table_memory.banks} words a bank",
    ),
    Rule(
        "table_fits",
        ("numerics.table_address_bits", "core.table_memory.words", "core.table_memory.banks"),
        "Table memory holds at least one table: 2**table_address_bits entries, one more when "
        "interpolated.",
        lambda a: _table_entries(a) <= _table_words(a),
        lambda a: (
            f"numerics.table_address_bits (={a.numerics.table_address_bits}) makes tables of "
            f"{_table_entries(a)} entries, more than core.table_memory holds (={_table_words(a)})"
        ),
        lambda a: (
            f"try {max(2, int(math.log2(max(4, _table_words(a) - 1))))} address bits, or "
            f"{math.ceil(_table_entries(a) / a.core.table_memory.banks)} words a bank"
        ),
    ),
    Rule(
        "accumulator_addresses",
        ("core.accumulators", "core.pes"),
        "A core has at most 1048576 accumulators, which 20-bit rows reach.",
        lambda a: _accumulator_rows(a) <= ACCUMULATOR_ROWS,
        lambda a: (
            f"core.pes x core.accumulators (={a.core.pes} x {a.core.accumulators} = "
            f"{_accumulator_rows(a)}) must be at most {ACCUMULATOR_ROWS}, which 20-bit rows reach"
        ),
        lambda a: f"try {ACCUMULATOR_ROWS // a.core.pes} accumulators",
    ),
    Rule(
        "window_in_buffer",
        ("core.scanner.buffer_words", "core.scanner.width", "core.data_memory.word_bits"),
        "Without `core.weight_memory` the scanner's buffer holds at least one window.",
        lambda a: (
            a.core.weight_memory is not None or _window_words(a) <= a.core.scanner.buffer_words
        ),
        lambda a: (
            f"core.scanner.buffer_words (={a.core.scanner.buffer_words}) must hold a window "
            f"of core.scanner.width (={a.core.scanner.width}) activations: {_window_words(a)} words"
        ),
        lambda a: f"try {_window_words(a)} words, or a narrower scanner",
    ),
    Rule(
        "window_in_banks",
        ("core.scanner.width", "core.data_memory.banks", "core.data_memory.word_bits"),
        "With `core.weight_memory` the scanner reads a window in one cycle, each word from "
        "another single-port bank of the data memory.",
        lambda a: a.core.weight_memory is None or _window_words(a) <= a.core.data_memory.banks,
        lambda a: (
            f"core.scanner.width (={a.core.scanner.width}) makes windows of "
            f"{_window_words(a)} words, which core.data_memory.banks (={a.core.data_memory.banks}) "
            "single-port banks must deliver in one cycle"
        ),
        lambda a: f"try {_window_words(a)} banks, or a narrower scanner",
    ),
)
