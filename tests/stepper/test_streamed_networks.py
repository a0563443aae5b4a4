"""Networks that the compiler streams: the naive stepper and the machine agree cycle by cycle."""

import numpy as np
import pytest
import tally
from chip_agreement import final_differences, frame_differences, golden_differences, machine_run
from chip_stepper import first_difference, step_program

from spusim import golden
from spusim.arch import Arch, load_arch
from spusim.compiler import compile_network
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.isa import decode_all, load_isa
from spusim.program import Program

SMALL = (
    "core.pes=4", "core.lanes=2", "core.scanner.width=8", "core.data_memory.banks=4",
    "core.vector.lanes=4", "core.weight_memory.words=1024", "link.channel_words=16",
)  # fmt: skip
MACHINES = {
    "double buffers": ("core.data_memory.words=40", "core.weight_memory.words=100"),
    "slow memory": ("core.data_memory.words=40", "external_memory.bytes_per_cycle=0.7"),
    "transfers hold banks": ("core.data_memory.words=44", "external_memory.data_port=banks"),
    "one context": ("core.data_memory.words=40", "core.sequencer.contexts=1"),
}


PLANAR = (
    "core.pes=4", "core.lanes=2", "core.accumulators=8", "core.data_memory.banks=4",
    "core.scanner.width=4", "core.vector.lanes=4", "link.channel_words=16",
    "external_memory.words=65536",
)  # fmt: skip
PLANAR_MACHINES = {
    "double buffers": ("core.data_memory.words=80",),
    "one buffer": ("core.data_memory.words=46", "external_memory.latency_cycles=3"),
    "transfers hold banks": ("core.data_memory.words=60", "external_memory.data_port=banks"),
    "slow memory": ("core.data_memory.words=50", "external_memory.bytes_per_cycle=0.7"),
}


def streamed_planes(*how: str) -> tuple[Program, Arch, np.ndarray]:
    """Return the same network in planes: filters in several parts, tiles of their rows."""
    arch = load_arch("smartskip", [*PLANAR, *how])
    settings = ["input.height=16", "input.width=8", "layers.conv3.groups=1"]
    network = load_network("cnn_small", settings=settings)
    codes = quantise_input(load_stream("noise:frames=2,seed=3", network), network)
    return compile_network(network, arch), arch, codes.frames


def streamed(*how: str) -> tuple[Program, Arch, np.ndarray]:
    """Return a small network that does not fit, its machine and two frames."""
    memory = "words: 65536, bytes_per_cycle: 6.5, latency_cycles: 9, data_port: own"
    outside = f"external_memory={{{memory}}}"
    arch = load_arch("row64", [outside, *SMALL, *how])
    # The stepper counts dense MACs of all channels, so that there are no groups here.
    settings = ["input.height=8", "input.width=8", "layers.conv3.groups=1"]
    network = load_network("cnn_small", settings=settings)
    codes = quantise_input(load_stream("noise:frames=2,seed=3", network), network)
    return compile_network(network, arch), arch, codes.frames


@pytest.mark.parametrize("name", MACHINES)
def test_streamed_networks_agree(name: str) -> None:
    program, arch, frames = streamed(*MACHINES[name])
    used = {each.mnemonic for each in decode_all(load_isa(), program.cores[0].code)}
    assert {"xld", "xst", "yield"} <= used
    assert program.input.external == 0
    agree(program, arch, frames, "programs that stream")


@pytest.mark.parametrize("name", PLANAR_MACHINES)
def test_streamed_planes_agree(name: str) -> None:
    program, arch, frames = streamed_planes(*PLANAR_MACHINES[name])
    used = {each.mnemonic for each in decode_all(load_isa(), program.cores[0].code)}
    assert {"xld", "xst", "yield"} <= used
    assert any(transfer.runs > 1 for transfer in program.cores[0].transfers)
    agree(program, arch, frames, "programs that stream planes")


def agree(program: Program, arch: Arch, frames: np.ndarray, kind: str) -> None:
    """Assert that stepper, machine and golden agree, and count that as of a kind."""
    stepped = step_program(program, arch, frames, (0, 1))
    result, cores = machine_run(program, arch, frames, (0, 1))
    parts = [first_difference(stepped, result), *final_differences(stepped, cores)]
    parts += frame_differences(stepped, result)
    parts += golden_differences(stepped, golden.run(program, frames, (0, 1)))
    found = "\n".join(part for part in parts if part)
    assert not found, found
    tally.compared(kind, stepped.cycles)
