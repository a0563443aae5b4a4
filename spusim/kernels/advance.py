"""The chip's clock: from one cycle in which something happens to the next."""

import numpy as np

from spusim.kernels.ahead import prepare_core
from spusim.kernels.chip import FREE, NEVER, STANDING, G, H, K, N, Stop
from spusim.kernels.compiling import kernel
from spusim.kernels.dma import grant_channel
from spusim.kernels.engine import settle
from spusim.kernels.host import frame_due
from spusim.kernels.issue import account, core_cycle, core_sleep
from spusim.kernels.router import arbitrate, deliver, send_frame
from spusim.kernels.sequencer import quiet
from spusim.kernels.shared import step_units

_NOW, _ROUTER_NEXT, _FAULT, _SLOTS = int(G.NOW), int(G.ROUTER_NEXT), int(G.FAULT), int(G.SLOTS)
_FIRST, _LAST, _FINISHED = int(G.FIRST), int(G.LAST), int(G.FINISHED)
_BEGAN, _DUE, _SHARED = int(G.FILE_BEGAN), int(G.FRAME_DUE), int(G.SHARED)
_MASK, _CHANNEL, _THREAD = int(G.INPUT_MASK), int(G.INPUT_CHANNEL), int(G.INPUT_THREAD)
_NEXT, _ROOM_AT, _THREADS = int(K.NEXT), int(K.ROOM_AT), int(K.THREADS)
_TOKENS, _LEFT, _WAITING = int(H.TOKENS), int(H.LEFT), int(H.WAITING)
_ACTIVATIONS = int(H.ACTIVATIONS)
_STATE, _ARRIVES = int(N.STATE), int(N.ARRIVES)
_QUIET, _STUCK, _FAULTY = int(Stop.QUIET), int(Stop.STUCK), int(Stop.FAULT)
_LOG_FULL, _STOP_LOG = int(G.LOG_FULL), int(Stop.LOG_FULL)
_VISIT, _PART, _WANTED = int(G.VISIT), int(G.PART), int(G.HANDED)
_HAND_OVER, _MEMORY_NEXT = int(Stop.HANDED), int(G.MEMORY_NEXT)
_ENTRY, _RESUME = int(H.ENTRY), int(H.RESUME)


@kernel
def _next_cycle(chip):
    """Earliest cycle in which a core, the router, the host or a delivery has something to do."""
    time = min(min(chip.chip[_ROUTER_NEXT], chip.chip[_MEMORY_NEXT]), frame_due(chip))
    for c in range(chip.core.shape[0]):
        time = min(time, min(chip.core[c, _NEXT], chip.core[c, _ROOM_AT]))
    for slot in range(chip.chip[_SLOTS]):
        if chip.messages[slot, _STATE] != FREE and chip.messages[slot, _STATE] != STANDING:
            time = min(time, chip.messages[slot, _ARRIVES])
    return time


@kernel
def all_quiet(chip):
    """Whether every thread has ended and no message or token is on its way."""
    for c in range(chip.core.shape[0]):
        if not quiet(chip, c):
            return False
    for slot in range(chip.chip[_SLOTS]):
        if chip.messages[slot, _STATE] != FREE and chip.messages[slot, _STATE] != STANDING:
            return False
    return True


@kernel
def _visit_cores(chip, now):
    """Let every core take its cycle; False where an instruction is handed to the machine.

    Called again in the same cycle, it goes on where it stopped.
    """
    registers = chip.chip
    shared = registers[_SHARED]
    while registers[_VISIT] < chip.order.shape[0]:
        c = chip.order[registers[_VISIT]]
        if registers[_PART] or chip.core[c, _NEXT] <= now:
            if registers[_PART] == 0:
                account(chip, c, now)
                if shared:
                    step_units(chip, c, now, 0)
                registers[_PART] = 1
            if registers[_PART] == 1:
                if not prepare_core(chip, c):
                    return False
                core_cycle(chip, c, now)
                registers[_PART] = 2
            if not prepare_core(chip, c):
                return False
            completion = step_units(chip, c, NEVER, 1) if shared else np.int64(NEVER)
            core_sleep(chip, c, now, completion)
            registers[_PART] = 0
        registers[_VISIT] += 1
    return True


@kernel
def advance(chip):
    """Run the chip until the file ends; return a `Stop`.

    Within a cycle deliveries come first and the host's request for a frame, then every core, then
    the arbiters of router and external memory.
    """
    registers = chip.chip
    while True:
        if registers[_WANTED]:
            registers[_WANTED] = 0
            now = registers[_NOW]
        else:
            now = _next_cycle(chip)
            if now == NEVER:
                return _STUCK
            registers[_NOW], registers[_VISIT] = now, 0
            deliver(chip, now)
            if frame_due(chip) <= now:
                send_frame(chip, registers[_MASK], registers[_CHANNEL], registers[_THREAD], now)
        if not _visit_cores(chip, now):
            return _HAND_OVER
        if registers[_ROUTER_NEXT] <= now:
            arbitrate(chip, now)
        if registers[_MEMORY_NEXT] <= now:
            grant_channel(chip, now)
        if registers[_FAULT]:
            return _FAULTY
        if registers[_FINISHED] == registers[_LAST] and all_quiet(chip):
            return _QUIET
        if registers[_LOG_FULL]:
            return _STOP_LOG


@kernel
def begin_file(chip, last, now):
    """Begin a file of the frames up to `last`: reset threads and channels, ask for one (T31)."""
    for c in range(chip.core.shape[0]):
        for thread in range(chip.core[c, _THREADS]):
            chip.threads[c, thread, _LEFT] = chip.threads[c, thread, _TOKENS]
            chip.threads[c, thread, _WAITING] = 0
            chip.threads[c, thread, _ACTIVATIONS] = 0
            chip.threads[c, thread, _RESUME] = chip.threads[c, thread, _ENTRY]
    chip.messages[:, _STATE] = FREE
    chip.taken[:] = 0
    registers = chip.chip
    registers[_FIRST], registers[_LAST] = registers[_FINISHED], last
    registers[_BEGAN], registers[_DUE] = now, now


@kernel
def close(chip, end):
    """Attribute all cycles up to the end of the run, and settle what products left open."""
    for c in range(chip.core.shape[0]):
        account(chip, c, end)
        settle(chip.cores[c])
