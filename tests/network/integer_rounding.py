"""Rounding, overflow and random bits in Python's own integers, as plainly as they go."""

from collections.abc import Callable, Sequence


def rounded(value: int, shift: int, rounding: str, random: Callable[[], int] = lambda: 0) -> int:
    """Divide a Python integer by 2**shift with rounding; random draws 64 bits."""
    if shift <= 0:
        return value << -shift
    quotient, rest = divmod(value, 1 << shift)
    if rounding == "stochastic":
        return quotient + (rest + (random() >> (64 - shift)) >= 1 << shift)
    half = 1 << (shift - 1)
    up = {
        "floor": False,
        "half_up": rest >= half,
        "half_even": rest > half or (rest == half and quotient % 2 == 1),
    }
    return quotient + up[rounding]


def fitted(value: int, bits: int, mode: str) -> int:
    """Bring a Python integer into `bits`: saturate, wrap around, or zero if out of range."""
    half = 1 << (bits - 1)
    if mode == "nullify":
        return value if -half <= value < half else 0
    if mode == "saturate":
        return min(max(value, -half), half - 1)
    return (value + half) % (2 * half) - half


def random_bits(counter: Sequence[int], seed: int) -> int:
    """Return 64 random bits: two words of Threefry-4x32-20, in Python's own integers."""
    word = 2**32
    key = [seed, 0, 0, 0, seed ^ 0x1BD11BDA]
    turns = ((10, 11, 13, 23, 6, 17, 25, 18), (26, 21, 27, 5, 20, 11, 10, 20))
    state = [(c + k) % word for c, k in zip(counter, key, strict=False)]
    for number in range(20):
        odd = (1, 3) if number % 2 == 0 else (3, 1)
        for even, other, turn in zip((0, 2), odd, turns, strict=True):
            state[even] = (state[even] + state[other]) % word
            turned = state[other] << turn[number % 8]
            state[other] = (turned % word | turned // word) ^ state[even]
        if number % 4 == 3:
            injected = number // 4 + 1
            state = [(s + key[(injected + k) % 5]) % word for k, s in enumerate(state)]
            state[3] = (state[3] + injected) % word
    return state[1] * word + state[0]
