"""Fixed point, exactly and plainly: what golden, compiler and front end mean by an integer."""

from spusim.numerics.accumulate import accumulate, row_bound
from spusim.numerics.errors import NumericsError
from spusim.numerics.modes import Numerics, Overflow, Rounding
from spusim.numerics.shift import fits, overflow, quantise_multiplier, requantise, round_shift
from spusim.numerics.table import FUNCTIONS, build_table, lookup, table_entries

__all__ = [
    "FUNCTIONS",
    "Numerics",
    "NumericsError",
    "Overflow",
    "Rounding",
    "accumulate",
    "build_table",
    "fits",
    "lookup",
    "overflow",
    "quantise_multiplier",
    "requantise",
    "round_shift",
    "row_bound",
    "table_entries",
]
