"""Networks that the compiler streams: the naive stepper and the machine agree cycle by cycle."""

import numpy as np
import pytest
import tally
from chip_agreement import final_differences, frame_differences, golden_differences, machine_run
from chip_stepper import first_difference, step_program
from chip_words import first_word_difference
from network_macs import dense_macs

from spusim import golden
from spusim.arch import Arch, load_arch
from spusim.compiler import compile_network
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.isa import decode_all, load_isa
from spusim.machine.trace import trace_run
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


def streamed(*how: str) -> tuple[Program, Arch, np.ndarray, int]:
    """Return a small network that does not fit, its machine, two frames, and a frame's MACs."""
    memory = "words: 65536, bytes_per_cycle: 6.5, latency_cycles: 9, data_port: own"
    outside = f"external_memory={{{memory}}}"
    arch = load_arch("row64", [outside, *SMALL, *how])
    settings = ["input.height=8", "input.width=8"]
    network = load_network("cnn_small", settings=settings)
    codes = quantise_input(load_stream("noise:frames=2,seed=3", network), network)
    return compile_network(network, arch), arch, codes.frames, dense_macs(network)


@pytest.mark.parametrize("name", MACHINES)
def test_streamed_networks_agree(name: str) -> None:
    program, arch, frames, macs = streamed(*MACHINES[name])
    used = {each.mnemonic for each in decode_all(load_isa(), program.cores[0].code)}
    assert {"xld", "xst", "yield"} <= used
    assert program.input.external == 0
    stepped = step_program(program, arch, frames, (0, 1), trace=True)
    result, cores = machine_run(program, arch, frames, (0, 1))
    _, trace = trace_run(program, arch, frames, (0, 1))
    parts = [first_difference(stepped, result), *final_differences(stepped, cores)]
    parts += [*frame_differences(stepped, result), first_word_difference(stepped, trace)]
    parts += golden_differences(stepped, golden.run(program, frames, (0, 1)))
    found = "\n".join(part for part in parts if part)
    assert not found, found
    assert result.macs["dense"] == len(frames) * macs
    tally.compared("programs that stream", stepped.cycles)
