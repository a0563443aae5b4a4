"""One matrix-vector instruction of the sparse engine: values, time, counts."""

import numpy as np

from spusim.kernels.arithmetic import WRAP
from spusim.kernels.banks import settle_banks
from spusim.kernels.declare import apart, kernel
from spusim.kernels.layout import (
    LOAD_CYCLES,
    LOAD_HELD,
    LOAD_MASK,
    LOAD_READS,
    MAC_KINDS,
    C,
    Fault,
    M,
    P,
)
from spusim.kernels.load_phase import load_phase, settle_load
from spusim.kernels.matvec import (
    add_columns,
    add_columns_stepwise,
    add_in_pairs,
    first_boundary,
    requantise_partial,
)
from spusim.kernels.rowtime import even_cycles, product_cycles, settle_pes, settle_stalls
from spusim.kernels.stepping import step_alone
from spusim.kernels.survey import (
    largest_magnitude,
    list_columns,
    note_pattern,
    scanned_windows,
    sum_pushed,
)
from spusim.kernels.tape import read_operand, replays, tape_full
from spusim.kernels.tiles import add_tiles
from spusim.kernels.views import overwrite

_PES, _BANKS, _WORD_BYTES, _WIDTH = int(P.PES), int(P.BANKS), int(P.WORD_BYTES), int(P.SCAN_WIDTH)
_ALL, _GATE = int(P.PUSH_ALL), int(P.GATE)
_BITS, _OVERFLOW = int(P.ACC_BITS), int(P.ACC_OVERFLOW)
_EVERY, _PARTIAL_SHIFT = int(P.PARTIAL_EVERY), int(P.PARTIAL_SHIFT)
_PARTIAL_BITS, _PARTIAL_ROUNDING = int(P.PARTIAL_BITS), int(P.PARTIAL_ROUNDING)
_PRIVATE, _HAZARD, _SHARED = int(P.PRIVATE_WEIGHTS), int(P.HAZARD_STALL), int(P.SHARED_PORTS)
_ROWS, _COLUMNS, _WIDE, _WEIGHTS = int(M.ROWS), int(M.COLUMNS), int(M.WIDE), int(M.WEIGHTS)
_STATS, _BIAS, _ABITS = int(M.STATS), int(M.BIAS), int(M.ACTIVATION_BITS)
_KIND, _BANK_WORDS = int(M.MAC_KIND), int(M.BANK_WORDS)
_ABS_MAX = int(M.ROW_ABS_MAX)
_INDEX_WRITES, _BIAS_READS = int(M.INDEX_WRITES), int(M.BIAS_READS)
_ACC_READ, _ACC_WRITE, _PUSH, _POP = (
    int(C.ACC_READ),
    int(C.ACC_WRITE),
    int(C.QUEUE_PUSH),
    int(C.QUEUE_POP),
)
_WINDOW, _DATA_READ, _WEIGHT_READ = int(C.SCANNER_WINDOW), int(C.DATA_READ), int(C.WEIGHT_READ)
_INDEX_READ, _INDEX_WRITE = int(C.INDEX_READ), int(C.INDEX_WRITE)
_EFFECTIVE, _ACTIVE, _MAC = int(C.EFFECTIVE), int(C.ACTIVE), int(C.MAC)
# more than the rounding errors of a norm of any matrix that fits
_ROUNDED_UP = 1.0 + 1e-9
_NONE, _MEMORY, _ACCUMULATOR = int(Fault.NONE), int(Fault.MEMORY), int(Fault.ACCUMULATOR)
_TAPE, _NOT_RESIDENT, _ABSENT = int(Fault.TAPE), int(Fault.ABSENT), int(M.ABSENT)
_TILES, _TILED = int(M.TILES), int(M.TILED)
_EVEN, _SAFE = int(M.EVEN), int(M.SAFE)
MOST_FACTOR = (1 << 15) - 1  # of an activation that goes in pairs
NEAR = 1 << 19  # weights that a second-level cache surely holds, so that strips cost nothing


@kernel
def matvec_fault(core, m, src, acc):
    """Return what is wrong with the operands of a product, or Fault.NONE."""
    matrix = core.matrices[m]
    if matrix[_ABSENT]:
        return _NOT_RESIDENT
    if acc + matrix[_ROWS] > core.acc.shape[0]:
        return _ACCUMULATOR
    if tape_full(core, m):
        return _TAPE
    end = src * core.params[_WORD_BYTES] + (matrix[_COLUMNS] * matrix[_ABITS] + 7) // 8
    return _MEMORY if end > core.memory.shape[0] else _NONE


@kernel
def _norm(x, n):
    squares = 0.0
    for j in range(n):
        squares += np.float64(x[j]) * np.float64(x[j])
    return np.sqrt(squares)


@kernel
def _no_overflow(core, matrix, start, accumulate, x_max):
    """Whether a bound on every partial sum proves that none leaves the accumulator.

    A row's partial sums are at most sum |w| times the largest |x|, and, by Cauchy and Schwarz, at
    most the norm of w times that of x, since leaving columns out makes no norm larger.
    """
    if not accumulate and x_max <= matrix[_SAFE]:
        return True
    limit = (np.int64(1) << (core.params[_BITS] - 1)) - 1
    largest = np.int64(0)
    for r in range(start.shape[0]):
        largest = max(largest, abs(start[r]))
    if largest + matrix[_ABS_MAX] * x_max <= limit:
        return True
    x_norm = _norm(core.x, matrix[_COLUMNS])
    offset = matrix[_BIAS]
    for r in range(start.shape[0]):
        room = limit - abs(start[r])
        norms = core.row_norm[offset + r] * x_norm
        if core.row_abs[offset + r] * x_max > room and norms * _ROUNDED_UP > room:
            return False
    return True


@kernel
def _add_narrow(core, weights, rows, columns, n, sums, x_max):
    """Add the columns' products to sums (rows,) int64, which surely stay in 32 bits."""
    narrow = core.acc32[:rows]
    for r in range(rows):
        narrow[r] = np.int32(sums[r])
    if x_max <= MOST_FACTOR and weights.size <= NEAR:
        add_in_pairs(weights, rows, core.x, columns, n, narrow, core.offsets, core.factors)
    else:
        add_columns(weights.reshape((weights.size // rows, rows)), core.x, columns, n, narrow)
    for r in range(rows):
        sums[r] = narrow[r]


@kernel
def _add(core, matrix, columns, n, sums, fast, x_max):
    """Add the columns' products to sums (rows,) int64; `fast`: they surely stay in 32 bits."""
    rows, total = matrix[_ROWS], matrix[_COLUMNS]
    bits, overflow = core.params[_BITS], core.params[_OVERFLOW]
    x, begin, end = core.x, matrix[_WEIGHTS], matrix[_WEIGHTS] + rows * total
    if fast and matrix[_WIDE]:
        _add_narrow(core, core.w16[begin:end], rows, columns, n, sums, x_max)
    elif fast:
        _add_narrow(core, core.w8[begin:end], rows, columns, n, sums, x_max)
    elif matrix[_WIDE]:
        wide = core.w16[begin:end].reshape((total, rows))
        add_columns_stepwise(wide, x, columns, n, sums, bits, overflow)
    else:
        slim = core.w8[begin:end].reshape((total, rows))
        add_columns_stepwise(slim, x, columns, n, sums, bits, overflow)


@apart
def _add_in_parts(core, matrix, n, sums, x_max, position):
    """Do as `_add` of all pushed columns, and requantise the sums at every boundary."""
    params, total = core.params, matrix[_COLUMNS]
    boundary = first_boundary(position, params[_EVERY])
    limit = (np.int64(1) << (params[_BITS] - 1)) - 1
    first, fresh = np.int64(0), True
    while first < n or boundary < total:
        end = first
        while end < n and core.columns[end] <= boundary:
            end += 1
        if end > first:
            largest = np.int64(0)
            for r in range(sums.shape[0]):
                largest = max(largest, abs(sums[r]))
            fast = params[_BITS] <= 32 and largest + matrix[_ABS_MAX] * x_max <= limit
            _add(core, matrix, core.columns[first:end], end - first, sums, fast, x_max)
        if boundary < total and (fresh or end > first):
            # What no product has changed since the last boundary stays as it is.
            requantise_partial(
                sums, params[_PARTIAL_SHIFT], params[_PARTIAL_BITS], params[_PARTIAL_ROUNDING],
                params[_OVERFLOW],
            )  # fmt: skip
            fresh = False
        first = end
        boundary += params[_EVERY]


@kernel
def _surely_small(core, matrix, accumulate, zero):
    """Whether any operand of the matrix's width fits 16 bits, and its sums from the bias 32."""
    widest = np.int64(1) << (matrix[_ABITS] - 1)
    return not (accumulate or zero or core.params[_EVERY]) and widest <= matrix[_SAFE]


@kernel
def _values(core, matrix, n, acc, accumulate, zero, position):
    """Value plane: accumulators acc .. acc + rows, from bias or as they are, plus M x."""
    rows, total = matrix[_ROWS], matrix[_COLUMNS]
    bits, overflow = core.params[_BITS], core.params[_OVERFLOW]
    sums = core.acc[acc : acc + rows]
    bias = core.bias[matrix[_BIAS] : matrix[_BIAS] + rows]
    by_tiles = matrix[_TILES] >= 0 and matrix[_TILED] <= n * rows
    fast, x_max = _surely_small(core, matrix, accumulate, zero), np.int64(MOST_FACTOR)
    if fast and by_tiles:
        add_tiles(core, matrix, bias, sums)
        return
    if not accumulate:
        overwrite(sums, bias)
    if not fast:
        x_max = largest_magnitude(core.x, total)
        anyway = bits == 32 and overflow == WRAP
        fast = bits <= 32 and not core.params[_EVERY]
        fast = fast and (anyway or _no_overflow(core, matrix, sums, accumulate, x_max))
        if fast and by_tiles and x_max <= MOST_FACTOR:
            add_tiles(core, matrix, sums, sums)
            return
    if matrix[_TILES] >= 0:
        list_columns(core, total)  # which may have been left out
    if core.params[_EVERY]:
        _add_in_parts(core, matrix, n, sums, x_max, position)
        return
    _add(core, matrix, core.columns, n, sums, fast, x_max)


@kernel
def _count(core, matrix, n, effective_n):
    """Count n pushed columns, of which `effective_n` are nonzero; return effective MACs."""
    counters = core.counters
    entries, done, effective, words, index_words = sum_pushed(core, matrix)
    gated = entries - done if core.params[_GATE] else np.int64(0)
    counters[_MAC + matrix[_KIND]] += entries - gated
    counters[_MAC + MAC_KINDS + matrix[_KIND]] += gated
    counters[_ACC_READ] += entries - gated
    counters[_ACC_WRITE] += entries - gated
    counters[_EFFECTIVE] += effective
    counters[_ACTIVE] += effective_n * matrix[_ROWS]
    counters[_WEIGHT_READ if core.params[_PRIVATE] else _DATA_READ] += words
    counters[_INDEX_READ] += index_words
    counters[_PUSH] += n * core.params[_PES]
    counters[_POP] += n * core.params[_PES]
    width = core.params[_WIDTH]
    counters[_WINDOW] += (matrix[_COLUMNS] + width - 1) // width
    return effective


@kernel
def _cycles(core, m, src, n, accumulate, load):
    """Time plane: the duration without interference of a product that pushes n columns."""
    params, matrix = core.params, core.matrices[m]
    columns = core.every if params[_ALL] else core.columns
    if params[_SHARED]:
        return np.int64(0)  # found cycle by cycle, in `contention`
    if params[_HAZARD]:
        return step_alone(core, m, src, columns, n, accumulate)
    if matrix[_EVEN]:
        used, window = scanned_windows(core, matrix[_COLUMNS])
        return even_cycles(core, matrix, n, used, window, load)
    return product_cycles(core, matrix, columns, n, load)


@apart
def multiply(core, m, src, acc, accumulate, zero=0, position=0):
    """Execute one product; return its duration without interference, and the banks it holds.

    zero: zero point of the operand; position: dense position of column 0, for partial sums. What
    is only known of columns is added up by `settle`.
    """
    matrix = core.matrices[m]
    total = matrix[_COLUMNS]
    params = core.params
    read_operand(core, m, src, zero)
    nonzero = note_pattern(core, total)
    if not (matrix[_EVEN] and (replays(core) or matrix[_TILES] >= 0)):
        list_columns(core, total)
    if not replays(core):
        _values(core, matrix, nonzero, acc, accumulate, zero, position)
    n = total if params[_ALL] else nonzero
    memo = load_phase(core, m, src, accumulate)
    cycles = _cycles(core, m, src, n, accumulate, memo[LOAD_CYCLES])
    effective = _count(core, matrix, n, nonzero)
    counters = core.counters
    counters[_INDEX_WRITE] += matrix[_INDEX_WRITES]
    reads = matrix[_INDEX_WRITES] + (0 if accumulate else matrix[_BIAS_READS])
    counters[_WEIGHT_READ if params[_PRIVATE] else _DATA_READ] += reads
    counters[_DATA_READ] += memo[LOAD_READS]
    if not accumulate:
        counters[_ACC_WRITE] += matrix[_ROWS]
    memo[LOAD_HELD] += cycles
    use = core.matrix_use[m]
    use[0] += cycles
    use[1] += effective
    use[2] += 1
    return cycles, memo[LOAD_MASK]


@kernel
def _settle_column(core, matrix, column, uses):
    if not core.params[_PRIVATE]:
        banks = core.params[_BANKS]
        words = core.bank_words[matrix[_BANK_WORDS] + column * banks :]
        for bank in range(banks):
            core.bank_busy[bank] += uses * words[bank]
    if not core.params[_SHARED] and not core.params[_HAZARD]:
        settle_pes(core, matrix, column, uses)


@kernel
def settle(core):
    """Add up accesses to banks and cycles of PEs that follow from how often columns were pushed.

    No instruction asks for them, so that they are not added up one by one.
    """
    settle_stalls(core)
    for pc in range(core.bound.shape[0]):
        settle_banks(core, core.bound[pc])
    for m in range(core.matrices.shape[0]):
        matrix = core.matrices[m]
        settle_load(core, core.load_memo[m])
        for column in range(matrix[_COLUMNS]):
            at = matrix[_STATS] + column
            if core.uses[at]:
                _settle_column(core, matrix, column, np.int64(core.uses[at]))
                core.uses[at] = 0


@kernel
def run_matvec(core, m, src, acc, accumulate, zero=0, position=0):
    """Do as `multiply`, and settle."""
    cycles, mask = multiply(core, m, src, acc, accumulate, zero, position)
    settle(core)
    return cycles, mask
