"""Room that is given for a time: who is not there together may have the same words."""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """`words` that are taken from time `first` to time `last`, both included."""

    words: int
    first: int
    last: int


def first_fit(spans: Sequence[Span]) -> tuple[int, ...]:
    """Return a first word for each span, so that none that meet overlap.

    The largest are placed first (of equals the earlier), each at the lowest words that are free
    all its time: near the least total in practice, and never more than the sum of all.
    """
    order = sorted(range(len(spans)), key=lambda n: (-spans[n].words, spans[n].first, n))
    places: dict[int, int] = {}
    placed: list[tuple[int, int, int, int]] = []  # word, end; first and last time
    for number in order:
        span = spans[number]
        begins, ends = span.first, span.last
        taken = [each for each in placed if each[2] <= ends and begins <= each[3]]
        word = 0
        for first, end, *_ in taken:
            if word + span.words <= first:
                break
            word = max(word, end)
        places[number] = word
        insort(placed, (word, word + span.words, begins, ends))
    return tuple(places[number] for number in range(len(spans)))


def end_of(spans: Sequence[Span], places: Sequence[int]) -> int:
    """Return the words that all take together."""
    return max((place + span.words for span, place in zip(spans, places, strict=True)), default=0)
