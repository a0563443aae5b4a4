"""Networks of images on dataflow `pixel`: stepper, machine and golden agree in values and time."""

import json
from typing import Any

import numpy as np
import pytest
import tally
from chip_agreement import final_differences, frame_differences, golden_differences, machine_run
from chip_stepper import first_difference, step_program
from network_macs import dense_macs

from spusim import golden
from spusim.arch import load_arch
from spusim.compiler import compile_network
from spusim.frontend import quantise_input
from spusim.frontend.bind import bind, wanted_keys
from spusim.frontend.quantise import quantise
from spusim.frontend.topology import TopologyModel
from spusim.network import Network, Stream

ARCH = [
    "core.pes=2", "core.lanes=2", "core.accumulators=8", "core.data_memory.banks=4",
    "core.data_memory.words=2048", "core.scanner.width=4", "core.vector.lanes=4",
]  # fmt: skip
CONV = {"type": "conv2d", "name": "a", "outputs": 5, "kernel": 3, "padding": 1, "bias": False}
CASES: dict[str, list[dict[str, Any]]] = {
    "an image leaves": [CONV, {"type": "relu", "name": "r"}],
    "residual, pooled to a vector": [
        CONV, {"type": "conv2d", "name": "b", "outputs": 5, "kernel": 1, "groups": 5},
        {"type": "add", "name": "s", "inputs": ["a", "b"]}, {"type": "global_pool", "name": "p"},
        {"type": "flatten", "name": "f"}, {"type": "linear", "name": "l", "outputs": 3},
    ],
    "channels joined, planes flattened": [
        CONV, {"type": "concat", "name": "c", "inputs": ["a", "input"]},
        {"type": "max_pool2d", "name": "p", "kernel": 2}, {"type": "flatten", "name": "f"},
        {"type": "linear", "name": "l", "outputs": 3},
    ],
    "one pixel between": [
        {"type": "global_pool", "name": "p"}, {**CONV, "name": "b", "outputs": 4, "groups": 2},
        {"type": "conv2d", "name": "d", "outputs": 3, "kernel": 1, "padding": 1},
    ],
}  # fmt: skip


def network_of(layers: list[dict[str, Any]], channels: int) -> tuple[Network, Stream]:
    """Return layers over an image of 3 x 5 pixels with random weights, half of them pruned."""
    shape = {"channels": channels, "height": 3, "width": 5}
    said = {"name": "case", "input": shape, "layers": layers}
    topology = TopologyModel.model_validate_json(json.dumps(said))
    rng = np.random.default_rng(5)
    tensors = {
        key: rng.normal(size=size) * (rng.random(size) < 0.5)
        for key, size in wanted_keys(topology).items()
    }
    stream = Stream(rng.normal(size=(2, channels * 15)), (0,), ("a",))
    floats = bind(topology, tensors)
    return quantise(floats, stream, activation_bits=8, input_bits=8), stream


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_a_network_agrees_everywhere(name: str, cores: int) -> None:
    network, stream = network_of(CASES[name], 4 if "pixel" in name else 3)
    arch = load_arch("smartskip", [*ARCH, f"cores={cores}"])
    program = compile_network(network, arch)
    codes = quantise_input(stream, network)
    given = program, arch, codes.frames, codes.starts
    stepped = step_program(*given)
    result, cores = machine_run(*given)
    meant = golden.run(program, codes.frames, codes.starts)
    found = [first_difference(stepped, result), *final_differences(stepped, cores)]
    found += [*frame_differences(stepped, result), *golden_differences(stepped, meant)]
    assert not any(found), found
    assert np.ptp(meant.outputs) > 3
    assert result.macs["dense"] == len(codes.frames) * dense_macs(network)
    tally.compared("programs with convolutions", stepped.cycles)
