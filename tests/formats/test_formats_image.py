"""Bit images written out by hand, and the corners of each format."""

import numpy as np
import pytest

from spusim.formats import FormatError, Layout, column_counts, footprint, pack, unpack, unpack_words


def integers_of(words):
    return [int.from_bytes(word.tobytes(), "little") for word in words]


def column(*rows, height):
    weight = np.zeros((height, 1), np.int64)
    for row in rows:
        weight[row, 0] = row % 7 + 1
    return weight


def test_bitmap_by_hand():
    weight = np.array([[1, 0], [2, -1], [0, 3], [-8, 0], [0, 5]])
    packed = pack(weight, Layout("bitmap", 2, 32, 32, 4), None)
    # PE 0 has rows 0, 2, 4: columns (1, 0, 0) and (0, 3, 5); PE 1 rows 1, 3: (2, -8), (-1, 0)
    assert integers_of(packed.slices[0]) == [0x531]
    assert integers_of(packed.indices[0]) == [0b110_001]
    assert integers_of(packed.slices[1]) == [0xF82]
    assert integers_of(packed.indices[1]) == [0b01_11]


def test_pencil_by_hand_with_a_short_one():
    weight = np.array([[0, 1], [0, 0], [7, 0], [0, 0], [-1, 2]])
    packed = pack(weight, Layout("pencil", 2, 32, 32, 8, group=2), None)
    # pencils: rows 01 (PE 0), 23 (PE 1), 4 (PE 0, short, in two places)
    assert integers_of(packed.slices[0]) == [0x0001_00FF, 0x0002]
    assert integers_of(packed.indices[0]) == [0b11_10]
    assert integers_of(packed.slices[1]) == [0x0007]
    assert integers_of(packed.indices[1]) == [0b0_1]
    assert packed.footprint.explicit_zeros == 2 * 8  # rows 1 and 3, not the missing row 5
    assert packed.footprint.padding == 2 * 8 + (16 + 16) + (28 + 30)
    counts = column_counts(packed, 8)
    assert counts.entries.tolist() == [[2, 2], [4, 0]]
    assert counts.words.tolist() == [[1, 1], [2, 0]]
    assert counts.slice_rows.tolist() == [3, 2]


def test_block_by_hand_cut_short_on_both_sides():
    weight = np.array([[0, 1, 0], [0, 0, 0], [7, 0, 0], [0, 0, 0], [0, 0, 2]])
    layout = Layout("block", 2, 32, 32, 8, group=2, extent=2, pointer_bits=8)
    packed = pack(weight, layout)
    # blocks of rows 01 (PE 0), 23 (PE 1), 4 (PE 0, short); of columns 01, 2 (nothing beyond it)
    assert integers_of(packed.slices[0]) == [0x0001_0000, 0x0002]
    assert integers_of(packed.indices[0]) == [0x06_04_00, 0b10_01]
    assert integers_of(packed.slices[1]) == [0x0000_0007]
    assert integers_of(packed.indices[1]) == [0x04_04_00, 0b0_1]
    found = packed.footprint
    assert found.explicit_zeros == (1 + 2 + 3) * 8  # not the row below the last
    assert (found.values, found.indices, found.pointers) == (24, 4 + 2, 2 * 3 * 8)
    counts = column_counts(packed, 8)
    assert counts.entries.tolist() == [[2, 2], [2, 2], [2, 0]]
    assert counts.index_words.tolist() == [[3, 3]] * 3  # two pointers and a word of the map


def test_n_of_m_by_hand_with_a_short_group():
    weight = np.array([[0, 3], [5, 0], [0, 0], [-1, 0], [0, 0], [6, 0]])
    packed = pack(weight, Layout("n_of_m", 1, 32, 32, 4, group=4, extent=2), None)
    # column 0: rows 1, 3 | 0 (the first zero), 1; column 1: rows 0, 1 (a zero) | 0, 1 (zeros)
    assert integers_of(packed.slices[0]) == [0x0003_60F5]
    assert integers_of(packed.indices[0]) == [0b01_00_01_00_01_00_11_01]
    found = packed.footprint
    assert (found.values, found.explicit_zeros, found.indices, found.pointers) == (16, 16, 16, 0)
    one = pack(weight[:5], Layout("n_of_m", 1, 32, 32, 4, group=4, extent=2), None)
    # of the last group's two places, the second is in a row that does not exist
    assert (one.footprint.explicit_zeros, one.footprint.padding) == (4 * 3, 2 * 4 + 16)


def test_rows_of_a_group_that_do_not_ascend_are_refused():
    layout = Layout("n_of_m", 1, 32, 32, 8, group=3, extent=2)
    packed = pack(np.array([[1], [0], [2]]), layout)
    for bits in (0b0000, 0b1101, 0b0110):  # rows 0 and 0; 1 and 3 of 3; 2 and 1
        indices = [np.array([[bits, 0, 0, 0]], np.uint8)]
        with pytest.raises(FormatError, match="rows of a group do not ascend below 3"):
            unpack_words(layout, 3, 1, packed.slices, indices)


def test_run_length_by_hand():
    weight = np.array([[0, 2], [0, 0], [0, 0], [0, -1], [3, 0], [4, 0]])
    layout = Layout("run_length", 1, 32, 32, 4, index_bits=2, pointer_bits=8)
    packed = pack(weight, layout)
    # column 0: padding over rows 0..3, then 3 and 4 at once; column 1: 2, then -1 after 2 zeros
    fields = [0b0000_11, 0b0011_00, 0b0100_00, 0b0010_00, 0b1111_10]
    assert integers_of(packed.slices[0]) == [sum(f << 6 * k for k, f in enumerate(fields))]
    assert integers_of(packed.indices[0]) == [0x05_03_00]
    found = packed.footprint
    assert (found.values, found.explicit_zeros, found.indices) == (16, 4, 10)
    assert (found.pointers, found.padding) == (24, 2 + 8)


def test_dense_and_bias_by_hand():
    weight = np.array([[1, -2], [3, 4]], np.int8)
    packed = pack(weight, Layout("dense", 1, 64, 32, 16, bias_bits=24), np.array([-1, 5]))
    assert integers_of(packed.slices[0]) == [0x000005_FFFFFF, 0x0004_FFFE_0003_0001]
    assert packed.bias_words == (1,)
    assert packed.indices[0].shape == (0, 4)


@pytest.mark.parametrize("index_bits", [1, 2, 4])
@pytest.mark.parametrize("excess", [-1, 0, 1])
@pytest.mark.parametrize("paddings", [1, 2, 3])
@pytest.mark.parametrize("start", [None, 0, 3])
def test_longest_gap_and_one_beyond(index_bits, excess, paddings, start):
    """A gap of k * 2**index_bits - 1 zeros needs k - 1 paddings, and one zero more needs k."""
    gap = paddings * 2**index_bits - 1 + excess
    begin = 0 if start is None else start + 1
    rows = ([] if start is None else [start]) + [begin + gap]
    weight = column(*rows, height=begin + gap + 40)
    layout = Layout("run_length", 1, 64, 64, 8, index_bits=index_bits, pointer_bits=16)
    packed = pack(weight, layout)
    before_start = 0 if start is None else start >> index_bits
    expected = len(rows) + before_start + (paddings if excess > 0 else paddings - 1)
    assert column_counts(packed, 1).entries.item() == expected
    assert column_counts(weight, 1, layout).entries.item() == expected
    assert (unpack(packed)[0] == weight).all()


def test_run_length_starts_anew_in_every_column_and_ends_without_padding():
    weight = np.zeros((40, 3), np.int64)
    weight[0, 0] = weight[39, 2] = 1
    layout = Layout("run_length", 1, 64, 64, 8, index_bits=4, pointer_bits=16)
    assert column_counts(pack(weight, layout), 1).entries.ravel().tolist() == [1, 0, 3]


@pytest.mark.parametrize("name", ["dense", "bitmap", "run_length", "pencil"])
def test_empty_matrix_and_empty_slices(name):
    weight = np.zeros((3, 4), np.int64)
    layout = Layout(name, 8, 64, 64, 8, group=2, pointer_bits=16)
    packed = pack(weight, layout)
    assert (unpack(packed)[0] == 0).all()
    counts = column_counts(packed, 4)
    if name == "dense":
        assert counts.entries[0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    else:
        assert not counts.beats.any()
        assert not counts.words.any()
        assert sum(map(len, packed.slices)) == 0
    assert packed.footprint == footprint(weight, layout)
    assert packed.footprint.values == 0


def test_every_pe_keeps_its_pointers_even_without_rows():
    layout = Layout("bitmap", 4, 64, 64, 8, pointer_bits=16)
    packed = pack(np.ones((2, 4), int), layout)
    assert [len(words) for words in packed.indices] == [3, 3, 2, 2]
    assert column_counts(packed, 1).index_words.tolist() == [[3, 3, 2, 2]] * 4


def test_index_words_of_bits_that_straddle_words():
    packed = pack(np.ones((20, 4), int), Layout("bitmap", 1, 64, 32, 8))
    # 20 bits a column in words of 32: bits 0..19, 20..39, 40..59, 60..79
    assert column_counts(packed, 1).index_words.ravel().tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize("places", [255, 256])
def test_pointers_reach_exactly_their_range(places):
    weight = np.ones((places, 1), int)
    layout = Layout("bitmap", 1, 64, 64, 8, pointer_bits=8)
    if places == 255:
        assert (unpack(pack(weight, layout))[0] == 1).all()
        assert footprint(weight, layout).pointers == 16
        return
    message = r"256 entry places .* pointer_bits \(=8\) reach 255; give core.sparse.pointer_bits=9"
    for refused in (pack, footprint):
        with pytest.raises(FormatError, match=message):
            refused(weight, layout)


def test_run_length_entry_below_its_slice_is_refused():
    layout = Layout("run_length", 1, 64, 64, 8, index_bits=4, pointer_bits=16)
    packed = pack(column(9, height=12), layout)
    assert unpack_words(layout, 10, 1, packed.slices, packed.indices)[0][9, 0] == 3
    with pytest.raises(FormatError, match="entry 0 of column 0 is in row 9 of a slice of 9"):
        unpack_words(layout, 9, 1, packed.slices, packed.indices)
