"""All of a core's state that kernels work on: arrays, and one handle to them for compiled code."""

from typing import NamedTuple

import numpy as np

from spusim.kernels.declare import Handle


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
    columns: np.ndarray  # scratch (longest + a round of `survey.list_columns`,) int64
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
    acc32: np.ndarray  # scratch (rows,) int32
    va: np.ndarray  # scratch (longest vector,) int64
    vb: np.ndarray  # scratch (longest vector,) int64
    pe_done: np.ndarray  # scratch (pes,) int32
    pe_owed: np.ndarray  # scratch (LANES,) uint8
    pe_ahead: np.ndarray  # scratch (FEW,) uint16
    steps: np.ndarray  # scratch (longest,) int64
    release: np.ndarray  # scratch (longest + queue depth,) int64
    bank_scratch: np.ndarray  # (banks,) int64
    bound: np.ndarray  # (instructions, B.COUNT + banks) int64: what `thread` binds
    given: np.ndarray  # (Given.COUNT,) int64
    tape: np.ndarray  # uint8, (products, columns) of each matrix: whether an activation is not zero


class CoreState(Handle):
    """The same arrays behind one pointer."""

    fields = CoreArrays._fields


class CoreTable(Handle):
    """Handles of all cores: table[number] in kernels, which have no lists.

    first: any core's handle, whose members are of the same kinds as those of all; addresses:
    (cores,) int64.
    """

    fields = ("first", "addresses")
