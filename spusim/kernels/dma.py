"""The cores' dma units, and the channel to external memory that they share (T52 to T58)."""

import numpy as np

from spusim.kernels.banks import hold_banks
from spusim.kernels.chip import NEVER, ChipFault, D, F, G, K, V
from spusim.kernels.context import address_offset, next_instruction
from spusim.kernels.declare import kernel, seldom
from spusim.kernels.layout import C, M, Op, P, Unit, X
from spusim.kernels.log import L, note
from spusim.kernels.sequencer import fail, occupy
from spusim.kernels.views import overwrite

_MEMORY_NEXT, _CHANNEL_FREE, _LATENCY = int(G.MEMORY_NEXT), int(G.CHANNEL_FREE), int(G.LATENCY)
_BYTES, _PER_CYCLES, _OWN = int(G.CHANNEL_BYTES), int(G.CHANNEL_CYCLES), int(G.OWN_PORT)
_WAITING, _CONTEXT, _REQUESTED, _TAKES = (
    int(D.WAITING),
    int(D.CONTEXT),
    int(D.REQUESTED),
    int(D.TAKES),
)
_HELD, _BUSY, _IN_CHANNEL, _LATE = int(D.HELD), int(D.BUSY), int(D.CHANNEL), int(D.LATENCY)
_HOME, _IMAGE_WORDS, _MOST, _WEIGHTS = int(V.HOME), int(V.WORDS), int(V.MOST), int(V.WEIGHTS)
_INDICES, _IN_BANKS, _V_BANKS = int(V.INDICES), int(V.IN_BANKS), int(V.BANKS)
_FIRST = int(V.FIRST)
_XLD, _FETCH, _DMA, _X_PC = int(Op.LOAD_EXTERNAL), int(Op.FETCH), int(Unit.DMA), int(X.PC)
_WORD_BYTES = int(P.WORD_BYTES)
_READY_AT, _RUNNING, _NEXT = int(F.READY_AT), int(F.RUNNING), int(K.NEXT)
_ABSENT, _FAULT = int(M.ABSENT), int(ChipFault.DMA)
_DATA_READ, _DATA_WRITE, _INSTRUCTION = (
    int(C.DATA_READ),
    int(C.DATA_WRITE),
    int(C.INSTRUCTION),
)
_WEIGHT_WRITE, _INDEX_WRITE = int(C.WEIGHT_WRITE), int(C.INDEX_WRITE)
_OUTSIDE_READ, _OUTSIDE_WRITE = int(C.EXTERNAL_READ), int(C.EXTERNAL_WRITE)
_L_ISSUE, _L_DMA = int(L.ISSUE), int(L.DMA)
OVERWRITTEN = 2  # in M.ABSENT, above it the number of the matrix that was fetched


@kernel
def _bank_words(words, runs, stride, address, counts):
    """Count a transfer's words in each data bank; return the mask of banks."""
    banks = counts.shape[0]
    counts[:] = 0
    mask = np.int64(0)
    for run in range(runs):
        for bank in range(banks):
            counts[bank] += words // banks
        first = address + run * stride
        for k in range(words % banks):
            counts[(first + k) % banks] += 1
    for bank in range(banks):
        if counts[bank]:
            mask |= np.int64(1) << bank
    return mask


@kernel
def _count_banks(chip, c, context, row, counts):
    """Count an instruction's words in each data bank, none of a private weight memory's."""
    if row[0] == _FETCH:
        if row[2] < chip.places.shape[1]:
            overwrite(counts, chip.fetch_banks[c, row[2]])
            return chip.places[c, row[2], _V_BANKS]
    elif row[4] < chip.transfers.shape[1]:
        words, runs, stride, _ = chip.transfers[c, row[4]]
        address = row[2] + address_offset(chip.contexts[c, context])
        return _bank_words(words, runs, stride, address, counts)
    counts[:] = 0
    return np.int64(0)


@seldom
def dma_mask(chip, c, context, row):
    """Banks that an instruction of the dma would hold (T57)."""
    if chip.chip[_OWN] and row[0] != _FETCH:
        return np.int64(0)
    return _count_banks(chip, c, context, row, chip.cores[c].bank_scratch)


@kernel
def _meets_home(chip, first, end):
    for k in range(chip.homes.shape[0]):
        if first < chip.homes[k, 1] and chip.homes[k, 0] < end:
            return True
    return False


@kernel
def _copy(chip, c, row, address):
    """Copy a transfer's runs; False, and nothing copied, for what T51 and T52 do not allow."""
    core = chip.cores[c]
    if row[4] >= chip.transfers.shape[1]:
        return False
    words, runs, inside, outside = chip.transfers[c, row[4]]
    load = row[0] == _XLD
    stride = inside if load else outside
    if words < 1 or runs < 1 or (runs > 1 and stride < words):
        return False
    width = core.params[_WORD_BYTES]
    last = (runs - 1) * inside + address + words, (runs - 1) * outside + row[3] + words
    if last[0] * width > core.memory.shape[0] or last[1] * width > chip.external.shape[0]:
        return False
    for run in range(runs):
        first = row[3] + run * outside
        if not load and _meets_home(chip, first, first + words):
            return False
    size = words * width
    for run in range(runs):
        here, there = (address + run * inside) * width, (row[3] + run * outside) * width
        if load:
            overwrite(core.memory[here:], chip.external[there : there + size])
        else:
            overwrite(chip.external[there:], core.memory[here : here + size])
    return True


@kernel
def _lay(chip, c, place):
    """Write an image to the data banks that it belongs in (T3)."""
    core = chip.cores[c]
    width = core.params[_WORD_BYTES]
    image = chip.external[place[_HOME] * width :]
    for k in range(place[_WEIGHTS]):
        at = chip.bank_words[place[_FIRST] + k] * width
        overwrite(core.memory[at:], image[k * width : k * width + width])


@kernel
def _bring(chip, c, row):
    """Make a matrix resident, and what it overlaps not; False unless it is at home (T53)."""
    m = row[2]
    matrices = chip.cores[c].matrices
    if m >= matrices.shape[0] or chip.places[c, m, _HOME] != row[3]:
        return False
    matrices[m, _ABSENT] = 0
    place = chip.places[c, m]
    if place[_IN_BANKS]:
        _lay(chip, c, place)
    for other in range(matrices.shape[0]):
        if chip.overlaps[c, m, other]:
            matrices[other, _ABSENT] = OVERWRITTEN + m
    return True


@kernel
def _words(chip, c, row):
    """Words of external memory that an instruction moves."""
    if row[0] == _FETCH:
        return chip.places[c, row[2], _IMAGE_WORDS]
    return chip.transfers[c, row[4], 0] * chip.transfers[c, row[4], 1]


@seldom
def issue_dma(chip, c, context, row, now):
    """Begin an instruction of the dma in this cycle: do it, and ask for the channel (T54)."""
    core = chip.cores[c]
    address = row[2] + address_offset(chip.contexts[c, context])
    done = _bring(chip, c, row) if row[0] == _FETCH else _copy(chip, c, row, address)
    if not done:
        fail(chip, _FAULT, c, context, 0)
        return
    banks = dma_mask(chip, c, context, row)
    occupy(chip, c, _DMA, banks, NEVER)
    note(chip, _L_ISSUE, now, c, context, chip.contexts[c, context, _X_PC], _DMA, NEVER, banks)
    flight = chip.flights[c, context]
    flight[_RUNNING], flight[_READY_AT] = _DMA, NEVER
    counts = core.bank_scratch
    _count_banks(chip, c, context, row, counts)
    most = chip.places[c, row[2], _MOST] if row[0] == _FETCH else np.int64(1)
    for bank in range(counts.shape[0]):
        most = max(most, counts[bank])
    moved = _words(chip, c, row) * core.params[_WORD_BYTES] * chip.chip[_PER_CYCLES]
    rate = chip.chip[_BYTES]
    unit = chip.dma[c]
    unit[_WAITING], unit[_CONTEXT], unit[_REQUESTED] = 1, context, now
    unit[_TAKES], unit[_HELD] = max(most, (moved + rate - 1) // rate), banks
    chip.chip[_MEMORY_NEXT] = min(chip.chip[_MEMORY_NEXT], now)


@kernel
def _count(chip, c, context, row):
    """Count an instruction's events, and its accesses to banks that it holds."""
    core = chip.cores[c]
    counters, words = core.counters, _words(chip, c, row)
    counters[_INSTRUCTION] += 1
    if row[0] == _FETCH:
        place = chip.places[c, row[2]]
        counters[_OUTSIDE_READ] += words
        counters[_DATA_WRITE if place[_IN_BANKS] else _WEIGHT_WRITE] += place[_WEIGHTS]
        counters[_INDEX_WRITE] += place[_INDICES]
    else:
        load = row[0] == _XLD
        counters[_OUTSIDE_READ if load else _OUTSIDE_WRITE] += words
        counters[_DATA_WRITE if load else _DATA_READ] += words
    if row[0] == _FETCH or not chip.chip[_OWN]:
        _count_banks(chip, c, context, row, core.bank_scratch)
        for bank in range(core.bank_busy.shape[0]):
            core.bank_busy[bank] += core.bank_scratch[bank]


@kernel
def _grant(chip, c, now):
    """Give a core's dma the channel, and tell it when its instruction is complete (T55, T56)."""
    unit, core = chip.dma[c], chip.cores[c]
    context, takes, held = unit[_CONTEXT], unit[_TAKES], unit[_HELD]
    unit[_WAITING] = 0
    chip.chip[_CHANNEL_FREE] = now + takes
    latency = chip.chip[_LATENCY]
    done = now + 1 + latency + takes
    unit[_BUSY] += 1 + takes
    unit[_IN_CHANNEL] += now - unit[_REQUESTED]
    unit[_LATE] += latency
    row = chip.code[c, chip.contexts[c, context, _X_PC]]
    _count(chip, c, context, row)
    note(chip, _L_DMA, unit[_REQUESTED], c, context, now, takes, latency, done)
    next_instruction(chip.contexts[c, context])
    occupy(chip, c, _DMA, held, done)
    hold_banks(core, held, done - unit[_REQUESTED])
    chip.flights[c, context, _READY_AT] = done
    chip.core[c, _NEXT] = min(chip.core[c, _NEXT], done)


@seldom
def grant_channel(chip, now):
    """Grant the channel at the end of this cycle to the lowest core that asks for it (T55)."""
    chip.chip[_MEMORY_NEXT] = NEVER
    for c in range(chip.dma.shape[0]):
        if chip.dma[c, _WAITING]:
            if chip.chip[_CHANNEL_FREE] > now:
                chip.chip[_MEMORY_NEXT] = chip.chip[_CHANNEL_FREE]
                return
            _grant(chip, c, now)
