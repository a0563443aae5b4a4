"""Fields of any width in words: little-endian, lowest bits first, no field across two words.

Words are the rows of a (words, word_bits / 8) uint8 array.
"""

import numpy as np

from spusim.formats.errors import FormatError


def words_for(count: int, bits: int, word_bits: int) -> int:
    """Return the words that `count` fields of `bits` fill."""
    return -(-count // (word_bits // bits))


def pack_fields(fields: np.ndarray, bits: int, word_bits: int) -> np.ndarray:
    """Pack the low `bits` (at most 56) of integers (n,) -> (words, word_bits / 8) uint8."""
    per_word = word_bits // bits
    if kind := _whole(bits, word_bits):
        whole = np.zeros(words_for(len(fields), bits, word_bits) * per_word, kind)
        whole[: len(fields)] = fields.astype(kind)
        return whole.view(np.uint8).reshape(-1, word_bits // 8)
    words = np.zeros((words_for(len(fields), bits, word_bits), word_bits // 8), np.uint8)
    for place in range(min(per_word, len(fields))):
        shift, touched = _bytes_of(place, bits)
        shifted = (fields[place::per_word].astype(np.int64) & ((1 << bits) - 1)) << shift
        for k, byte in enumerate(touched):
            words[: len(shifted), byte] |= ((shifted >> (8 * k)) & 255).astype(np.uint8)
    return words


def unpack_fields(words: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Return the first `count` fields of words, without sign -> (count,) int64."""
    word_bits = 8 * words.shape[1]
    per_word = word_bits // bits
    words = _head(words, words_for(count, bits, word_bits))
    if kind := _whole(bits, word_bits):
        return words.reshape(-1).view(kind)[:count].astype(np.int64)
    fields = np.zeros(count, np.int64)
    for place in range(min(per_word, count)):
        shift, touched = _bytes_of(place, bits)
        field = fields[place::per_word]
        for k, byte in enumerate(touched):
            field |= words[: len(field), byte].astype(np.int64) << (8 * k)
        field >>= shift
        field &= (1 << bits) - 1
    return fields


def _whole(bits: int, word_bits: int) -> str:
    """Return the type of fields that are numbers of a processor and fill words, else nothing."""
    return f"<u{bits // 8}" if bits in (8, 16, 32) and word_bits % bits == 0 else ""


def _bytes_of(place: int, bits: int) -> tuple[int, range]:
    """Return the lowest bit of a word's field within its first byte, and the bytes it touches."""
    first, shift = divmod(place * bits, 8)
    return shift, range(first, first + words_for(shift + bits, 1, 8))


def sign_extended(fields: np.ndarray, bits: int) -> np.ndarray:
    """Read unsigned fields as two's complement of `bits`."""
    return np.asarray(fields - ((fields & (1 << (bits - 1))) << 1))


def pack_flags(flags: np.ndarray, word_bits: int) -> np.ndarray:
    """Pack single bits (n,) bool one after another -> (words, word_bits / 8) uint8."""
    words = words_for(len(flags), 1, word_bits)
    packed = np.zeros(words * word_bits // 8, np.uint8)
    packed[: -(-len(flags) // 8)] = np.packbits(flags, bitorder="little")
    return packed.reshape(words, word_bits // 8)


def unpack_flags(words: np.ndarray, count: int) -> np.ndarray:
    """Return the first `count` bits of words -> (count,) bool."""
    words = _head(words, words_for(count, 1, 8 * words.shape[1]))
    return np.unpackbits(words.reshape(-1), count=count, bitorder="little").astype(bool)


def _head(words: np.ndarray, needed: int) -> np.ndarray:
    if len(words) < needed:
        raise FormatError(
            f"image has {len(words)} words where {needed} are needed; it is cut short or belongs "
            "to another layout, so pack the matrix again"
        )
    return np.ascontiguousarray(words[:needed])
