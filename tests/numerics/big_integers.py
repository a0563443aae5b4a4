"""The rules A1 to A6 once more, in Python's own integers: what the tests compare with."""

from collections.abc import Sequence

WORD = 2**32


def brought_into(value: int, bits: int, mode: str) -> int:
    """Return a value after overflow."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if low <= value <= high:
        return value
    if mode == "saturate":
        return low if value < low else high
    return 0 if mode == "nullify" else low + (value - low) % 2**bits


def divided(value: int, shift: int, rounding: str, random: int = 0) -> int:
    """Return value / 2**shift, rounded; random: 64 bits."""
    if shift <= 0:
        return value * 2**-shift
    floor, rest = divmod(value, 2**shift)
    twice = 2 * rest
    more = {
        "floor": False,
        "half_up": twice >= 2**shift,
        "half_even": twice > 2**shift or (twice == 2**shift and floor % 2 == 1),
        "stochastic": rest + random // 2 ** (64 - shift) >= 2**shift,
    }
    return floor + more[rounding]


def summed(
    start: int, terms: Sequence[int], bits: int, mode: str, partial: tuple[int, int, int, str],
    position: int = 0,
) -> int:  # fmt: skip
    """Return a row's sum: terms in order; partial: every, shift, bits and rounding."""
    every, shift, kept, rounding = partial
    acc = brought_into(start, bits, mode)
    for dense, term in enumerate(terms, position + 1):
        acc = brought_into(acc + term, bits, mode)
        if every and dense > 0 and dense % every == 0:
            acc = brought_into(divided(acc, shift, rounding), kept, mode) * 2**shift
    return acc


def random_64(seed: int, stream: int, activation: int, ordinal: int, index: int) -> int:
    """Return the bits of an output, by the paper's pseudo-code: 4 words, 20 rounds."""
    key = [seed, 0, 0, 0]
    key.append(0x1BD11BDA ^ seed)
    x = [index % WORD, ordinal, activation, stream]
    x = [(a + b) % WORD for a, b in zip(x, key, strict=False)]
    table = [10, 26, 11, 21, 13, 27, 23, 5, 6, 20, 17, 11, 25, 10, 18, 20]
    for r in range(20):
        for half in range(2):
            to = 2 * half
            by = (to + 1) if r % 2 == 0 else (3 - to)
            x[to] = (x[to] + x[by]) % WORD
            turn = table[2 * (r % 8) + half]
            x[by] = (x[by] * 2**turn % WORD + x[by] // 2 ** (32 - turn)) ^ x[to]
        if r % 4 == 3:
            x = [(a + key[(r // 4 + 1 + k) % 5]) % WORD for k, a in enumerate(x)]
            x[3] = (x[3] + r // 4 + 1) % WORD
    return x[0] + WORD * x[1]
