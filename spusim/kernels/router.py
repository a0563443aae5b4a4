"""The router: requests, the arbiter and deliveries (T25, T27, T28, T31)."""

import numpy as np

from spusim.kernels.chip import (
    FREE,
    HOST_BIT,
    MOVING,
    NEVER,
    STANDING,
    WAITING,
    ChipFault,
    G,
    K,
    N,
    R,
)
from spusim.kernels.declare import kernel
from spusim.kernels.host import frame_granted, land_frame, take_output
from spusim.kernels.layout import C
from spusim.kernels.log import L, note
from spusim.kernels.sequencer import fail, take_token
from spusim.kernels.transfers import complete
from spusim.kernels.views import overwrite

_CORES, _HOP, _CHANNELS = int(G.CORES), int(G.HOP_CYCLES), int(G.CHANNELS)
_ROOM, _HOST_CYCLES, _ROUTER_NEXT = int(G.CHANNEL_WORDS), int(G.HOST_CYCLES), int(G.ROUTER_NEXT)
_SEQUENCE, _WORDS_SENT, _LINK_WORDS = int(G.SEQUENCE), int(G.ROUTER_WORDS), int(G.LINK_WORDS)
_OUT_BUSY, _OUT_BLOCKED = int(G.HOST_OUT_BUSY), int(G.HOST_OUT_BLOCKED)
_IN_BUSY, _ROOM_AT, _ROOM_CHANNEL = int(G.HOST_IN_BUSY), int(K.ROOM_AT), int(K.ROOM_CHANNEL)
_ROOM_WORDS, _STATE, _SENDER, _MASK = int(K.ROOM_WORDS), int(N.STATE), int(N.SENDER), int(N.MASK)
_CHANNEL, _WORDS, _THREAD = int(N.CHANNEL), int(N.WORDS), int(N.THREAD)
_REQUESTED, _ARRIVES, _N_SEQUENCE = int(N.REQUESTED), int(N.ARRIVES), int(N.SEQUENCE)
_CONTEXT, _ADDRESS, _BANKS, _READERS = int(N.CONTEXT), int(N.ADDRESS), int(N.BANKS), int(N.READERS)
_R_BUSY, _BLOCKED, _SLOTS, _SENT = int(R.BUSY), int(R.BLOCKED), int(G.SLOTS), int(G.SENT)
_DUE, _READ, _UNKNOWN_CORE = int(G.FRAME_DUE), int(C.DATA_READ), int(ChipFault.UNKNOWN_CORE)
_UNKNOWN_CHANNEL, _TOO_LONG = int(ChipFault.UNKNOWN_CHANNEL), int(ChipFault.MESSAGE_TOO_LONG)
_FULL, _INFORMED, _INPUT_WORD = int(ChipFault.MESSAGES), int(N.INFORMED), int(G.INPUT_WORD)
_L_GRANT, _DELIVERY_NEXT = int(L.GRANT), int(G.DELIVERY_NEXT)


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
def _deliver_in(chip, message, cycle):
    """Let a message be on its way until a cycle."""
    message[_STATE], message[_ARRIVES] = MOVING, cycle
    chip.chip[_DELIVERY_NEXT] = min(chip.chip[_DELIVERY_NEXT], cycle)


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
    message[_MASK] = 1 << core
    message[_THREAD] = thread
    _deliver_in(chip, message, now + 1 + chip.chip[_HOP])


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
    _deliver_in(chip, message, free + chip.chip[_HOP])
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
        complete(
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


@kernel
def deliver(chip, now):
    """Make this cycle's deliveries, and foresee the next one."""
    cores, following = chip.chip[_CORES], np.int64(NEVER)
    for c in range(cores):
        if chip.core[c, _ROOM_AT] == now:
            chip.core[c, _ROOM_AT] = NEVER
            chip.taken[c, chip.core[c, _ROOM_CHANNEL]] -= chip.core[c, _ROOM_WORDS]
            chip.chip[_ROUTER_NEXT] = min(chip.chip[_ROUTER_NEXT], now)
        following = min(following, chip.core[c, _ROOM_AT])
    for slot in range(chip.chip[_SLOTS]):
        message = chip.messages[slot]
        if message[_STATE] != MOVING:
            continue
        if message[_ARRIVES] != now:
            following = min(following, message[_ARRIVES])
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
    chip.chip[_DELIVERY_NEXT] = following


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
