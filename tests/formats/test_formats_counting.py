"""Fields and counts against what they mean, entry by entry."""

import numpy as np
import pytest

from spusim.formats import Layout, column_counts
from spusim.formats.bits import pack_fields, unpack_fields


@pytest.mark.parametrize("word_bits", [32, 64, 256])
@pytest.mark.parametrize("bits", [1, 3, 4, 8, 12, 16, 24, 32])
def test_fields_lie_where_their_bits_say(bits: int, word_bits: int) -> None:
    rng = np.random.default_rng(bits)
    for count in (0, 1, word_bits // bits, 3 * (word_bits // bits) + 1):
        fields = rng.integers(0, 1 << bits, count)
        words = pack_fields(fields - ((fields >> (bits - 1)) << bits), bits, word_bits)  # signed
        per_word = word_bits // bits
        assert words.shape == (-(-count // per_word), word_bits // 8)
        for number, word in enumerate(words):
            told = int.from_bytes(word.tobytes(), "little")
            own = fields[number * per_word : (number + 1) * per_word]
            assert told == sum(int(field) << (bits * k) for k, field in enumerate(own))
        assert unpack_fields(words, bits, count).tolist() == fields.tolist()


@pytest.mark.parametrize(("rows", "pes", "word_bits", "per_beat"), [
    (7, 3, 64, 8), (40, 2, 64, 3), (5, 8, 32, 1), (64, 64, 32, 4), (33, 1, 64, 16),
])  # fmt: skip
def test_words_and_beats_are_those_of_T2_and_T5(
    rows: int, pes: int, word_bits: int, per_beat: int
) -> None:
    rng = np.random.default_rng(rows)
    weight = rng.integers(-3, 4, (rows, 23)) * (rng.random((rows, 23)) < 0.4)
    layout = Layout("bitmap", pes, word_bits, 64, 8)
    counts = column_counts(weight, per_beat, layout)
    assert np.array_equal(counts.entries, counts.nonzeros)
    for pe in range(pes):
        place = 0
        for column in range(weight.shape[1]):
            entries = np.count_nonzero(weight[pe::pes, column])
            words = [(place + k) // (word_bits // 8) for k in range(entries)]
            place += entries
            beats = sum(-(-words.count(word) // per_beat) for word in set(words))
            assert counts.entries[column, pe] == entries
            assert counts.words[column, pe] == len(set(words))
            assert counts.beats[column, pe] == beats
