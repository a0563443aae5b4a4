"""Post-training static quantisation: a float chain and a calibration stream make a Network."""

import numpy as np

from spusim.frontend.chain import FloatNetwork, float_forward
from spusim.frontend.layers import Job, Peaks
from spusim.frontend.quantum import choose_quanta
from spusim.frontend.streams import check_stream
from spusim.network.check import check_network
from spusim.network.records import Network, Stream, Tensor


def quantise(
    network: FloatNetwork,
    calibration: Stream | Peaks,
    *,
    weight_bits: int | str = 8,
    activation_bits: int = 16,
    input_bits: int = 16,
    per_channel: bool = False,
) -> Network:
    """Quantise a float network with the ranges that its tensors have on a calibration stream.

    calibration: the stream, or what `calibrate` found on it before.
    weight_bits: 1, 2, 4, 8, 16, or a word of `weight_formats.WEIGHT_FORMATS`. Weights are
    symmetric, scale = absmax / (2**(weight_bits - 1) - 1) per tensor or per output row;
    docs/numbers.md has the other formats. Activations have power-of-two quanta. Zeros stay zeros.
    Raises StreamError for a calibration that is empty, not finite or of another width,
    NetworkError for a chain that the records cannot express.
    """
    peaks = calibration if isinstance(calibration, dict) else calibrate(network, calibration)
    ranges = {name: float(peak.max(initial=0.0)) for name, peak in peaks.items()}
    quanta = choose_quanta(network.layers, ranges, input_bits, activation_bits)
    job = Job(peaks, ranges, weight_bits, per_channel)
    frame = tensor = Tensor("input", network.input_size, quanta[0])
    for layer, quantum in zip(network.layers, quanta[1:], strict=True):
        tensor = layer.expand(job, tensor, quantum)
    quantised = Network(
        network.name,
        frame,
        tuple(job.states),
        tuple(job.nodes),
        tensor.name,
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
