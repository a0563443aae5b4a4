"""Random float graphs: as torch computes them, and quantised as near to that as they must be."""

from types import ModuleType

import numpy as np
from error_bound import output_bound
from float_graphs import FloatGraph
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.frontend import float_forward, quantise_input
from spusim.frontend.quantise import calibrate, quantise
from spusim.frontend.quantum import Plan, plan_quanta
from spusim.network import Network
from spusim.numerics import Numerics


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 14))
def test_float_graphs_equal_torch(seed: int, layers: int) -> None:
    graph = FloatGraph(seed, layers)
    stream = graph.stream()
    found: dict[str, np.ndarray] = {}
    float_forward(graph.floats(), stream.frames, stream.starts, found.__setitem__)
    for name, values in graph.torch(stream.frames).items():
        if name in found:
            np.testing.assert_allclose(found[name], values, atol=1e-12, err_msg=name)


def quantised(graph: FloatGraph, weights: int, activations: int) -> tuple[Network, Plan]:
    """Return a graph's network, calibrated on its own stream, and the plan of its quanta."""
    floats, stream = graph.floats(), graph.stream()
    peaks = calibrate(floats, stream)
    network = quantise(
        floats,
        peaks,
        weight_bits=weights,
        activation_bits=activations,
        input_bits=graph.input_bits,
    )
    ranges = {name: float(peak.max()) for name, peak in peaks.items()}
    return network, plan_quanta(floats, ranges, graph.input_bits, activations)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6), st.integers(1, 14), st.sampled_from([(4, 16), (8, 8), (8, 16), (16, 16)])
)
def test_quantised_graphs_are_within_their_bound(
    reference: ModuleType, seed: int, layers: int, bits: tuple[int, int]
) -> None:
    graph = FloatGraph(seed, layers)
    network, plan = quantised(graph, *bits)
    stream = graph.stream()
    real, bound = output_bound(graph.floats(), network, plan, stream)
    codes = quantise_input(stream, network).frames
    found = reference.evaluate(network, codes, stream.starts, Numerics(48))
    output = graph.floats().output
    unit = 2.0 ** plan.quanta[output].exponent / plan.divisors[output]
    error = np.abs(found * unit - real)
    assert (error <= bound * (1 + 1e-9)).all(), (error / bound).max()
    if bits == (16, 16):  # a bound that says nothing would hold for anything
        assert bound.max() < 0.01 * max(1.0, np.abs(real).max())
