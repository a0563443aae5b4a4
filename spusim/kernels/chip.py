"""ChipState: the arrays of all cores' sequencers and ports, and of the router between them."""

from enum import IntEnum

from spusim.kernels.declare import Handle

NEVER = 1 << 60  # beyond every cycle
HOST_BIT = 15  # of a destination mask


class G(IntEnum):
    """Parameters and registers of the chip, in `ChipState.chip`."""

    CORES = 0
    CONTEXTS = 1
    DISPATCH_CYCLES = 2
    HOP_CYCLES = 3
    CHANNELS = 4
    CHANNEL_WORDS = 5
    HOST_CYCLES = 6  # per word
    NOW = 7
    ROUTER_NEXT = 8  # cycle in which the router has something to arbitrate
    SEQUENCE = 9  # number of the next request
    ROUTER_WORDS = 10
    LINK_WORDS = 11
    HOST_OUT_BUSY = 12
    HOST_OUT_BLOCKED = 13
    HOST_IN_BUSY = 14
    FAULT = 15
    FAULT_CORE = 16
    FAULT_CONTEXT = 17
    FAULT_DETAIL = 18
    SHARED = 19  # ports are shared
    SLOTS = 20  # slots of the message table that were ever used
    PERIOD = 21  # cycles between frames, 0: each follows the last one's output
    FILE_BEGAN = 22
    FIRST = 23  # frames of the file, up to LAST
    LAST = 24
    SENT = 25  # frames requested
    FINISHED = 26  # frames whose outputs have all arrived
    FRAME_DUE = 27  # cycle in which the next frame is requested, NEVER: not known yet
    INPUT_MASK = 28  # cores that a frame goes to, their channel, and its token's thread
    INPUT_CHANNEL = 29
    INPUT_THREAD = 30
    LOG_LIMIT = 31  # rows of the log after which the clock stops; 0: the run is not traced
    LOGGED = 32  # rows in the log
    NOTED = 33  # words in `notes`
    LOG_FULL = 34
    HANDED = 35  # the machine is to execute an instruction: of this core and context
    HANDED_CORE = 36
    HANDED_CONTEXT = 37
    VISIT = 38  # in `order`: core whose cycle is under way
    PART = 39  # of its cycle: 0 nothing is done, 1 accounted, 2 issued
    MEMORY_NEXT = 40  # cycle in which the channel to external memory is asked for
    CHANNEL_FREE = 41  # cycle at whose end it can be granted
    CHANNEL_BYTES = 42  # that it moves in CHANNEL_CYCLES
    CHANNEL_CYCLES = 43
    LATENCY = 44
    OWN_PORT = 45  # data banks have a port for the dma
    INPUT_WORD = 46  # of external memory, from where on frames are written; -1: they take a channel
    DELIVERY_NEXT = 47  # cycle in which a message arrives, or a recv gives back its room
    COUNT = 48


class K(IntEnum):
    """Registers of a core, in `ChipState.core` (one row a core)."""

    NEXT = 0  # cycle of its next event
    ACCOUNTED = 1  # sequencer cycles before this one are attributed
    CAUSE = 2  # what the cycles since then belong to
    FLIGHTS = 3  # threads in flight
    READY_HEAD = 4
    READY_COUNT = 5
    RECEIVING = 6  # context of the flight whose recv waits, -1: none
    CHANNEL = 7  # of that recv; then its address, words, issue cycle and banks
    ADDRESS = 8
    WORDS = 9
    ISSUED = 10
    BANKS = 11
    ROOM_AT = 12  # completion of the running recv, which gives back its channel's room
    ROOM_CHANNEL = 13
    ROOM_WORDS = 14
    STEPPED = 15  # shared ports: cycles before this one are stepped
    ENGINE_MATRIX = 16
    ENGINE_BEGAN = 17
    COMPLETES = 18  # none of them does before this cycle; up to STEPPED: to be found
    THREADS = 19
    INSTRUCTIONS = 20
    ARRIVED = 21  # tokens that reach it in this cycle
    COUNT = 22


class H(IntEnum):
    """A thread's entry of the scoreboard, in `ChipState.threads`."""

    TOKENS = 0
    LEFT = 1  # tokens still missing
    LIVE = 2  # queued or running
    WAITING = 3  # a further arming waits
    ENTRY = 4
    ARRIVED = 5  # tokens of this cycle
    ACTIVATIONS = 6  # times it was dispatched in this file
    RESUME = 7  # instruction that it begins with when it is dispatched (T59)
    COUNT = 8


class F(IntEnum):
    """A thread in flight, in `ChipState.flights` (one row a context)."""

    THREAD = 0
    READY_AT = 1
    RUNNING = 2  # unit that runs its last instruction, 0: the sequencer or none
    ENDED = 3
    STEP = 4  # next executed but not issued step
    STEPS = 5
    CYCLES = 6  # of the steps that are not issued yet
    KNOWN = 7  # the next instruction is at hand: executed, or standing before a sync
    UNIT = 8  # of that instruction, and the banks it holds
    BANKS = 9
    COUNT = 10


class A(IntEnum):
    """An instruction executed ahead whose duration is found cycle by cycle, in `planned`."""

    LENGTH = 0
    FIXED = 1
    READS = 2
    MATRIX = 3
    SOURCE = 4
    ACCUMULATE = 5
    PUSHED = 6
    BYTES = 7  # of operands a, b, scale, d
    BITS = 11
    PASSES = 15  # over the elements before the last one (T16)
    COUNT = 16


class N(IntEnum):
    """A message or a remote token, in `ChipState.messages`."""

    STATE = 0
    SENDER = 1
    MASK = 2
    CHANNEL = 3
    WORDS = 4  # 0: a token only
    THREAD = 5
    REQUESTED = 6
    ARRIVES = 7
    SEQUENCE = 8
    CONTEXT = 9
    ADDRESS = 10
    BANKS = 11
    READERS = 12  # cores that have not taken it yet
    INFORMED = 13  # of a frame for external memory, mask of the cores that get its token
    COUNT = 14


FREE, WAITING, MOVING, STANDING = range(4)


class Q(IntEnum):
    """What a cycle of the sequencer is attributed to."""

    BUSY = 0
    IDLE = 1
    DISPATCH = 2
    UNIT = 3
    BANKS = 4
    ENGINE = 5
    VECTOR = 6
    ROUTER = 7
    DMA = 8
    COUNT = 9


class R(IntEnum):
    """What a cycle of a core's router port is attributed to."""

    BUSY = 0
    BLOCKED = 1
    MESSAGE = 2
    COUNT = 3


class ChipFault(IntEnum):
    """Why a run stopped; below 16 they are the interpreter's."""

    DOUBLE_ARMING = 16
    UNKNOWN_THREAD = 17
    UNKNOWN_CORE = 18
    UNKNOWN_CHANNEL = 19
    MESSAGE_LENGTH = 20
    MESSAGE_TOO_LONG = 21
    DESTINATIONS = 22
    TRANSFER = 23
    MESSAGES = 24
    UNEXPECTED_OUTPUT = 25
    OUTPUT_LENGTH = 26
    DMA = 27
    YIELD = 28


class O(IntEnum):  # noqa: E742 - like all tables of columns, named by one letter
    """An output port, in `ChipState.ports`."""

    CORE = 0
    CHANNEL = 1
    OFFSET = 2
    ELEMENTS = 3
    BITS = 4
    TAKEN = 5  # frames of which it has arrived
    COUNT = 6


class D(IntEnum):
    """A core's dma unit, in `ChipState.dma`."""

    WAITING = 0  # for the channel
    CONTEXT = 1  # of the flight whose instruction it runs
    REQUESTED = 2
    TAKES = 3  # cycles of the channel
    HELD = 4  # mask of banks
    BUSY = 5  # from here on, cycles by cause
    CHANNEL = 6
    LATENCY = 7
    COUNT = 8


class V(IntEnum):
    """A matrix's image and place, in `ChipState.places`."""

    HOME = 0  # external word, -1: none
    WORDS = 1  # of the image
    MOST = 2  # weight words, or index words, that one port takes
    WEIGHTS = 3  # words written to weight memory
    INDICES = 4  # and to index memory
    IN_BANKS = 5  # weight memory is the data banks
    BANKS = 6  # mask of those
    FIRST = 7  # of `bank_words`: where its words go, if to data banks
    COUNT = 8


class Stop(IntEnum):
    """Why `advance` returned."""

    QUIET = 0  # the file's outputs have arrived, every thread has ended, nothing is on its way
    STUCK = 1  # nothing will ever happen
    FAULT = 2
    LOG_FULL = 3  # the log wants to be read; `advance` goes on where it stopped
    HANDED = 4  # the machine is to execute an instruction; likewise


FIELDS = (
    "chip",  # (G.COUNT,)
    "core",  # (cores, K.COUNT)
    "cores",  # CoreTable
    "code",  # (cores, instructions, operands): as each core's, padded with `end`
    "order",  # (cores,) in which cores are visited; of no consequence
    "threads",  # (cores, threads, H.COUNT)
    "ready",  # (cores, threads)
    "flights",  # (cores, contexts, F.COUNT)
    "oldest",  # (cores, contexts): contexts in order of dispatch
    "contexts",  # (cores, contexts, X.COUNT)
    "steps",  # (cores, contexts, steps ahead, T.COUNT)
    "unit_free",  # (cores, units)
    "unit_banks",  # (cores, units): mask of banks that are held while the unit is not free
    "out_free",  # (cores + 1,), the host last
    "in_free",  # (cores + 1,)
    "messages",  # (messages, N.COUNT)
    "data",  # (messages, bytes) uint8
    "frames",  # (frames, words, word bytes) uint8: the stream
    "ports",  # (output ports, O.COUNT)
    "outputs",  # (frames, features)
    "began",  # (frames,): first cycle of the frame's input on the link
    "ended",  # (frames,): arrival of its last output word
    "frame_counts",  # (frames, COUNTERS + 2): event counts at its end
    "taken",  # (cores, channels): words of room that are spoken for
    "sequencer_cycles",  # (cores, Q.COUNT)
    "vector_cycles",  # (cores, 2): busy, port
    "port_cycles",  # (cores, R.COUNT)
    "engine",  # shared ports, (cores, ...): see `engine_state` and `contention`
    "pes",
    "last",
    "vector",  # (cores, 2, ...): the second one is scratch
    "accesses",
    "vector_bytes",
    "vector_bits",
    "transfer",
    "columns",
    "planned",  # (cores, contexts, A.COUNT)
    "pushed",  # (cores, contexts, columns): of the planned product
    "log",  # (rows, WIDTH) of a traced run, see `log`
    "notes",  # (words,): operands of logged steps, see `ahead`
    "external",  # (bytes,) uint8: external memory
    "homes",  # (images, 2): first external word, end
    "transfers",  # (cores, transfers, 4): words, runs, strides in data and external memory
    "places",  # (cores, matrices, V.COUNT)
    "overlaps",  # (cores, matrices, matrices) uint8: whether the first one's fetch overwrites
    "fetch_banks",  # (cores, matrices, banks): words of an image in each data bank
    "bank_words",  # (words,): data memory words of images that go there, image after image
    "dma",  # (cores, D.COUNT)
)


class ChipState(Handle):
    """The chip's arrays behind one pointer."""

    fields = FIELDS
