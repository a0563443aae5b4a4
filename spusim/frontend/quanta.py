"""Number formats of single tensors."""

import math

from spusim.network.records import Quantum

GATE_QUANTUM = Quantum(16, -12)  # +-8: sigmoid and tanh saturate to 16 bits within it
GATE_OUTPUT = Quantum(16, -15)


def quantum_for(absmax: float, bits: int) -> Quantum:
    """Return the finest quantum of `bits` in which +-absmax does not saturate.

    A tensor that is all zero gets the range +-1. One bit, which is +-1 of a quantum, stands for
    about half of absmax.
    """
    if bits == 1:
        return Quantum(1, round(math.log2(absmax)) - 1 if absmax > 0.0 else 0)
    if absmax <= 0.0:
        return Quantum(bits, 1 - bits)
    largest = 2 ** (bits - 1) - 1
    exponent = math.ceil(math.log2(absmax) - math.log2(largest))
    while absmax > math.ldexp(largest, exponent):  # log2 rounds
        exponent += 1
    while absmax <= math.ldexp(largest, exponent - 1):
        exponent -= 1
    return Quantum(bits, exponent)


def mean_shift(frames: int, exponent: int, absmax: float) -> int:
    """Return the smallest shift with which the sum of `frames` values +-absmax fits 16 bits."""
    return max(0, quantum_for(frames * absmax, 16).exponent - exponent) if absmax else 0
