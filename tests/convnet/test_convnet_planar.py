"""Networks on machines of dataflow `pixel`: planes of images, and the values of dataflow `row`."""

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from convnet_cases import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_reference import evaluate
from planar_cases import Layers, Sides, image_networks, small_pixel

from spusim import machine
from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network
from spusim.compiler.explain import explain
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.frontend.quantise import quantise
from spusim.golden import run
from spusim.isa import decode_all, load_isa
from spusim.network import Network, Stream
from spusim.numerics import Numerics
from spusim.program import Program


def agree(network: Network, arch: Arch, stream: Stream) -> tuple[Program, np.ndarray]:
    """Run a network on golden, machine and the reference; return outputs that all agree on."""
    codes = quantise_input(stream, network)
    program = compile_network(network, arch)
    n = arch.numerics
    numerics = Numerics(n.accumulator_bits, n.overflow, n.rounding, n.requantize_overflow)
    golden = run(program, codes.frames, codes.starts).outputs
    np.testing.assert_array_equal(golden, evaluate(network, codes.frames, codes.starts, numerics))
    found = machine.run(program, arch, codes.frames, codes.starts)
    np.testing.assert_array_equal(found.outputs, golden)
    return program, golden


def quantised(case: tuple[Layers, Sides], seed: int = 1, bits: int = 8) -> tuple[Network, Stream]:
    """Return drawn layers as a network, and frames for it."""
    found = drawn(*case, seed=seed, frames=2)
    network = quantise(
        found.network, found.stream, per_channel=bool(seed % 2), activation_bits=bits,
        input_bits=bits,
    )  # fmt: skip
    return network, found.stream


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    image_networks(), st.integers(0, 10**6), st.sampled_from([8, 16]),
    st.sampled_from(["skip", "skip", "decompress", "dense"]), st.sampled_from([4, 32]),
    st.sampled_from([1, 1, 2, 3]),
)  # fmt: skip
def test_generated_networks_agree(
    case: tuple[Layers, Sides], seed: int, bits: int, weights: str, accumulators: int, cores: int
) -> None:
    how = [f"core.sparse.weights={weights}", f"core.accumulators={accumulators}"]
    how += [f"cores={cores}"]
    how += ["core.sparse.format=dense"] * (weights == "dense")
    network, stream = quantised(case, seed, bits)
    agree(network, small_pixel(*how), stream)


@pytest.mark.parametrize("name", ["cnn_small", "resnet18", "mobilenet_v2"])
def test_shipped_networks_give_what_they_give_on_row64(name: str) -> None:
    settings = ["prune.density=0.2"]
    if name != "cnn_small":
        settings += ["input.height=32", "input.width=32"]
    network = load_network(name, settings=settings)
    stream = load_stream("noise:frames=1,seed=3", network)
    larger = ["core.weight_memory.words=131072", "core.index_memory.words=131072"]
    _, outputs = agree(network, load_arch("smartskip", larger), stream)
    codes, row = quantise_input(stream, network), load_arch("row64", larger)
    found = machine.run(compile_network(network, row), row, codes.frames, codes.starts)
    np.testing.assert_array_equal(found.outputs, outputs)
    assert np.ptp(outputs) > 20


def test_a_signal_with_a_long_kernel_comes_in_planes_of_its_phases() -> None:
    """CREPE's first stride of 4 makes 4 planes of 256 samples of a frame of 1024."""
    sets = ["quantise.activations=8", "input.bits=8", "prune.density=0.3"]
    network = load_network("pitch_tracker", settings=sets)
    stream = load_stream("noise:frames=1,seed=3", network)
    program, outputs = agree(network, load_arch("smartskip"), stream)
    assert (program.input.elements, program.input.planes) == (1024, 4)
    assert np.ptp(outputs) > 1000


def conv(name: str, outputs: int, **fields: Any) -> dict[str, Any]:
    """Return a convolution of 3 x 3 that keeps an image's size."""
    return {
        "type": "conv2d", "name": name, "outputs": outputs, "kernel": 3, "padding": 1, **fields
    }  # fmt: skip


def mnemonics(program: Program) -> Counter[str]:
    """Count a program's instructions."""
    return Counter(each.mnemonic for each in decode_all(load_isa(), program.cores[0].code))


def test_channels_of_any_number_are_joined_without_a_copy() -> None:
    layers = [
        conv("a", 3), conv("b", 5, input="input"),
        {"type": "concat", "name": "c", "inputs": ["a", "b"]}, conv("d", 2),
    ]  # fmt: skip
    network, stream = quantised((layers, (2, 3, 7)))  # 21 pixels: 3 elements of a word stay free
    program, _ = agree(network, small_pixel(), stream)
    assert mnemonics(program)["conv"] == 3 and not mnemonics(program)["vmov"]
    assert not mnemonics(program)["spmv"]
    joined = {name: (at, words) for name, at, words in program.cores[0].symbols}["c"]
    assert joined[1] == 8 * 3  # planes of 21 elements of 8 bits


def test_elements_between_planes_are_computed_with_them() -> None:
    """Two instructions for all channels of an image whose planes do not fill their words."""
    layers = [
        conv("a", 6), conv("b", 6),
        {"type": "add", "name": "s", "inputs": ["a", "b"]}, {"type": "relu", "name": "r"},
        conv("d", 2),
    ]  # fmt: skip
    network, stream = quantised((layers, (2, 3, 7)))
    program, _ = agree(network, small_pixel(), stream)
    assert (mnemonics(program)["vadd"], mnemonics(program)["vrelu"]) == (1, 1)


def test_a_linear_layer_sees_no_elements_between_planes() -> None:
    """Its columns there are gaps: no MACs, and zeros where nobody computes them."""
    layers = [conv("a", 4), {"type": "flatten", "name": "f"}, {"type": "linear", "name": "l",
              "outputs": 3}]  # fmt: skip
    network, stream = quantised((layers, (2, 3, 3)))
    program, _ = agree(network, small_pixel(), stream)
    product = program.cores[0].matrices[-1]
    assert product.dense_macs == 3 * 4 * 9
    assert product.operand.runs == tuple((16 * plane, 9 * plane, 9) for plane in range(4))


def test_a_pooled_image_is_a_vector() -> None:
    """Global pooling reads planes as rows of one channel: an operand without gaps."""
    layers = [
        conv("a", 8), {"type": "global_pool", "name": "p"}, {"type": "flatten", "name": "f"},
        {"type": "linear", "name": "l", "outputs": 3},
    ]  # fmt: skip
    network, stream = quantised((layers, (2, 3, 7)))
    program, _ = agree(network, small_pixel(), stream)
    pool = program.cores[0].windows[-1]
    assert (pool.channels, pool.height, pool.width, pool.planar) == (1, 8, 24, False)
    assert program.cores[0].matrices[-1].packed.columns == 8


def test_a_convolution_over_one_pixel_is_a_product() -> None:
    """Of a kernel of 3 x 3 only the middle lies on the pixel."""
    layers = [
        conv("a", 8), {"type": "global_pool", "name": "p"}, conv("b", 6),
        {"type": "relu", "name": "r"}, {"type": "flatten", "name": "f"},
        {"type": "linear", "name": "l", "outputs": 3},
    ]  # fmt: skip
    network, stream = quantised((layers, (2, 3, 7)))
    program, _ = agree(network, small_pixel(), stream)
    assert (mnemonics(program)["conv"], mnemonics(program)["spmv"]) == (1, 2)
    shapes = [(m.packed.rows, m.packed.columns) for m in program.cores[0].matrices]
    assert shapes[1:] == [(6, 8), (3, 6)]


def test_more_filters_than_accumulators_are_several_instructions() -> None:
    layers = [conv("a", 10), conv("b", 10, groups=10), conv("c", 12, groups=2)]
    network, stream = quantised((layers, (2, 4, 5)))
    program, _ = agree(network, small_pixel("core.accumulators=4"), stream)
    counts = [len(m.packed.slices) and m.packed.rows for m in program.cores[0].matrices]
    assert counts == [4, 4, 2, 4, 4, 2, 4, 2, 4, 2]  # 4 PEs of one filter each
    names = [w.name for w in program.cores[0].windows]
    assert names[:3] == ["a.f0", "a.f4", "a.f8"] and names[-1] == "c.f10"


def test_filters_are_shared_out_over_cores_and_leave_from_each() -> None:
    layers = [
        conv("a", 6), conv("b", 6, groups=6), {"type": "max_pool2d", "name": "p", "kernel": 2}
    ]  # fmt: skip
    network, stream = quantised((layers, (2, 4, 6)))
    program, _ = agree(network, small_pixel("cores=2"), stream)
    assert [(p.core, p.offset, p.planes, p.stride) for p in program.outputs] == [
        (0, 0, 3, 6), (1, 3, 3, 6),
    ]  # fmt: skip
    for core in program.cores:
        a, b, pool = core.windows
        assert (a.channels, b.channels, b.groups, pool.channels) == (2, 3, 3, 3)
    # depthwise filters and pooling follow the planes of their core: nothing is exchanged
    assert all(len(core.threads) == 2 for core in program.cores)


def test_an_image_that_leaves_is_in_the_networks_order() -> None:
    network, stream = quantised(([conv("a", 3)], (2, 3, 7)))
    program, outputs = agree(network, small_pixel(), stream)
    (port,) = program.outputs
    assert (port.planes, port.elements) == (3, 63) and outputs.shape == (2, 63)
    row = load_arch("row64")
    codes = quantise_input(stream, network)
    found = machine.run(compile_network(network, row), row, codes.frames, codes.starts)
    np.testing.assert_array_equal(found.outputs, outputs)


def test_explain_names_the_layout() -> None:
    arch, network = load_arch("smartskip"), load_network("cnn_small")
    text = explain(compile_network(network, arch), arch)
    assert "input: 3072 elements of 8 bits, to core 0, in 3 planes" in text
    assert re.search(r"1 +pool1 +32 x 32 x 16 +2 x 2 +16 +8 +8 +planar", text)
    row = load_arch("row64")
    assert "interleaved" in explain(compile_network(network, row), row)


BIG = {"type": "prune_top", "name": "t", "keep": 9}
POSITIONS = {"type": "concat", "name": "t", "inputs": ["a", "a"], "axis": "positions"}


@pytest.mark.parametrize("layer", [BIG, POSITIONS])
def test_large_images_in_two_orders_are_refused(layer: dict[str, Any]) -> None:
    network, _ = quantised(([conv("a", 9), layer], (1, 31, 31)))
    told = r"smartskip: layer t takes or makes .*, of \d+ elements, by \w+ where others"
    with pytest.raises(CompileError, match=told):
        compile_network(network, small_pixel())


def test_a_pe_needs_accumulators_for_a_group_of_rows() -> None:
    network, _ = quantised(([conv("a", 9)], (1, 5, 5)))
    how = ["core.sparse.format=pencil", "core.sparse.formats=[dense,pencil]"]
    how += ["core.sparse.pencil=8", "core.accumulators=16"]
    with pytest.raises(CompileError, match=r"stores rows by 8, .*give it 32 accumulators"):
        compile_network(network, small_pixel(*how))
