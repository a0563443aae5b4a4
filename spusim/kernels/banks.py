"""Cycles of data banks that no instruction asks for: added up once, from how often each was done.

A row of `CoreArrays.bound` says which banks an instruction accesses, and how often. Executing it
counts its uses and the cycles for which it holds them; `settle_banks` does the rest.
"""

from spusim.kernels.declare import kernel, seldom
from spusim.kernels.layout import B, P

_SHARED, _MASK, _USES, _HELD = int(P.SHARED_PORTS), int(B.MASK), int(B.USES), int(B.HELD)
_BANKS = int(B.BANKS)


@kernel
def hold_banks(core, mask, cycles):
    """Count the cycles for which an instruction holds its banks (T18)."""
    for bank in range(core.bank_held.shape[0] if mask else 0):
        core.bank_held[bank] += cycles if mask >> bank & 1 else 0


@seldom
def settle_banks(core, bound):
    """Add up the accesses, and the cycles held, of an instruction whose row of `bound` this is."""
    if bound[_USES] == 0:
        return
    for bank in range(core.bank_busy.shape[0]):
        core.bank_busy[bank] += bound[_USES] * bound[_BANKS + bank]
    if not core.params[_SHARED]:
        hold_banks(core, bound[_MASK], bound[_HELD])
    bound[_USES] = bound[_HELD] = 0
