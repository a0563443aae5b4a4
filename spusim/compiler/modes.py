"""What a node's instructions depend on beside the vector state: zero points, positions, bits."""

import zlib

from spusim.arch import Arch
from spusim.compiler.code import Modes
from spusim.numerics import STOCHASTIC

STREAMS = 1 << 24


def rounding_of(arch: Arch, rounding: str | None) -> str:
    """Return the rounding of an instruction: `arch` where it is the architecture's."""
    return "arch" if rounding in (None, arch.numerics.rounding) else str(rounding)


def drawing(arch: Arch, name: str, rounding: str | None, first: int, shift: int) -> Modes:
    """Return where a node's outputs from `first` on draw random bits, if they round by them.

    shift: the largest; where it is none to the right there is nothing to round.

    The stream follows from the node's name alone, so that no placement changes a bit.
    """
    if not rounds_by_bits(arch, rounding, shift):
        return {}
    return {"rset": {"stream": stream_of(name), "first": first}}


def rounds_by_bits(arch: Arch, rounding: str | None, shift: int) -> bool:
    """Tell whether a shift to the right rounds by random bits."""
    return (rounding or arch.numerics.rounding) == STOCHASTIC and shift > 0


def stream_of(name: str) -> int:
    """Return the number of a node's random stream: the CRC-32 of its name, in 24 bits."""
    return zlib.crc32(name.encode()) % STREAMS


def zero_points(**wanted: int) -> Modes:
    """Return the zero points of a product's `operand`, of a requantised `result`, or of both."""
    return {"zset": wanted}


def position(arch: Arch, first: int) -> Modes:
    """Return the dense position of a matrix's first column, where partial sums depend on it."""
    return {"pset": {"position": first}} if arch.numerics.partial_sums.every else {}
