"""Networks of images on dataflow `pixel`: stepper, machine and golden agree in values and time."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tally
from chip_agreement import final_differences, frame_differences, golden_differences, machine_run
from chip_stepper import first_difference, step_program

from spusim import golden
from spusim.arch import Arch, load_arch
from spusim.compiler import compile_network
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.frontend.bind import bind, wanted_keys
from spusim.frontend.quantise import quantise
from spusim.frontend.topology import TopologyModel
from spusim.isa import decode_all, load_isa
from spusim.network import Network, Stream
from spusim.program import Program

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


def without_voids(program: Program) -> Program:
    """Return a program whose dense MACs are all of its matrices': the stepper knows no others."""
    cores = [
        replace(core, matrices=tuple(replace(m, void=0) for m in core.matrices))
        for core in program.cores
    ]
    return replace(program, cores=tuple(cores))


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_a_network_agrees_everywhere(name: str, cores: int) -> None:
    network, stream = network_of(CASES[name], 4 if "pixel" in name else 3)
    arch = load_arch("smartskip", [*ARCH, f"cores={cores}"])
    program = without_voids(compile_network(network, arch))
    codes = quantise_input(stream, network)
    agree(program, arch, codes, "programs with convolutions")


MEMORY = ("link.channel_words=16", "external_memory.words=65536", "core.data_memory.banks=4")
STREAMED = {
    "two buffers": ("core.data_memory.words=80",),
    "one buffer": ("core.data_memory.words=50", "external_memory.latency_cycles=3"),
    "transfers hold banks": ("core.data_memory.words=60", "external_memory.data_port=banks"),
    "slow memory": ("core.data_memory.words=50", "external_memory.bytes_per_cycle=0.7"),
}


@pytest.mark.parametrize("name", STREAMED)
def test_tiles_of_planes_agree_everywhere(name: str) -> None:
    """A network that does not fit: loads and stores of some rows of every plane."""
    network = load_network("cnn_small", settings=["input.height=16", "input.width=8"])
    lanes = ["core.pes=4", "core.lanes=4", "core.accumulators=32"]
    arch = load_arch("smartskip", [*ARCH, *lanes, *MEMORY, *STREAMED[name]])
    program = without_voids(compile_network(network, arch))
    used = {each.mnemonic for each in decode_all(load_isa(), program.cores[0].code)}
    assert {"xld", "xst", "yield"} <= used
    assert any(transfer.runs > 1 for transfer in program.cores[0].transfers)
    codes = quantise_input(load_stream("noise:frames=2,seed=3", network), network)
    agree(program, arch, codes, "programs that stream")


def agree(program: Program, arch: Arch, codes: Stream, kind: str) -> None:
    """Assert that stepper, machine and golden agree, and count that as of a kind."""
    given = program, arch, codes.frames, codes.starts
    stepped = step_program(*given)
    result, cores = machine_run(*given)
    meant = golden.run(program, codes.frames, codes.starts)
    found = [first_difference(stepped, result), *final_differences(stepped, cores)]
    found += [*frame_differences(stepped, result), *golden_differences(stepped, meant)]
    assert not any(found), found
    assert np.ptp(meant.outputs) > 3
    tally.compared(kind, stepped.cycles)
