"""What a stored weight's bits mean: two's complement, a sign, or an index into a codebook.

docs/numbers.md has the rules. Codes are what formats pack the low `weight_bits` of: 0 exactly for
a weight of zero, so that a format need not know how its weights are written.
"""

import numpy as np

from spusim.formats.bits import sign_extended
from spusim.formats.errors import FormatError
from spusim.formats.layout import Layout

BINARY_BITS = 1
TERNARY_BITS = 2
INDEX_BITS = 4  # of a codebook's entries
ENTRIES = 1 << INDEX_BITS
ENTRY_BITS = 16  # the widest entry
_NO_ENTRY = -1
_BLOCK = 1 << 16  # weights looked up together: stays in the caches
_MINUS = 2  # code of a binary -1: not zero, and its low bit is


def check_codebook(codebook: tuple[int, ...], weight_bits: int) -> None:
    """Raise FormatError for a codebook that indices of `weight_bits` cannot mean."""
    if not codebook:
        return
    if weight_bits != INDEX_BITS:
        raise FormatError(
            f"weight_bits (={weight_bits}) of a matrix with a codebook must be {INDEX_BITS}: its "
            "weights are indices; leave the codebook out for integers"
        )
    if len(codebook) > ENTRIES:
        raise FormatError(
            f"a codebook of {len(codebook)} entries is larger than its index: {INDEX_BITS} bits "
            f"reach {ENTRIES}; cluster the weights into fewer"
        )
    half = 1 << (ENTRY_BITS - 1)
    wide = [entry for entry in codebook if not -half <= entry < half]
    if wide:
        raise FormatError(
            f"codebook entry {wide[0]} does not fit {ENTRY_BITS} bits ({-half} to {half - 1}); "
            "rescale the codebook"
        )
    if codebook[0] != 0:
        raise FormatError(
            f"entry 0 (={codebook[0]}) of a codebook must be 0, which pruned weights and padding "
            "are; put a zero first"
        )


def padded_codebook(codebook: tuple[int, ...]) -> tuple[int, ...]:
    """Return all 16 entries of a codebook: those that were not given are zero."""
    return codebook + (0,) * (ENTRIES - len(codebook))


def codes_of(weight: np.ndarray, layout: Layout) -> np.ndarray:
    """Return the codes of integer weights, any shape; raises FormatError for what has none."""
    if layout.codebook:
        return _indices(weight, np.array(layout.codebook))
    limits = weight_limits(layout.weight_bits)
    for value in (int(weight.min()), int(weight.max())):
        if not limits[0] <= value <= limits[1]:
            raise FormatError(
                f"weight {value} does not fit {layout.weight_bits} bits ({limits[0]} to "
                f"{limits[1]}); requantise the layer or give it wider weights"
            )
    if layout.weight_bits == BINARY_BITS:
        return np.asarray(np.where(weight < 0, _MINUS, weight))
    return weight


def weights_of(fields: np.ndarray, layout: Layout) -> np.ndarray:
    """Return the weights of stored codes, (n,) integers of which the low `weight_bits` count."""
    fields = np.asarray(fields).astype(np.int64) & ((1 << layout.weight_bits) - 1)
    if layout.codebook:
        return np.asarray(np.array(padded_codebook(layout.codebook), np.int64)[fields])
    if layout.weight_bits == BINARY_BITS:
        return np.asarray(2 * fields - 1)
    weights = sign_extended(fields, layout.weight_bits)
    if layout.weight_bits == TERNARY_BITS and (weights < -1).any():
        raise FormatError(
            "matrix image is damaged: a ternary weight is -2; it was overwritten or belongs to "
            "another layout, so pack the matrix again"
        )
    return weights


def weight_limits(bits: int) -> tuple[int, int]:
    """Return the smallest and largest weight of `bits`; of one and two bits they are -1 and 1."""
    half = 1 << (bits - 1)
    return (-1, 1) if bits <= TERNARY_BITS else (-half, half - 1)


def refuse_stored_zeros(layout: Layout, zeros: int) -> None:
    """Raise FormatError where a format would have to store zeros of binary weights."""
    if zeros and layout.weight_bits == BINARY_BITS:
        raise FormatError(
            f"{zeros} zeros of a binary matrix would be stored in {layout.format}, and one bit is "
            "+1 or -1; use bitmap, prune what the format drops whole, or give 2-bit (ternary) "
            "weights"
        )


def _indices(weight: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Return codes, int8 of the weights' shape: a layer of 10^8 weights has no room for wide ones.

    Weights are looked up a block at a time, in a table of all values up to the largest entry.
    """
    low, high = int(codebook.min()), int(codebook.max())
    table = np.full(high - low + 2, _NO_ENTRY, np.int8)  # its last place: beyond the entries
    table[codebook[::-1] - low] = np.arange(len(codebook))[::-1]  # the first of equal entries
    flat = weight.reshape(-1)
    codes = np.empty(flat.size, np.int8)
    for first in range(0, flat.size, _BLOCK):
        part = flat[first : first + _BLOCK].astype(np.int64)
        place = np.where((part < low) | (part > high), high + 1, part) - low
        codes[first : first + _BLOCK] = table[place]
    if (codes == _NO_ENTRY).any():
        raise FormatError(
            f"weight {flat[codes == _NO_ENTRY][0]} is no entry of its codebook "
            f"({', '.join(map(str, codebook))}); quantise the layer to it first"
        )
    return codes.reshape(weight.shape)
