"""Convolutions and poolings: one instruction each, with a window descriptor and, at most, a matrix.

Tensors lie interleaved, position after position without gaps, as the network has them.
"""

from dataclasses import replace

import numpy as np

from spusim.arch import Arch
from spusim.arch.rules import conv_complaint
from spusim.compiler.code import Op, op
from spusim.compiler.distribution import Distribution
from spusim.compiler.errors import CompileError
from spusim.compiler.memory import SCALE_ALIGN_WORDS
from spusim.compiler.places import Places
from spusim.compiler.product import requant_rows
from spusim.compiler.space import CoreSpace
from spusim.compiler.storage import column_tiles, layout_for, tile_format
from spusim.network.records import Convolution, Network, Pooling, Requant, Tensor
from spusim.numerics.convolution import Convolution as Geometry
from spusim.program import (
    ACTIVATION_BITS,
    OUTPUT_BITS,
    TABLE_NONE,
    TABLE_RELU,
    Operand,
    Window,
)

Windowed = Convolution | Pooling

ROUNDINGS = ("arch", "floor", "half_up", "half_even")
SHIFT, TENSOR, FILTER = range(3)  # of a window's `scaling`
MAXIMUM, SUM = range(2)  # and its `pooling`
MOST_PLACES = 255  # of a side of the kernel, and of padding, stride and dilation
MOST_CHANNELS = 2**16 - 1  # and rows and columns


def check_windows(arch: Arch, plan: Distribution) -> None:
    """Raise CompileError for windows that an architecture's instructions do not compute."""
    for node in plan.graph.network.nodes:
        if isinstance(node, Windowed):
            _check_engine(arch, node)
            _check_tensors(arch, plan, node)
            _check_fields(arch, node)


def _check_engine(arch: Arch, node: Windowed) -> None:
    if isinstance(node, Convolution) and (complaint := conv_complaint(arch)):
        raise CompileError(
            f"layer {node.layer} needs the instruction conv, and {complaint}, or a network without "
            "conv2d"
        )
    if arch.cores > 1:
        raise CompileError(
            f"{arch.name}: layer {node.layer} has windows over an image, which are not shared out "
            f"over cores (={arch.cores}); set cores=1"
        )
    if arch.core.dataflow == "pixel":
        raise CompileError(
            f"{arch.name}: layer {node.layer} has an image, which core.dataflow: pixel reads plane "
            "by plane, and networks are laid out position by position; set core.dataflow=row, or "
            "run the layer alone with `spusim layer conv2d`"
        )


def _check_tensors(arch: Arch, plan: Distribution, node: Windowed) -> None:
    """Raise CompileError for tensors whose widths or words an instruction does not take."""
    source, made = plan.graph.tensors[node.a], node.output
    for tensor, known in ((source, ACTIVATION_BITS), (made, OUTPUT_BITS)):
        if tensor.quantum.bits not in known:
            raise CompileError(
                f"layer {node.layer}: {tensor.name} has {tensor.quantum.bits} bits, and a window "
                f"takes {', '.join(map(str, known))}; set quantise.activations to 8 or 16"
            )
        layout = plan.layouts[tensor.name]
        if not all(layout.fills(piece) for piece in range(len(layout.firsts) - 1)):
            raise CompileError(
                f"{arch.name}: layer {node.layer} has windows over {tensor.name}, whose parts do "
                f"not end with words of {layout.word_bits} bits; concatenate or slice multiples of "
                f"{layout.word_bits // layout.bits} channels"
            )


def _check_fields(arch: Arch, node: Windowed) -> None:
    shape = node.geometry
    small = (*shape.reach, *shape.stride, *shape.dilation, *shape.padding)
    sides = shape.channels, shape.filters, shape.height, shape.width
    kernel = shape.kernel_height, shape.kernel_width
    if max(*kernel, *small[2:]) > MOST_PLACES or max(sides) > MOST_CHANNELS:
        raise CompileError(
            f"{arch.name}: layer {node.layer} has windows of {kernel[0]} x {kernel[1]} places "
            f"(padding {shape.padding}) over {shape.height} x {shape.width} x {shape.channels} "
            f"elements, and a window descriptor has room for {MOST_PLACES} and {MOST_CHANNELS}; "
            "split the layer"
        )


def lower_convolution(
    space: CoreSpace, node: Convolution, plan: Distribution, places: Places
) -> list[Op]:
    """Store a convolution's filters, window and scales, and return its instruction."""
    tile = _store(space, node, plan.graph.tensors[node.a])
    window = _window(node.name, node.geometry, plan.graph.tensors[node.a], node)
    scaling, shift, scale = _scaling(space, scale_name(node), node.requant)
    window = replace(window, scaling=scaling, shift=shift, scale=scale)
    return [
        op(
            "conv",
            f"{node.layer}: {_told(node.geometry)}",
            w=space.window(window),
            m=tile,
            d=places.words[node.output.name, 0],
            a=places.operands[node.a].address,
            table=TABLE_RELU if node.relu else TABLE_NONE,
        )
    ]


def lower_pooling(space: CoreSpace, node: Pooling, plan: Distribution, places: Places) -> list[Op]:
    """Store a pooling's window, and return its instruction."""
    window = replace(
        _window(node.name, node.geometry, plan.graph.tensors[node.a], node),
        groups=1,
        pooling=MAXIMUM if node.kind == "max" else SUM,
        multiplier=int(node.requant.multiplier[0]),
        shift=int(node.requant.shift[0]),
        counted=int(node.count_outside),
    )
    operands = {"d": places.words[node.output.name, 0], "a": places.operands[node.a].address}
    comment = f"{node.layer}: {node.kind} of {_told(node.geometry)}"
    return [op("pool", comment, w=space.window(window), **operands)]


def _told(shape: Geometry) -> str:
    kernel = f"{shape.kernel_height} x {shape.kernel_width}"
    image = f"{shape.height} x {shape.width} x {shape.channels}"
    return f"{kernel} over {image} to {shape.out_height} x {shape.out_width} x {shape.filters}"


def _window(name: str, shape: Geometry, source: Tensor, node: Windowed) -> Window:
    top, left, bottom, right = shape.padding
    return Window(
        name, shape.channels, shape.height, shape.width, shape.out_height, shape.kernel_height,
        shape.kernel_width, *shape.stride, *shape.dilation, top, left, bottom, right, shape.groups,
        activation_bits=source.quantum.bits, output_bits=node.output.quantum.bits,
        rounding=ROUNDINGS.index(node.rounding or "arch"),
    )  # fmt: skip


def stored_filters(node: Convolution, form: str) -> np.ndarray:
    """Return the weight as a matrix (filters, columns), columns by (ky, kx, channel) (T36).

    A dense matrix has the channels that a filter sees, others all, with zeros where it sees none.
    """
    shape, weight = node.geometry, node.weight.transpose(0, 2, 3, 1)
    if form == "dense" or shape.groups == 1:
        return weight.reshape(shape.filters, -1)
    inner = shape.channels // shape.groups
    per_group = shape.filters // shape.groups
    whole = np.zeros((*weight.shape[:3], shape.channels), weight.dtype)
    for group in range(shape.groups):
        rows = slice(group * per_group, (group + 1) * per_group)
        whole[rows, :, :, group * inner : (group + 1) * inner] = weight[rows]
    return whole.reshape(shape.filters, -1)


def _store(space: CoreSpace, node: Convolution, source: Tensor) -> int:
    """Store the filters as one matrix, and return its descriptor's number."""
    arch, bits = space.arch, source.quantum.bits
    form = space.formats[node.name]
    weight = stored_filters(node, form)
    form = tile_format(arch, form, weight, node.weight_bits, node.codebook)
    weight = stored_filters(node, form)
    layout = layout_for(arch, form, node.weight_bits, node.bias is not None, node.codebook)
    cuts = column_tiles(arch, layout, weight.shape, bits, node.layer, space.check_capacity)
    if len(cuts) > 1 and space.check_capacity:
        raise CompileError(
            f"{arch.name}: layer {node.layer} has filters of {weight.shape[1]} weights, whose "
            f"pointers and indices core.index_memory.words (={arch.core.index_memory.words}) do "
            "not hold, and a convolution reads all of them at once; enlarge that, or use more PEs"
        )
    operand = Operand(node.name, source.size, (0,), ())
    tile = space.matrices.add(
        node.name, node.layer, weight, node.bias, layout, bits, operand,
        weight.size - node.weight.size, space.tables.codebook(node.codebook),
    )  # fmt: skip
    return tile.number


def scale_name(node: Convolution) -> str:
    """Return the name of a convolution's scale entries."""
    return f"{node.output.name}.scale"


def _scaling(space: CoreSpace, name: str, requant: Requant) -> tuple[int, int, int]:
    """Return how a window scales, its shift, and its scale entries' place."""
    multiplier, shift = requant_rows(requant, slice(None))
    if len(multiplier) == 1 and multiplier[0] == 1:
        return SHIFT, int(shift[0]), 0
    # What shifts left has multiplier 1, and scale entries shift right only.
    left = np.maximum(-shift, 0)
    address = space.scale(name, multiplier << left, np.maximum(shift, 0))
    return FILTER if len(multiplier) > 1 else TENSOR, 0, address // SCALE_ALIGN_WORDS


def shorten_kernels(network: Network, arch: Arch) -> Network:
    """Turn strides over signals into channels where a kernel is too long for a descriptor.

    An image of one column with stride s is one of a s-th of the rows with s times the channels; the
    kernel begins with zeros where the padding is no multiple of s. The order of products stays.
    """
    nodes = tuple(
        _shortened(node) if isinstance(node, Convolution) else node for node in network.nodes
    )
    return replace(network, nodes=nodes)


def _shortened(node: Convolution) -> Convolution:
    shape, stride = node.geometry, node.geometry.stride[0]
    top, _, _, _ = shape.padding
    plain = shape.width == shape.kernel_width == shape.groups == shape.dilation[0] == 1
    if max(shape.kernel_height, top) <= MOST_PLACES or not plain or shape.height % stride:
        return node
    before = -top % stride
    kernel = -(-(shape.kernel_height + before) // stride)
    height, above = shape.height // stride, (top + before) // stride
    below = shape.out_height - 1 + kernel - height - above
    if below < 0 or any(shape.padding[1::2]):
        return node
    after = kernel * stride - shape.kernel_height - before
    weight = np.pad(node.weight, ((0, 0), (0, 0), (before, after), (0, 0)))
    # (filters, channels, taps x stride, 1) -> (filters, stride x channels, taps, 1)
    parts = weight.reshape(shape.filters, shape.channels, kernel, stride)
    weight = parts.transpose(0, 3, 1, 2).reshape(shape.filters, -1, kernel, 1)
    geometry = Geometry(
        shape.channels * stride, height, 1, shape.filters, kernel, 1,
        padding=(above, 0, below, 0),
    )  # fmt: skip
    return replace(node, weight=weight, geometry=geometry)
