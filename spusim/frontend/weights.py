"""Symmetric quantisation of one weight matrix with its bias and requantisation."""

from dataclasses import dataclass

import numpy as np

from spusim.frontend.weight_formats import STORED_BITS, coded, ideal_scales, weight_format
from spusim.network.records import Requant
from spusim.numerics import quantise_multiplier

BIAS_LARGEST = 2**30  # leaves half of a 32-bit accumulator to the products
WEAKEST = 2.0**-60  # output units per accumulator unit: below it no sum reaches the output


@dataclass(frozen=True)
class QuantisedMatrix:
    """Integer weight (out, in), bias (out,) int64 or None, and how to requantise their sums.

    units: real value of an accumulator unit, (1,) or (out,). lost: nonzero weights that became
    zero. widened: scales that a large bias made coarser.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    requant: Requant
    units: np.ndarray
    lost: int
    widened: int
    bits: int = 8  # of a stored weight
    codebook: tuple[int, ...] = ()


def quantise_matrix(
    weight: np.ndarray,
    bias: np.ndarray | None,
    bits: int | str,
    per_channel: bool,
    in_scale: float | np.ndarray,
    out_scale: float,
) -> QuantisedMatrix:
    """Quantise weight (out, in) and bias (out,) float64, by tensor or by output row.

    bits: 1 to 16, or a word of `weight_formats.WEIGHT_FORMATS`. in_scale, out_scale: real value of
    a unit of input and output; in_scale may be (out,), where rows are scaled on their way out. A
    scale is absmax over the largest integer, of signs the mean of what is kept, coarser only where
    the bias would not fit; a pruned row takes the tensor's.
    """
    form = weight_format(bits)
    ideal = ideal_scales(weight, form, per_channel)
    least = np.broadcast_to(WEAKEST * out_scale / in_scale, len(weight))
    if bias is not None:
        least = np.maximum(least, np.abs(bias) / (in_scale * BIAS_LARGEST))
    scales = np.maximum(ideal, least if per_channel else least.max(initial=0.0))
    widened = int(np.count_nonzero(scales > ideal))
    made = coded(weight, scales, form, per_channel)
    integers, scales = made.integers, made.scales
    return QuantisedMatrix(
        integers,
        None if bias is None else np.rint(bias / (scales * in_scale)).astype(np.int64),
        _requant(scales * in_scale / out_scale),
        scales * in_scale,
        int(np.count_nonzero(weight) - np.count_nonzero(integers)),
        widened,
        STORED_BITS[form],
        made.codebook,
    )


def _requant(ratios: np.ndarray) -> Requant:
    pairs = np.array([quantise_multiplier(float(ratio)) for ratio in ratios], dtype=np.int64)
    return Requant(pairs[:, 0], pairs[:, 1])
