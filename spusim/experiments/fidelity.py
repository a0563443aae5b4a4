"""How near a quantised network's outputs come to those of the float network that it was made of."""

import math
from pathlib import Path

import numpy as np

from spusim.frontend.chain import FloatNetwork, float_forward
from spusim.frontend.load import load_float_network
from spusim.frontend.topology import TopologyModel
from spusim.network.graph import outputs_of
from spusim.network.records import Network, Stream


def float_outputs(
    path: Path, topology: TopologyModel, checkpoint: str | None, network: Network, stream: Stream
) -> np.ndarray:
    """Return the float network's outputs (frames, out) on a stream, in units of `network`'s.

    The float network is pruned as the topology says, so that only number formats tell the two
    apart. A mean over frames, which the integers leave as a sum, counts as that sum.
    """
    floats = load_float_network(path, topology, checkpoint)
    values = stream.frames
    if values.dtype.kind != "f":
        values = np.ldexp(values.astype(np.float64), network.input.quantum.exponent)
    outputs = float_forward(floats, values, stream.starts) * _undivided(floats)
    return np.asarray(np.ldexp(outputs, -_output_exponent(network)))


def signal_to_noise_db(wanted: np.ndarray, found: np.ndarray) -> float | None:
    """Return 10 log10 of the power of `wanted` over that of its difference to `found`, in dB.

    Any shape, the same units. None where there is no signal, or no difference.
    """
    signal = float(np.square(wanted).sum())
    noise = float(np.square(wanted - found).sum())
    return 10 * math.log10(signal / noise) if signal and noise else None


def _output_exponent(network: Network) -> int:
    tensors = {network.input.name: network.input}
    tensors |= {state.tensor.name: state.tensor for state in network.states}
    tensors |= {out.name: out for node in network.nodes for out in outputs_of(node)}
    return tensors[network.output].quantum.exponent


def _undivided(network: FloatNetwork) -> int:
    """Return by what the last mean over frames divides, if no matrix follows that does so."""
    for layer in reversed(network.layers):
        if layer.matrices:
            return 1
        if layer.sums is not None:
            return layer.sums
    return 1
