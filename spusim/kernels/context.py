"""A thread in flight: its registers, the loops around its next instruction, and what sets them."""

import numpy as np

from spusim.kernels.arithmetic import MOST_LEFT, MOST_RIGHT, STOCHASTIC
from spusim.kernels.declare import kernel
from spusim.kernels.layout import (
    LOOP_BUMP,
    LOOP_FIRST,
    LOOP_ITERATION,
    LOOP_LAST,
    LOOP_LEFT,
    LOOP_LEVELS,
    Fault,
    Op,
    X,
)

_VSET, _ZERO_SET, _POSITION_SET = int(Op.VSET), int(Op.ZERO_SET), int(Op.POSITION_SET)
_RANDOM_SET, _NORM_SET, _NORM, _PC = int(Op.RANDOM_SET), int(Op.NORM_SET), int(X.NORM), int(X.PC)
_LENGTH, _WA, _DEPTH, _LOOPS, _WB = int(X.LENGTH), int(X.WA), int(X.DEPTH), int(X.LOOPS), int(X.WB)
_WD, _SA, _THREAD_ROUNDING, _ZERO_X = int(X.WD), int(X.SA), int(X.ROUNDING), int(X.ZERO_X)
_ZERO_D, _POSITION, _STREAM = int(X.ZERO_D), int(X.POSITION), int(X.STREAM)
_ORDINAL, _FIRST, _NONE = int(X.ORDINAL), int(X.FIRST), int(Fault.NONE)
_LOOP_DEPTH, _LOOP_NESTING = int(Fault.LOOP_DEPTH), int(Fault.LOOP_NESTING)
_SHIFT, _SETTINGS = int(Fault.SHIFT), int(X.SETTINGS)
_FOUR_BITS = 3  # the last value of the kind `width`, after 8, 16 and 32


@kernel
def start_thread(context, entry):
    """Reset a context to a thread's first instruction."""
    context[:] = 0
    context[_PC] = entry
    context[_WA] = context[_WB] = context[_WD] = 16


@kernel
def address_offset(context):
    """Words that the loops around an instruction add to its data addresses."""
    offset = np.int64(0)
    for level in range(context[_DEPTH]):
        loop = context[_LOOPS + 5 * level : _LOOPS + 5 * level + 5]
        offset += loop[LOOP_ITERATION] * loop[LOOP_BUMP]
    return offset


@kernel
def next_instruction(context):
    """Advance the program counter, going round loops whose last instruction was executed."""
    pc = context[_PC]
    while context[_DEPTH]:
        at = _LOOPS + 5 * (context[_DEPTH] - 1)
        loop = context[at : at + 5]
        if pc != loop[LOOP_LAST]:
            break
        loop[LOOP_LEFT] -= 1
        if loop[LOOP_LEFT]:
            loop[LOOP_ITERATION] += 1
            context[_PC] = loop[LOOP_FIRST]
            return
        context[_DEPTH] -= 1
    context[_PC] = pc + 1


@kernel
def enter_loop(context, count, body, bump):
    """Execute `loop`; return the fault."""
    pc = context[_PC]
    if context[_DEPTH]:
        outer = _LOOPS + 5 * (context[_DEPTH] - 1)
        if pc + body > context[outer + LOOP_LAST]:
            return _LOOP_NESTING
    if count == 0 or body == 0:
        context[_PC] = pc + body
        next_instruction(context)
        return _NONE
    if context[_DEPTH] == LOOP_LEVELS:
        return _LOOP_DEPTH
    at = _LOOPS + 5 * context[_DEPTH]
    loop = context[at : at + 5]
    loop[LOOP_FIRST] = pc + 1
    loop[LOOP_LAST] = pc + body
    loop[LOOP_LEFT] = count
    loop[LOOP_ITERATION] = 0
    loop[LOOP_BUMP] = bump
    context[_DEPTH] += 1
    context[_PC] = pc + 1
    return _NONE


@kernel
def _set_vector(context, operands):
    context[_LENGTH] = operands[0]
    context[_SETTINGS] = context[_PC] + 1
    rounding, stochastic, binary = operands[7], operands[8], operands[9]
    fault = _NONE
    for k in range(3):
        width = operands[1 + k]
        context[_WA + k] = 8 << width if width < _FOUR_BITS else 4
        if binary >> k & 1:
            context[_WA + k] = 1
        context[_SA + k] = operands[4 + k]
        if operands[4 + k] < -MOST_LEFT or operands[4 + k] > MOST_RIGHT:
            fault = _SHIFT
    context[_THREAD_ROUNDING] = STOCHASTIC + 1 if stochastic else rounding
    return fault


@kernel
def set_thread(context, op, operands):
    """Execute `vset`, `zset`, `pset`, `rset` or `nset`; return the fault."""
    if op == _VSET:
        return _set_vector(context, operands)
    if op == _ZERO_SET:
        context[_ZERO_X], context[_ZERO_D] = operands[0], operands[1]
    elif op == _POSITION_SET:
        context[_POSITION] = operands[0]
    elif op == _RANDOM_SET:
        context[_STREAM], context[_FIRST], context[_ORDINAL] = operands[0], operands[1], 0
    elif op == _NORM_SET:
        context[_NORM] = operands[0]
    return _NONE
