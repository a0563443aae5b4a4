"""docs/numbers.md, N1 to N4 and N6: what stored bits of every number format mean."""

from dataclasses import replace

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
    outline,
    pack,
    pack_elements,
    padded_codebook,
    smallest_format,
    unpack,
    unpack_elements,
)
from spusim.formats.codes import codes_of

BASE = Layout("bitmap", 3, 32, 32, 1, pointer_bits=16)
BOOK = (0, -32768, -5, -1, 2, 3, 700, 32767)
CODINGS = {
    "binary": (replace(BASE, weight_bits=1), (0, 1, -1)),
    "ternary": (replace(BASE, weight_bits=2), (0, 1, -1)),
    "codebook": (replace(BASE, weight_bits=4, codebook=BOOK), BOOK),
}
GROUP = 4


def layout_of(coding: str, form: str) -> Layout:
    group = GROUP if form in ("pencil", "block", "n_of_m") else 1
    # a binary group has no zeros to fill its places with, so it keeps all
    extent = {"block": 3, "n_of_m": GROUP if coding == "binary" else 2}.get(form, 0)
    return replace(CODINGS[coding][0], format=form, group=group, extent=extent)


@st.composite
def matrices(draw: st.DrawFn) -> tuple[Layout, np.ndarray]:
    """Draw a layout and a matrix that it can hold."""
    coding, form = draw(st.sampled_from([*CODINGS])), draw(st.sampled_from([*FORMATS]))
    values = CODINGS[coding][1]
    if coding == "binary" and form != "bitmap":
        values = values[1:]
    rows, columns = draw(st.integers(1, 14)), draw(st.integers(1, 9))
    size = rows * columns
    drawn = draw(st.lists(st.sampled_from(values), min_size=size, max_size=size))
    layout, weight = layout_of(coding, form), np.array(drawn, np.int32).reshape(rows, columns)
    if form == "n_of_m":
        for first in range(0, rows, GROUP):
            group = weight[first : first + GROUP]
            group[np.cumsum(group != 0, axis=0) > layout.extent] = 0
    return layout, weight


@settings(max_examples=200, deadline=None, derandomize=True)
@given(case=matrices())
def test_N2_N3_N4_weights_come_back_as_they_went_in(case: tuple[Layout, np.ndarray]) -> None:
    layout, weight = case
    packed = pack(weight, layout)
    assert unpack(packed)[0].tolist() == weight.tolist()
    assert packed.footprint == footprint(weight, layout) == outline(weight, layout).footprint
    assert packed.footprint.values == np.count_nonzero(weight) * layout.weight_bits
    one, other = (column_counts(m, 2) for m in (packed, outline(weight, layout)))
    assert one.nonzeros.tolist() == other.nonzeros.tolist()
    assert one.nonzeros.sum() == np.count_nonzero(weight)
    assert one.beats.tolist() == other.beats.tolist()


def test_N3_a_binary_weight_is_set_for_plus_one() -> None:
    weight = np.array([[1], [-1], [-1], [1]])
    packed = pack(weight, replace(BASE, format="dense", pes=1))
    assert packed.slices[0].tolist() == [[0b1001, 0, 0, 0]]


@pytest.mark.parametrize(
    ("form", "weight"),
    [
        ("dense", np.array([[1, 0], [1, 1]])),
        ("pencil", np.array([[1, 1]] * 3 + [[0, 1]])),
        ("run_length", np.array([[0, 1]] * 60 + [[1, 1]])),
    ],
)
def test_N3_formats_refuse_zeros_that_they_would_store(form: str, weight: np.ndarray) -> None:
    layout = replace(layout_of("binary", form), pes=1)
    for refused in (pack, footprint, outline):
        with pytest.raises(FormatError, match=f"zeros of a binary matrix .* {form}.*use bitmap"):
            refused(weight, layout)
    ternary = replace(layout, weight_bits=2)
    assert unpack(pack(weight, ternary))[0].tolist() == weight.tolist()


def test_N3_auto_passes_over_what_cannot_store_a_zero() -> None:
    weight = np.ones((8, 64), np.int8)
    layouts = [layout_of("binary", form) for form in ("dense", "bitmap")]
    assert smallest_format(weight, layouts) == "dense"
    weight[3, 7] = 0
    assert smallest_format(weight, layouts) == "bitmap"


def test_N2_minus_two_is_damage() -> None:
    packed = pack(np.array([[1, -1]]), replace(layout_of("ternary", "dense"), pes=1))
    packed.slices[0][0, 0] ^= 0b11
    with pytest.raises(FormatError, match="damaged: a ternary weight is -2"):
        unpack(packed)


@pytest.mark.parametrize(
    ("changes", "weight", "message"),
    [
        ({"codebook": (0, *range(1, 17))}, 1, "codebook of 17 entries is larger than its index"),
        ({"codebook": (3, 4)}, 3, r"entry 0 \(=3\) of a codebook must be 0"),
        ({"codebook": (0, 40000)}, 0, "entry 40000 does not fit 16 bits"),
        (
            {"codebook": (0, 5), "weight_bits": 8},
            5,
            r"weight_bits \(=8\) of a matrix with a cod",
        ),
        ({"codebook": (0, 5)}, 6, r"weight 6 is no entry of its codebook \(0, 5\)"),
        ({"weight_bits": 1}, 2, r"weight 2 does not fit 1 bits \(-1 to 1\)"),
        ({"weight_bits": 2}, -2, r"weight -2 does not fit 2 bits \(-1 to 1\)"),
    ],
)
def test_what_has_no_code_is_refused(changes: dict, weight: int, message: str) -> None:
    layout = replace(BASE, weight_bits=4)
    with pytest.raises(FormatError, match=message):
        pack(np.array([[weight]]), replace(layout, **changes))


def test_N4_of_equal_entries_the_first_is_stored_whatever_the_width_of_the_weights() -> None:
    layout = replace(BASE, weight_bits=4, codebook=(0, -5, 7, -5, 0, 30000))
    weight = np.array([[-5, 0, 7]])
    for dtype in (np.int8, np.int16, np.int64):
        assert codes_of(weight.astype(dtype), layout).tolist() == [[1, 0, 2]]
    # more than are looked up at once
    many = np.resize(np.array([7, -5, 0, 30000]), (3, 40_000))
    assert (np.array(layout.codebook)[codes_of(many, layout)] == many).all()


def test_N4_codebooks_end_in_zeros() -> None:
    assert padded_codebook((0, 7)) == (0, 7, *[0] * 14)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    bits=st.sampled_from((1, 4, 8, 16, 32)),
    word_bits=st.sampled_from((32, 64, 128)),
    seed=st.integers(0, 999),
    count=st.integers(0, 150),
)
def test_N6_elements_lie_lowest_bits_first(
    bits: int, word_bits: int, seed: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    half = 1 << (bits - 1)
    values = rng.choice((-1, 1), count) if bits == 1 else rng.integers(-half, half, count)
    words = pack_elements(values, bits, word_bits)
    assert words.shape == (-(-count * bits // word_bits), word_bits // 8)
    whole = int.from_bytes(words.tobytes(), "little")
    for k, value in enumerate(values.tolist()):
        field = whole >> (k * bits) & ((1 << bits) - 1)
        assert field == (int(value > 0) if bits == 1 else value % (1 << bits))
    assert whole >> (count * bits) == 0
    assert unpack_elements(words, bits, count).tolist() == values.tolist()
