"""Products whose operand's scale every frame finds anew (A13 to A15 of docs/numbers_arithmetic.md).

Their sums leave without a bias, with room above what the layer gives; the bias is added there, and
only then are they brought to the layer's own quantum.
"""

from collections.abc import Callable

import numpy as np

from spusim.frontend.layers.base import COMMON_ACCUMULATOR_BITS, Job
from spusim.frontend.quanta import quantum_for
from spusim.frontend.weights import QuantisedMatrix
from spusim.network.records import Head, Product, Quantum, Shift, Tensor

HEADROOM_BITS = 2  # sums may be four times what is left of them after bias and other sums

Arrange = Callable[[QuantisedMatrix], QuantisedMatrix]


def sum_quantum(job: Job, outputs: tuple[Quantum, ...], *biases: np.ndarray | None) -> Quantum:
    """Return the quantum of sums that become any of `outputs` once the biases are added.

    They have as many bits as what lies between layers, and hold each bias twice.
    """
    bits = job.wide_bits
    exponent = max(each.exponent + each.bits + HEADROOM_BITS - bits for each in outputs)
    largest = max((float(np.abs(b).max(initial=0.0)) for b in biases if b is not None), default=0.0)
    least = quantum_for(2 * largest, bits).exponent if largest else exponent
    return Quantum(bits, max(exponent, least))


def add_sums(
    job: Job,
    sums: Tensor,
    layer: str,
    x: Tensor,
    weight: np.ndarray,
    in_scale: float | np.ndarray,
    windows: tuple[int, ...] = (0,),
    arrange: Arrange = lambda matrix: matrix,
) -> Tensor:
    """Add the normalising product of x, and return `sums`, its output.

    weight (rows, columns) float64; in_scale: as `Job.matrix` takes it; arrange: what becomes of
    the quantised matrix before it is stored.
    """
    matrix = arrange(job.plain_matrix(sums.name, weight, in_scale, sums.quantum.exponent))
    _note_reach(job, sums.name, matrix)
    heads = (Head(0, sums, matrix.requant),)
    job.add(
        Product(
            sums.name, layer, x.name, matrix.weight, matrix.bits, None, heads, windows,
            codebook=matrix.codebook, normalised_bits=job.normalised_bits,
        )
    )  # fmt: skip
    return sums


def _note_reach(job: Job, name: str, matrix: QuantisedMatrix) -> None:
    """Note sums that may leave the accumulators: an operand fills its bits in every frame."""
    rows = np.abs(matrix.weight.astype(np.int64)).sum(axis=1)
    needed = (int(rows.max(initial=0)) << (job.normalised_bits - 1)).bit_length() + 1
    if needed > COMMON_ACCUMULATOR_BITS:
        job.notes.append(
            f"{name}: sums may reach {needed} bits, since every frame fills its operand's; give "
            f"numerics.accumulator_bits={needed} or narrower weights"
        )


def add_bias(job: Job, sums: Tensor, bias: np.ndarray | None, output: Tensor, layer: str) -> Tensor:
    """Add what brings sums, with their bias (size,) if there is one, to `output`, and return it."""
    shift = output.quantum.exponent - sums.quantum.exponent
    if bias is None:
        job.add(Shift(output.name, layer, sums.name, output, sd=shift))
        return output
    units = np.rint(bias / 2.0**sums.quantum.exponent).astype(np.int64)
    held = job.constant(f"{output.name}.bias", layer, units, sums.quantum)
    return job.combine("add", sums, held, output, layer, sd=shift)
