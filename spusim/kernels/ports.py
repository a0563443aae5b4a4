"""The cores' ports to the router: `send` and `recv` (T25, T29, T30)."""

import numpy as np

from spusim.kernels.chip import FREE, HOST_BIT, NEVER, STANDING, ChipFault, F, G, K, N, R
from spusim.kernels.declare import kernel
from spusim.kernels.layout import C, Op, P, Unit, X
from spusim.kernels.log import L, note
from spusim.kernels.router import request
from spusim.kernels.sequencer import fail, occupy
from spusim.kernels.transfers import complete, transfer_operands
from spusim.kernels.views import overwrite

_CHANNELS, _RECEIVING, _K_CHANNEL = int(G.CHANNELS), int(K.RECEIVING), int(K.CHANNEL)
_K_ADDRESS, _K_WORDS, _K_ISSUED = int(K.ADDRESS), int(K.WORDS), int(K.ISSUED)
_K_BANKS, _ROOM_AT, _ROOM_CHANNEL = int(K.BANKS), int(K.ROOM_AT), int(K.ROOM_CHANNEL)
_ROOM_WORDS, _READY_AT, _RUNNING = int(K.ROOM_WORDS), int(F.READY_AT), int(F.RUNNING)
_STATE, _SENDER, _MASK, _CHANNEL = int(N.STATE), int(N.SENDER), int(N.MASK), int(N.CHANNEL)
_WORDS, _ARRIVES, _CONTEXT, _ADDRESS = int(N.WORDS), int(N.ARRIVES), int(N.CONTEXT), int(N.ADDRESS)
_BANKS, _READERS, _R_BUSY, _MESSAGE = int(N.BANKS), int(N.READERS), int(R.BUSY), int(R.MESSAGE)
_ROUTER, _SEND, _WORD_BYTES = int(Unit.ROUTER), int(Op.SEND), int(P.WORD_BYTES)
_SLOTS, _WRITE, _UNKNOWN_CHANNEL = int(G.SLOTS), int(C.DATA_WRITE), int(ChipFault.UNKNOWN_CHANNEL)
_LENGTH, _DESTINATIONS = int(ChipFault.MESSAGE_LENGTH), int(ChipFault.DESTINATIONS)
_TRANSFER, _L_ISSUE, _PC, _F_BANKS = int(ChipFault.TRANSFER), int(L.ISSUE), int(X.PC), int(F.BANKS)
_DELIVERY_NEXT = int(G.DELIVERY_NEXT)


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
    chip.chip[_DELIVERY_NEXT] = min(chip.chip[_DELIVERY_NEXT], done)
    complete(chip, c, context, _WRITE, address, words, state[_K_BANKS], state[_K_ISSUED], now, done)
