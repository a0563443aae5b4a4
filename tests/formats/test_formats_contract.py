"""One contract for every format in FORMATS: image, footprint, counts, all from plain loops.

A format that is added must bring its plain definition to PLAIN.
"""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.formats import (
    FORMATS,
    FormatError,
    Layout,
    column_counts,
    footprint,
    pack,
    slice_rows,
    unpack,
    unpack_words,
)
from spusim.formats import places as places_module

SHAPES = [(1, 1), (1, 9), (7, 1), (3, 5), (16, 16), (37, 23), (64, 10), (130, 6)]
DENSITIES = [0.0, 0.05, 0.3, 1.0]


def plain_dense(column, layout):
    return column, []


def plain_bitmap(column, layout):
    return [w for w in column if w], [w != 0 for w in column]


def plain_pencil(column, layout):
    n = layout.group
    pencils = [column[k : k + n] for k in range(0, len(column), n)]
    kept = [any(pencil) for pencil in pencils]
    entries = []
    for pencil, keep in zip(pencils, kept, strict=True):
        if keep:
            entries += pencil + [0] * (n - len(pencil))
    return entries, kept


def plain_run_length(column, layout):
    longest, entries, gap = 2**layout.index_bits - 1, [], 0
    for w in column:
        if w == 0:
            gap += 1
            continue
        while gap > longest:
            entries.append(longest)
            gap -= longest + 1
        entries.append(gap | (w & (2**layout.weight_bits - 1)) << layout.index_bits)
        gap = 0
    return entries, []


def plain_block(column, layout, stripe):
    n = layout.group
    entries, kept = [], []
    for k in range(0, len(column), n):
        keep = any(any(other[k : k + n]) for other in stripe)
        kept.append(keep)
        if keep:
            rows = column[k : k + n]
            entries += rows + [0] * (n - len(rows))
    return entries, kept


def plain_n_of_m(column, layout):
    n, m = layout.extent, layout.group
    bits = 0
    while 2**bits < m:
        bits += 1
    entries, flags = [], []
    for k in range(0, len(column), m):
        group = column[k : k + m] + [0] * (k + m - len(column[: k + m]))
        rows = [row for row in range(m) if group[row]]
        zeros = [row for row in range(m) if not group[row]]
        for row in sorted(rows + zeros[: n - len(rows)]):
            entries.append(group[row])
            flags += [bool(row >> bit & 1) for bit in range(bits)]
    return entries, flags


PLAIN = {
    "dense": plain_dense,
    "bitmap": plain_bitmap,
    "pencil": plain_pencil,
    "run_length": plain_run_length,
    "block": plain_block,
    "n_of_m": plain_n_of_m,
}
GROUPED = ("pencil", "block", "n_of_m")


def plain_span(layout):
    return layout.extent if layout.format == "block" else 1


def has_pointers(layout):
    return bool(layout.pointer_bits) and layout.format not in ("dense", "n_of_m")


def plain_column(columns, j, layout):
    """Return (entries, index flags) of a column; flags of several go with the first."""
    if layout.format != "block":
        return PLAIN[layout.format](columns[j], layout)
    first = j // layout.extent * layout.extent
    entries, flags = plain_block(columns[j], layout, columns[first : first + layout.extent])
    return entries, flags if j == first else []


def storable(weight, layout):
    """Return a weight without what the groups of n_of_m have no places for."""
    if layout.format != "n_of_m":
        return weight
    weight = weight.copy()
    for first in range(0, len(weight), layout.group):
        group = weight[first : first + layout.group]
        group[np.cumsum(group != 0, axis=0) > layout.extent] = 0
    return weight


def plain_words(fields, bits, word_bits):
    """Pack by arithmetic on one big integer a word."""
    per_word, words = word_bits // bits, []
    for k in range(0, len(fields), per_word):
        word = 0
        for place, value in enumerate(fields[k : k + per_word]):
            word |= (value & (2**bits - 1)) << (place * bits)
        words.append(list(word.to_bytes(word_bits // 8, "little")))
    return words


def plain_owner(row, layout):
    group = layout.group if layout.format in GROUPED else 1
    return row // group % layout.pes


def plain_slices(weight, layout):
    """Return per PE its rows, and per column (entries, index flags)."""
    result = []
    for pe in range(layout.pes):
        rows = [row for row in range(len(weight)) if plain_owner(row, layout) == pe]
        columns = [[int(weight[row, j]) for row in rows] for j in range(weight.shape[1])]
        result.append((rows, [plain_column(columns, j, layout) for j in range(len(columns))]))
    return result


def plain_entry_bits(layout):
    return layout.weight_bits + (layout.index_bits if layout.format == "run_length" else 0)


def layout_for(name, weight_bits, **changes):
    pointer_bits = 16 if name == "run_length" else 0
    layout = Layout(name, 4, 64, 32, weight_bits, group=4, index_bits=3, pointer_bits=pointer_bits)
    layout = replace(layout, **changes)
    extent = {"block": 3, "n_of_m": -(-layout.group // 2)}.get(name, 0)
    return replace(layout, extent=changes.get("extent", extent))


def random_weight(shape, density, weight_bits, seed=0):
    rng = np.random.default_rng([seed, *shape, int(100 * density), weight_bits])
    half = 2 ** (weight_bits - 1)
    weight = rng.integers(-half, half, shape)
    weight.flat[0], weight.flat[-1] = -half, half - 1
    return weight * (rng.random(shape) < density)


def random_bias(rows, bits, seed=1):
    half = 2 ** (bits - 1)
    bias = np.random.default_rng(seed).integers(-half, half, rows)
    bias[-1] = -half
    return bias


def assert_packs_as_defined(weight, layout, bias=None):
    weight = storable(weight, layout)
    packed = pack(weight, layout, bias)
    for pe, (rows, columns) in enumerate(plain_slices(weight, layout)):
        fields = [entry for entries, _ in columns for entry in entries]
        flags = [int(flag) for _, kept in columns for flag in kept]
        slice_words = plain_words(fields, plain_entry_bits(layout), layout.word_bits)
        if bias is not None:
            own_bias = plain_words(
                [int(bias[row]) for row in rows], layout.bias_bits, layout.word_bits
            )
            assert packed.bias_words[pe] == len(own_bias)
            slice_words = own_bias + slice_words
        index_words = plain_words(flags, 1, layout.index_word_bits)
        if has_pointers(layout):
            lengths = [len(entries) for entries, _ in columns]
            firsts = [*range(0, len(lengths), plain_span(layout)), len(lengths)]
            pointers = [sum(lengths[:j]) for j in firsts]
            head = plain_words(pointers, layout.pointer_bits, layout.index_word_bits)
            index_words = head + index_words
        assert packed.slices[pe].tolist() == slice_words
        assert packed.indices[pe].tolist() == index_words
        assert packed.slices[pe].dtype == packed.indices[pe].dtype == np.uint8
    return packed


def assert_round_trip(weight, layout, bias, packed):
    found_weight, found_bias = unpack(packed)
    assert found_weight.dtype == np.int32
    assert (found_weight == weight).all()
    assert (found_bias is None) == (bias is None)
    if bias is not None:
        assert found_bias.dtype == np.int64
        assert (found_bias == bias).all()


def plain_unused(weight, layout):
    """Count the places that belong to rows beyond the last."""
    short, unused = len(weight) % layout.group, 0
    if layout.format not in GROUPED or not short:
        return 0
    for j in range(weight.shape[1]):
        first = j // plain_span(layout) * plain_span(layout)
        if layout.format == "n_of_m":
            unused += max(0, layout.extent - short)
        elif weight[-short:, first : first + plain_span(layout)].any():
            unused += layout.group - short
    return unused


def assert_footprint(weight, layout, packed):
    found = packed.footprint
    assert found == footprint(weight, layout)
    assert found.total == 8 * sum(words.size for words in (*packed.slices, *packed.indices))
    slices = plain_slices(weight, layout)
    entries = sum(len(entries) for _, columns in slices for entries, _ in columns)
    flags = sum(len(flags) for _, columns in slices for _, flags in columns)
    own_index = plain_entry_bits(layout) - layout.weight_bits
    stored = layout.pointer_bits if has_pointers(layout) else 0
    spans = -(-weight.shape[1] // plain_span(layout))
    assert found.values == layout.weight_bits * np.count_nonzero(weight)
    assert found.explicit_zeros == layout.weight_bits * (
        entries - plain_unused(weight, layout) - np.count_nonzero(weight)
    )
    assert found.indices == flags + entries * own_index
    assert found.pointers == layout.pes * (spans + 1) * stored
    assert found.bias == layout.bias_bits * len(weight)


def assert_counts(weight, layout, packed, per_beat):
    counts = column_counts(packed, per_beat)
    for name, array in vars(column_counts(weight, per_beat, layout)).items():
        assert array.dtype == np.int32
        assert (array == getattr(counts, name)).all(), name
    per_word = layout.word_bits // plain_entry_bits(layout)
    pointer_reads = 2 if has_pointers(layout) else 0
    for pe, (rows, columns) in enumerate(plain_slices(weight, layout)):
        assert counts.slice_rows[pe] == len(rows)
        place, bit, flags = 0, 0, []
        for j, (entries, own_flags) in enumerate(columns):
            if j % plain_span(layout):  # read again by each column that shares them
                bit -= len(flags)
            else:
                flags = own_flags
            words = Counter((place + k) // per_word for k in range(len(entries)))
            index_words = {(bit + k) // layout.index_word_bits for k in range(len(flags))}
            assert counts.entries[j, pe] == len(entries)
            assert counts.words[j, pe] == len(words)
            assert counts.beats[j, pe] == sum(-(-n // per_beat) for n in words.values())
            assert counts.nonzeros[j, pe] == np.count_nonzero(weight[rows, j])
            assert counts.index_words[j, pe] == len(index_words) + pointer_reads
            place, bit = place + len(entries), bit + len(flags)


def assert_contract(weight, layout, bias=None, per_beat=3):
    weight = storable(weight, layout)
    packed = assert_packs_as_defined(weight, layout, bias)
    assert_round_trip(weight, layout, bias, packed)
    assert_footprint(weight, layout, packed)
    assert_counts(weight, layout, packed, per_beat)
    return packed


@pytest.mark.parametrize("weight_bits", [4, 8, 16])
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FORMATS)
def test_contract(name, shape, density, weight_bits):
    weight = random_weight(shape, density, weight_bits)
    assert_contract(weight, layout_for(name, weight_bits))


@pytest.mark.parametrize(
    "changes",
    [
        {"pes": 1},
        {"pes": 64},
        {"word_bits": 32, "index_word_bits": 256},
        {"word_bits": 256, "index_word_bits": 64},
        {"word_bits": 128, "bias_bits": 48},
        {"bias_bits": 20},
        {"bias_bits": 32, "pes": 50},
        {"pointer_bits": 11},
        {"pointer_bits": 32, "index_bits": 1},
        {"group": 1},
        {"group": 5, "index_bits": 5},
        {"group": 64, "pointer_bits": 13},
        {"extent": 1},
        {"group": 2, "extent": 2, "pointer_bits": 13},
        {"group": 37, "extent": 30},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", FORMATS)
def test_contract_of_layouts(name, changes):
    layout = layout_for(name, 8, **changes)
    weight = random_weight((37, 23), 0.3, 8)
    bias = random_bias(37, layout.bias_bits) if layout.bias_bits else None
    assert_contract(weight, layout, bias)


@pytest.mark.parametrize("per_beat", [1, 2, 8, 100])
@pytest.mark.parametrize("name", FORMATS)
def test_beats_of_other_decoders(name, per_beat):
    layout = layout_for(name, 4, pes=2)
    weight = storable(random_weight((64, 10), 0.3, 4), layout)
    assert_counts(weight, layout, pack(weight, layout), per_beat)


@st.composite
def cases(draw):
    name = draw(st.sampled_from(sorted(FORMATS)))
    weight_bits = draw(st.sampled_from([4, 8, 16]))
    layout = layout_for(
        name,
        weight_bits,
        pes=draw(st.integers(1, 6)),
        word_bits=draw(st.sampled_from([32, 64, 128])),
        index_word_bits=draw(st.sampled_from([32, 64])),
        group=(group := draw(st.integers(1, 9))),
        extent=draw(
            {"block": st.integers(1, 7), "n_of_m": st.integers(1, group)}.get(name, st.just(0))
        ),
        index_bits=draw(st.integers(1, 6)),
        pointer_bits=draw(st.sampled_from([12, 17] if name == "run_length" else [0, 12, 17])),
        bias_bits=draw(st.sampled_from([0, 9, 32])),
    )
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    seed, density = draw(st.integers(0, 999)), draw(st.sampled_from([0.02, 0.2, 0.7]))
    weight = random_weight(shape, density, weight_bits, seed)
    bias = random_bias(shape[0], layout.bias_bits, seed) if layout.bias_bits else None
    return weight, layout, bias, draw(st.integers(1, 9))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases())
def test_contract_of_any_layout(case):
    assert_contract(*case)


@pytest.mark.parametrize("name", FORMATS)
def test_columns_counted_in_blocks_are_the_same(name, monkeypatch):
    layout = layout_for(name, 8)
    weight = storable(random_weight((37, 23), 0.3, 8), layout)
    whole = column_counts(weight, 3, layout)
    monkeypatch.setattr(places_module, "BLOCK_WEIGHTS", 37 * 5)
    for field, array in vars(column_counts(weight, 3, layout)).items():
        assert (array == getattr(whole, field)).all(), field


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("name", FORMATS)
def test_any_integer_type_gives_the_same_words(name, dtype):
    layout = layout_for(name, 8)
    weight = storable(random_weight((37, 23), 0.3, 8), layout)
    narrow = np.asfortranarray(weight.astype(dtype))
    for left, right in zip(
        pack(weight, layout).slices, pack(narrow, layout).slices, strict=True
    ):  # fmt: skip
        assert (left == right).all()


@pytest.mark.parametrize("pointer_bits", [0, 12])
@pytest.mark.parametrize("name", FORMATS)
def test_decoding_needs_the_words_alone(name, pointer_bits):
    layout = layout_for(name, 8, bias_bits=32, pointer_bits=pointer_bits or 16)
    if name != "run_length":
        layout = replace(layout, pointer_bits=pointer_bits)
    weight, bias = storable(random_weight((37, 23), 0.3, 8), layout), random_bias(37, 32)
    packed = pack(weight, layout, bias)
    # What lies behind a matrix in memory is not its business.
    slices = [np.pad(words, ((0, 3), (0, 0)), constant_values=0xA5) for words in packed.slices]
    indices = [np.pad(words, ((0, 3), (0, 0)), constant_values=0xA5) for words in packed.indices]
    found_weight, found_bias = unpack_words(layout, 37, 23, slices, indices)
    assert (found_weight == weight).all()
    assert (found_bias == bias).all()
    flipped = [words.copy() for words in slices]
    flipped[0][0, 0] ^= 1
    assert unpack_words(layout, 37, 23, flipped, indices)[1][0] == bias[0] ^ 1


@pytest.mark.parametrize("name", FORMATS)
def test_words_cut_short_are_refused(name):
    layout = layout_for(name, 8)
    packed = pack(storable(random_weight((37, 23), 0.5, 8), layout), layout)
    short = [packed.slices[0][:-1], *packed.slices[1:]]
    with pytest.raises(FormatError, match=r"has \d+ words where \d+ are needed"):
        unpack_words(layout, 37, 23, short, packed.indices)
    if name != "dense":
        cut = [*packed.indices[:-1], packed.indices[-1][:-1]]
        with pytest.raises(FormatError, match=r"has \d+ words where \d+ are needed"):
            unpack_words(layout, 37, 23, packed.slices, cut)
    with pytest.raises(FormatError, match="must be 4 arrays, one a PE, of words of 8 bytes"):
        unpack_words(layout, 37, 23, packed.slices[:-1], packed.indices)
    with pytest.raises(FormatError, match="must be 4 arrays, one a PE, of words of 4 bytes"):
        wide = [np.zeros((9, 8), np.uint8)] * 4
        unpack_words(layout, 37, 23, packed.slices, wide)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("dense", "n_of_m")])
def test_pointers_that_contradict_the_rest_are_refused(name):
    layout = layout_for(name, 8, pointer_bits=16)
    packed = pack(storable(random_weight((37, 23), 0.5, 8), layout), layout)

    def unpack_with_pointer(position, value):
        indices = [words.copy() for words in packed.indices]
        indices[0].reshape(-1)[2 * position : 2 * position + 2] = value % 256, value // 256
        return unpack_words(layout, 37, 23, packed.slices, indices)

    with pytest.raises(FormatError, match="do not ascend from 0"):
        unpack_with_pointer(0, 1)
    with pytest.raises(FormatError, match="do not ascend from 0"):
        unpack_with_pointer(5, 60000)
    if name != "run_length":
        last = -(-23 // plain_span(layout))
        end = packed.indices[0].reshape(-1)[2 * last : 2 * last + 2]
        with pytest.raises(FormatError, match="contradict its index bits"):
            unpack_with_pointer(last, int.from_bytes(end.tobytes(), "little") - 1)


@pytest.mark.parametrize("name", FORMATS)
def test_slices_partition_the_rows_in_order(name):
    for rows in (1, 5, 37, 64):
        layout = layout_for(name, 8)
        slices = slice_rows(rows, layout)
        assert sorted(row for own in slices for row in own.tolist()) == list(range(rows))
        for pe, own in enumerate(slices):
            assert all(a < b for a, b in pairwise(own.tolist()))
            assert all(plain_owner(row, layout) == pe for row in own.tolist())
