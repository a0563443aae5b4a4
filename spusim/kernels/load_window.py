"""The load phase of the sparse engine in a window of cycles: rules T7 and T19."""

import numpy as np

from spusim.kernels.declare import kernel
from spusim.kernels.engine_state import (
    AT,
    CYCLE,
    FETCHED,
    FETCHES,
    GRANTED,
    OPERAND,
    OPERANDS,
    SCAN_AT,
    SRC,
)
from spusim.kernels.layout import P, S

_PES, _BANKS, _PRIVATE = int(P.PES), int(P.BANKS), int(P.PRIVATE_WEIGHTS)
_LOAD, _PORT = int(S.LOAD), int(S.PORT)


@kernel
def _own_words(core, first, words, p):
    """How many of consecutive operand words lie in banks of a PE."""
    count = core.params[_PES]
    return max(words - (p - first) % count + count - 1, 0) // count


@kernel
def _load_freely(core, state, pes, cycles):
    """Load with no bank refused, for so many cycles at most; return for how many (T7)."""
    private, first = core.params[_PRIVATE], state[SRC] + state[OPERAND]
    words = state[OPERANDS] - state[OPERAND]
    needed = words
    for p in range(pes.shape[1]):
        own = 0 if private else _own_words(core, first, words, p)
        needed = max(needed, pes[FETCHES, p] - pes[FETCHED, p] + own)
    cycles = min(cycles, needed)
    words = min(words, cycles)
    state[OPERAND] += words
    for p in range(pes.shape[1]):
        own = 0 if private else _own_words(core, first, words, p)
        pes[FETCHED, p] = min(pes[FETCHED, p] + cycles - own, pes[FETCHES, p])
    return cycles


@kernel
def _stream_words(core, state, begin, until, taken, stalls):
    """Copy operand words whose banks are not refused (T19); return the cycle after the last."""
    banks, at = core.params[_BANKS], begin
    bank = (state[SRC] + state[OPERAND]) % banks
    while at < until and state[OPERAND] < state[OPERANDS]:
        if taken[at - begin] >> bank & 1:
            stalls[_PORT] += 1
            stalls[_LOAD] -= 1
        else:
            state[OPERAND] += 1
            state[GRANTED] |= np.int64(1) << bank
            bank = bank + 1 if bank + 1 < banks else 0
        at += 1
    return at


@kernel
def _fetch_words(core, state, pes, p, begin, until, taken, stalls):
    """Let a PE fetch while the operand's words go by (T7, T19); return the cycle after the last."""
    banks, count, at = core.params[_BANKS], core.params[_PES], begin
    words, fetches = state[OPERANDS] - state[OPERAND], pes[FETCHES, p] - pes[FETCHED, p]
    streamed = (state[SRC] + state[OPERAND]) % banks
    bank = (p + count * pes[FETCHED, p]) % banks
    fetched, ports, granted = np.int64(0), np.int64(0), np.int64(0)
    while at < until and fetched < fetches:
        refused, mine = taken[at - begin], False
        if words and not refused >> streamed & 1:
            mine = streamed % count == p
            words -= 1
            streamed = streamed + 1 if streamed + 1 < banks else 0
        if not mine and refused >> bank & 1:
            ports += 1
        elif not mine:
            fetched += 1
            granted |= np.int64(1) << bank
            bank = bank + count if bank + count < banks else p
        at += 1
    pes[FETCHED, p] += fetched
    stalls[_PORT] += ports
    stalls[_LOAD] -= ports
    state[GRANTED] |= granted
    return at


@kernel
def load(core, state, pes, begin, until, taken, rivals, pe_stalls, scanner_stalls):
    """Step the load phase (T7, T19); return whether it ends before `until`."""
    end = begin
    if rivals and not core.params[_PRIVATE]:
        for p in range(pes.shape[1]):
            stalls = pe_stalls[p]
            end = max(end, _fetch_words(core, state, pes, p, begin, until, taken, stalls))
        end = max(end, _stream_words(core, state, begin, until, taken, scanner_stalls))
    else:
        end += _load_freely(core, state, pes, until - begin)
    scanner_stalls[_LOAD] += end - begin
    for p in range(pes.shape[1]):
        pe_stalls[p, _LOAD] += end - begin
        pes[AT, p] = end
    state[SCAN_AT] = state[CYCLE] = end
    return end < until
