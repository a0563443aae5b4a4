"""DESIGN section 2 in plain integers: shifts with rounding, overflow, requantising, look-up."""

from spusim.program import Table

TABLE_INPUT_BITS = 16

# Whether floor(x / 2**s) goes up by one; rest is what the floor leaves out, half is 2**(s-1).
ROUNDS_UP = {
    "floor": lambda floor, rest, half: False,
    "half_up": lambda floor, rest, half: rest >= half,
    "half_even": lambda floor, rest, half: rest > half or (rest == half and floor % 2 == 1),
}


def shifted(value: int, shift: int, rounding: str, random: int = 0) -> int:
    """Return value / 2**shift, rounded; a negative shift goes left.

    random: 64 random bits, of which stochastic rounding takes the highest.
    """
    if shift <= 0:
        return value << -shift
    if rounding == "stochastic":
        return (value + random // 2 ** (64 - shift)) // 2**shift
    floor = value >> shift
    return floor + ROUNDS_UP[rounding](floor, value - (floor << shift), 1 << (shift - 1))


def element_of(data: bytes | bytearray, bit: int, bits: int) -> int:
    """Return the element that begins at a bit of little-endian bytes; one bit is +1 or -1."""
    first, last = bit // 8, (bit + bits - 1) // 8
    field = int.from_bytes(data[first : last + 1], "little") >> (bit - 8 * first)
    field %= 1 << bits
    if bits == 1:
        return 1 if field else -1
    return field - (1 << bits) if field >= 1 << (bits - 1) else field


def put_element(data: bytearray, bit: int, bits: int, value: int) -> None:
    """Write an element at a bit of little-endian bytes, and nothing beside it."""
    first, last = bit // 8, (bit + bits - 1) // 8
    shift = bit - 8 * first
    before = int.from_bytes(data[first : last + 1], "little")
    field = int(value > 0) if bits == 1 else value % (1 << bits)
    after = before - ((before >> shift) % (1 << bits) << shift) + (field << shift)
    data[first : last + 1] = after.to_bytes(last + 1 - first, "little")


def fitted(value: int, bits: int, overflow: str) -> int:
    """Bring a result into an element's width; of one bit it is the sign, +1 for zero."""
    if bits == 1:
        return -1 if value < 0 else 1
    return limited(value, bits, overflow)


def limited(value: int, bits: int, overflow: str) -> int:
    """Bring a value into a signed width: saturate, wrap, or null what is out of range."""
    half = 1 << (bits - 1)
    if overflow == "nullify":
        return value if -half <= value < half else 0
    if overflow == "saturate":
        return max(-half, min(half - 1, value))
    return (value + half) % (2 * half) - half


THREEFRY_ROTATIONS = [
    (10, 26), (11, 21), (13, 27), (23, 5), (6, 20), (17, 11), (25, 10), (18, 20)
]  # fmt: skip
MASK = 0xFFFFFFFF


def threefry(counter: list[int], key: list[int]) -> list[int]:
    """Return Threefry-4x32 of 20 rounds, as the paper of docs/numbers_arithmetic.md defines it."""
    keys = [*key, 0x1BD11BDA ^ key[0] ^ key[1] ^ key[2] ^ key[3]]
    x = [(c + k) & MASK for c, k in zip(counter, key, strict=True)]
    for r in range(20):
        first, second = THREEFRY_ROTATIONS[r % 8]
        b, d = (1, 3) if r % 2 == 0 else (3, 1)
        x[0] = (x[0] + x[b]) & MASK
        x[b] = ((x[b] << first | x[b] >> (32 - first)) & MASK) ^ x[0]
        x[2] = (x[2] + x[d]) & MASK
        x[d] = ((x[d] << second | x[d] >> (32 - second)) & MASK) ^ x[2]
        if r % 4 == 3:
            s = r // 4 + 1
            x = [(word + keys[(s + k) % 5]) & MASK for k, word in enumerate(x)]
            x[3] = (x[3] + s) & MASK
    return x


def random_bits(seed: int, stream: int, activation: int, ordinal: int, index: int) -> int:
    """Return the 64 random bits of one output of one instruction instance."""
    low, high, _, _ = threefry([index & MASK, ordinal, activation, stream], [seed, 0, 0, 0])
    return high << 32 | low


def looked_up(table: Table, value: int, rounding: str) -> int:
    """Return a table's value: the input saturates to the table, its low bits interpolate."""
    half = 1 << (table.address_bits - 1)
    unit = 1 << table.fraction_bits
    value = max(-half * unit, min(half * unit - 1, value))
    entry, fraction = divmod(value + half * unit, unit)
    here = int(table.entries[entry])
    if not table.interpolate:
        return here
    rise = int(table.entries[entry + 1]) - here
    return here + shifted(rise * fraction, table.fraction_bits, rounding)
