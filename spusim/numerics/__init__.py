"""Fixed point, exactly and plainly: what golden, compiler and front end mean by an integer."""

from spusim.numerics.accumulate import (
    accumulate,
    accumulate_positions,
    requantise_partial,
    row_bound,
)
from spusim.numerics.errors import NumericsError
from spusim.numerics.modes import Numerics, Overflow, PartialSums, Rounding, numerics_of
from spusim.numerics.random import Draw
from spusim.numerics.shift import (
    MOST_LEFT,
    MOST_RIGHT,
    STOCHASTIC,
    fits,
    overflow,
    quantise_multiplier,
    requantise,
    round_shift,
)
from spusim.numerics.table import FUNCTIONS, build_table, lookup, table_entries

__all__ = [
    "FUNCTIONS",
    "MOST_LEFT",
    "MOST_RIGHT",
    "STOCHASTIC",
    "Draw",
    "Numerics",
    "NumericsError",
    "Overflow",
    "PartialSums",
    "Rounding",
    "accumulate",
    "accumulate_positions",
    "build_table",
    "fits",
    "lookup",
    "numerics_of",
    "overflow",
    "quantise_multiplier",
    "requantise",
    "requantise_partial",
    "round_shift",
    "row_bound",
    "table_entries",
]
