"""Random operands of a layer: exact densities, values alike among the nonzero codes."""

from collections.abc import Sequence

import numpy as np

from spusim.formats.codes import ENTRIES, TERNARY_BITS


def random_layer(
    inputs: int,
    outputs: int,
    weight_density: float,
    activation_density: float,
    frames: int,
    seed: int,
    weight_bits: int,
    activation_bits: int,
    codebook: Sequence[int] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Draw weight (outputs, inputs) and activations (frames, inputs) int32.

    Exactly round(density x size) nonzeros in the weights and in each frame, positions without
    replacement, values uniform over the nonzero codes, all from default_rng(seed). Weights of one
    and two bits are 1 and -1 where they are not zero, those with a codebook its entries.
    """
    rng = np.random.default_rng(seed)
    size, bits = inputs * outputs, 1 if weight_bits == TERNARY_BITS else weight_bits
    weight = random_codes(rng, size, weight_density, bits, codebook).reshape(outputs, inputs)
    rows = [random_codes(rng, inputs, activation_density, activation_bits) for _ in range(frames)]
    return weight, np.stack(rows)


def random_codebook(bits: int, seed: int) -> tuple[int, ...]:
    """Draw 16 entries of `bits`: 0, the largest, and 14 other codes, from default_rng(seed)."""
    half = 1 << (bits - 1)
    rng = np.random.default_rng(seed)
    codes = rng.choice(2 * half - 2, ENTRIES - 2, replace=False) - half
    return (0, *(codes + (codes >= 0)).tolist(), half - 1)


def random_codes(
    rng: np.random.Generator, size: int, density: float, bits: int, codebook: Sequence[int] = ()
) -> np.ndarray:
    """Draw `size` codes of `bits` or of a codebook, exactly round(density x size) nonzero."""
    values = np.zeros(size, np.int32)
    count = round(density * size)
    where = rng.choice(size, count, replace=False)
    if len(codebook):
        entries = np.array([entry for entry in codebook if entry])
        values[where] = entries[rng.integers(0, len(entries), count)]
        return values
    half = 1 << (bits - 1)
    codes = rng.integers(-half, max(half - 1, 1), count)
    values[where] = codes + (codes >= 0)  # leaves zero out
    return values
