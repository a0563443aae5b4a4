"""Which weights are kept or dropped together: the structures of pruning."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spusim.frontend.errors import PruneError

_HINT = (
    "use element, pencil:N, block:RxC, row, column, filter, channel, kernel, unit or n_of_m:N:M, "
    "e.g. pencil:8, block:4x4 or n_of_m:2:4"
)
_SPELLING = re.compile(
    r"(?P<kind>element|row|column|filter|channel|kernel|unit)$"
    r"|(?P<pencil>pencil):(?P<rows>[1-9]\d{0,3})$"
    r"|(?P<block>block):(?P<height>[1-9]\d{0,3})x(?P<width>[1-9]\d{0,3})$"
    r"|(?:n_of_m:)?(?P<n>[1-9]\d{0,2}):(?P<m>[1-9]\d{0,2})(?P<inputs>:inputs)?$"
)


@dataclass(frozen=True)
class Structure:
    """A structure: `kind`, and the rows x columns of a pencil or block, or the N of M.

    Groups of M go down a column, along the outputs, as the format n_of_m stores them; with
    `inputs` they go along a row, as in the sparse tensor cores of GPUs.
    """

    kind: str
    rows: int = 1
    columns: int = 1
    n: int = 0
    m: int = 0
    inputs: bool = False

    def groups(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the number of each element's group, from 0: (out, all others) int64.

        Raises PruneError for weights that do not have such groups.
        """
        if self.kind in ("channel", "kernel") and len(shape) < 3:
            raise PruneError(
                f"has shape {shape}, and only a convolution (out, in, size...) has a {self.kind}; "
                "use column or element, or leave it out with layers"
            )
        if self.kind == "unit":
            raise PruneError(
                "shrinks with the layers around it, not alone; give the network file too, as "
                "`spusim prune FILE --structure unit --network NET.yaml`"
            )
        return _GROUPS[self.kind](self, shape)

    def cut_short(self, shape: tuple[int, ...]) -> str:
        """Say that blocks or groups of M do not divide a weight, or nothing."""
        sides = (shape[0], math.prod(shape[1:]))
        steps, what = (self.rows, self.columns), f"blocks of {self.rows} x {self.columns}"
        if self.m:
            steps = (1, self.m) if self.inputs else (self.m, 1)
            what = f"groups of {self.m} {'inputs' if self.inputs else 'outputs'}"
        elif self.columns == 1:
            return ""
        if not any(side % step for side, step in zip(sides, steps, strict=True)):
            return ""
        return (
            f"{sides[0]} x {sides[1]} is no whole number of {what}; those at the edge are smaller, "
            "and padded where they are stored"
        )


def parse_structure(text: str) -> Structure:
    """Return the structure that a text such as pencil:8 names. Raises PruneError."""
    match = _SPELLING.match(text)
    if not match:
        raise PruneError(f"prune.structure (={text}) is unknown; {_HINT}")
    if match["pencil"]:
        return Structure("block", int(match["rows"]), 1)
    if match["block"]:
        return Structure("block", int(match["height"]), int(match["width"]))
    if match["n"]:
        n, m = int(match["n"]), int(match["m"])
        if n > m:
            raise PruneError(f"prune.structure (={text}) keeps {n} of {m}; N is at most M")
        return Structure("element", n=n, m=m, inputs=bool(match["inputs"]))
    return Structure(match["kind"])


def _blocks(structure: Structure, shape: tuple[int, ...]) -> np.ndarray:
    out, others = shape[0], math.prod(shape[1:])
    across = -(-others // structure.columns)
    down = np.arange(out) // structure.rows
    return down[:, None] * across + (np.arange(others) // structure.columns)[None, :]


def _rows(structure: Structure, shape: tuple[int, ...]) -> np.ndarray:
    return np.repeat(np.arange(shape[0])[:, None], math.prod(shape[1:]), axis=1)


def _columns(structure: Structure, shape: tuple[int, ...]) -> np.ndarray:
    return np.repeat(np.arange(math.prod(shape[1:]))[None, :], shape[0], axis=0)


def _channels(structure: Structure, shape: tuple[int, ...]) -> np.ndarray:
    return _columns(structure, shape) // math.prod(shape[2:])


def _kernels(structure: Structure, shape: tuple[int, ...]) -> np.ndarray:
    taps = math.prod(shape[2:])
    return np.arange(math.prod(shape)).reshape(shape[0], -1) // taps


_GROUPS: dict[str, Callable[[Structure, tuple[int, ...]], np.ndarray]] = {
    "element": _blocks,
    "block": _blocks,
    "row": _rows,
    "filter": _rows,
    "column": _columns,
    "channel": _channels,
    "kernel": _kernels,
}
