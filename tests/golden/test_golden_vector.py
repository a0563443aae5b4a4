"""Vector instructions against arithmetic in Python's own numbers."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.golden import AccessError, UnknownError
from spusim.golden.errors import CodeError
from spusim.numerics import Numerics
from spusim.program import Table

DTYPES = {8: np.int8, 16: np.int16, 32: np.int32}
SCALE = np.dtype([("multiplier", "<u4"), ("shift", "<u4")])
ROUND = {
    "floor": floor,
    "half_up": lambda x: floor(x + Fraction(1, 2)),
    "half_even": round,
}
BINARY = {
    "vadd": lambda a, b: a + b,
    "vsub": lambda a, b: a - b,
    "vmax": max,
    "vmin": min,
}
A, B, D = 0, 100, 200


def scaled(x, shift):
    return Fraction(x) / Fraction(2) ** shift


def in_range(x, bits, mode):
    half = 2 ** (bits - 1)
    if mode == "saturate":
        return max(-half, min(half - 1, x))
    return (x + half) % (2 * half) - half


def values(bits):
    half = 2 ** (bits - 1)
    corner = st.sampled_from([-half, -half + 1, -1, 0, 1, half - 1])
    return st.lists(corner | st.integers(-half, half - 1), min_size=5, max_size=5)


@st.composite
def cases(draw):
    widths = {name: draw(st.sampled_from([8, 16, 32])) for name in ("wa", "wb", "wd")}
    shifts = {name: draw(st.integers(-30, 62) | st.integers(-3, 9)) for name in ("sa", "sb", "sd")}
    numerics = Numerics(
        rounding=draw(st.sampled_from([*ROUND])),
        requantize_overflow=draw(st.sampled_from(["saturate", "wrap"])),
    )
    return draw(values(widths["wa"])), draw(values(widths["wb"])), widths, shifts, numerics


def outcome(hand, instruction, case):
    a, b, widths, shifts, numerics = case
    memory = {A: np.array(a, DTYPES[widths["wa"]]), B: np.array(b, DTYPES[widths["wb"]])}
    body = [hand.op.vset(len=5, **widths, **shifts), instruction]
    result = hand.execute(body, numerics, memory=memory)
    return hand.elements(result, D, 5, widths["wd"])


@pytest.mark.parametrize("mnemonic", BINARY)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(case=cases())
def test_binary_forms_floor_the_operands_then_round_the_result(hand, mnemonic, case):
    a, b, widths, shifts, numerics = case
    expected = []
    for x, y in zip(a, b, strict=True):
        whole = BINARY[mnemonic](floor(scaled(x, shifts["sa"])), floor(scaled(y, shifts["sb"])))
        q = ROUND[numerics.rounding](scaled(whole, shifts["sd"]))
        expected.append(in_range(q, widths["wd"], numerics.requantize_overflow))
    assert outcome(hand, getattr(hand.op, mnemonic)(d=D, a=A, b=B), case) == expected


@settings(max_examples=50, deadline=None, derandomize=True)
@given(case=cases())
def test_vmul_takes_no_pre_shifts(hand, case):
    a, b, widths, shifts, numerics = case
    quotients = [scaled(x * y, shifts["sd"]) for x, y in zip(a, b, strict=True)]
    rounded = [ROUND[numerics.rounding](q) for q in quotients]
    expected = [in_range(q, widths["wd"], numerics.requantize_overflow) for q in rounded]
    assert outcome(hand, hand.op.vmul(d=D, a=A, b=B), case) == expected


@settings(max_examples=50, deadline=None, derandomize=True)
@given(case=cases())
def test_vmov_and_vrelu_shift_by_sd(hand, case):
    a, _, widths, shifts, numerics = case
    rounded = [ROUND[numerics.rounding](scaled(x, shifts["sd"])) for x in a]
    bits, mode = widths["wd"], numerics.requantize_overflow
    moved = [in_range(q, bits, mode) for q in rounded]
    assert outcome(hand, hand.op.vmov(d=D, a=A), case) == moved
    rectified = [in_range(max(0, q), bits, mode) for q in rounded]
    assert outcome(hand, hand.op.vrelu(d=D, a=A), case) == rectified


@pytest.mark.parametrize("shifts", [{"sa": -31}, {"sb": 63}, {"sd": -64}])
def test_shifts_beyond_what_vset_takes_are_refused(hand, shifts):
    operands = {"sa": 0, "sb": 0, "sd": 0} | shifts
    body = [hand.op.vset(len=2, wa=32, wb=32, wd=32, **operands)]
    with pytest.raises(CodeError, match="from -30 to 62"):
        hand.execute(body)


def test_vadd_by_hand(hand):
    memory = {A: np.array([5, -5, 32767], np.int16), B: np.array([3, -3, 32767], np.int16)}
    body = [hand.op.vset(len=3, sa=1, sb=0, sd=1), hand.op.vadd(d=D, a=A, b=B)]
    result = hand.execute(body, memory=memory)
    # (5 >> 1) + 3 = 5 -> 2.5 -> 3;  (-5 >> 1) - 3 = -6 -> -3;  16383 + 32767 = 49150 -> 24575
    assert hand.elements(result, D, 3, 16) == [3, -3, 24575]


def test_sums_of_operands_shifted_far_to_the_left_are_exact(hand):
    memory = {A: np.array([-(2**31), 2**31 - 1], np.int32)}
    body = [
        hand.op.vset(len=2, wa=32, wb=32, wd=32, sa=-30, sb=-30, sd=32),
        hand.op.vadd(d=D, a=A, b=A),  # the sum of -2**61 twice
        hand.op.vset(len=2, wa=32, wb=32, wd=32, sa=-30, sb=-30, sd=62),
        hand.op.vsub(d=D + 1, a=A, b=A),
    ]
    result = hand.execute(body, memory=memory)
    assert hand.elements(result, D, 2, 32) == [-(2**30), 2**30]
    assert hand.elements(result, D + 1, 2, 32) == [0, 0]


@pytest.mark.parametrize(
    ("bits", "mode", "expected"),
    [
        (8, "saturate", [127, -128, -1]),
        (8, "wrap", [-1, 0, -1]),
        (16, "saturate", [32767, -32768, -1]),
        (16, "wrap", [-1, 0, -1]),
        (32, "saturate", [0x12345677 + 2**30, -(2**31), -1]),
    ],
)
def test_vfill_brings_its_value_to_the_width(hand, bits, mode, expected):
    fills = [2**31 - 1 if bits < 32 else 0x12345677 + 2**30, -(2**31), -1]
    for value, element in zip(fills, expected, strict=True):
        body = [hand.op.vset(len=3, wd=bits), hand.op.vfill(d=D, value=value)]
        result = hand.execute(body, Numerics(requantize_overflow=mode))
        assert hand.elements(result, D, 3, bits) == [element] * 3


def test_a_vector_leaves_the_rest_of_its_last_word_alone(hand):
    result = hand.execute([hand.op.vset(len=5, wd=8), hand.op.vfill(d=D, value=-2)])
    assert result.data_memory[0][D].tolist() == [0xFE] * 5 + [0xA5] * 3


def test_elements_are_little_endian_and_cross_words(hand):
    result = hand.execute([hand.op.vset(len=3, wd=32), hand.op.vfill(d=D, value=0x01020304)])
    assert result.data_memory[0][D : D + 2].reshape(-1).tolist() == [4, 3, 2, 1] * 3 + [0xA5] * 4


def test_sources_are_read_before_the_destination_is_written(hand):
    # d begins one word after a, and is wider: element for element would read its own results
    memory = {A: np.arange(8, dtype=np.int8)}
    body = [hand.op.vset(len=8, wa=8, wd=32), hand.op.vmov(d=A, a=A)]
    assert hand.elements(hand.execute(body, memory=memory), A, 8, 32) == [*range(8)]
    memory = {A: np.arange(8, dtype=np.int16)}
    body = [hand.op.vset(len=8), hand.op.vadd(d=A + 1, a=A, b=A)]
    assert hand.elements(hand.execute(body, memory=memory), A + 1, 8, 16) == [*range(0, 16, 2)]


def test_length_zero_does_nothing(hand):
    result = hand.execute([hand.op.vset(len=0), hand.op.vadd(d=20000, a=A, b=B)])
    assert (result.data_memory[0][:9000] == 0xA5).all()
    assert len(result.data_memory[0]) == 9001  # nothing was touched


def test_other_word_widths(hand):
    for word_bytes in (4, 16):
        body = [hand.op.vset(len=5, wd=16), hand.op.vfill(d=D, value=7)]
        result = hand.execute(body, word_bytes=word_bytes)
        assert hand.elements(result, D, 5, 16) == [7] * 5
        assert result.data_memory[0].shape[1] == word_bytes


RAMP = Table("ramp", np.arange(17, dtype=np.int32) * 10 - 80, 0, 4, 2, True)
STEPS = Table("steps", np.arange(16, dtype=np.int32) * 1000 - 8000, 0, 4, 12, False)


@pytest.mark.parametrize(("rounding", "middle"), [("floor", 2), ("half_up", 3), ("half_even", 2)])
def test_vlut_interpolates_with_the_machines_rounding(hand, rounding, middle):
    memory = {A: np.array([-33, -32, 0, 1, 2, 31, 200], np.int16)}
    body = [hand.op.vset(len=7, wd=8), hand.op.vlut(d=D, a=A, table=0)]
    result = hand.execute(body, Numerics(rounding=rounding), memory=memory, tables=(RAMP,))
    last = {"floor": 77, "half_up": 78, "half_even": 78}[rounding]  # 70 + 10 * 3 / 4
    assert hand.elements(result, D, 7, 8) == [-80, -80, 0, middle, 5, last, last]


def test_vlut_saturates_its_input_to_16_bits_even_where_results_wrap(hand):
    memory = {A: np.array([2**31 - 1, -(2**31), 1 << 20], np.int32)}
    body = [hand.op.vset(len=3, wa=32, wd=16, sa=4), hand.op.vlut(d=D, a=A, table=0)]
    wrap = Numerics(requantize_overflow="wrap")
    result = hand.execute(body, wrap, memory=memory, tables=(STEPS,))
    assert hand.elements(result, D, 3, 16) == [7000, -8000, 7000]


def test_vlut_pre_shift_floors(hand):
    memory = {A: np.array([-1, 1], np.int16)}
    body = [hand.op.vset(len=2, sa=1, wd=16), hand.op.vlut(d=D, a=A, table=0)]
    flat = Table("sign", np.array([-7, 7], np.int32), 0, 1, 15, False)
    result = hand.execute(body, memory=memory, tables=(flat,))
    assert hand.elements(result, D, 2, 16) == [-7, 7]


# The identity puts the accumulators in place: row r is x[r].
X = [-40000, -3, -1, 0, 1, 3, 5, 40000]


def requantised(hand, instruction, numerics=None, memory=None, tables=(), **vector):
    eye = hand.matrix(np.eye(8, dtype=np.int64), activation_bits=32)
    memory = {A: np.array(X, np.int32), **(memory or {})}
    body = [
        hand.op.spmv(m=0, src=A, acc=3),
        hand.op.vset(len=8, **vector),
        instruction,
    ]
    result = hand.execute(body, numerics, memory=memory, matrices=(eye,), tables=tables)
    return hand.elements(result, D, 8, vector.get("wd", 16))


@pytest.mark.parametrize("rounding", ROUND)
@pytest.mark.parametrize("mode", ["saturate", "wrap"])
@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("shift", [-2, 0, 1, 7])
def test_vqs_shifts_by_sd(hand, rounding, mode, bits, shift):
    numerics = Numerics(rounding=rounding, requantize_overflow=mode)
    expected = [in_range(ROUND[rounding](scaled(x, shift)), bits, mode) for x in X]
    vqs = hand.op.vqs(d=D, acc=3, table=63)
    assert requantised(hand, vqs, numerics, wd=bits, sd=shift) == expected
    relu = hand.op.vqs(d=D, acc=3, table=62)
    assert requantised(hand, relu, numerics, wd=bits, sd=shift) == [max(0, q) for q in expected]


@pytest.mark.parametrize("bits", [8, 32])
def test_vqs_with_a_table_requantises_to_the_tables_16_bits_first(hand, bits):
    tens = Table("tens", np.arange(16, dtype=np.int32) * 10 - 80, 0, 4, 12, False)
    vqs = hand.op.vqs(d=D, acc=3, table=0)
    # in 8 bits, +-40000 would become +-127 and look up the middle of the table
    expected = [-80, -10, -10, 0, 0, 0, 0, 70]
    assert requantised(hand, vqs, tables=(tens,), wd=bits) == expected
    # wrapped to 16 bits, -40000 is 25536 and 40000 is -25536
    wrap = Numerics(requantize_overflow="wrap")
    expected = [60, -10, -10, 0, 0, 0, 0, -70]
    assert requantised(hand, vqs, wrap, tables=(tens,), wd=bits) == expected


def test_vqm_uses_one_scale_entry_and_vqc_one_per_row(hand):
    scales = np.array([(3, 1), (1, 0), (2**31 - 1, 31), (2**31 - 1, 62)] * 2, SCALE)
    memory = {40: scales}  # word 40 is scale 10
    half_up = ROUND["half_up"]
    vqm = hand.op.vqm(d=D, acc=3, scale=10, table=63)
    expected = [half_up(Fraction(3 * x, 2)) for x in X]
    assert requantised(hand, vqm, memory=memory, wd=32) == expected
    vqc = hand.op.vqc(d=D, acc=3, scale=10, table=63)
    pairs = zip(X, scales.tolist(), strict=True)
    expected = [half_up(scaled(x * multiplier, shift)) for x, (multiplier, shift) in pairs]
    assert requantised(hand, vqc, memory=memory, wd=32) == expected


@pytest.mark.parametrize("entry", [(2**31, 0), (1, 63)])
@pytest.mark.parametrize("mnemonic", ["vqm", "vqc"])
def test_scale_entries_out_of_range_are_refused(hand, mnemonic, entry):
    instruction = getattr(hand.op, mnemonic)(d=D, acc=3, scale=10, table=63)
    with pytest.raises(CodeError, match="scale entry"):
        requantised(hand, instruction, memory={40: np.array([entry] * 8, SCALE)}, wd=32)


def test_vqc_entries_follow_each_other_in_words_of_any_width(hand):
    scales = np.array([(i + 1, 0) for i in range(4)], SCALE)
    ones = hand.matrix(np.ones((4, 1), np.int64))
    for word_bytes in (4, 16):
        body = [
            hand.op.spmv(m=0, src=A, acc=0),
            hand.op.vset(len=4),
            hand.op.vqc(d=D, acc=0, scale=10, table=63),
        ]
        memory = {A: np.array([1], np.int16), 40: scales}
        result = hand.execute(body, memory=memory, matrices=(ones,), word_bytes=word_bytes)
        assert hand.elements(result, D, 4, 16) == [1, 2, 3, 4]


@pytest.mark.parametrize("number", [1, 61])
def test_unknown_table_is_refused(hand, number):
    body = [hand.op.vset(len=1), hand.op.vlut(d=D, a=A, table=number)]
    with pytest.raises(UnknownError, match=rf"instruction 2 `vlut .*table {number} does not exist"):
        hand.execute(body, tables=(RAMP,))


def test_vectors_end_with_the_last_addressable_word(hand):
    hand.execute([hand.op.vset(len=4), hand.op.vfill(d=65535, value=1)])
    with pytest.raises(AccessError, match=r"`vfill.*words 65535 to 65536"):
        hand.execute([hand.op.vset(len=5), hand.op.vfill(d=65535, value=1)])
    with pytest.raises(AccessError, match="accumulator rows 60 to 64"):
        hand.execute([hand.op.vset(len=5), hand.op.vqs(d=0, acc=60, table=63)])
