"""Refusals, the choice of the smallest format, and statistics of structure."""

from dataclasses import replace

import numpy as np
import pytest

from spusim.formats import (
    FORMATS,
    FormatError,
    Layout,
    column_counts,
    entries_per_word,
    entry_bits,
    footprint,
    pack,
    smallest_format,
    structure_statistics,
)

BASE = Layout("bitmap", 4, 64, 64, 8, pointer_bits=0)
ONES = np.ones((8, 8), np.int64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "csr"}, "format 'csr' is unknown; use one of dense, bitmap"),
        ({"weight_bits": 5}, r"weight_bits \(=5\) of a bitmap layout must be 1, 2, 4, 8 or 16"),
        ({"pes": 0}, r"pes \(=0\)"),
        ({"group": 0}, r"group \(=0\)"),
        ({"word_bits": 12}, r"word_bits \(=12\)"),
        ({"index_word_bits": 0}, r"index_word_bits \(=0\)"),
        ({"word_bits": 8, "weight_bits": 16}, r"bits of an entry \(=16\) .* fit a word of 8"),
        ({"bias_bits": 49}, r"bias_bits \(=49\) .* 0 \(no bias\) to 48"),
        ({"bias_bits": 33, "word_bits": 32}, r"bias_bits \(=33\) .* to 32"),
        ({"pointer_bits": 33}, r"pointer_bits \(=33\)"),
        ({"format": "run_length"}, r"needs column pointers, but pointer_bits \(=0\)"),
        ({"format": "run_length", "pointer_bits": 16, "index_bits": 17}, r"index_bits \(=17\)"),
        ({"format": "run_length", "pointer_bits": 16, "index_bits": 0}, r"index_bits \(=0\)"),
        ({"format": "block"}, r"extent \(=0\) of a block layout must be its columns, 1 to 255"),
        ({"format": "block", "extent": 256}, r"extent \(=256\)"),
        ({"format": "n_of_m", "group": 4}, r"extent \(=0\) .* kept of each group of 4"),
        ({"format": "n_of_m", "group": 4, "extent": 5}, r"extent \(=5\) .* 1 to M"),
    ],
)
def test_layouts_that_cannot_be_built_are_refused(changes, message):
    layout = replace(BASE, **changes)
    for refused in (pack, footprint, lambda w, _: column_counts(w, 1, layout)):
        with pytest.raises(FormatError, match=message):
            refused(ONES, layout)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("weight_bits", "limit"), [(4, 8), (8, 128), (16, 32768)])
def test_weights_out_of_range_are_named(name, weight_bits, limit):
    layout = replace(BASE, format=name, weight_bits=weight_bits, pointer_bits=16, extent=1)
    for value in (limit, -limit - 1):
        weight = ONES.copy()
        weight[3, 2] = value
        for refused in (pack, footprint, lambda w, layout: column_counts(w, 1, layout)):
            with pytest.raises(FormatError, match=f"weight {value} does not fit {weight_bits}"):
                refused(weight, layout)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(4, int), r"shape \(4,\) must be \(rows, columns\)"),
        (np.ones((0, 4), int), "at least 1 of each"),
        (np.ones((4, 4)), "float64 must hold integers; quantise it first"),
    ],
)
def test_what_is_no_integer_matrix_is_refused(weight, message):
    with pytest.raises(FormatError, match=message):
        pack(weight, BASE)


def test_bias_must_fit_and_be_announced():
    with_bias = replace(BASE, bias_bits=16)
    with pytest.raises(FormatError, match=r"bias_bits \(=0\) .* the bias is given"):
        pack(ONES, BASE, np.zeros(8, int))
    with pytest.raises(FormatError, match=r"bias_bits \(=16\) .* the bias is missing"):
        pack(ONES, with_bias)
    for value in (2**15, -(2**15) - 1):
        with pytest.raises(FormatError, match=f"bias {value} does not fit bias_bits"):
            pack(ONES, with_bias, np.full(8, value))
    with pytest.raises(FormatError, match=r"must be \(8,\) integers"):
        pack(ONES, with_bias, np.zeros(7, int))


def test_counts_of_a_bare_weight_need_its_layout():
    with pytest.raises(FormatError, match="needs the layout"):
        column_counts(ONES, 1)
    with pytest.raises(FormatError, match=r"entries_per_beat \(=0\)"):
        column_counts(ONES, 0, BASE)


@pytest.mark.parametrize(
    ("name", "weight_bits", "bits", "per_word"),
    [("dense", 8, 8, 8), ("run_length", 4, 8, 8), ("run_length", 8, 12, 5), ("pencil", 16, 16, 4)],
)
def test_entries_of_a_word(name, weight_bits, bits, per_word):
    layout = Layout(name, 4, 64, 64, weight_bits, pointer_bits=16)
    assert (entry_bits(layout), entries_per_word(layout)) == (bits, per_word)


def layouts(**changes):
    base = Layout("dense", 4, 64, 64, 8, group=8, pointer_bits=16, **changes)
    extents = {"block": 8, "n_of_m": 2}
    return [replace(base, format=name, extent=extents.get(name, 0)) for name in FORMATS]


def pruned(rows, columns, density, pencil):
    rng = np.random.default_rng(5)
    weight = rng.integers(1, 100, (rows, columns))
    keep = rng.random((rows // pencil, columns)) < density
    return weight * np.repeat(keep, pencil, axis=0)


@pytest.mark.parametrize(
    ("weight", "name"),
    [
        (pruned(256, 64, 1.0, 1), "dense"),
        (pruned(256, 64, 0.3, 1), "bitmap"),
        (pruned(256, 64, 0.3, 8), "pencil"),
        (pruned(2048, 16, 0.02, 1), "run_length"),
        (np.repeat(pruned(256, 8, 0.3, 8), 8, axis=1), "block"),
        (np.where(np.arange(256)[:, None] % 8 < 2, pruned(256, 64, 1.0, 1), 0), "n_of_m"),
    ],
)
def test_smallest_format_follows_the_structure(weight, name):
    candidates = layouts(index_bits=8)
    fitting = [each for each in candidates if each.format != "n_of_m" or name == "n_of_m"]
    sizes = {layout.format: footprint(weight, layout).total for layout in fitting}
    assert smallest_format(weight, candidates) == name == min(sizes, key=sizes.get)


def test_smallest_format_passes_over_what_does_not_fit():
    weight = pruned(256, 64, 0.3, 8)
    narrow = [replace(layout, pointer_bits=8, pes=1) for layout in layouts()]
    assert smallest_format(weight, narrow) == "dense"
    with pytest.raises(FormatError, match="pointer_bits"):
        smallest_format(weight, [narrow[1], narrow[3]])
    with pytest.raises(FormatError, match="no format to choose from"):
        smallest_format(weight, [])


def test_more_than_n_of_m_are_refused_where_they_stand():
    weight = np.zeros((10, 3), int)
    weight[[8, 9], 1] = weight[4, 2] = 5
    layout = replace(BASE, format="n_of_m", group=4, extent=1)
    for refused in (pack, footprint, lambda w, _: column_counts(w, 1, layout)):
        with pytest.raises(FormatError, match=r"rows 8 to 9 of column 1 have 2 nonzero .* 1:4"):
            refused(weight, layout)
    assert smallest_format(weight, [layout, BASE]) == "bitmap"
    weight[9, 1] = 0
    assert pack(weight, layout).footprint.values == 16


def test_the_first_of_equal_formats_wins():
    same = [replace(BASE, format="pencil", group=1), BASE]
    assert smallest_format(ONES, same) == "pencil"
    assert smallest_format(ONES, same[::-1]) == "bitmap"


def test_structure_statistics_by_hand():
    weight = np.zeros((5, 4), np.int64)
    weight[0, 0] = weight[1, 0] = weight[4, 3] = 9
    found = structure_statistics(weight, group=2, pes=2)
    assert found.element_density == 3 / 20
    assert found.pencil_density == 2 / 12  # 3 pencils a column, the last one short
    assert found.zero_rows == 2 / 5
    assert found.zero_columns == 2 / 4
    assert found.load_imbalance == 3 / 1.5  # PE 0 owns pencils 0 and 2, PE 1 the empty one


def test_structure_statistics_of_even_and_of_empty_matrices():
    assert structure_statistics(ONES, 1, 4).load_imbalance == 1.0
    empty = structure_statistics(np.zeros((3, 3), int), 2, 4)
    assert (empty.element_density, empty.pencil_density, empty.load_imbalance) == (0, 0, 1.0)
    assert (empty.zero_rows, empty.zero_columns) == (1.0, 1.0)


@pytest.mark.parametrize(("group", "pes"), [(0, 1), (1, 0)])
def test_structure_statistics_need_a_group_and_a_pe(group, pes):
    with pytest.raises(FormatError, match="at least 1 of each"):
        structure_statistics(ONES, group, pes)
