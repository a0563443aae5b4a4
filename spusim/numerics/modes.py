"""The arithmetic of a machine, as one record that a Program carries."""

from dataclasses import dataclass
from typing import Literal, Protocol

Rounding = Literal["floor", "half_up", "half_even", "stochastic"]
Deterministic = Literal["floor", "half_up", "half_even"]
Overflow = Literal["saturate", "wrap", "nullify"]


class PartialSettings(Protocol):
    """What an architecture says of partial sums."""

    every: int
    shift: int
    bits: int
    rounding: Deterministic


class Settings(Protocol):
    """What an architecture says of its arithmetic."""

    accumulator_bits: int
    overflow: Overflow
    rounding: Rounding
    requantize_overflow: Overflow
    seed: int

    @property
    def partial_sums(self) -> PartialSettings:
        """Requantisation on the way."""


@dataclass(frozen=True)
class PartialSums:
    """Requantisation of a sum after every `every` dense positions; 0: never.

    The sum keeps `bits` bits in units of 2**shift, and goes on as many units of the accumulator.
    """

    every: int = 0
    shift: int = 0
    bits: int = 16
    rounding: Deterministic = "half_up"


@dataclass(frozen=True)
class Numerics:
    """How sums overflow and shifts round."""

    accumulator_bits: int = 32
    overflow: Overflow = "saturate"  # of the accumulators, after every accumulation
    rounding: Rounding = "half_up"  # of every right shift but the pre-shifts sa, sb
    requantize_overflow: Overflow = "saturate"  # of results written to memory
    seed: int = 0  # of stochastic rounding
    partial_sums: PartialSums = PartialSums()

    @property
    def table_rounding(self) -> Deterministic:
        """How interpolation rounds: a table's result is a function of its input."""
        return "half_up" if self.rounding == "stochastic" else self.rounding


def numerics_of(n: Settings) -> Numerics:
    """Return an architecture's arithmetic as a Program carries it."""
    p = n.partial_sums
    return Numerics(
        n.accumulator_bits,
        n.overflow,
        n.rounding,
        n.requantize_overflow,
        n.seed,
        PartialSums(p.every, p.shift, p.bits, p.rounding),
    )
