"""Post-training quantisation, static and dynamic: floats and their ranges make a Network."""

from dataclasses import replace

import numpy as np

from spusim.frontend.chain import FRAME, FloatNetwork, float_forward
from spusim.frontend.clipping import clipped_ranges
from spusim.frontend.fold import fold_image_norms
from spusim.frontend.layers import Job, Peaks
from spusim.frontend.layers.base import CALIBRATED_BITS
from spusim.frontend.quantum import Conversion, plan_quanta
from spusim.frontend.streams import check_stream
from spusim.frontend.weight_formats import stored_bits
from spusim.network.check import check_network
from spusim.network.records import (
    Constant,
    Convolution,
    Head,
    Network,
    NetworkError,
    Node,
    Product,
    Quantum,
    Requant,
    Shift,
    Stream,
    Tensor,
)

RECIPROCAL_BITS = 14
UNSCALED = Requant(np.ones(1, np.int64), np.zeros(1, np.int64))
MOST_PEAKS = 1 << 16  # features of a tensor that each have a range


def quantise(
    network: FloatNetwork,
    calibration: Stream | Peaks,
    *,
    weight_bits: int | str = 8,
    activation_bits: int = 16,
    input_bits: int = 16,
    per_channel: bool = False,
    dynamic: frozenset[str] = frozenset(),
    wide_bits: int = CALIBRATED_BITS,
) -> Network:
    """Quantise a float network with the ranges that its tensors have on a calibration stream.

    calibration: the stream, or what `calibrate` found on it before.
    weight_bits: 1, 2, 4, 8, 16, or a word of `weight_formats.WEIGHT_FORMATS`. Weights are
    symmetric, scale = absmax / (2**(weight_bits - 1) - 1) per tensor or per output row;
    docs/numbers.md has the other formats. dynamic: layers whose products take operands of
    activation_bits at a scale that every frame finds anew; they read tensors of wide_bits.
    Activations have power-of-two quanta. Zeros stay zeros.
    Raises NetworkError for a layer in `dynamic` whose scales cannot be found so, StreamError for a
    calibration that is empty, not finite or of another width, NetworkError for a network that the
    records cannot express.
    """
    network = fold_image_norms(network)
    peaks = calibration if isinstance(calibration, dict) else calibrate(network, calibration)
    seen = {name: float(peak.max(initial=0.0)) for name, peak in peaks.items()}
    ranges = clipped_ranges(network, seen)
    _check_dynamic(network, dynamic, activation_bits)
    plan = plan_quanta(
        network, ranges, input_bits, activation_bits, max(stored_bits(weight_bits), 2), dynamic,
        wide_bits,
    )  # fmt: skip
    job = Job(peaks, ranges, weight_bits, per_channel, wide_bits=wide_bits)
    frame = Tensor(FRAME, network.input_size, plan.quanta[FRAME])
    made = {FRAME: frame}
    for layer, reads, conversions in zip(network.layers, plan.reads, plan.conversions, strict=True):
        for conversion in conversions:
            source = made[conversion.source]
            made[conversion.name] = _convert(job, conversion, source, layer.name)
        job.divisor = plan.divisors.get(reads[0], 1)
        job.normalised_bits = activation_bits if layer.name in dynamic else 0
        inputs = tuple(made[name] for name in reads)
        made[layer.name] = layer.add_nodes(job, inputs, plan.quanta[layer.name])
    if dynamic:
        names = ", ".join(layer.name for layer in network.layers if layer.name in dynamic)
        job.notes.append(f"operands of int{activation_bits}, each frame at its own scale: {names}")
    quantised = Network(
        network.name,
        frame,
        tuple(job.states),
        tuple(map(_with_signs, job.nodes)),
        made[network.output].name,
        network.labels,
        (*network.notes, *job.notes),
    )
    check_network(quantised)
    return quantised


def _with_signs(node: Node) -> Node:
    """Let what is written as one bit be the sign of its sum: scaled, small sums would round to 0.

    Zero counts as +1 (N8), and a sum of -1 as -1.
    """
    if isinstance(node, Product):
        return replace(node, heads=tuple(map(_with_sign, node.heads)))
    if isinstance(node, Convolution) and node.output.quantum.bits == 1:
        return replace(node, requant=UNSCALED)
    return node


def _with_sign(head: Head) -> Head:
    plain = head.function is None and head.output.quantum.bits == 1
    return replace(head, requant=UNSCALED) if plain else head


def _check_dynamic(network: FloatNetwork, dynamic: frozenset[str], bits: int) -> None:
    """Raise NetworkError for scales that cannot be found at run time."""
    for layer in network.layers:
        if layer.name in dynamic and not layer.normalises:
            raise NetworkError(
                f"layer {layer.name} has no product whose operand's scale can be found at run "
                "time (linear, lstm, gru, rnn, and conv1d on the engine have); say "
                f"quantise.layers.{layer.name}=static"
            )
    if dynamic and bits == 1:
        raise NetworkError(
            "quantise.activations (=1) leaves nothing for a scale found at run time to scale: a "
            "sign has no size; use 4, 8 or 16 with quantise.scales=dynamic"
        )


def _convert(job: Job, conversion: Conversion, source: Tensor, layer: str) -> Tensor:
    """Add a Shift; a sum over frames is multiplied by the reciprocal of their number."""
    name, quantum, frames = conversion.name, conversion.quantum, conversion.divisor
    output = Tensor(name, source.size, quantum)
    shift = quantum.exponent - source.quantum.exponent
    places = (frames - 1).bit_length()
    if frames == 1 << places:
        job.add(Shift(name, layer, source.name, output, sd=shift + places))
        return output
    # from 2**14 to 2**15: as fine as 16 bits hold
    reciprocal = min(round(2.0 ** (RECIPROCAL_BITS + places) / frames), 2**15 - 1)
    values = np.full(source.size, reciprocal, dtype=np.int16)
    factor = Tensor(f"{name}.reciprocal", source.size, Quantum(16, -RECIPROCAL_BITS - places))
    job.add(Constant(factor.name, layer, values, factor))
    return job.combine("mul", source, factor, output, layer, sd=shift + RECIPROCAL_BITS + places)


def calibrate(network: FloatNetwork, stream: Stream) -> Peaks:
    """Return each feature's absolute maximum, of every tensor float_forward names, on a stream.

    An image's channels have one each; of other tensors with more than 65,536 features the largest
    is all that is needed. Batch norms are folded before. Raises StreamError, or NetworkError where
    two tensors have one name.
    """
    check_stream(stream, network.input_size, "calibration stream")
    network = fold_image_norms(network)
    channels = {layer.name: getattr(layer, "channels", 0) for layer in network.layers}
    peaks: Peaks = {}

    def observe(name: str, values: np.ndarray) -> None:
        if name in peaks:
            raise NetworkError(
                f"layer {name}: another layer calls a part of its own so; give the layer another "
                "name, without a dot"
            )
        found = np.maximum(values.max(axis=0, initial=0.0), -values.min(axis=0, initial=0.0))
        if channels.get(name):
            found = found.reshape(-1, channels[name]).max(axis=0)
        elif found.size > MOST_PEAKS:
            found = found.max(keepdims=True)
        peaks[name] = found

    float_forward(network, stream.frames, stream.starts, observe)
    return peaks
