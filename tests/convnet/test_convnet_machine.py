"""Convolutional networks end to end: golden, machine and the integer reference of one opinion."""

from typing import Any

import numpy as np
import pytest
from convnet_cases import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_reference import evaluate

from spusim import machine
from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network
from spusim.compiler.convolution import shorten_kernels
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.frontend.chain import float_forward
from spusim.frontend.quantise import quantise
from spusim.golden import run
from spusim.isa import decode_all, load_isa
from spusim.network import Convolution, Network, Stream
from spusim.numerics import Numerics


def agree(network: Network, arch: Arch, stream: Stream) -> np.ndarray:
    """Run a network everywhere, and return the outputs that all agree on."""
    codes = quantise_input(stream, network)
    program = compile_network(network, arch)
    n = arch.numerics
    numerics = Numerics(n.accumulator_bits, n.overflow, n.rounding, n.requantize_overflow)
    golden = run(program, codes.frames, codes.starts).outputs
    np.testing.assert_array_equal(golden, evaluate(network, codes.frames, codes.starts, numerics))
    found = machine.run(program, arch, codes.frames, codes.starts)
    np.testing.assert_array_equal(found.outputs, golden)
    return golden


def test_cnn_small_on_row64() -> None:
    network, arch = load_network("cnn_small"), load_arch("row64")
    outputs = agree(network, arch, load_stream("noise:frames=2,seed=3", network))
    assert np.ptp(outputs) > 20


def test_pitch_tracker_on_row64() -> None:
    """CREPE's first kernel, of 512 samples, becomes 129 taps of 4 channels."""
    network = load_network("pitch_tracker", settings=["prune.density=0.3"])
    arch = load_arch("row64", ["core.index_memory.words=8192"])
    frames = load_stream("noise:frames=1,seed=3", network)
    program = compile_network(network, arch)
    first = program.cores[0].windows[0]
    assert (first.kernel_height, first.channels, first.height, first.top) == (129, 4, 256, 64)
    assert np.ptp(agree(network, arch, frames)) > 1000


@st.composite
def networks(draw: Any) -> tuple[list[dict[str, Any]], tuple[int, int, int]]:
    """Draw a network with convolutions, pooling, batch norms and a residual."""
    groups = draw(st.sampled_from([1, 2, 4]))
    channels, wide = 4, draw(st.sampled_from([4, 8, 12]))
    stride = draw(st.integers(1, 2))
    pool = draw(
        st.sampled_from(
            [
                {"type": "max_pool2d", "kernel": 2},
                {"type": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1},
                {"type": "avg_pool2d", "kernel": 3, "stride": 1, "padding": 1},
                {
                    "type": "avg_pool2d", "kernel": 2, "stride": 1, "padding": 1,
                    "count_padding": False,
                },
                {"type": "global_pool"},
            ]
        )
    )  # fmt: skip
    layers = [
        {
            "type": "conv2d", "name": "a", "outputs": wide, "kernel": draw(st.integers(1, 3)),
            "stride": stride, "padding": draw(st.integers(0, 2)), "groups": groups,
            "dilation": draw(st.integers(1, 2)), "bias": draw(st.booleans()),
        },
        {"type": "relu", "name": "r"},
        {"type": "batch_norm", "name": "n"},
        {
            "type": "conv2d", "name": "b", "outputs": wide, "kernel": 3, "padding": 1,
            "groups": draw(st.sampled_from([1, wide])), "bias": False,
        },
        {"type": "batch_norm", "name": "m"},
        {"type": "add", "name": "s", "inputs": ["m", "n"]},
        {"type": "relu", "name": "t"},
        {"name": "p", **pool},
        {"type": "flatten", "name": "f"},
        {"type": "linear", "name": "l", "outputs": 5},
    ]  # fmt: skip
    return layers, (channels, draw(st.integers(5, 8)), draw(st.integers(5, 7)))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    networks(), st.integers(0, 10**6), st.booleans(), st.sampled_from([8, 16]),
    st.sampled_from(["half_up", "half_even", "floor"]), st.sampled_from(["bitmap", "dense"]),
)  # fmt: skip
def test_rooms_agree(
    case: tuple[list[dict[str, Any]], tuple[int, int, int]], seed: int, per_channel: bool,
    bits: int, rounding: str, form: str,
) -> None:  # fmt: skip
    found = drawn(*case, seed=seed, frames=2)
    network = quantise(
        found.network, found.stream, per_channel=per_channel, activation_bits=bits, input_bits=bits
    )
    how = [f"numerics.rounding={rounding}", f"core.sparse.format={form}"]
    agree(network, load_arch("row64", how), found.stream)


def test_a_baseline_stores_everything() -> None:
    """The dense twin, whose depthwise filters are stored without the channels they do not see."""
    network = load_network("cnn_small")
    settings = ["core.sparse.weights=dense", "core.sparse.activations=dense"]
    arch = load_arch("row64", [*settings, "core.sparse.format=dense"])
    agree(network, arch, load_stream("noise:frames=1,seed=3", network))


@pytest.mark.parametrize("kernel", [5, 6, 9])
@pytest.mark.parametrize("padding", [[0, 0, 0, 0], [3, 0, 2, 0], [4, 0, 1, 0]])
def test_long_kernels_become_channels(
    monkeypatch: pytest.MonkeyPatch, kernel: int, padding: list[int]
) -> None:
    monkeypatch.setattr("spusim.compiler.convolution.MOST_PLACES", 4)
    layer = {
        "type": "conv2d", "name": "c", "outputs": 3, "kernel": [kernel, 1], "stride": [4, 1],
        "padding": padding,
    }  # fmt: skip
    found = drawn([layer], (2, 32, 1))
    network = quantise(found.network, found.stream, weight_bits=16)
    arch = load_arch("row64")
    short = shorten_kernels(network, arch)
    (node,) = short.nodes
    assert isinstance(node, Convolution) and node.geometry.stride == (1, 1)
    codes = quantise_input(found.stream, network)
    ways = [evaluate(each, codes.frames, codes.starts, Numerics(48)) for each in (network, short)]
    np.testing.assert_array_equal(*ways)
    assert float_forward(found.network, found.stream.frames, (0, 1)).shape == ways[0].shape


REFUSED = {
    ("spu001", ()): "layer conv1 needs the instruction conv, and spu001 cannot convolve: that "
    "takes core.weight_memory, core.ports: reserved and core.hazard: bypass",
    ("row64", ("core.index_memory.words=8",)): "index_memory",
}


@pytest.mark.parametrize("arch", REFUSED)
def test_machines_that_cannot_are_told_why(arch: tuple[str, tuple[str, ...]]) -> None:
    name, how = arch
    with pytest.raises(CompileError, match=REFUSED[arch]):
        compile_network(load_network("cnn_small"), load_arch(name, list(how)))


@pytest.mark.parametrize(("cores", "share"), [(2, 0.55), (3, 0.43)])
def test_rows_of_images_are_shared_out_over_cores(cores: int, share: float) -> None:
    network, one = load_network("cnn_small"), load_arch("row64")
    stream = load_stream("noise:frames=2,seed=3", network)
    arch = load_arch("row64", [f"cores={cores}"])
    outputs = agree(network, arch, stream)
    np.testing.assert_array_equal(outputs, agree(network, one, stream))
    program, codes = compile_network(network, arch), quantise_input(stream, network)
    found = [
        sum(each.mnemonic == "conv" for each in decode_all(load_isa(), core.code))
        for core in program.cores
    ]
    assert found == [4] * cores
    cycles = [
        machine.run(compile_network(network, a), a, codes.frames, codes.starts).cycles
        for a in (one, arch)
    ]
    assert cycles[1] < share * cycles[0]


def test_narrow_tensors_are_refused() -> None:
    network = load_network("cnn_small", settings=["quantise.activations=4"])
    with pytest.raises(CompileError, match="4 bits, and a window takes 8, 16, 32"):
        compile_network(network, load_arch("row64", ["core.precisions.8x4=1"]))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_whole_networks_at_reduced_size(name: str) -> None:
    settings = ["input.height=32", "input.width=32", "prune.density=0.2"]
    network = load_network(name, settings=settings)
    larger = {"weight_memory": 131072, "index_memory": 131072}
    arch = load_arch("row64", [f"core.{memory}.words={words}" for memory, words in larger.items()])
    outputs = agree(network, arch, load_stream("noise:frames=1,seed=3", network))
    assert outputs.shape == (1, 1000) and np.ptp(outputs) > 20
