"""Planar images that do not fit: tiles of rows of every plane, outputs of those that do."""

import re
from typing import Any

import numpy as np
import pytest
from convnet_cases import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_reference import evaluate
from planar_cases import Layers, Sides, small_pixel

from spusim import machine
from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network, explain
from spusim.frontend import load_network, load_stream, quantise_input
from spusim.frontend.quantise import quantise
from spusim.golden import run
from spusim.isa import decode_all, load_isa
from spusim.network import Network, Stream
from spusim.numerics import numerics_of
from spusim.program import Program

SMALL = ("core.data_memory.banks=4", "link.channel_words=16")


def tiled_planes(program: Program) -> int:
    """Return the transfers that copy part of several planes."""
    transfers = program.cores[0].transfers
    instructions = decode_all(load_isa(), program.cores[0].code)
    moves = [each for each in instructions if each.mnemonic in ("xld", "xst")]
    return sum(transfers[each.operands["t"]].runs > 1 for each in moves)


def checked(network: Network, arch: Arch, stream: Stream) -> Program:
    """Compile, and compare golden (races checked) with the integer reference."""
    return checked_run(network, arch, stream)[0]


def checked_run(network: Network, arch: Arch, stream: Stream) -> tuple[Program, np.ndarray]:
    """Return also the outputs on which they agree."""
    codes = quantise_input(stream, network)
    program = compile_network(network, arch)
    expected = evaluate(network, codes.frames, codes.starts, numerics_of(arch.numerics))
    found = run(program, codes.frames, codes.starts).outputs
    np.testing.assert_array_equal(found, expected)
    return program, found


def smallest(network: Network, *how: str) -> int:
    """Return words of a bank with which a network compiles, following what refusals advise."""
    words = 4
    while words < 1000:
        try:
            compile_network(network, small_pixel(*SMALL, f"core.data_memory.words={words}", *how))
        except CompileError as error:
            advised = re.search(
                r"needs \d+ words of data.*core.data_memory.words=(\d+)", str(error)
            )
            assert advised, error
            words = max(words + 1, int(advised[1]))
            continue
        return words
    raise AssertionError("1000 words a bank are not enough")


@st.composite
def large_images(draw: Any) -> tuple[Layers, Sides]:
    """Draw convolutions, a pooling and a residual over images of which rows fill words or not."""
    groups = draw(st.sampled_from([1, 2, 4]))
    wide = draw(st.sampled_from([4, 8, 12]))
    sizes = {"kernel": draw(st.integers(1, 3)), "stride": draw(st.integers(1, 2))}
    fill = {"padding": draw(st.integers(0, 2)), "dilation": draw(st.integers(1, 2))}
    pools: list[dict[str, Any]] = [
        {"type": "max_pool2d", "kernel": 2},
        {"type": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1},
        {"type": "avg_pool2d", "kernel": 3, "stride": 1, "padding": 1, "count_padding": False},
        {"type": "global_pool"},
    ]
    bias = draw(st.booleans())
    layers: Layers = [
        {"type": "conv2d", "name": "a", "outputs": wide, "groups": groups, "bias": bias}
        | sizes | fill,
        {"type": draw(st.sampled_from(["relu", "relu6", "tanh"])), "name": "r"},
        {
            "type": "conv2d", "name": "b", "outputs": wide, "kernel": 3, "padding": 1,
            "groups": draw(st.sampled_from([1, wide])), "bias": False,
        },
        {"type": "add", "name": "s", "inputs": ["b", "r"]},
        {"type": "relu", "name": "t"},
        {"name": "p", **draw(st.sampled_from(pools))},
        {"type": "conv2d", "name": "c", "outputs": 3, "kernel": 1},
        {"type": "flatten", "name": "f"},
        {"type": "linear", "name": "l", "outputs": 5},
    ]  # fmt: skip
    width = draw(st.sampled_from([4, 6, 8, 8, 16, 16]))
    return layers, (4, draw(st.integers(8, 24)), width)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    large_images(), st.integers(0, 10**6), st.booleans(), st.sampled_from([8, 16]),
    st.sampled_from([0, 0, 1, 3, 9]), st.sampled_from([4, 32]),
)  # fmt: skip
def test_any_network_in_the_smallest_memory(
    case: tuple[Layers, Sides], seed: int, per_channel: bool, bits: int, spare: int,
    accumulators: int,
) -> None:  # fmt: skip
    """Strides, padding, dilation, groups, residuals, filters in several parts, any tiles."""
    found = drawn(*case, seed=seed, frames=2)
    network = quantise(
        found.network, found.stream, per_channel=per_channel, activation_bits=bits, input_bits=bits
    )
    how = (f"core.accumulators={accumulators}",)
    words = smallest(network, *how) + spare
    checked(network, small_pixel(*SMALL, f"core.data_memory.words={words}", *how), found.stream)


@pytest.mark.parametrize("words", [8, 10, 14, 20, 32, 40])
def test_tiles_of_any_size(words: int) -> None:
    """Fewer words, more tiles, the same outputs as on row64, where nothing streams."""
    network = load_network("cnn_small")
    stream = load_stream("noise:frames=2,seed=3", network)
    arch = load_arch("smartskip", [f"core.data_memory.words={words}", "link.channel_words=16"])
    program, found = checked_run(network, arch, stream)
    assert tiled_planes(program) > 4
    assert all(address + size <= 64 * words for _, address, size in program.cores[0].symbols)
    codes, row = quantise_input(stream, network), load_arch("row64")
    whole = run(compile_network(network, row), codes.frames, codes.starts)
    np.testing.assert_array_equal(found, whole.outputs)


def test_machine_equals_golden_and_bandwidth_only_costs_time() -> None:
    network = load_network("cnn_small")
    codes = quantise_input(load_stream("noise:frames=2,seed=3", network), network)
    fast, slow = (
        load_arch(
            "smartskip", ["core.data_memory.words=12", f"external_memory.bytes_per_cycle={rate}"]
        )
        for rate in (512, 0.5)
    )
    program = compile_network(network, fast)
    meant = run(program, codes.frames, codes.starts)
    found, bound = (
        machine.run(compile_network(network, arch), arch, codes.frames, codes.starts)
        for arch in (fast, slow)
    )
    np.testing.assert_array_equal(found.outputs, meant.outputs)
    np.testing.assert_array_equal(bound.outputs, meant.outputs)
    assert found.cycles < bound.cycles


def test_each_plane_is_a_run() -> None:
    """A tile's transfer has a run for each plane, as far apart outside as whole planes are."""
    network = load_network("cnn_small")
    program = compile_network(network, load_arch("smartskip", ["core.data_memory.words=12"]))
    image = program.cores[0]
    at = next(n for n, text in image.comments.items() if "conv1: store" in text)
    store = decode_all(load_isa(), image.code)[at]
    transfer = image.transfers[store.operands["t"]]
    # relu1 is 16 planes of 32 x 32 elements, of 8 bits: 128 words each, and 4 a row
    assert (transfer.runs, transfer.external_stride) == (16, 128)
    assert transfer.words == transfer.local_stride and transfer.words % 4 == 0
    assert image.comments[at].endswith("of each plane")


def test_what_fits_is_compiled_as_without_external_memory() -> None:
    network = load_network("cnn_small")
    arch = load_arch("smartskip")
    one = compile_network(network, arch)
    other = compile_network(network, load_arch("smartskip", ["external_memory=null"]))
    np.testing.assert_array_equal(one.cores[0].code, other.cores[0].code)
    assert one.cores[0].symbols == other.cores[0].symbols and one.external_words == 0


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_whole_networks_stream(name: str) -> None:
    """Depthwise and strided layers, relu6 and residuals, as where images lie interleaved."""
    settings = ["input.height=64", "input.width=64", "prune.density=0.3"]
    network = load_network(name, settings=settings)
    stream = load_stream("noise:frames=1,seed=3", network)
    room = ["core.data_memory.words=130", "core.index_memory.words=131072"]
    arch = load_arch("smartskip", [*room, "link.channel_words=100"])
    program, found = checked_run(network, arch, stream)
    assert program.input.external == 0 and tiled_planes(program) > 5
    codes = quantise_input(stream, network)
    whole = run(compile_network(network, load_arch("row64_lpddr4")), codes.frames, codes.starts)
    np.testing.assert_array_equal(found, whole.outputs)


def test_the_schedule_is_explained() -> None:
    """Computation is bounded by what conv takes of every weight at every group of positions."""
    arch = load_arch("smartskip", ["core.data_memory.words=12"])
    network = load_network("cnn_small")
    program = compile_network(network, arch)
    codes = quantise_input(load_stream("noise:frames=1,seed=3", network), network)
    text = explain(program, arch)
    table = text[text.index("schedule of a frame") :]
    total = next(line for line in table.splitlines() if line.strip().startswith("total"))
    compute = int(total.split()[-2])
    found = machine.run(program, arch, codes.frames, codes.starts)
    assert found.cycles / 3 < compute < found.cycles


@pytest.mark.parametrize("words", [2, 5])
def test_what_cannot_be_streamed_is_refused(words: int) -> None:
    said = r"layer \w+ needs \d+ words of data memory at once \(.*set core.data_memory.words="
    with pytest.raises(CompileError, match=said):
        compile_network(
            load_network("cnn_small"), load_arch("smartskip", [f"core.data_memory.words={words}"])
        )
