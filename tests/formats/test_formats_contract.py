"""One contract for every format in FORMATS: image, footprint, counts, all from plain loops.

A format that is added must bring its plain definition to PLAIN of plain_formats.py.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_formats import (
    assert_contract,
    assert_counts,
    layout_for,
    plain_owner,
    plain_span,
    random_bias,
    random_weight,
    storable,
)

from spusim.formats import (
    FORMATS,
    FormatError,
    column_counts,
    pack,
    slice_rows,
    unpack_words,
)
from spusim.formats import places as places_module

SHAPES = [(1, 1), (1, 9), (7, 1), (3, 5), (16, 16), (37, 23), (64, 10), (130, 6)]
DENSITIES = [0.0, 0.05, 0.3, 1.0]


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
