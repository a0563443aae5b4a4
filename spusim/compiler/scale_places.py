"""Scale entries that are loaded for each frame, because all of them take too much data memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from spusim.arch import Arch
from spusim.compiler.convolution import scale_name
from spusim.compiler.distribution import Distribution
from spusim.compiler.filters import filter_parts
from spusim.compiler.first_fit import Span, end_of, first_fit
from spusim.compiler.memory import SCALE_ALIGN_WORDS, SCALE_ENTRY_BYTES, words_of
from spusim.compiler.requantising import requant_rows
from spusim.compiler.steps import Unit, nodes_of
from spusim.network.records import Convolution, Product, Requant

STAYING_SHARE = 16  # of data memory, one part may be scale entries


@dataclass(frozen=True)
class ScalePlaces:
    """loaded: convolution's scale -> its first word, counted from the first of all that take turns.

    words: what those take; staying: what all others take at most.
    """

    loaded: dict[str, int] = field(default_factory=dict)
    words: int = 0
    staying: int = 0


def scale_places(arch: Arch, plan: Distribution, units: Sequence[Unit], words: int) -> ScalePlaces:
    """Decide whether convolutions' scale entries stay, or come for each: words is all memory.

    Entries of a unit are there while the one before it is computed, and it itself.
    """
    turns: dict[str, Span] = {}
    others = 0
    for number, unit in enumerate(units):
        for node in nodes_of(unit):
            if isinstance(node, Convolution) and (taken := _filter_words(arch, plan, node)):
                turns[scale_name(node)] = Span(taken, number - 1, number)
            elif isinstance(node, Product):
                others += sum(_words(arch, head.requant) for head in node.heads)
    total = sum(span.words for span in turns.values())
    if total + others <= words // STAYING_SHARE:
        return ScalePlaces(staying=total + others)
    spans = list(turns.values())
    places = first_fit(spans)
    return ScalePlaces(dict(zip(turns, places, strict=True)), end_of(spans, places), others)


def _filter_words(arch: Arch, plan: Distribution, node: Convolution) -> int:
    """Return the words of a convolution's entries, which each of its instructions has aligned."""
    bits, filters = plan.graph.tensors[node.a].quantum.bits, range(node.geometry.filters)
    parts = filter_parts(arch, node, bits, filters)
    return sum(_words(arch, part.of(node, node.name).requant) for part in parts)


def _words(arch: Arch, requant: Requant) -> int:
    """Return the words of a requantisation's entries with what aligns them, 0 for a shift."""
    multiplier, _ = requant_rows(requant, slice(None))
    if len(multiplier) == 1 and multiplier[0] == 1:
        return 0
    word_bits = arch.core.data_memory.word_bits
    words = words_of(len(multiplier), 8 * SCALE_ENTRY_BYTES, word_bits)
    return -(-words // SCALE_ALIGN_WORDS) * SCALE_ALIGN_WORDS
