"""The arithmetic of a machine, as one record that a Program carries."""

from dataclasses import dataclass
from typing import Literal

Rounding = Literal["floor", "half_up", "half_even"]
Overflow = Literal["saturate", "wrap"]


@dataclass(frozen=True)
class Numerics:
    """How sums overflow and shifts round."""

    accumulator_bits: int = 32
    overflow: Overflow = "saturate"  # of the accumulators, after every accumulation
    rounding: Rounding = "half_up"  # of every right shift but the pre-shifts sa, sb
    requantize_overflow: Overflow = "saturate"  # of results written to memory
