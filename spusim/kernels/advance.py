"""The chip's clock: from one cycle in which something happens to the next."""

import numba as nb
import numpy as np

from spusim.kernels.borrow import borrow
from spusim.kernels.chip import FREE, NEVER, STANDING, ChipState, G, H, K, N, Stop
from spusim.kernels.issue import account, core_cycle
from spusim.kernels.router import arbitrate, deliver
from spusim.kernels.sequencer import quiet

_NOW, _DELIVERED, _ROUTER_NEXT, _FAULT = int(G.NOW), int(G.DELIVERED), int(G.ROUTER_NEXT), int(G.FAULT)  # fmt: skip
_NEXT, _ROOM_AT, _THREADS = int(K.NEXT), int(K.ROOM_AT), int(K.THREADS)
_TOKENS, _LEFT, _WAITING = int(H.TOKENS), int(H.LEFT), int(H.WAITING)
_STATE, _ARRIVES = int(N.STATE), int(N.ARRIVES)
_UNTIL, _HOST, _STUCK, _FAULTY = int(Stop.UNTIL), int(Stop.HOST), int(Stop.STUCK), int(Stop.FAULT)
_QUIET, _WATCH, _SLOTS = int(Stop.QUIET), int(G.WATCH), int(G.SLOTS)


@nb.njit(cache=True)
def _next_cycle(chip):
    """Earliest cycle in which a core, the router or a delivery has something to do."""
    time = chip.chip[_ROUTER_NEXT]
    for c in range(chip.core.shape[0]):
        time = min(time, min(chip.core[c, _NEXT], chip.core[c, _ROOM_AT]))
    for slot in range(chip.chip[_SLOTS]):
        if chip.messages[slot, _STATE] != FREE and chip.messages[slot, _STATE] != STANDING:
            time = min(time, chip.messages[slot, _ARRIVES])
    return time


@nb.njit(cache=True)
def all_quiet(chip):
    """Whether every thread has ended and no message or token is on its way."""
    for c in range(chip.core.shape[0]):
        if not quiet(chip, c):
            return False
    for slot in range(chip.chip[_SLOTS]):
        if chip.messages[slot, _STATE] != FREE and chip.messages[slot, _STATE] != STANDING:
            return False
    return True


@nb.njit(cache=True)
def advance(chip, until):
    """Run the chip up to the beginning of cycle `until`; return a `Stop`.

    Within a cycle deliveries come first, then every core, then the router's arbiter. When
    messages have arrived at the host it returns between deliveries and cores, so that what the
    host asks for then still belongs to the cycle `chip[G.NOW]`; the next call goes on there.
    """
    registers = chip.chip
    while True:
        if not registers[_DELIVERED]:
            now = _next_cycle(chip)
            if now >= until:
                registers[_NOW] = until
                return _STUCK if now == NEVER and until == NEVER else _UNTIL
            registers[_NOW] = now
            to_host = deliver(chip, now)
            registers[_DELIVERED] = 1
            if to_host:
                return _HOST
        now = registers[_NOW]
        for k in range(chip.order.shape[0]):
            c = chip.order[k]
            if chip.core[c, _NEXT] <= now:
                core_cycle(chip, c, now)
        if registers[_ROUTER_NEXT] <= now:
            arbitrate(chip, now)
        registers[_DELIVERED] = 0
        if registers[_FAULT]:
            return _FAULTY
        if registers[_WATCH] and all_quiet(chip):
            return _QUIET


@nb.njit(cache=True)
def begin_file(chip):
    """Reset threads and channels at the start of a file (T31)."""
    for c in range(chip.core.shape[0]):
        for thread in range(chip.core[c, _THREADS]):
            chip.threads[c, thread, _LEFT] = chip.threads[c, thread, _TOKENS]
            chip.threads[c, thread, _WAITING] = 0
    chip.messages[:, _STATE] = FREE
    chip.taken[:] = 0


@nb.njit(cache=True)
def close(chip, end):
    """Attribute all cycles up to the end of the run."""
    for c in range(chip.core.shape[0]):
        account(chip, c, end)


@nb.njit(cache=True)
def chip_state(
    chip, core, cores, code, order, threads, ready, flights, oldest, contexts, steps, unit_free,
    bank_free, out_free, in_free, messages, data, taken, sequencer_cycles, vector_cycles,
    port_cycles, engine, pes, last, vector, pending, vector_bytes, vector_bits, transfer, columns,
):  # fmt: skip
    """Return the handle to the chip's arrays, which must outlive it."""
    return ChipState(
        borrow(chip),
        borrow(core),
        cores,
        borrow(code),
        borrow(order),
        borrow(threads),
        borrow(ready),
        borrow(flights),
        borrow(oldest),
        borrow(contexts),
        borrow(steps),
        borrow(unit_free),
        borrow(bank_free),
        borrow(out_free),
        borrow(in_free),
        borrow(messages),
        borrow(data),
        borrow(taken),
        borrow(sequencer_cycles),
        borrow(vector_cycles),
        borrow(port_cycles),
        borrow(engine),
        borrow(pes),
        borrow(last),
        borrow(vector),
        borrow(pending),
        borrow(vector_bytes),
        borrow(vector_bits),
        borrow(transfer),
        borrow(columns),
    )
