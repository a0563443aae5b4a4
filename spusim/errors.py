"""The one base of every error that spusim raises on purpose, and the hints that they give."""

from collections.abc import Iterable

# how alike a name must be that was meant perhaps, and how much less than the likeliest one
LIKE, LIKE_IF_SHORT, LESS = 0.6, 0.5, 0.1
SHORT = 3
MOST_NEAR, MOST_NAMED = 3, 24


class SpusimError(Exception):
    """A mistake in what the user brought; the message names thing, value, rule and remedy."""


def nearest(name: str, known: Iterable[str], kind: str = "known") -> str:
    """Return a hint naming the known names most like `name`; else all, or the first, as a kind."""
    from difflib import SequenceMatcher, get_close_matches  # unneeded where all goes well

    names = list(known)
    enough = LIKE if len(name) > SHORT else LIKE_IF_SHORT
    close = get_close_matches(name, names, n=MOST_NEAR, cutoff=enough)
    if close:
        ratios = [SequenceMatcher(None, other, name).ratio() for other in close]
        near = [o for o, ratio in zip(close, ratios, strict=True) if ratio >= ratios[0] - LESS]
        return f"did you mean {' or '.join(near)}?"
    more = len(names) - MOST_NAMED
    return f"{kind}: {', '.join(names[:MOST_NAMED])}{f' and {more} more' if more > 0 else ''}"
