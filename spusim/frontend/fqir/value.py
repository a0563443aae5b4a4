"""What an FQIR name stands for while a plan is turned into a network."""

import math
from dataclasses import dataclass

import numpy as np

from spusim.frontend.fqir.errors import PlanError

MOST_ELEMENTS = 1 << 20  # of a tensor, more than a frame of any chip of these could carry
MOST_WEIGHTS = 1 << 24  # of a matrix, zeros included


@dataclass(frozen=True)
class Value:
    """A tensor of a plan: the network's tensor that holds it, its shape, width and reach.

    name: None for a parameter that no element-wise operation has asked for yet. reach (size,)
    int64: the largest magnitude that each element can have. stored: a parameter's integers.
    """

    name: str | None
    shape: tuple[int, ...]
    bits: int
    reach: np.ndarray
    stored: np.ndarray | None = None
    dtype: str = ""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def check_size(told: str, size: int, most: int = MOST_ELEMENTS) -> None:
    """Raise PlanError for a tensor that is too large to be meant, before it takes memory."""
    if size > most:
        raise PlanError(f"{told}: would have {size:,} elements; use at most {most:,}")


def full_reach(size: int, bits: int) -> np.ndarray:
    """Return what nothing more is known of: (size,) int64, each the most negative integer's."""
    return np.full(size, 1 << (bits - 1), np.int64)


def axis_of(value: Value, axis: int, told: str) -> int:
    """Return a dimension counted from the front; raises PlanError."""
    rank = len(value.shape)
    if not -rank <= axis < rank:
        raise PlanError(f"{told}: has dim {axis} of a tensor of shape {value.shape}")
    return axis % rank
