"""Rules on memories: what addresses reach, what must fit, and what is read in a cycle."""

import math

from spusim.arch.precisions import (
    widest_activation_bits,
)
from spusim.arch.rule import Rule
from spusim.arch.spec import Arch

ADDRESS_WORDS = 1 << 16  # data and table addresses of the instruction set are 16 bits
ACCUMULATOR_ROWS = 1 << 20  # and accumulator rows 20


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


def _accumulator_rows(arch: Arch) -> int:
    return arch.core.pes * arch.core.accumulators


MEMORY_RULES: tuple[Rule, ...] = (
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
