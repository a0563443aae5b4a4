"""The host: sends frames and takes outputs (T31). Files begin and end in `spusim.machine`."""

import numpy as np

from spusim.kernels.chip import NEVER, ChipFault, G, N, O
from spusim.kernels.declare import kernel, seldom
from spusim.kernels.layout import COUNTERS
from spusim.kernels.sequencer import fail
from spusim.kernels.vector import narrow_element
from spusim.kernels.views import overwrite

_CORES, _DUE, _PERIOD, _BEGAN = int(G.CORES), int(G.FRAME_DUE), int(G.PERIOD), int(G.FILE_BEGAN)
_FIRST, _LAST, _SENT, _FINISHED = int(G.FIRST), int(G.LAST), int(G.SENT), int(G.FINISHED)
_WORDS_SENT, _LINK_WORDS = int(G.ROUTER_WORDS), int(G.LINK_WORDS)
_INPUT_WORD = int(G.INPUT_WORD)
_SENDER, _CHANNEL, _WORDS = int(N.SENDER), int(N.CHANNEL), int(N.WORDS)
_CORE, _PORT_CHANNEL, _OFFSET = int(O.CORE), int(O.CHANNEL), int(O.OFFSET)
_ELEMENTS, _BITS, _TAKEN = int(O.ELEMENTS), int(O.BITS), int(O.TAKEN)
_UNEXPECTED, _OUTPUT_LENGTH = int(ChipFault.UNEXPECTED_OUTPUT), int(ChipFault.OUTPUT_LENGTH)


@kernel
def _plan_frame(registers, earliest):
    """Let the next frame be due, as its period says, but not before a cycle (T31)."""
    if registers[_SENT] < registers[_LAST]:
        due = registers[_BEGAN] + (registers[_SENT] - registers[_FIRST]) * registers[_PERIOD]
        registers[_DUE] = max(due, earliest)


@kernel
def frame_granted(chip, frame, now):
    """Note the cycle in which a frame's first word crosses the link; the next may be due."""
    registers = chip.chip
    chip.began[frame] = now + 1
    # T60: a frame in external memory is not overwritten while it is in use
    if registers[_PERIOD] and registers[_INPUT_WORD] < 0:
        _plan_frame(registers, now + 1)


@seldom
def land_frame(chip, frame):
    """Write a frame to external memory (T60)."""
    words = chip.frames[frame]
    at = chip.chip[_INPUT_WORD] * words.shape[1]
    overwrite(chip.external[at:], words.reshape(words.size))


@kernel
def _expected_port(chip, message):
    """Index of the port that a message belongs to, or -1 if no frame waits for it."""
    for port in range(chip.ports.shape[0]):
        row = chip.ports[port]
        if row[_CORE] == message[_SENDER] and row[_PORT_CHANNEL] == message[_CHANNEL]:
            return port if row[_TAKEN] < chip.chip[_SENT] else -1
    return -1


@kernel
def _frame_complete(chip):
    for port in range(chip.ports.shape[0]):
        if chip.ports[port, _TAKEN] == chip.chip[_FINISHED]:
            return False
    return True


@kernel
def _store(chip, port, data):
    """Put a port's elements into the outputs of its next frame."""
    row = chip.ports[port]
    out = chip.outputs[row[_TAKEN]]
    if row[_BITS] < 8:
        for k in range(row[_ELEMENTS]):
            out[row[_OFFSET] + k] = narrow_element(data, 0, row[_BITS], k)
        return
    for k in range(row[_ELEMENTS]):
        size = row[_BITS] // 8
        value = np.int64(0)
        for byte in range(size):
            value |= np.int64(data[k * size + byte]) << (8 * byte)
        unused = 64 - row[_BITS]
        out[row[_OFFSET] + k] = (value << unused) >> unused


@kernel
def _end_frame(chip, now):
    registers = chip.chip
    frame = registers[_FINISHED]
    chip.ended[frame] = now
    counts = chip.frame_counts[frame]
    for c in range(registers[_CORES]):
        counters = chip.cores[c].counters
        for k in range(counters.shape[0]):
            counts[k] += counters[k]
    counts[COUNTERS], counts[COUNTERS + 1] = registers[_WORDS_SENT], registers[_LINK_WORDS]
    registers[_FINISHED] += 1
    if registers[_PERIOD] == 0 and registers[_SENT] < registers[_LAST]:
        registers[_DUE] = now
    elif registers[_PERIOD] and registers[_INPUT_WORD] >= 0:
        _plan_frame(registers, now)


@kernel
def take_output(chip, message, data, now):
    """Take a message of outputs; the last one of a frame ends it."""
    port = _expected_port(chip, message)
    if port < 0:
        fail(chip, _UNEXPECTED, message[_SENDER], -1, message[_CHANNEL])
        return
    word_bits = 8 * chip.frames.shape[2]
    row = chip.ports[port]
    if message[_WORDS] != (row[_ELEMENTS] * row[_BITS] + word_bits - 1) // word_bits:
        fail(chip, _OUTPUT_LENGTH, message[_SENDER], -1, message[_WORDS])
        return
    _store(chip, port, data)
    chip.ports[port, _TAKEN] += 1
    if _frame_complete(chip):
        _end_frame(chip, now)


@kernel
def frame_due(chip):
    """Cycle in which the next frame is to be requested, NEVER if that is not known yet."""
    return chip.chip[_DUE] if chip.chip[_SENT] < chip.chip[_LAST] else np.int64(NEVER)
