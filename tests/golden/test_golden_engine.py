"""Matrix-vector instructions against sums taken one product at a time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.formats import FormatError
from spusim.golden import AccessError, CodeError, UnknownError
from spusim.numerics import Numerics

SRC = 10


def overflowed(x, bits, mode):
    half = 2 ** (bits - 1)
    if mode == "saturate":
        return max(-half, min(half - 1, x))
    return (x + half) % (2 * half) - half


def sums(weight, x, start, numerics):
    """Add products one by one, in ascending input order, after the bias."""
    acc = []
    for row, first in zip(weight.tolist(), start, strict=True):
        total = overflowed(int(first), numerics.accumulator_bits, numerics.overflow)
        for w, a in zip(row, x.tolist(), strict=True):
            total = overflowed(total + w * a, numerics.accumulator_bits, numerics.overflow)
        acc.append(total)
    return acc


def multiply(hand, mnemonics, matrix, x, numerics=None, acc=0):
    body = [getattr(hand.op, name)(m=0, src=SRC, acc=acc) for name in mnemonics]
    result = hand.execute(body, numerics, memory={SRC: x}, matrices=(matrix,))
    return result.accumulators[0]


@pytest.mark.parametrize("format", ["dense", "bitmap", "run_length", "pencil"])
@pytest.mark.parametrize("mode", ["saturate", "wrap"])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_products_keep_the_canonical_order_at_any_accumulator_width(hand, format, mode, data):
    seed = data.draw(st.integers(0, 2**16))
    rows, columns = data.draw(st.integers(1, 13)), data.draw(st.integers(1, 9))
    bits = data.draw(st.sampled_from([8, 12, 24, 32, 48]))
    numerics = Numerics(accumulator_bits=bits, overflow=mode)
    random = np.random.default_rng(seed)
    weight = random.integers(-128, 128, (rows, columns)) * (random.random((rows, columns)) < 0.5)
    x = random.integers(-(2**15), 2**15, columns).astype(np.int16)
    bias = random.integers(-(2**31), 2**31, rows)
    matrix = hand.matrix(weight, bias, format)
    first, again = ("dmv", "dmva") if format == "dense" else ("spmv", "spmva")
    once = sums(weight, x, bias, numerics)
    assert multiply(hand, [first], matrix, x, numerics)[:rows].tolist() == once
    twice = sums(weight, x, once, numerics)  # no bias the second time
    assert multiply(hand, [first, again], matrix, x, numerics)[:rows].tolist() == twice


@pytest.mark.parametrize("bits", [8, 16])
def test_activations_are_signed_elements_of_the_descriptors_width(hand, bits):
    x = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, -1], f"<i{bits // 8}")
    matrix = hand.matrix([[1, 0, 0], [0, 1, 0], [1, 1, 1]], activation_bits=bits)
    acc = multiply(hand, ["spmv"], matrix, x, acc=5)
    assert acc[5:8].tolist() == [x[0], x[1], -2]
    assert acc[:5].tolist() == [0] * 5
    assert acc[8:].tolist() == [0] * (64 - 8)


def test_the_bits_of_the_image_count_and_not_what_it_was_packed_from(hand):
    matrix = hand.matrix([[3], [5]], format="dense")
    doubled = tuple(words * 2 for words in matrix.packed.slices)
    matrix = replace(matrix, packed=replace(matrix.packed, slices=doubled))
    acc = multiply(hand, ["dmv"], matrix, np.array([10], np.int16))
    assert acc[:2].tolist() == [60, 100]


def test_spmva_goes_on_from_what_another_matrix_left(hand):
    op = hand.op
    matrices = (hand.matrix([[1], [2]], bias=[100, 200]), hand.matrix([[3], [4]], format="dense"))
    body = [op.spmv(m=0, src=SRC, acc=0), op.dmva(m=1, src=SRC, acc=1)]
    result = hand.execute(body, memory={SRC: np.array([10], np.int16)}, matrices=matrices)
    assert result.accumulators[0][:3].tolist() == [110, 220 + 30, 40]


@pytest.mark.parametrize(
    ("format", "mnemonic", "remedy"),
    [
        ("dense", "spmv", "matrix m is stored dense.*use dmv or dmva"),
        ("dense", "spmva", "use dmv or dmva"),
        ("bitmap", "dmv", "matrix m is stored bitmap.*use spmv or spmva"),
        ("pencil", "dmva", "use spmv or spmva"),
    ],
)
def test_an_instruction_for_the_other_storage_is_refused(hand, format, mnemonic, remedy):
    with pytest.raises(CodeError, match=rf"instruction 1 `{mnemonic} .*{remedy}"):
        multiply(hand, [mnemonic], hand.matrix([[1]], format=format), np.zeros(1, np.int16))


def test_rows_beyond_the_accumulator_file_are_refused(hand):
    matrix = hand.matrix(np.ones((4, 1), np.int64))
    x = np.array([1], np.int16)
    assert multiply(hand, ["spmv"], matrix, x, acc=60)[60:].tolist() == [1] * 4
    with pytest.raises(AccessError, match=r"accumulator rows 61 to 64 .* the file's 64"):
        multiply(hand, ["spmv"], matrix, x, acc=61)


def test_an_operand_beyond_memory_is_refused(hand):
    matrix = hand.matrix(np.ones((1, 5), np.int64))
    with pytest.raises(AccessError, match="words 65535 to 65536"):
        hand.execute([hand.op.spmv(m=0, src=65535, acc=0)], matrices=(matrix,))


def test_an_unknown_matrix_is_refused(hand):
    with pytest.raises(UnknownError, match="matrix 1 does not exist; core 0 has 1 descriptors"):
        hand.execute([hand.op.spmv(m=1, src=0, acc=0)], matrices=(hand.matrix([[1]]),))


def test_activations_of_a_width_that_memory_does_not_have_are_refused(hand):
    matrix = hand.matrix([[1]], activation_bits=12)
    with pytest.raises(CodeError, match="elements of 12 bits"):
        multiply(hand, ["spmv"], matrix, np.zeros(1, np.int16))


def test_a_damaged_image_is_refused(hand):
    matrix = hand.matrix(np.ones((8, 8), np.int64), format="dense")
    cut = replace(matrix.packed, slices=tuple(words[:1] for words in matrix.packed.slices))
    with pytest.raises(FormatError):
        multiply(hand, ["dmv"], replace(matrix, packed=cut), np.zeros(8, np.int16))
