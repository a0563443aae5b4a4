"""DESIGN section 2 in plain integers: shifts with rounding, overflow, requantising, look-up."""

from spusim.program import Table

TABLE_INPUT_BITS = 16

# Whether floor(x / 2**s) goes up by one; rest is what the floor leaves out, half is 2**(s-1).
ROUNDS_UP = {
    "floor": lambda floor, rest, half: False,
    "half_up": lambda floor, rest, half: rest >= half,
    "half_even": lambda floor, rest, half: rest > half or (rest == half and floor % 2 == 1),
}


def shifted(value: int, shift: int, rounding: str) -> int:
    """Return value / 2**shift, rounded; a negative shift goes left."""
    if shift <= 0:
        return value << -shift
    floor = value >> shift
    return floor + ROUNDS_UP[rounding](floor, value - (floor << shift), 1 << (shift - 1))


def limited(value: int, bits: int, overflow: str) -> int:
    """Bring a value into a signed width: saturate or wrap."""
    half = 1 << (bits - 1)
    if overflow == "saturate":
        return max(-half, min(half - 1, value))
    return (value + half) % (2 * half) - half


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
