"""The router: requests, the arbiter, deliveries, and the cores' ports to it (T25, T27 to T30)."""

import numpy as np

from spusim.kernels.borrow import overwrite
from spusim.kernels.chip import (
    FREE,
    HOST_BIT,
    MOVING,
    NEVER,
    STANDING,
    WAITING,
    ChipFault,
    F,
    G,
    K,
    N,
    R,
)
from spusim.kernels.contention import ADDRESS, INTERVAL, START, WORDS
from spusim.kernels.context import address_offset, next_instruction
from spusim.kernels.declare import kernel
from spusim.kernels.host import frame_granted, land_frame, take_output
from spusim.kernels.layout import B, C, Op, P, Unit, X
from spusim.kernels.load_phase import access_words
from spusim.kernels.log import L, note
from spusim.kernels.sequencer import fail, occupy, take_token
from spusim.kernels.thread import hold_banks

_CORES, _HOP, _CHANNELS, _ROOM = (
    int(G.CORES),
    int(G.HOP_CYCLES),
    int(G.CHANNELS),
    int(G.CHANNEL_WORDS),
)
_HOST_CYCLES, _ROUTER_NEXT, _SEQUENCE = int(G.HOST_CYCLES), int(G.ROUTER_NEXT), int(G.SEQUENCE)
_WORDS_SENT, _LINK_WORDS = int(G.ROUTER_WORDS), int(G.LINK_WORDS)
_OUT_BUSY, _OUT_BLOCKED, _IN_BUSY = (
    int(G.HOST_OUT_BUSY),
    int(G.HOST_OUT_BLOCKED),
    int(G.HOST_IN_BUSY),
)
_NEXT, _RECEIVING, _K_CHANNEL, _K_ADDRESS = (
    int(K.NEXT),
    int(K.RECEIVING),
    int(K.CHANNEL),
    int(K.ADDRESS),
)
_K_WORDS, _K_ISSUED, _K_BANKS = int(K.WORDS), int(K.ISSUED), int(K.BANKS)
_ROOM_AT, _ROOM_CHANNEL, _ROOM_WORDS = int(K.ROOM_AT), int(K.ROOM_CHANNEL), int(K.ROOM_WORDS)
_READY_AT, _RUNNING = int(F.READY_AT), int(F.RUNNING)
_STATE, _SENDER, _MASK, _CHANNEL = int(N.STATE), int(N.SENDER), int(N.MASK), int(N.CHANNEL)
_WORDS, _THREAD, _REQUESTED, _ARRIVES = (
    int(N.WORDS),
    int(N.THREAD),
    int(N.REQUESTED),
    int(N.ARRIVES),
)
_N_SEQUENCE, _CONTEXT, _ADDRESS = int(N.SEQUENCE), int(N.CONTEXT), int(N.ADDRESS)
_BANKS, _READERS = int(N.BANKS), int(N.READERS)
_R_BUSY, _BLOCKED, _MESSAGE = int(R.BUSY), int(R.BLOCKED), int(R.MESSAGE)
_ROUTER = int(Unit.ROUTER)
_SEND = int(Op.SEND)
_WORD_BYTES, _SHARED = int(P.WORD_BYTES), int(G.SHARED)
_SLOTS, _SENT, _DUE = int(G.SLOTS), int(G.SENT), int(G.FRAME_DUE)
_READ, _WRITE, _INSTRUCTION = int(C.DATA_READ), int(C.DATA_WRITE), int(C.INSTRUCTION)
_UNKNOWN_CORE, _UNKNOWN_CHANNEL = int(ChipFault.UNKNOWN_CORE), int(ChipFault.UNKNOWN_CHANNEL)
_LENGTH, _TOO_LONG = int(ChipFault.MESSAGE_LENGTH), int(ChipFault.MESSAGE_TOO_LONG)
_DESTINATIONS, _TRANSFER = int(ChipFault.DESTINATIONS), int(ChipFault.TRANSFER)
_FULL, _INFORMED, _INPUT_WORD = int(ChipFault.MESSAGES), int(N.INFORMED), int(G.INPUT_WORD)
_L_ISSUE, _L_TRANSFER, _L_GRANT = int(L.ISSUE), int(L.TRANSFER), int(L.GRANT)
_PC, _F_BANKS = int(X.PC), int(F.BANKS)
_B_SETTINGS, _B_OFFSET = int(B.SETTINGS), int(B.OFFSET)
_B_MASK, _B_BANKS = int(B.MASK), int(B.BANKS)


@kernel
def _slot(chip, c, context):
    """Return a free slot of the message table; a chip with none left has run away."""
    for slot in range(chip.messages.shape[0]):
        if chip.messages[slot, _STATE] == FREE:
            chip.messages[slot, :] = 0
            chip.chip[_SLOTS] = max(chip.chip[_SLOTS], slot + 1)
            return slot
    fail(chip, _FULL, c, context, chip.messages.shape[0])
    return -1


@kernel
def post_remote(chip, c, context, core, thread, now):
    """Carry a token to another core (T25)."""
    if core >= chip.chip[_CORES]:
        fail(chip, _UNKNOWN_CORE, c, context, core)
        return
    slot = _slot(chip, c, context)
    if slot < 0:
        return
    message = chip.messages[slot]
    message[_STATE] = MOVING
    message[_MASK] = 1 << core
    message[_THREAD] = thread
    message[_ARRIVES] = now + 1 + chip.chip[_HOP]


@kernel
def request(chip, sender, context, mask, channel, words, thread, now):
    """Ask for a transfer in this cycle; return its slot, or -1 after a fault."""
    cores = chip.chip[_CORES]
    for node in range(HOST_BIT):
        if mask >> node & 1:
            if node >= cores:
                fail(chip, _UNKNOWN_CORE, sender, context, node)
                return -1
            if channel >= chip.chip[_CHANNELS]:
                fail(chip, _UNKNOWN_CHANNEL, sender, context, channel)
                return -1
            if words > chip.chip[_ROOM]:
                fail(chip, _TOO_LONG, sender, context, words)
                return -1
    slot = _slot(chip, sender, context)
    if slot < 0:
        return -1
    message = chip.messages[slot]
    message[_STATE], message[_SENDER], message[_MASK] = WAITING, sender, mask
    message[_CHANNEL], message[_WORDS], message[_THREAD] = channel, words, thread
    message[_REQUESTED], message[_ARRIVES] = now, NEVER
    message[_N_SEQUENCE] = chip.chip[_SEQUENCE]
    chip.chip[_SEQUENCE] += 1
    chip.chip[_ROUTER_NEXT] = min(chip.chip[_ROUTER_NEXT], now)
    return slot


@kernel
def _ports_free_at(chip, message):
    cores = chip.chip[_CORES]
    time = chip.out_free[message[_SENDER]]
    for node in range(cores):
        if message[_MASK] >> node & 1:
            time = max(time, chip.in_free[node])
    if message[_MASK] >> HOST_BIT & 1:
        time = max(time, chip.in_free[cores])
    return time


@kernel
def _has_room(chip, message):
    """Whether every destination's channel has room; a host's message wants it empty (T28)."""
    cores = chip.chip[_CORES]
    for node in range(cores):
        if message[_MASK] >> node & 1:
            used = chip.taken[node, message[_CHANNEL]]
            if used + message[_WORDS] > chip.chip[_ROOM] or (used and message[_SENDER] == cores):
                return False
    return True


@kernel
def _grant(chip, message, now):
    """Give a message its ports and room, and tell its sender when it is done (T27 to T30)."""
    cores = chip.chip[_CORES]
    sender, words = message[_SENDER], message[_WORDS]
    to_host = message[_MASK] >> HOST_BIT & 1
    over_link = sender == cores or to_host
    cycles = words * (chip.chip[_HOST_CYCLES] if over_link else 1)
    free = now + 1 + cycles
    # T28: a port that still moves the message before is busy, and not blocked as well
    waits = max(message[_REQUESTED] + 1, chip.out_free[sender])
    chip.out_free[sender] = free
    for node in range(cores):
        if message[_MASK] >> node & 1:
            chip.in_free[node] = free
            chip.taken[node, message[_CHANNEL]] += words
            message[_READERS] += 1
    if to_host:
        chip.in_free[cores] = free
        chip.chip[_IN_BUSY] += cycles
    message[_STATE] = MOVING
    message[_ARRIVES] = free + chip.chip[_HOP]
    note(
        chip, _L_GRANT, now, sender, message[_MASK], message[_CHANNEL], words, waits, free,
    )  # fmt: skip
    chip.chip[_WORDS_SENT] += words
    if over_link:
        chip.chip[_LINK_WORDS] += words
    if sender == cores:
        chip.chip[_OUT_BUSY] += cycles
        chip.chip[_OUT_BLOCKED] += now + 1 - waits
        frame_granted(chip, message[_CONTEXT], now)
    else:
        chip.port_cycles[sender, _R_BUSY] += free - now
        chip.port_cycles[sender, _BLOCKED] += now + 1 - waits
        _complete(
            chip, sender, message[_CONTEXT], _READ, message[_ADDRESS], words, message[_BANKS],
            message[_REQUESTED], now + 1, free,
        )  # fmt: skip


@kernel
def arbitrate(chip, now):
    """Grant what can be granted at the end of this cycle, in order of sender, then of request."""
    chip.chip[_ROUTER_NEXT] = NEVER
    sender, sequence = np.int64(-1), np.int64(-1)
    while True:
        best = np.int64(-1)
        for slot in range(chip.chip[_SLOTS]):
            message = chip.messages[slot]
            if message[_STATE] != WAITING:
                continue
            later = message[_SENDER] > sender or (
                message[_SENDER] == sender and message[_N_SEQUENCE] > sequence
            )
            if later and (
                best < 0
                or message[_SENDER] < chip.messages[best, _SENDER]
                or (
                    message[_SENDER] == chip.messages[best, _SENDER]
                    and message[_N_SEQUENCE] < chip.messages[best, _N_SEQUENCE]
                )
            ):
                best = slot
        if best < 0:
            return
        message = chip.messages[best]
        sender, sequence = message[_SENDER], message[_N_SEQUENCE]
        ready = _ports_free_at(chip, message)
        if ready > now:
            chip.chip[_ROUTER_NEXT] = min(chip.chip[_ROUTER_NEXT], ready)
        elif _has_room(chip, message):
            _grant(chip, message, now)
        # A full channel is looked at again when its room is given back.


@kernel
def deliver(chip, now):
    """Make this cycle's deliveries."""
    cores = chip.chip[_CORES]
    for c in range(cores):
        if chip.core[c, _ROOM_AT] == now:
            chip.core[c, _ROOM_AT] = NEVER
            chip.taken[c, chip.core[c, _ROOM_CHANNEL]] -= chip.core[c, _ROOM_WORDS]
            chip.chip[_ROUTER_NEXT] = min(chip.chip[_ROUTER_NEXT], now)
    for slot in range(chip.chip[_SLOTS]):
        message = chip.messages[slot]
        if message[_STATE] != MOVING or message[_ARRIVES] != now:
            continue
        message[_STATE] = STANDING if message[_WORDS] else FREE
        if message[_INFORMED]:
            message[_STATE] = FREE
            land_frame(chip, message[_CONTEXT])
        if message[_MASK] >> HOST_BIT & 1:
            message[_STATE] = FREE
            take_output(chip, message, chip.data[slot], now)
        for c in range(cores):
            if (message[_MASK] | message[_INFORMED]) >> c & 1:
                take_token(chip, c, message[_THREAD], now)


@kernel
def send_frame(chip, mask, channel, thread, now):
    """Request the transfer of the next frame from the host (T31)."""
    registers = chip.chip
    frame = registers[_SENT]
    words = chip.frames.shape[1]
    outside = registers[_INPUT_WORD] >= 0
    to = np.int64(0) if outside else mask
    slot = request(chip, registers[_CORES], -1, to, channel, words, thread, now)
    registers[_SENT] += 1
    registers[_DUE] = NEVER
    if slot >= 0:
        chip.messages[slot, _CONTEXT] = frame
        if outside:
            chip.messages[slot, _INFORMED] = mask
            return
        overwrite(chip.data[slot], chip.frames[frame].reshape(-1))


@kernel
def transfer_operands(chip, c, context, row):
    """Word address and number of words of a send or recv."""
    at = 4 if row[0] == _SEND else 3
    return row[at] + address_offset(chip.contexts[c, context]), row[at + 1]


@kernel
def bind_transfer(chip, c, context, row):
    """Return the row of `bound` that says which banks a send or recv accesses, and how often."""
    core = chip.cores[c]
    address, words = transfer_operands(chip, c, context, row)
    bound = core.bound[chip.contexts[c, context, _PC]]
    if bound[_B_SETTINGS] == 0 or bound[_B_OFFSET] != address:
        bound[_B_BANKS:] = 0
        bound[_B_MASK] = access_words(bound[_B_BANKS:], address, words)
        bound[_B_SETTINGS], bound[_B_OFFSET] = 1, address
    return bound


@kernel
def issue_transfer(chip, c, context, row, now):
    """Begin a send or recv in this cycle."""
    core = chip.cores[c]
    address, words = transfer_operands(chip, c, context, row)
    if words < 1 or (address + words) * core.params[_WORD_BYTES] > core.memory.shape[0]:
        fail(chip, _TRANSFER, c, context, words)
        return
    banks = chip.flights[c, context, _F_BANKS]
    occupy(chip, c, _ROUTER, banks, NEVER)
    note(chip, _L_ISSUE, now, c, context, chip.contexts[c, context, _PC], _ROUTER, NEVER, banks)
    flight = chip.flights[c, context]
    flight[_RUNNING], flight[_READY_AT] = _ROUTER, NEVER
    if row[0] == _SEND:
        _send(chip, c, context, row, address, words, banks, now)
    else:
        state = chip.core[c]
        if row[2] >= chip.chip[_CHANNELS]:
            fail(chip, _UNKNOWN_CHANNEL, c, context, row[2])
            return
        state[_RECEIVING], state[_K_CHANNEL] = context, row[2]
        state[_K_ADDRESS], state[_K_WORDS] = address, words
        state[_K_ISSUED], state[_K_BANKS] = now, banks
        receive(chip, c, now)


@kernel
def _send(chip, c, context, row, address, words, banks, now):
    mask = row[2]
    to_host = mask >> HOST_BIT & 1
    if mask == 0 or (to_host and mask != 1 << HOST_BIT):
        fail(chip, _DESTINATIONS, c, context, mask)
        return
    slot = request(chip, c, context, mask, row[3], words, row[6], now)
    if slot < 0:
        return
    message = chip.messages[slot]
    message[_CONTEXT], message[_ADDRESS], message[_BANKS] = context, address, banks
    width = chip.cores[c].params[_WORD_BYTES]
    size = words * width
    begin = address * width
    overwrite(chip.data[slot], chip.cores[c].memory[begin : begin + size])


@kernel
def _oldest_message(chip, c, channel):
    """Slot of the message that stands longest in a channel of a core, or -1."""
    best = np.int64(-1)
    for slot in range(chip.chip[_SLOTS]):
        message = chip.messages[slot]
        if (
            message[_STATE] != STANDING
            or message[_CHANNEL] != channel
            or not message[_MASK] >> c & 1
        ):
            continue
        if best < 0:
            best = slot
            continue
        other = chip.messages[best]
        if message[_ARRIVES] < other[_ARRIVES] or (
            message[_ARRIVES] == other[_ARRIVES] and message[_SENDER] < other[_SENDER]
        ):
            best = slot
    return best


@kernel
def receive(chip, c, now):
    """Take the message that a recv waits for, if it has been delivered (T30)."""
    state = chip.core[c]
    context = state[_RECEIVING]
    if context < 0:
        return
    slot = _oldest_message(chip, c, state[_K_CHANNEL])
    if slot < 0:
        return
    message = chip.messages[slot]
    words, address = state[_K_WORDS], state[_K_ADDRESS]
    if message[_WORDS] != words:
        fail(chip, _LENGTH, c, context, message[_WORDS])
        return
    core = chip.cores[c]
    width = core.params[_WORD_BYTES]
    size = words * width
    overwrite(core.memory[address * width :], chip.data[slot, :size])
    message[_MASK] &= ~(1 << c)
    message[_READERS] -= 1
    if message[_READERS] == 0:
        message[_STATE] = FREE
    state[_RECEIVING] = -1
    done = now + words
    chip.port_cycles[c, _R_BUSY] += words
    chip.port_cycles[c, _MESSAGE] += now - state[_K_ISSUED]
    state[_ROOM_AT], state[_ROOM_CHANNEL], state[_ROOM_WORDS] = done, message[_CHANNEL], words
    _complete(
        chip, c, context, _WRITE, address, words, state[_K_BANKS], state[_K_ISSUED], now, done
    )


@kernel
def _complete(chip, c, context, counter, address, words, banks, issued, first, done):
    """Count a transfer's accesses, from cycle `first` on, and let it complete in `done`."""
    note(chip, _L_TRANSFER, issued, c, context, address, words, first, done)
    core = chip.cores[c]
    core.counters[counter] += words
    core.counters[_INSTRUCTION] += 1
    bound = core.bound[chip.contexts[c, context, _PC]]
    for bank in range(core.bank_busy.shape[0]):
        core.bank_busy[bank] += bound[_B_BANKS + bank]
    next_instruction(chip.contexts[c, context])
    occupy(chip, c, _ROUTER, banks, done)
    chip.flights[c, context, _READY_AT] = done
    if chip.chip[_SHARED]:
        transfer = chip.transfer[c]
        transfer[START], transfer[ADDRESS], transfer[WORDS] = first, address, words
        transfer[INTERVAL] = (done - first) // words
        chip.core[c, _NEXT] = min(chip.core[c, _NEXT], first)
    else:
        hold_banks(core, banks, done - issued)
        chip.core[c, _NEXT] = min(chip.core[c, _NEXT], done)
