"""The compiled thread interpreter: what a thread does between two synchronisation points.

Values are computed in thread order, and each instruction's duration without interference is
noted as a step. When nothing interferes the machine adds the durations up; otherwise it issues
the steps one by one. Either way the rules of a unit exist once, in the functions called here.
"""

import numpy as np

from spusim.kernels.banks import hold_banks
from spusim.kernels.context import address_offset, enter_loop, next_instruction, set_thread
from spusim.kernels.declare import kernel
from spusim.kernels.elementwise import run_vector
from spusim.kernels.engine import matvec_fault, multiply
from spusim.kernels.layout import C, Fault, Given, Op, P, Unit, X

_ENGINE, _VECTOR, _END, _POST = int(Unit.ENGINE), int(Unit.VECTOR), int(Op.END), int(Op.POST)
_LOOP, _SEND, _RECV, _YIELD = int(Op.LOOP), int(Op.SEND), int(Op.RECV), int(Op.YIELD)
_FETCH, _PC, _ZERO_X, _POSITION = int(Op.FETCH), int(X.PC), int(X.ZERO_X), int(X.POSITION)
_ORDINAL, _SHARED, _INSTRUCTION = int(X.ORDINAL), int(P.SHARED_PORTS), int(C.INSTRUCTION)
_NONE, _PC_OUTSIDE, _MATRIX = int(Fault.NONE), int(Fault.PC_OUTSIDE), int(Fault.MATRIX)
_CONVOLVE, _HANDED, _READY = int(Op.CONVOLVE), int(Fault.HANDED), int(Given.READY)
_CYCLES, _BANKS = int(Given.CYCLES), int(Given.BANKS)


@kernel
def synchronises(op):
    """Whether an instruction is one that threads are not executed ahead over."""
    if op == _END or op == _POST or op == _SEND or op == _RECV:
        return True
    return op >= _YIELD and op <= _FETCH


@kernel
def run_thread(core, context, steps, most):
    """Execute until a synchronisation instruction, `most` steps, or a fault.

    steps (n, T.COUNT) int64 gets a row per executed instruction. Returns (steps, fault, cycles of
    all steps): with no fault and fewer than `most` steps, the context stands before one that
    synchronises, or before one that the machine executes: with no step at all, this is HANDED.
    """
    done, spent = 0, np.int64(0)
    while done < most:
        pc = context[_PC]
        if pc >= core.code.shape[0]:
            return done, _PC_OUTSIDE, spent
        op, unit = core.code[pc, 0], core.code[pc, 1]
        operands = core.code[pc, 2:]
        if synchronises(op):
            return done, _NONE, spent
        cycles, mask, fault = np.int64(1), np.int64(0), np.int64(_NONE)
        if op >= _CONVOLVE:
            if not core.given[_READY]:
                return done, _NONE if done else _HANDED, spent
            core.given[_READY] = 0
            cycles, mask = core.given[_CYCLES], core.given[_BANKS]
            if not core.params[_SHARED]:
                hold_banks(core, mask, cycles)
        elif unit == _ENGINE:
            src = operands[1] + address_offset(context)
            if operands[0] >= core.matrices.shape[0]:
                return done, _MATRIX, spent
            fault = matvec_fault(core, operands[0], src, operands[2])
            if fault == _NONE:
                cycles, mask = multiply(
                    core, operands[0], src, operands[2], operands[3], context[_ZERO_X],
                    context[_POSITION],
                )  # fmt: skip
        elif unit == _VECTOR:
            fault, cycles, mask = run_vector(core, context, op, operands)
            context[_ORDINAL] += 1
        elif op != _LOOP:
            fault = set_thread(context, op, operands)
        if fault:
            return done, fault, spent
        steps[done, 0] = unit
        steps[done, 1] = cycles
        steps[done, 2] = mask
        steps[done, 3] = pc
        core.counters[_INSTRUCTION] += 1
        spent += cycles
        done += 1
        if op == _LOOP:
            fault = enter_loop(context, operands[0], operands[1], operands[2])
            if fault:
                return done, fault, spent
        else:
            next_instruction(context)
    return done, _NONE, spent
