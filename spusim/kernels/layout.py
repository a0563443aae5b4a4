"""Positions in the flat arrays that kernels share with the machine.

Kernels take arrays in and give arrays out; these constants are the only names both sides share.
"""

from enum import IntEnum


class Unit(IntEnum):
    """Units an instruction may run on."""

    SEQUENCER = 0
    ENGINE = 1
    VECTOR = 2
    ROUTER = 3
    DMA = 4


class Op(IntEnum):
    """Operations of the compiled interpreter."""

    NOP = 0
    END = 1
    POST = 2
    LOOP = 3
    VSET = 4
    SEND = 5
    RECV = 6
    MATVEC = 7  # operands: matrix, src, acc, accumulate
    QUANTISE_SHIFT = 8
    QUANTISE_TENSOR = 9
    QUANTISE_CHANNEL = 10
    ADD = 11
    SUB = 12
    MUL = 13
    MAX = 14
    MIN = 15
    MOVE = 16
    RELU = 17
    LOOKUP = 18
    FILL = 19
    THRESHOLD = 20
    TOP = 21
    NORMALISE = 22
    ZERO_SET = 30
    POSITION_SET = 31
    RANDOM_SET = 32
    NORM_SET = 33
    YIELD = 34  # from here to FETCH, instructions that the interpreter stops before
    LOAD_EXTERNAL = 35  # operands: data address, external address, transfer
    STORE_EXTERNAL = 36
    FETCH = 37  # operands: matrix, external address
    CONVOLVE = 40  # from here on, instructions that are handed to the machine
    POOL = 41


class P(IntEnum):
    """Parameters of a core, in `CoreArrays.params`."""

    PES = 0
    BANKS = 1
    WORD_BYTES = 2
    SCAN_WIDTH = 3
    QUEUE_DEPTH = 4
    RELEASE_DONE = 5
    PUSH_ALL = 6  # activations dense or gate: zeros are pushed too
    GATE = 7
    MAC_STAGES = 8
    VECTOR_LANES = 9
    VECTOR_STAGES = 10
    TABLE_READS = 11  # table reads a cycle
    ACC_BITS = 12
    ACC_OVERFLOW = 13  # 0 saturate, 1 wrap, 2 nullify
    ROUNDING = 14  # 0 floor, 1 half_up, 2 half_even, 3 stochastic
    RESULT_OVERFLOW = 15
    PRIVATE_WEIGHTS = 16
    HAZARD_STALL = 17
    SHARED_PORTS = 18
    WORD_SHIFT = 19  # logarithm of WORD_BYTES
    TAPE = 20  # a `Tape`
    SEED = 21
    PARTIAL_EVERY = 22  # dense positions; 0: partial sums are not requantised
    PARTIAL_SHIFT = 23
    PARTIAL_BITS = 24
    PARTIAL_ROUNDING = 25
    WINDOW_STARTS = 26  # of 64 columns, those that begin a window; 0 where windows do not fill 64
    WINDOW_SHIFT = 27  # logarithm of SCAN_WIDTH, -1 where it is no power of two
    COUNT = 28


class Tape(IntEnum):
    """What a core does with `CoreArrays.tape`, the nonzero patterns of products' operands."""

    NONE = 0
    RECORD = 1
    REPLAY = 2  # no values are computed: patterns come from the tape


class M(IntEnum):
    """Fields of a matrix, in `CoreArrays.matrices` (one row a matrix)."""

    ROWS = 0
    COLUMNS = 1
    WIDE = 2  # weights in w16, else w8
    WEIGHTS = 3  # offset in w8 or w16
    COSTS = 4  # offset in packed_beats: (columns, pes)
    STATS = 5  # offset in stats: columns
    BIAS = 6  # offset in bias and row_abs
    ACTIVATION_BITS = 7
    MAC_KIND = 8  # which mac counter
    FETCH = 9  # offset in fetch: (2, pes + banks): with and without bias
    BANK_WORDS = 10  # offset in bank_words: (columns, banks); -1 with private weights
    ROW_ABS_MAX = 11  # largest sum of |w| of a row
    INDEX_WRITES = 12  # words preloaded
    BIAS_READS = 13  # bias words
    TAPE = 14  # offset in tape: (products, columns)
    PRODUCTS = 15  # products that the tape has room for
    ABSENT = 16  # 0: resident (T53), 1: never fetched, 2 + m: matrix m lies on it
    BYTE_BEATS = 17  # offset in byte_beats: (columns, LANES); -1 where a byte is too small
    SHORT_BEATS = 18  # offset in short_beats: (columns, FEW); -1 with more PEs, or too many beats
    EVEN = 19  # every column costs every PE one beat, and no queue can fill
    SAFE = 20  # largest |x| with which sums that begin with the bias surely stay in range
    ENTRIES = 21  # MACs, words and index words of all columns
    WORDS = 22
    INDEX_WORDS = 23
    TILES = 24  # offset in tiles8 or tiles16; -1: not tiled
    TILE_MASKS = 25  # offset in tile_masks
    TILED = 26  # weights in tiles, filled up ones included
    COUNT = 27


class X(IntEnum):
    """State of a thread in flight, in a context array."""

    PC = 0
    LENGTH = 1
    WA = 2
    WB = 3
    WD = 4
    SA = 5
    SB = 6
    SD = 7
    ROUNDING = 8  # 0: the architecture's, else one more than `P.ROUNDING`
    DEPTH = 9
    LOOPS = 10  # five words a level: first, last, left, iteration, bump
    ZERO_X = 30  # zero point of products' operands
    ZERO_D = 31  # of requantised results
    POSITION = 32  # dense position of a product's first column
    SEED = 33  # what `random_bits` draws by: from here five words
    STREAM = 34
    ACTIVATION = 35
    ORDINAL = 36
    FIRST = 37
    NORM = 38  # the run-time shift (A13)
    SETTINGS = 39  # one more than the address of the last `vset`, whose operands never change
    COUNT = 40


LOOP_LEVELS = 4
LOOP_FIRST, LOOP_LAST, LOOP_LEFT, LOOP_ITERATION, LOOP_BUMP = range(5)


class C(IntEnum):
    """Event counters of a core."""

    ACC_READ = 0
    ACC_WRITE = 1
    QUEUE_PUSH = 2
    QUEUE_POP = 3
    SCANNER_WINDOW = 4
    DATA_READ = 5
    DATA_WRITE = 6
    WEIGHT_READ = 7
    INDEX_READ = 8
    INDEX_WRITE = 9
    TABLE_READ = 10
    VECTOR_ELEMENT = 11
    VECTOR_MULTIPLY = 12
    INSTRUCTION = 13
    SLOT_WRITE = 14  # words of activations written to queue slots (T45)
    SLOT_READ = 15  # and read from them
    EFFECTIVE = 16  # MACs with both operands nonzero
    ACTIVE = 17  # MACs with a nonzero activation
    WEIGHT_WRITE = 18
    EXTERNAL_READ = 19
    EXTERNAL_WRITE = 20
    MAC = 21  # one a kind of MAC follows, then as many gated ones


MAC_KINDS = 6
COUNTERS = int(C.MAC) + 2 * MAC_KINDS


class S(IntEnum):
    """Stall causes of the engine's units, columns of `pe_stalls` and `scanner_stalls`."""

    LOAD = 0
    BUSY = 1
    EMPTY_COLUMN = 2
    STARVED = 3
    HAZARD = 4
    PORT = 5
    IMBALANCE = 6
    DRAIN = 7
    QUEUE_FULL = 8
    PE_WAIT = 9
    EMPTY_SLICE = 10
    ACCUMULATORS = 11
    COUNT = 12


class T(IntEnum):
    """Columns of a step: what an executed instruction did to its unit."""

    UNIT = 0
    CYCLES = 1
    BANKS = 2  # mask of banks it holds
    PC = 3
    COUNT = 4


class B(IntEnum):
    """What is known of an instruction's operands, in `CoreArrays.bound` (one row each).

    All of it of a vector instruction; of a send or recv its banks, and its address as OFFSET.
    """

    SETTINGS = 0  # of the thread then, see `X.SETTINGS`, plus one; 0: nothing yet
    OFFSET = 1  # words that loops added to its addresses
    TABLE = 2
    BYTES = 3  # of operands a, b, scale, d
    BITS = 7
    CYCLES = 11
    MASK = 12  # of banks
    USES = 13  # times that it was done, and cycles that it held them, not yet settled
    HELD = 14
    DATA_READ = 15  # from here on, what it adds to event counters
    DATA_WRITE = 16
    TABLE_READ = 17
    ELEMENTS = 18
    MULTIPLIES = 19
    ACC_READ = 20
    BANKS = 21  # from here on, accesses to each bank
    COUNT = 21


# A row of `CoreArrays.load_memo`: key (0: nothing yet), cycles, banks held, words of data memory
# read; products, and cycles of theirs, not yet settled; then the accesses of every bank.
LOAD_CYCLES, LOAD_MASK, LOAD_READS, LOAD_USES, LOAD_HELD, LOAD_BANKS = 1, 2, 3, 4, 5, 6

# `CoreArrays.owing`, stalls of PEs not yet settled: cycles of load phases, of finishing and of
# drains, in which all PEs are alike, then the cycle in which each PE was done.
OWING_LOAD, OWING_FINISH, OWING_DRAIN, OWING_DONE = range(4)


class Given(IntEnum):
    """What the machine gives back for an instruction handed to it, in `CoreArrays.given`."""

    READY = 0
    CYCLES = 1
    BANKS = 2
    COUNT = 3


class Fault(IntEnum):
    """Why the interpreter stopped short."""

    NONE = 0
    PC_OUTSIDE = 1
    LOOP_DEPTH = 2
    MEMORY = 3
    ACCUMULATOR = 4
    MATRIX = 5
    TABLE = 6
    LOOP_NESTING = 7
    SHIFT = 8
    SCALE = 9
    TAPE = 10
    HANDED = 11  # no fault: the machine is to execute the next instruction
    ABSENT = 12
