"""The chip's clock: from one cycle in which something happens to the next."""

import numpy as np

from spusim.kernels.ahead import prepare_core
from spusim.kernels.chip import FREE, NEVER, STANDING, G, H, K, N, Stop
from spusim.kernels.declare import kernel
from spusim.kernels.dma import grant_channel
from spusim.kernels.engine import settle
from spusim.kernels.host import frame_due
from spusim.kernels.issue import account, core_cycle, core_sleep
from spusim.kernels.router import arbitrate, deliver, send_frame
from spusim.kernels.sequencer import quiet
from spusim.kernels.shared import next_completion, step_units

_NOW, _ROUTER_NEXT, _FAULT, _SLOTS = int(G.NOW), int(G.ROUTER_NEXT), int(G.FAULT), int(G.SLOTS)
_FIRST, _LAST, _FINISHED = int(G.FIRST), int(G.LAST), int(G.FINISHED)
_BEGAN, _DUE, _SHARED = int(G.FILE_BEGAN), int(G.FRAME_DUE), int(G.SHARED)
_MASK, _CHANNEL, _THREAD = int(G.INPUT_MASK), int(G.INPUT_CHANNEL), int(G.INPUT_THREAD)
_NEXT, _THREADS, _DELIVERY_NEXT = int(K.NEXT), int(K.THREADS), int(G.DELIVERY_NEXT)
_TOKENS, _LEFT, _WAITING = int(H.TOKENS), int(H.LEFT), int(H.WAITING)
_ACTIVATIONS = int(H.ACTIVATIONS)
_STATE = int(N.STATE)
_QUIET, _STUCK, _FAULTY = int(Stop.QUIET), int(Stop.STUCK), int(Stop.FAULT)
_LOG_FULL, _STOP_LOG = int(G.LOG_FULL), int(Stop.LOG_FULL)
_VISIT, _PART, _WANTED = int(G.VISIT), int(G.PART), int(G.HANDED)
_HAND_OVER, _MEMORY_NEXT = int(Stop.HANDED), int(G.MEMORY_NEXT)
_ENTRY, _RESUME = int(H.ENTRY), int(H.RESUME)


@kernel
def _next_cycle(chip):
    """Earliest cycle in which a core, the router, the host or a delivery has something to do."""
    registers = chip.chip
    time = min(min(registers[_ROUTER_NEXT], registers[_MEMORY_NEXT]), frame_due(chip))
    time = min(time, registers[_DELIVERY_NEXT])
    for c in range(chip.core.shape[0]):
        time = min(time, chip.core[c, _NEXT])
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
    shared, part = registers[_SHARED], registers[_PART]
    for visit in range(registers[_VISIT], chip.order.shape[0]):
        c = chip.order[visit]
        if part == 0:
            if chip.core[c, _NEXT] > now:
                continue
            account(chip, c, now)
            if shared:
                step_units(chip, c, now)
            part = np.int64(1)
        while part:
            if not prepare_core(chip, c):
                registers[_VISIT], registers[_PART] = visit, part
                return False
            if part == 1:
                core_cycle(chip, c, now)
            part = np.int64(2) if part == 1 else np.int64(0)
        completion = next_completion(chip, c) if shared else np.int64(NEVER)
        core_sleep(chip, c, now, completion)
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
            registers[_NOW], registers[_VISIT], registers[_PART] = now, 0, 0
            if registers[_DELIVERY_NEXT] <= now:
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
    registers = chip.chip
    for slot in range(registers[_SLOTS]):  # of thousands
        chip.messages[slot, _STATE] = FREE
    chip.taken[:] = 0
    registers[_FIRST], registers[_LAST] = registers[_FINISHED], last
    registers[_BEGAN], registers[_DUE], registers[_DELIVERY_NEXT] = now, now, NEVER


@kernel
def close(chip, end):
    """Attribute all cycles up to the end of the run, and settle what products left open."""
    for c in range(chip.core.shape[0]):
        account(chip, c, end)
        settle(chip.cores[c])
