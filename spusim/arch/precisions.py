"""Precisions that lanes compute, by name: `8x16`, and `c8x16` where weights are indices."""

from functools import cache

from spusim.arch.spec import CoreSpec

CODEBOOK = "c"  # of a precision


@cache
def operand_bits(precision: str) -> tuple[int, int]:
    """Split a precision such as `8x16` into the bits multiplied; of `c8x16` entry bits first."""
    weight, activation = precision.split("x")
    return int(weight.removeprefix(CODEBOOK)), int(activation)


def codebook_entry_bits(core: CoreSpec) -> int:
    """Bits of the widest codebook entry that the lanes multiply; 0 where there is no codebook."""
    named = [name for name in core.precisions if name.startswith(CODEBOOK)]
    return max((operand_bits(name)[0] for name in named), default=0)


def widest_activation_bits(core: CoreSpec) -> int:
    """Bits of the widest activation that the lanes multiply."""
    return max(operand_bits(precision)[1] for precision in core.precisions)
