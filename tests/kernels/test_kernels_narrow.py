"""Vector instructions in 32 bits against the same in 64, on cores with random contents."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.api import compile_layer, load_arch
from spusim.kernels.core import CoreState
from spusim.kernels.elementwise import vector_operands, wide_values
from spusim.kernels.layout import Fault, Op, P, X
from spusim.kernels.narrow import MOST_FRACTION, TABLE_NONE, TABLE_RELU, narrow_values
from spusim.machine.load import load_core, table_pairs

SEEDS = st.integers(0, 2**32 - 1)
QUANTISE = (Op.QUANTISE_SHIFT, Op.QUANTISE_TENSOR, Op.QUANTISE_CHANNEL)
ELEMENTWISE = (Op.ADD, Op.SUB, Op.MUL, Op.MAX, Op.MIN, Op.MOVE, Op.RELU, Op.LOOKUP)
OTHERS = (Op.FILL, Op.THRESHOLD, Op.TOP, Op.NORMALISE)
CORNERS = np.array([0, 1, -1, 2**15 - 1, -(2**15), 2**31 - 1, -(2**31)])
D, A, B, SCALES, WORDS = 0, 20, 100, 200, 512  # d reaches into a
FIRST = 3  # accumulator


@functools.cache
def program():  # type: ignore[no-untyped-def]
    arch = load_arch("spu001", [f"core.data_memory.words={WORDS // 8}"])
    return compile_layer(np.ones((8, 8), np.int64), 8, 16, arch), arch


def tables(rng, usual):  # type: ignore[no-untyped-def]
    """Return the arrays of one table with random entries."""
    fraction, address = int(rng.integers(1, MOST_FRACTION + 1 + 2 * (not usual))), 6
    most = 2**15 if usual or rng.random() < 0.9 else 2**17
    entries = rng.integers(-most, most, 2**address + 4).astype(np.int32)
    if rng.random() < 0.3:
        entries[:] = rng.choice([-(2**15), 2**15 - 1], entries.size)
    rows = np.array([[2, address, fraction, usual or rng.random() < 0.8]], np.int64)
    return {"tables": rows, "table_memory": entries, "table_pairs": table_pairs(entries)}


def context(rng, usual):  # type: ignore[no-untyped-def]
    """Return a thread's state with random length, widths, shifts, zero points and rounding."""
    made = np.zeros(X.COUNT, np.int64)
    made[X.LENGTH] = rng.integers(0, 70)
    made[[X.WA, X.WB, X.WD]] = rng.choice([8, 16] if usual else [1, 4, 8, 16, 16, 32], 3)
    low, high = (0, 31) if usual else (-5, 40)
    made[[X.SA, X.SB, X.SD]] = rng.integers(low, high, 3)
    if rng.random() < 0.5:
        made[[X.SA, X.SB]] = 0
    made[X.ROUNDING] = rng.integers(0, 3 if usual else 5)
    made[X.ZERO_D] = rng.choice([0, 0, 7, -128])
    made[X.NORM] = 0 if usual else rng.choice([0, 0, 3, -2])
    return made


def scales(rng, usual, n):  # type: ignore[no-untyped-def]
    """Return scale entries (n, 2) uint32: a multiplier and a shift each."""
    made = np.empty((n, 2), np.uint32)
    made[:, 0] = rng.integers(0, 2**31, n)
    made[:, 1] = rng.integers(0, 63, n)
    if not usual and rng.random() < 0.3:
        made[rng.integers(n)] = [[2**31, 3], [5, 63]][rng.integers(2)]
    return made


def case(seed, ops, usual):  # type: ignore[no-untyped-def]
    """Return a core's arrays, a context, and the rest of an instruction, all random."""
    rng = np.random.default_rng(seed)
    compiled, arch = program()
    arrays = load_core(compiled.cores[0], compiled, arch).arrays
    thread = context(rng, usual)
    acc = rng.integers(-1, 1, 80) + rng.integers(-(2**31), 2**31, 80) // 2 ** rng.integers(0, 30)
    if not usual and rng.random() < 0.2:
        acc[FIRST + 5] = 2**31
    spots = rng.random(80) < 0.2
    acc[spots] = rng.choice(CORNERS, spots.sum())
    memory = rng.integers(0, 256, arrays.memory.size).astype(np.uint8)
    halves = memory.view(np.int16)
    spots = rng.random(halves.size) < 0.2
    halves[spots] = rng.choice(CORNERS[:5], spots.sum())
    made = scales(rng, usual, 80).view(np.uint8).ravel()
    memory[8 * SCALES : 8 * SCALES + made.size] = made
    arrays = arrays._replace(acc=acc, memory=memory, **tables(rng, usual))
    arrays.params[P.ROUNDING] = rng.integers(0, 2 if usual else 4)
    arrays.params[P.RESULT_OVERFLOW] = 0 if usual or rng.random() < 0.8 else rng.integers(1, 3)
    op = int(rng.choice(ops))
    table = int(rng.choice([0, 0, TABLE_RELU, TABLE_NONE]))
    operands = np.array([D, A, B, table])
    if op in QUANTISE:
        operands = np.array([D, FIRST, table if op == Op.QUANTISE_SHIFT else SCALES // 4, table])
    elif op == Op.LOOKUP:
        operands = np.array([D, A, 0, 0])
    return arrays, thread, op, operands


def run(kernel, seed, ops, usual):  # type: ignore[no-untyped-def]
    """Return what a kernel returns for a case, and what memory holds then."""
    arrays, thread, op, operands = case(seed, ops, usual)
    core = CoreState(*arrays)
    bytes_, bits = np.zeros(4, np.int64), np.zeros(4, np.int64)
    table, _ = vector_operands(core, thread, op, operands, bytes_, bits)
    rounding = int(thread[X.ROUNDING]) - 1 if thread[X.ROUNDING] else int(arrays.params[P.ROUNDING])
    before = arrays.memory.copy()
    if kernel is narrow_values:
        done = narrow_values(
            core, thread, op, int(operands[1]), bytes_, bits, table, np.int64(rounding)
        )
    else:
        done = wide_values(core, thread, op, operands, bytes_, bits, table, np.int64(rounding))
    return done, before, arrays.memory


@pytest.mark.parametrize("ops", [QUANTISE, ELEMENTWISE], ids=["quantise", "elementwise"])
@settings(max_examples=250, deadline=None, derandomize=True)
@given(SEEDS)
def test_usual_instructions_are_done_in_32_bits_as_in_64(ops, seed):
    done, _, narrow = run(narrow_values, seed, ops, usual=True)
    fault, _, wide = run(wide_values, seed, ops, usual=True)
    assert done
    assert fault == Fault.NONE
    assert narrow.tolist() == wide.tolist()


@settings(max_examples=400, deadline=None, derandomize=True)
@given(SEEDS)
def test_what_32_bits_cannot_do_is_left_alone(seed):
    ops = (*QUANTISE, *ELEMENTWISE, *OTHERS)
    done, before, narrow = run(narrow_values, seed, ops, usual=False)
    fault, _, wide = run(wide_values, seed, ops, usual=False)
    if done:
        assert fault == Fault.NONE
        assert narrow.tolist() == wide.tolist()
    else:
        assert narrow.tolist() == before.tolist()


def test_entries_are_paired_with_the_next_where_16_bits_hold_them():
    entries = np.array([5, -(2**15), 2**15 - 1, -1], np.int32)
    pairs = table_pairs(entries)
    assert (pairs.astype(np.int16)).tolist() == entries.tolist()
    assert (pairs >> 16).tolist() == [*entries[1:].tolist(), 0]
    assert table_pairs(np.array([0, 2**15], np.int32)).size == 0
    assert table_pairs(np.zeros(0, np.int32)).size == 0
