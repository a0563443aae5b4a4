"""The log of a traced run: rows that the chip's clock leaves behind for those who look on.

A run that is not traced has a log of no rows, and pays one comparison a row.
"""

from enum import IntEnum

from spusim.kernels.chip import G
from spusim.kernels.declare import kernel, seldom


class L(IntEnum):
    """Kinds of rows, and what a row has after kind, cycle and core (the sender, of a grant)."""

    STEP = 0  # executed ahead: context, pc, cycles, bank mask, where its operands are in `notes`
    ISSUE = 1  # context, pc, unit, completion or NEVER, mask of banks held
    DONE = 2  # a unit completes whose durations are found cycle by cycle: unit
    TRANSFER = 3  # a send or recv issued in `cycle`: context, address, words, first access, done
    SEQUENCER = 4  # what `cycle` counts as, and what those after it do
    READY = 5  # thread enters the ready queue
    DISPATCH = 6  # context, thread, that leaves it at the cycle's end
    RETIRE = 7  # context, thread, that has ended
    GRANT = 8  # destinations, channel, words, first blocked cycle, when the ports are free again
    DMA = 9  # its instruction issued in `cycle`: context, granted, takes, latency, done


WIDTH = 8  # kind, cycle, core and five more

_LIMIT, _LOGGED, _LOG_FULL = int(G.LOG_LIMIT), int(G.LOGGED), int(G.LOG_FULL)


@seldom
def _append(chip, kind, cycle, core, a, b, c, d, e):
    registers = chip.chip
    at = registers[_LOGGED]
    registers[_LOGGED] += 1
    if registers[_LOGGED] > registers[_LIMIT]:
        registers[_LOG_FULL] = 1
    if at < chip.log.shape[0]:
        row = chip.log[at]
        row[0], row[1], row[2] = kind, cycle, core
        row[3], row[4], row[5], row[6], row[7] = a, b, c, d, e


@kernel
def note(chip, kind, cycle, core, a, b=0, c=0, d=0, e=0):
    """Append a row to the log of a traced run; the clock stops at the cycle's end when it is full.

    The rows of one cycle always fit behind the limit.
    """
    if chip.chip[_LIMIT]:
        _append(chip, kind, cycle, core, a, b, c, d, e)
