"""Post-training static quantisation: a float chain and a calibration stream make a Network."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spusim.frontend.chain import (
    FloatActivation,
    FloatLinear,
    FloatLstm,
    FloatNetwork,
    FloatPool,
    float_forward,
)
from spusim.frontend.quantum import Ranges, choose_quanta, quantum_for
from spusim.frontend.streams import check_stream
from spusim.frontend.weights import QuantisedMatrix, quantise_matrix
from spusim.network.check import GATE_QUANTUM, check_network
from spusim.network.records import (
    Activation,
    Layer,
    Linear,
    Lstm,
    Network,
    PoolTime,
    Quantum,
    Stream,
)

Peaks = dict[str, np.ndarray]

COMMON_ACCUMULATOR_BITS = 32
CELL_MARGIN = 2.0  # one bit: cells grow with longer files than those of the calibration


@dataclass
class _Job:
    """What all layers of a quantisation share, and the notes that it collects."""

    peaks: Peaks
    ranges: Ranges
    weight_bits: int
    per_channel: bool
    notes: list[str] = field(default_factory=list)
    divisor: int = 1  # the tensor at hand is this many times its real value: a sum for a mean


def quantise(
    network: FloatNetwork,
    calibration: Stream | Peaks,
    *,
    weight_bits: int = 8,
    activation_bits: int = 16,
    input_bits: int = 16,
    per_channel: bool = False,
) -> Network:
    """Quantise a float network with the ranges that its tensors have on a calibration stream.

    calibration: the stream, or what `calibrate` found on it before.
    Weights are symmetric, scale = absmax / (2**(weight_bits - 1) - 1) per tensor or per output
    row; activations have power-of-two quanta. Zeros stay zeros. Raises StreamError for a
    calibration that is empty, not finite or of another width, NetworkError for a chain that
    the records cannot express.
    """
    peaks = calibration if isinstance(calibration, dict) else calibrate(network, calibration)
    ranges = {name: float(peak.max(initial=0.0)) for name, peak in peaks.items()}
    quanta = choose_quanta(network.layers, ranges, input_bits, activation_bits)
    job = _Job(peaks, ranges, weight_bits, per_channel)
    layers: list[Layer] = []
    for index, layer in enumerate(network.layers):
        layers.append(_QUANTISE[type(layer)](job, layer, quanta[index], quanta[index + 1]))
    quantised = Network(
        network.name,
        tuple(layers),
        network.input_size,
        quanta[0],
        network.labels,
        (*network.notes, *job.notes),
    )
    check_network(quantised)
    return quantised


def calibrate(network: FloatNetwork, stream: Stream) -> Peaks:
    """Return each feature's absolute maximum, of every tensor float_forward names, on a stream.

    Raises StreamError.
    """
    check_stream(stream, network.input_size, "calibration stream")
    peaks: Peaks = {}

    def observe(name: str, values: np.ndarray) -> None:
        peaks[name] = np.abs(values).max(axis=0, initial=0.0)

    float_forward(network.layers, stream.frames, stream.starts, observe)
    return peaks


def _matrix(
    job: _Job,
    layer: FloatLinear | FloatLstm,
    weight: np.ndarray,
    sums: np.ndarray,
    in_scale: float,
    out_exponent: int,
) -> QuantisedMatrix:
    """Quantise a layer's weight; `sums` (out,) are the largest of its products with the input."""
    name, bias = layer.name, layer.bias
    matrix = quantise_matrix(
        weight, bias, job.weight_bits, job.per_channel, in_scale, 2.0**out_exponent
    )
    if matrix.lost:
        total = np.count_nonzero(weight)
        job.notes.append(f"{name}: {matrix.lost} of {total} nonzero weights rounded to zero")
    if matrix.widened:
        job.notes.append(
            f"{name}: {matrix.widened} weight scale(s) made coarser, so that bias and "
            "requantisation fit 32 bits"
        )
    needed = int(np.ceil(np.log2((sums / matrix.units).max(initial=1.0) + 1))) + 1
    if needed > COMMON_ACCUMULATOR_BITS:
        job.notes.append(
            f"{name}: sums reach {needed} bits in the calibration; give "
            f"numerics.accumulator_bits={needed + 2} or narrower weights"
        )
    return matrix


def _linear(job: _Job, layer: FloatLinear, before: Quantum, after: Quantum) -> Linear:
    in_scale = 2.0**before.exponent / job.divisor
    job.divisor = 1
    _note_clipping(job, layer.name, "outputs", after, job.ranges[layer.name])
    matrix = _matrix(job, layer, layer.weight, job.peaks[layer.name], in_scale, after.exponent)
    return Linear(
        layer.name, matrix.weight, job.weight_bits, matrix.bias, before, after, matrix.requant
    )


def _lstm(job: _Job, layer: FloatLstm, before: Quantum, after: Quantum) -> Lstm:
    gate = f"{layer.name}.gate"
    _note_clipping(job, layer.name, "gate pre-activations", GATE_QUANTUM, job.ranges[gate])
    cell = quantum_for(CELL_MARGIN * job.ranges[f"{layer.name}.cell"], 16)
    weight = np.concatenate([layer.weight_ih, layer.weight_hh], axis=1)
    matrix = _matrix(
        job, layer, weight, job.peaks[gate], 2.0**before.exponent, GATE_QUANTUM.exponent
    )
    return Lstm(
        layer.name,
        layer.sizes[1],
        matrix.weight,
        job.weight_bits,
        matrix.bias,
        before,
        GATE_QUANTUM,
        cell,
        matrix.requant,
    )


def _activation(job: _Job, layer: FloatActivation, before: Quantum, after: Quantum) -> Activation:
    return Activation(layer.name, layer.function, layer.size, before, after)


def _pool(job: _Job, layer: FloatPool, before: Quantum, after: Quantum) -> PoolTime:
    shift = 0
    if layer.kind == "mean":
        shift = after.exponent - before.exponent
        job.divisor *= layer.frames
    return PoolTime(layer.name, layer.kind, layer.size, shift, layer.frames, before, after)


def _note_clipping(job: _Job, name: str, what: str, quantum: Quantum, absmax: float) -> None:
    limit = quantum.largest * 2.0**quantum.exponent
    if absmax > limit:
        job.notes.append(
            f"{name}: {what} reach {absmax:.4g} in the calibration and clip at {limit:.4g}"
        )


_QUANTISE: dict[type, Callable[[_Job, Any, Quantum, Quantum], Layer]] = {
    FloatLinear: _linear,
    FloatLstm: _lstm,
    FloatActivation: _activation,
    FloatPool: _pool,
}
