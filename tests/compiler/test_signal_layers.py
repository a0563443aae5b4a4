"""Signal layers: floats as PyTorch's, integers near them, all rooms of one opinion."""

import numpy as np
import pytest
from compiler_networks import reference
from signal_cases import CASES, made, torch_outputs

from spusim import machine
from spusim.arch import load_arch
from spusim.compiler import compile_network
from spusim.frontend import quantise_input
from spusim.frontend.chain import float_forward
from spusim.frontend.quantise import quantise
from spusim.golden import run
from spusim.network import tensor

# settings of spu001, and bits of activations
ARCHS = {
    "one core": (["cores=1", "core.sparse.format=bitmap", "core.ports=shared"], 16),
    "small words": (["core.data_memory.word_bits=32", "core.vector.lanes=4"], 16),
    "bytes, half even": (["numerics.rounding=half_even", "core.sparse.pencil=4"], 8),
    "tables without interpolation": (["numerics.table_interpolate=false"], 16),
}
ROOM = ["core.instruction_memory.words=60000", "core.sequencer.descriptors=256"]


@pytest.mark.parametrize("name", CASES)
def test_floats_are_those_of_torch(name: str) -> None:
    case = CASES[name]
    drawn = made(case)
    found = float_forward(drawn.network, drawn.stream.frames, drawn.stream.starts)
    np.testing.assert_allclose(found, torch_outputs(case, drawn), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_integers_are_near_and_agree(name: str) -> None:
    case = CASES[name]
    drawn = made(case, seed=2)
    network = quantise(drawn.network, drawn.stream, weight_bits=16, per_channel=True)
    frames = quantise_input(drawn.stream, network).frames
    arch = load_arch("spu001", ["core.precisions.16x16=1", "numerics.accumulator_bits=48", *ROOM])
    program = compile_network(network, arch)
    golden = run(program, frames, (0,))
    exponent = tensor(network, network.output).quantum.exponent
    expected = torch_outputs(case, drawn)
    error = np.abs(np.ldexp(golden.outputs.astype(float), exponent) - expected)
    assert error.max() <= case.bound * np.abs(expected).max(), (error.max(), np.abs(expected).max())
    np.testing.assert_array_equal(golden.outputs, reference(network, arch, frames, (0,)))
    assert np.array_equal(machine.run(program, arch, frames, (0,)).outputs, golden.outputs)


@pytest.mark.parametrize("machine_name", ARCHS)
@pytest.mark.parametrize("name", CASES)
def test_rooms_agree_on_other_machines(name: str, machine_name: str) -> None:
    settings, bits = ARCHS[machine_name]
    drawn = made(CASES[name], seed=3, frames=3)
    network = quantise(drawn.network, drawn.stream, activation_bits=bits, input_bits=bits)
    frames = quantise_input(drawn.stream, network).frames
    arch = load_arch("spu001", [*ROOM, *settings])
    program = compile_network(network, arch)
    golden = run(program, frames, (0,))
    np.testing.assert_array_equal(golden.outputs, reference(network, arch, frames, (0,)))
    assert np.array_equal(machine.run(program, arch, frames, (0,)).outputs, golden.outputs)
