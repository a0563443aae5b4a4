"""Depthwise convolutions on the vector unit: a product and a sum for each tap.

In the engine every activation is a column with one weight, and popping it takes every PE a cycle;
the vector unit does a tap of as many channels as it has lanes in two. Weights are 16 bits wide.
"""

import math
from collections.abc import Sequence

import numpy as np

from spusim.frontend.layers import positions
from spusim.frontend.layers.base import Job
from spusim.frontend.quanta import quantum_for
from spusim.network.records import Quantum, Tensor

WEIGHT_BITS, SUM_BITS = 16, 32


def add_depthwise(
    job: Job,
    x: Tensor,
    y: Tensor,
    weight: np.ndarray,
    bias: np.ndarray | None,
    taps: Sequence[positions.Picks],
) -> Tensor:
    """Add y = bias + sum over taps t of weight[:, t] * x[taps[t]], rounded once; return y.

    weight (channels, taps), bias (channels,) float64; taps: positions that each tap sees.
    """
    name, (channels, _), count = y.name, weight.shape, len(taps[0])
    offset = np.zeros(channels) if bias is None else bias
    weights = quantum_for(float(np.abs(weight).max(initial=0.0)), WEIGHT_BITS)
    exact = x.quantum.exponent + weights.exponent
    largest = math.ldexp(x.quantum.largest + 1, x.quantum.exponent) * np.abs(weight).sum(axis=1)
    reach = quantum_for(float((largest + np.abs(offset)).max()), SUM_BITS)
    inner = Quantum(SUM_BITS, max(exact, reach.exponent))
    terms = []
    for tap, picks in enumerate(taps):
        seen = positions.pick(job, f"{name}.tap{tap}", name, x, channels, picks)
        codes = np.tile(np.rint(np.ldexp(weight[:, tap], -weights.exponent)), count)
        factor = job.constant(f"{name}.weight{tap}", name, codes, weights)
        term = Tensor(f"{name}.term{tap}", y.size, inner)
        terms.append(job.combine("mul", seen, factor, term, name, sd=inner.exponent - exact))
    # The bias ends the sum even where there is none, so that only the last sum rounds.
    codes = np.tile(np.rint(np.ldexp(offset, -inner.exponent)), count)
    terms.append(job.constant(f"{name}.bias", name, codes, inner))
    total = terms[0]
    for number, term in enumerate(terms[1:-1], 1):
        so_far = Tensor(f"{name}.sum{number}", y.size, inner)
        total = job.combine("add", total, term, so_far, name)
    shift = y.quantum.exponent - inner.exponent
    return job.combine("add", total, terms[-1], y, name, sd=shift)
