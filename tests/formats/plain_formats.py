"""Every format from plain loops: its image, footprint and counts by column."""

from collections import Counter
from dataclasses import replace

import numpy as np

from spusim.formats import (
    Layout,
    column_counts,
    footprint,
    pack,
    unpack,
)


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
