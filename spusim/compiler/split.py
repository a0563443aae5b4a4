"""Sharing rows out over cores, in units that memories and formats can be cut at."""

import math
from dataclasses import dataclass

from spusim.arch import Arch


@dataclass(frozen=True)
class Part:
    """A core's share: `size` of something from `offset` on."""

    core: int
    offset: int
    size: int


def elements_per_word(arch: Arch, bits: int) -> int:
    """Return the elements of `bits` in a word of data memory."""
    return arch.core.data_memory.word_bits // bits


def group_rows(arch: Arch) -> int:
    """Return the rows that should stay together: those of pencils, blocks or N:M groups.

    Where several formats may be stored, a multiple of all of theirs.
    """
    sparse = arch.core.sparse
    if sparse.weights == "dense":
        return 1
    stored = sparse.formats if sparse.format == "auto" else (sparse.format,)
    return math.lcm(*(sparse.grouping(form)[0] for form in stored))


def split(size: int, align: int, cores: int) -> tuple[Part, ...]:
    """Share `size` outputs out over cores, contiguously and in units of `align`.

    The first cores get a unit more where units do not come out even, the last the rest of the
    outputs. Cores without any are left out; they are always the last ones.
    """
    units = -(-size // align)
    share, more = divmod(units, cores)
    parts, offset = [], 0
    for core in range(cores):
        end = min(size, offset + align * (share + (core < more)))
        if end > offset:
            parts.append(Part(core, offset, end - offset))
        offset = end
    return tuple(parts)
