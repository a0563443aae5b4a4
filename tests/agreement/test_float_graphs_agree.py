"""Random float graphs, quantised and compiled: all implementations agree on every bit."""

import numpy as np
import pytest
import rooms  # noqa: F401
from chip_agreement import disagreements
from compiler_networks import arch_of, reference
from float_graphs import FloatGraph

from spusim import machine
from spusim.compiler import compile_network
from spusim.frontend import quantise_input
from spusim.frontend.quantised import quantise_topology
from spusim.network import Network, Stream

SEEDS = range(10)


def drawn(seed: int) -> tuple[Network, Stream]:
    """Return a quantised graph and the integers of its frames."""
    rng = np.random.default_rng(seed)
    bits = rng.choice([8, 16], 2)
    graph = FloatGraph(seed, int(rng.integers(3, 14)), int(bits[0]))
    quantise = {
        "weights": int(rng.choice([4, 8, 16])),
        "activations": int(bits[1]),
        "per_channel": bool(rng.random() < 0.5),
    }
    network = quantise_topology(graph.floats(), graph.topology(**quantise), graph.stream())
    return network, quantise_input(graph.stream(), network)


@pytest.mark.parametrize("seed", SEEDS)
def test_quantised_graphs_agree(seed: int) -> None:
    network, codes = drawn(seed)
    arch = arch_of(f"cores={1 + seed % 3}")
    program = compile_network(network, arch)
    found = disagreements(program, arch, codes.frames, codes.starts, kind="compiled networks")
    assert not found, found
    outputs = machine.run(program, arch, codes.frames, codes.starts).outputs
    expected = reference(network, arch, codes.frames, codes.starts)
    assert outputs.tolist() == expected.tolist()


def test_graphs_use_all_nodes_of_merging() -> None:
    nodes = [node for seed in SEEDS for node in drawn(seed)[0].nodes]
    names = [node.name for node in nodes]
    assert {type(node).__name__ for node in nodes} >= {"Join", "Cut", "Combine", "Shift", "Apply"}
    assert any(".divided" in name for name in names)
    assert any(".int" in name for name in names), "no conversion to another quantum"
    kinds = {name.rpartition(" ")[2] for name in names if " " in name}
    assert {"add", "sub", "mul", "max", "min"} <= kinds
