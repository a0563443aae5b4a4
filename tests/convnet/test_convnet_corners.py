"""Images in corners: codebooks stored dense, one pixel pooled, planes that nobody reads."""

from typing import Any

import numpy as np
import pytest
from convnet_cases import drawn
from planar_cases import SMALL, small_pixel
from test_convnet_machine import agree

from spusim import machine
from spusim.api import random_layer
from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network
from spusim.compiler.conv_layer import compile_conv_layer
from spusim.frontend import load_network, quantise_input
from spusim.frontend.errors import TopologyError
from spusim.frontend.quantise import quantise
from spusim.network import Network, Stream
from spusim.numerics.convolution import Convolution

LACKING = {
    "overflow=nullify": "no overflow nullify",
    "requantize_overflow=nullify": "no overflow nullify",
    "rounding=stochastic": "no stochastic rounding",
    "partial_sums.every=8": "no requantised partial sums",
}


def conv(name: str, outputs: int, **fields: Any) -> dict[str, Any]:
    """Return a convolution of 3 x 3 that keeps an image's size."""
    return {
        "type": "conv2d", "name": name, "outputs": outputs, "kernel": 3, "padding": 1, **fields
    }  # fmt: skip


def quantised(
    layers: list[dict[str, Any]], shape: tuple[int, int, int], **how: Any
) -> tuple[Network, Stream]:
    """Return layers as a network of 8-bit activations, and two frames for it."""
    found = drawn(layers, shape, seed=3)
    network = quantise(found.network, found.stream, activation_bits=8, input_bits=8, **how)
    return network, found.stream


@pytest.mark.parametrize("dataflow", ["row", "pixel"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("weights", ["codebook8", "codebook"])
def test_codebooks_are_stored_dense(dataflow: str, groups: int, weights: str) -> None:
    """What a dense machine reads of an index is its four bits, whatever the entries are."""
    layers, shape = [conv("a", 6, groups=groups)], (4, 3, 4)
    how = ["core.pes=2", "core.lanes=2", "core.accumulators=32", f"core.dataflow={dataflow}"]
    how += ["core.data_memory.banks=8", "core.scanner.width=4", "core.sparse.activations=dense"]
    dense = ["core.sparse.weights=dense", "core.sparse.format=dense"]
    arch = load_arch("bitmix", [*how, *dense])
    cycles = []
    for form in (weights, "int4"):
        network, stream = quantised(layers, shape, weight_bits=form)
        agree(network, arch, stream)
        codes = quantise_input(stream, network)
        program = compile_network(network, arch)
        cycles.append(machine.run(program, arch, codes.frames, codes.starts).cycles)
    assert cycles[0] == cycles[1]


@pytest.mark.parametrize("setting", LACKING)
def test_arithmetic_that_windows_lack_is_refused_with_the_layer(setting: str) -> None:
    arch = load_arch("row64", [f"numerics.{setting}"])
    with pytest.raises(CompileError, match=f"row64: layer conv1: convo.*{LACKING[setting]}"):
        compile_network(load_network("cnn_small"), arch)
    weight = random_layer(9, 2, 0.5, 0.5, 1, 1, 8, 8)[0].reshape(2, 1, 3, 3)
    with pytest.raises(CompileError, match=f"layer conv2d: convo.*{LACKING[setting]}"):
        compile_conv_layer(weight, Convolution(1, 3, 3, 2, 3, 3), 8, 8, arch)


@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
def test_one_pixel_is_pooled_to_several(kind: str) -> None:
    """The pixel is the only place inside of each of the four windows."""
    pool = {"type": kind, "name": "p", "kernel": 2, "stride": 1, "padding": 1}
    network, stream = quantised([conv("a", 3, kernel=2, padding=0), pool], (2, 2, 2))
    outputs = agree(network, small_pixel(), stream).reshape(2, 4, 3)
    assert np.ptp(outputs) > 3
    np.testing.assert_array_equal(outputs, np.repeat(outputs[:, :1], 4, axis=1))


def streaming(words: int) -> Arch:
    return load_arch(
        "smartskip",
        [*SMALL, "core.data_memory.banks=4", f"core.data_memory.words={words}",
         "link.channel_words=16"],
    )  # fmt: skip


def test_planes_that_nobody_reads_do_not_stream() -> None:
    """Of the clipped channels one is made; what is made in part is not cut into rows."""
    layers = [
        conv("a", 4), {"type": "relu6", "name": "r"},
        {"type": "slice", "name": "s", "first": 3, "size": 1}, conv("b", 2, padding=0),
    ]  # fmt: skip
    network, stream = quantised(layers, (2, 9, 9))
    with pytest.raises(CompileError, match="words of data memory"):
        compile_network(network, streaming(20))
    assert compile_network(network, streaming(28)).external_words
    agree(network, streaming(28), stream)


@pytest.mark.parametrize("dilation", [3, [3, 1]])
def test_windows_that_hold_nothing_are_refused(dilation: Any) -> None:
    """One place above the image and one below: PyTorch finds minus infinity there."""
    pool = {
        "type": "max_pool2d", "name": "p", "kernel": 2, "stride": 1, "padding": 1,
        "dilation": dilation,
    }  # fmt: skip
    with pytest.raises(TopologyError, match=r"image of 2 x 2 is lost: .* pad less"):
        drawn([pool], (2, 2, 2))
    drawn([pool], (2, 5, 5))
