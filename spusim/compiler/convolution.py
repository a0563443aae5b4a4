"""Convolutions and poolings: an instruction each, with a window descriptor and, at most, a matrix.

Tensors lie interleaved, position after position without gaps, as the network has them; or planar,
where `planar` has put them in that order. A convolution of more filters than dataflow `pixel` has
accumulators for is one instruction for each part of them.
"""

from dataclasses import dataclass, replace

import numpy as np

from spusim.arch import Arch
from spusim.arch.rules import conv_complaint
from spusim.compiler.code import Op, op
from spusim.compiler.distribution import Distribution
from spusim.compiler.errors import CompileError
from spusim.compiler.gather import MOST_CHANNELS, MOST_PLACES, gathering, scattering
from spusim.compiler.memory import SCALE_ALIGN_WORDS, words_of
from spusim.compiler.pieces import Layout
from spusim.compiler.places import Places
from spusim.compiler.product import requant_rows
from spusim.compiler.space import CoreSpace
from spusim.compiler.split import group_rows
from spusim.compiler.storage import column_tiles, layout_for, tile_format
from spusim.formats import weight_kind
from spusim.network.records import Convolution, Network, Pooling, Requant, Tensor
from spusim.numerics.convolution import Convolution as Geometry
from spusim.program import (
    ACTIVATION_BITS,
    OUTPUT_BITS,
    PLANAR,
    TABLE_NONE,
    TABLE_RELU,
    Operand,
    Window,
)

Windowed = Convolution | Pooling

ROUNDINGS = ("arch", "floor", "half_up", "half_even")
SHIFT, TENSOR, FILTER = range(3)  # of a window's `scaling`
MAXIMUM, SUM = range(2)  # and its `pooling`


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
        if layout.planar:
            _check_planes(arch, node, layout, plan.graph.pixels[tensor.name])
        elif not all(layout.fills(piece) for piece in range(len(layout.firsts) - 1)):
            raise CompileError(
                f"{arch.name}: layer {node.layer} has windows over {tensor.name}, whose parts do "
                f"not end with words of {layout.word_bits} bits; concatenate or slice multiples of "
                f"{layout.word_bits // layout.bits} channels"
            )


def _check_planes(arch: Arch, node: Windowed, layout: Layout, pixels: int) -> None:
    """Raise CompileError for planes that are cut within words."""
    plane = words_of(pixels, layout.bits, layout.word_bits)
    inside = [
        first
        for first, word in zip(layout.firsts, layout.words, strict=False)
        if word != first // pixels * plane + first % pixels * layout.bits // layout.word_bits
    ]
    if inside:
        raise CompileError(
            f"{arch.name}: layer {node.layer} has windows over {layout.name}, whose planes of "
            f"{pixels} pixels are cut at element {inside[0]}, within a word of {layout.word_bits} "
            "bits; concatenate or slice whole channels"
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


@dataclass(frozen=True)
class Part:
    """Filters of a convolution that one instruction computes, and the groups they are of."""

    filters: range
    groups: range

    def of(self, node: Convolution, name: str) -> Convolution:
        """Return these filters as a convolution over the channels that they see."""
        rows = slice(self.filters.start, self.filters.stop)
        inner = node.geometry.channels // node.geometry.groups
        geometry = replace(
            node.geometry, channels=inner * len(self.groups), filters=len(self.filters),
            groups=len(self.groups),
        )  # fmt: skip
        pair = node.requant.multiplier, node.requant.shift
        requant = Requant(*(x if len(x) == 1 else x[rows] for x in pair))
        bias = None if node.bias is None else node.bias[rows]
        weight = node.weight[rows]
        return replace(
            node, name=name, weight=weight, bias=bias, geometry=geometry, requant=requant
        )


def filter_parts(arch: Arch, node: Convolution, activation_bits: int) -> tuple[Part, ...]:
    """Cut a convolution's filters into as many as accumulators take at once (T43).

    Raises CompileError where a PE has none for a single group of rows.
    """
    shape = node.geometry
    most = _most_filters(arch, node, activation_bits)
    per_group = shape.filters // shape.groups
    if shape.filters <= most:
        return (Part(range(shape.filters), range(shape.groups)),)
    if per_group <= most:
        step = most // per_group
        groups = (range(g, min(g + step, shape.groups)) for g in range(0, shape.groups, step))
        return tuple(Part(range(g.start * per_group, g.stop * per_group), g) for g in groups)
    return tuple(
        Part(range(first, min(first + most, end)), range(group, group + 1))
        for group in range(shape.groups)
        for end in ((group + 1) * per_group,)
        for first in range(end - per_group, end, most)
    )


def _most_filters(arch: Arch, node: Convolution, activation_bits: int) -> int:
    core, group = arch.core, group_rows(arch)
    if core.dataflow == "row":
        return node.geometry.filters
    precision = f"{weight_kind(node.weight_bits, node.codebook)}x{activation_bits}"
    rates: dict[str, int] = dict(core.precisions)  # type: ignore[arg-type]
    positions = core.lanes * rates[precision]
    filters = core.accumulators // positions // group * group
    if not filters:
        raise CompileError(
            f"{arch.name}: layer {node.layer}: a PE stores rows by {group}, and "
            f"core.accumulators (={core.accumulators}) at {positions} positions hold "
            f"{core.accumulators // positions}; give it {group * positions} accumulators"
        )
    return core.pes * filters


def lower_convolution(
    space: CoreSpace, node: Convolution, plan: Distribution, places: Places
) -> list[Op]:
    """Store a convolution's filters, windows and scales, and return its instructions."""
    source = plan.graph.tensors[node.a]
    parts = filter_parts(space.arch, node, source.quantum.bits)
    return [
        _lower_part(space, node, part, f"{node.name}.f{part.filters.start}", plan, places)
        if len(parts) > 1
        else _lower_part(space, node, part, node.name, plan, places)
        for part in parts
    ]


def _lower_part(
    space: CoreSpace, whole: Convolution, part: Part, name: str, plan: Distribution, places: Places
) -> Op:
    source, node = plan.graph.tensors[whole.a], part.of(whole, name)
    planar = whole.a in plan.graph.pixels
    tile = _store(space, node, space.formats[whole.name], source, planar)
    window = _window(name, node.geometry, source, node, planar)
    scales = scale_name(whole) if name == whole.name else f"{name}.scale"
    scaling, shift, scale = _scaling(space, scales, node.requant)
    window = replace(window, scaling=scaling, shift=shift, scale=scale)
    channel = part.groups.start * (whole.geometry.channels // whole.geometry.groups)
    begins = (
        places.operands[whole.a].address + _plane_word(plan, whole.a, channel),
        places.words[whole.output.name, 0]
        + _plane_word(plan, whole.output.name, part.filters.start),
    )
    table = TABLE_RELU if node.relu else TABLE_NONE
    comment = f"{node.layer}: {_told(node.geometry)}"
    return op(
        "conv", comment, w=space.window(window), m=tile, d=begins[1], a=begins[0], table=table
    )


def _plane_word(plan: Distribution, name: str, plane: int) -> int:
    """Return the word at which a tensor's plane begins."""
    layout = plan.layouts[name]
    return layout.words[layout.index(plane * plan.graph.pixels[name])] if plane else 0


def lower_pooling(space: CoreSpace, node: Pooling, plan: Distribution, places: Places) -> list[Op]:
    """Store a pooling's window, and return its instruction.

    Where only one of its tensors has planes, they are the rows of one channel.
    """
    source, shape = plan.graph.tensors[node.a], node.geometry
    reads, makes = (name in plan.graph.pixels for name in (node.a, node.output.name))
    if makes and not reads:
        shape = scattering(shape.channels, source.quantum.bits, space.data.word_bits)
    elif reads and not makes:
        rows = gathering(shape, source.quantum.bits, space.data.word_bits)
        assert rows is not None, node.name
        shape = rows
    planar = reads and makes
    window = replace(
        _window(node.name, shape, source, node, planar),
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


def _window(name: str, shape: Geometry, source: Tensor, node: Windowed, planar: bool) -> Window:
    top, left, bottom, right = shape.padding
    return Window(
        name, shape.channels, shape.height, shape.width, shape.out_height, shape.kernel_height,
        shape.kernel_width, *shape.stride, *shape.dilation, top, left, bottom, right, shape.groups,
        layout=PLANAR if planar else 0, activation_bits=source.quantum.bits,
        output_bits=node.output.quantum.bits,
        rounding=ROUNDINGS.index(node.rounding or "arch"),
    )  # fmt: skip


def stored_filters(node: Convolution, form: str, planar: bool = False) -> np.ndarray:
    """Return the weight as a matrix (filters, columns) (T36).

    Columns are by (ky, kx, channel), or, planar, by (channel, ky, kx). A dense matrix has the
    channels that a filter sees, others all, with zeros where it sees none.
    """
    shape, weight = node.geometry, node.weight
    if form != "dense" and shape.groups > 1:
        inner = shape.channels // shape.groups
        per_group = shape.filters // shape.groups
        weight = np.zeros((shape.filters, shape.channels, *weight.shape[2:]), weight.dtype)
        for group in range(shape.groups):
            rows = slice(group * per_group, (group + 1) * per_group)
            weight[rows, group * inner : (group + 1) * inner] = node.weight[rows]
    ordered = weight if planar else weight.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(ordered).reshape(shape.filters, -1)


def _store(space: CoreSpace, node: Convolution, form: str, source: Tensor, planar: bool) -> int:
    """Store the filters as one matrix, and return its descriptor's number."""
    arch, bits = space.arch, source.quantum.bits
    weight = stored_filters(node, form, planar)
    form = tile_format(arch, form, weight, node.weight_bits, node.codebook)
    weight = stored_filters(node, form, planar)
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
