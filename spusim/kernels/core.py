"""All of a core's state that kernels work on: arrays, and one handle to them for compiled code."""

import operator
from typing import NamedTuple

import numpy as np
from numba.experimental import structref
from numba.extending import overload

from spusim.kernels.borrow import HandleType, address_of, borrow, define_uncounted, handle_at
from spusim.kernels.compiling import kernel


class CoreArrays(NamedTuple):
    """One core as arrays; see `layout` for what the columns of the tables mean."""

    params: np.ndarray  # (P.COUNT,) int64
    code: np.ndarray  # (instructions, 6) int64: op, unit, operands
    matrices: np.ndarray  # (matrices, M.COUNT) int64
    w8: np.ndarray  # int8, dense weights of all matrices, column after column
    w16: np.ndarray  # int16, the same for 16-bit weights
    packed_beats: np.ndarray  # int64, (columns, pes) of each matrix, see `rowtime.product_cycles`
    byte_beats: np.ndarray  # uint8, (columns, LANES) of each matrix: its beats, for `rowtime`
    short_beats: np.ndarray  # uint16, (columns, FEW) of each matrix: the same for few PEs
    stats: np.ndarray  # (4, columns of all) int32: MACs, nonzeros, words, index words
    tiles8: np.ndarray  # int8, weights of all matrices by tiles, see `tiles`
    tiles16: np.ndarray  # int16, the same for 16-bit weights
    tile_masks: np.ndarray  # uint32, see `tiles`
    bank_words: np.ndarray  # int32, (columns, banks): words of a column in each data bank
    bias: np.ndarray  # int64, (rows of all)
    row_abs: np.ndarray  # int64, (rows of all): sum of |w|
    row_norm: np.ndarray  # float64, (rows of all): root of the sum of w**2
    fetch: np.ndarray  # int64: per matrix pes words with bias, pes without, banks with, without
    tables: np.ndarray  # (tables, 4) int64: base, address bits, fraction bits, interpolate
    table_memory: np.ndarray  # (entries,) int32
    table_pairs: np.ndarray  # (entries,) int32: an entry, and in its upper half the next; or (0,)
    memory: np.ndarray  # (bytes,) uint8
    acc: np.ndarray  # (rows,) int64
    counters: np.ndarray  # (COUNTERS,) int64
    bank_busy: np.ndarray  # (banks,) int64: cycles with an access
    bank_held: np.ndarray  # (banks,) int64: cycles held by an instruction
    pe_stalls: np.ndarray  # (pes, S.COUNT) int64
    scanner_stalls: np.ndarray  # (S.COUNT,) int64
    matrix_use: np.ndarray  # (matrices, 3) int64: cycles, effective MACs, products
    beats: (
        np.ndarray
    )  # (beats of all, 2) int64 for `stepping`: first entry, word read; may be empty
    beat_first: np.ndarray  # (columns x pes of all + 1,) int64: first beat; may be empty
    entry_rows: np.ndarray  # (entries of all,) int32: slot in the slice, -1: none; may be empty
    columns: np.ndarray  # scratch (longest + 1,) int64
    every: np.ndarray  # 0, 1, 2, ... (longest,) int64
    windows: np.ndarray  # (longest,) int64: window of the scanner that a column is in
    offsets: np.ndarray  # scratch (longest + 3,) int32
    factors: np.ndarray  # scratch (longest + 3,) int16
    uses: np.ndarray  # (columns of all,) int32: pushes of a column, not yet settled
    load_memo: np.ndarray  # (matrices, LOAD_BANKS + banks) int64, see `engine`
    owing: np.ndarray  # (OWING_DONE + pes,) int64: stalls of PEs, not yet settled
    x: np.ndarray  # scratch (longest, up to whole 64) int32
    pattern: np.ndarray  # scratch (words,) uint64: which of x are not zero, 64 a word
    x16: np.ndarray  # scratch (longest, up to whole 64) int16
    tile_x: np.ndarray  # scratch int16, see `tiles`
    acc32: np.ndarray  # scratch (rows, up to whole tiles) int32
    va: np.ndarray  # scratch (longest vector,) int64
    vb: np.ndarray  # scratch (longest vector,) int64
    pe_done: np.ndarray  # scratch (pes,) int32
    pe_owed: np.ndarray  # scratch (LANES,) uint8
    pe_ahead: np.ndarray  # scratch (FEW,) uint16
    steps: np.ndarray  # scratch (longest,) int64
    release: np.ndarray  # scratch (longest + queue depth,) int64
    bank_scratch: np.ndarray  # (banks,) int64
    operands: np.ndarray  # scratch (2, 4) int64: byte addresses and widths of vector operands
    vector_memo: np.ndarray  # (instructions, MEMO_BANKS + banks) int64, see `vector_time`
    given: np.ndarray  # (Given.COUNT,) int64
    tape: np.ndarray  # uint8, (products, columns) of each matrix: whether an activation is not zero


class CoreStateType(HandleType):
    """Compiled type of `CoreState`."""


class CoreState(structref.StructRefProxy):
    """The same arrays behind one pointer: cheap to pass, and quick to compile against."""


define_uncounted(CoreStateType, CoreState)
structref.define_constructor(CoreState, CoreStateType, list(CoreArrays._fields))


@kernel
def core_state(arrays):
    """Return the handle to a core's arrays, which must outlive it; both see the same memory."""
    return CoreState(
        borrow(arrays.params),
        borrow(arrays.code),
        borrow(arrays.matrices),
        borrow(arrays.w8),
        borrow(arrays.w16),
        borrow(arrays.packed_beats),
        borrow(arrays.byte_beats),
        borrow(arrays.short_beats),
        borrow(arrays.stats),
        borrow(arrays.tiles8),
        borrow(arrays.tiles16),
        borrow(arrays.tile_masks),
        borrow(arrays.bank_words),
        borrow(arrays.bias),
        borrow(arrays.row_abs),
        borrow(arrays.row_norm),
        borrow(arrays.fetch),
        borrow(arrays.tables),
        borrow(arrays.table_memory),
        borrow(arrays.table_pairs),
        borrow(arrays.memory),
        borrow(arrays.acc),
        borrow(arrays.counters),
        borrow(arrays.bank_busy),
        borrow(arrays.bank_held),
        borrow(arrays.pe_stalls),
        borrow(arrays.scanner_stalls),
        borrow(arrays.matrix_use),
        borrow(arrays.beats),
        borrow(arrays.beat_first),
        borrow(arrays.entry_rows),
        borrow(arrays.columns),
        borrow(arrays.every),
        borrow(arrays.windows),
        borrow(arrays.offsets),
        borrow(arrays.factors),
        borrow(arrays.uses),
        borrow(arrays.load_memo),
        borrow(arrays.owing),
        borrow(arrays.x),
        borrow(arrays.pattern),
        borrow(arrays.x16),
        borrow(arrays.tile_x),
        borrow(arrays.acc32),
        borrow(arrays.va),
        borrow(arrays.vb),
        borrow(arrays.pe_done),
        borrow(arrays.pe_owed),
        borrow(arrays.pe_ahead),
        borrow(arrays.steps),
        borrow(arrays.release),
        borrow(arrays.bank_scratch),
        borrow(arrays.operands),
        borrow(arrays.vector_memo),
        borrow(arrays.given),
        borrow(arrays.tape),
    )


class CoreTableType(HandleType):
    """Compiled type of `CoreTable`."""


class CoreTable(structref.StructRefProxy):
    """Handles of all cores, by number; a list would count a reference at every access."""


define_uncounted(CoreTableType, CoreTable)
structref.define_constructor(CoreTable, CoreTableType, ["first", "addresses"])


@overload(operator.getitem)
def _core_of(table, number):
    """Let compiled code write table[number] for a core's handle."""
    if isinstance(table, CoreTableType):
        return lambda table, number: handle_at(table.first, table.addresses[number])
    return None


@kernel
def core_address(core):
    """Return the address of a core's handle, for `core_table`."""
    return address_of(core)


@kernel
def core_table(first, addresses):
    """Return the table of cores with these addresses (cores,) int64, which must outlive it."""
    return CoreTable(first, borrow(addresses))
