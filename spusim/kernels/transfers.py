"""Transfers between data memory and router: which banks they access, and their end (T29, T30)."""

from spusim.kernels.banks import settle_banks
from spusim.kernels.chip import F, G, K
from spusim.kernels.contention import ADDRESS, INTERVAL, START, WORDS
from spusim.kernels.context import address_offset, next_instruction
from spusim.kernels.declare import kernel, seldom
from spusim.kernels.layout import B, C, Op, Unit, X
from spusim.kernels.load_phase import access_words
from spusim.kernels.log import L, note
from spusim.kernels.sequencer import occupy

_NEXT, _READY_AT, _ROUTER, _SEND = int(K.NEXT), int(F.READY_AT), int(Unit.ROUTER), int(Op.SEND)
_SHARED, _INSTRUCTION, _L_TRANSFER = int(G.SHARED), int(C.INSTRUCTION), int(L.TRANSFER)
_PC, _B_SETTINGS, _B_OFFSET, _B_MASK = int(X.PC), int(B.SETTINGS), int(B.OFFSET), int(B.MASK)
_B_BANKS, _B_USES, _B_HELD = int(B.BANKS), int(B.USES), int(B.HELD)


@kernel
def transfer_operands(chip, c, context, row):
    """Word address and number of words of a send or recv."""
    at = 4 if row[0] == _SEND else 3
    return row[at] + address_offset(chip.contexts[c, context]), row[at + 1]


@seldom
def _bind(core, bound, address, words):
    settle_banks(core, bound)
    bound[_B_BANKS:] = 0
    bound[_B_MASK] = access_words(bound[_B_BANKS:], address, words)
    bound[_B_SETTINGS], bound[_B_OFFSET] = 1, address


@kernel
def bind_transfer(chip, c, context, address, words):
    """Return the row of `bound` that says which banks a send or recv accesses, and how often."""
    core = chip.cores[c]
    bound = core.bound[chip.contexts[c, context, _PC]]
    if bound[_B_SETTINGS] == 0 or bound[_B_OFFSET] != address:
        _bind(core, bound, address, words)
    return bound


@kernel
def complete(chip, c, context, counter, address, words, banks, issued, first, done):
    """Count a transfer's accesses, from cycle `first` on, and let it complete in `done`."""
    note(chip, _L_TRANSFER, issued, c, context, address, words, first, done)
    core = chip.cores[c]
    core.counters[counter] += words
    core.counters[_INSTRUCTION] += 1
    bound = bind_transfer(chip, c, context, address, words)
    bound[_B_USES] += 1
    bound[_B_HELD] += done - issued
    next_instruction(chip.contexts[c, context])
    occupy(chip, c, _ROUTER, banks, done)
    chip.flights[c, context, _READY_AT] = done
    if chip.chip[_SHARED]:
        transfer = chip.transfer[c]
        transfer[START], transfer[ADDRESS], transfer[WORDS] = first, address, words
        transfer[INTERVAL] = (done - first) // words
        chip.core[c, _NEXT] = min(chip.core[c, _NEXT], first)
    else:
        chip.core[c, _NEXT] = min(chip.core[c, _NEXT], done)
