"""The registry of formats, and the rules that every layout keeps."""

from functools import lru_cache

from spusim.formats.base import Format
from spusim.formats.bitmap import Bitmap
from spusim.formats.block import Block
from spusim.formats.codes import check_codebook
from spusim.formats.dense import Dense
from spusim.formats.errors import FormatError
from spusim.formats.layout import Layout
from spusim.formats.n_of_m import NOfM
from spusim.formats.pencil import Pencil
from spusim.formats.run_length import RunLength

FORMATS: dict[str, Format] = {
    form.name: form for form in (Dense(), Bitmap(), RunLength(), Pencil(), Block(), NOfM())
}

WEIGHT_BITS = (1, 2, 4, 8, 16)
LARGEST_BIAS_BITS = 48
LARGEST_POINTER_BITS = 32


@lru_cache
def format_of(layout: Layout) -> Format:
    """Return the format of a layout; raises FormatError for a layout that cannot be built."""
    if layout.format not in FORMATS:
        raise FormatError(f"format {layout.format!r} is unknown; use one of {', '.join(FORMATS)}")
    form = FORMATS[layout.format]
    for name, value, allowed, rule in _rules(form, layout):
        if not allowed:
            raise FormatError(f"{name} (={value}) of a {layout.format} layout must {rule}")
    check_codebook(layout.codebook, layout.weight_bits)
    form.check(layout)
    return form


def _rules(form: Format, layout: Layout) -> tuple[tuple[str, int, bool, str], ...]:
    word, index_word = layout.word_bits, layout.index_word_bits
    weight, bias, pointer = layout.weight_bits, layout.bias_bits, layout.pointer_bits
    largest_bias = min(LARGEST_BIAS_BITS, word)
    largest_pointer = min(LARGEST_POINTER_BITS, index_word)
    return (
        ("weight_bits", weight, weight in WEIGHT_BITS, "be 1, 2, 4, 8 or 16"),
        ("pes", layout.pes, layout.pes >= 1, "be at least 1"),
        ("group", layout.group, layout.group >= 1, "be at least 1"),
        ("word_bits", word, word > 0 and word % 8 == 0, "be a multiple of 8"),
        ("index_word_bits", index_word, index_word > 0 and index_word % 8 == 0,
         "be a multiple of 8"),
        ("bits of an entry", form.entry_bits(layout), form.entry_bits(layout) <= word,
         f"fit a word of {word} bits"),
        ("bias_bits", bias, 0 <= bias <= largest_bias, f"be 0 (no bias) to {largest_bias}"),
        ("pointer_bits", pointer, 0 <= pointer <= largest_pointer,
         f"be 0 (not stored) to {largest_pointer}"),
    )  # fmt: skip


def entry_bits(layout: Layout) -> int:
    """Return the bits of an entry place."""
    return format_of(layout).entry_bits(layout)


def index_columns(layout: Layout, columns: int) -> int:
    """Return how many of the columns have index bits and a pointer of their own."""
    return -(-columns // format_of(layout).index_span(layout))


def entries_per_word(layout: Layout) -> int:
    """Return the entry places of a word (T2)."""
    return layout.word_bits // entry_bits(layout)
