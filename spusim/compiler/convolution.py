"""Convolutions and poolings: an instruction each, with a window descriptor and, at most, a matrix.

Tensors lie interleaved, position after position without gaps, as the network has them; or planar,
where `planar` has put them in that order. A convolution of more filters than dataflow `pixel` has
accumulators for is one instruction for each part of them.
"""

from dataclasses import dataclass, replace

import numpy as np

from spusim.arch import Arch
from spusim.arch.engine_rules import conv_complaint
from spusim.compiler.code import Op, op
from spusim.compiler.distribution import Distribution
from spusim.compiler.errors import CompileError
from spusim.compiler.filters import Part, filter_parts
from spusim.compiler.gather import MOST_CHANNELS, MOST_PLACES, gathering, scattering
from spusim.compiler.memory import SCALE_ALIGN_WORDS, words_of
from spusim.compiler.pieces import Layout, alike, broken_words
from spusim.compiler.places import Places
from spusim.compiler.requantising import requant_rows
from spusim.compiler.space import CoreSpace
from spusim.compiler.storage import column_tiles, layout_for, tile_format
from spusim.network.graph import Windowed
from spusim.network.records import Convolution, Cut, Join, Network, Pooling, Requant, Tensor
from spusim.numerics import STOCHASTIC
from spusim.numerics.convolution import Convolution as Geometry
from spusim.numerics.convolution import missing_modes
from spusim.program import (
    ACTIVATION_BITS,
    OUTPUT_BITS,
    PLANAR,
    TABLE_NONE,
    TABLE_RELU,
    Operand,
    Window,
)

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
    if complaint := modes_complaint(arch, node.rounding):
        raise CompileError(f"{arch.name}: layer {node.layer}: {complaint}")


def modes_complaint(arch: Arch, rounding: str | None = None) -> str:
    """Say which arithmetic of an architecture windows lack, "" if none; rounding: a node's own."""
    numerics = arch.numerics
    return missing_modes(
        STOCHASTIC in (numerics.rounding, rounding),
        "nullify" in (numerics.overflow, numerics.requantize_overflow),
        bool(numerics.partial_sums.every),
    )


def _check_tensors(arch: Arch, plan: Distribution, node: Windowed) -> None:
    """Raise CompileError for tensors whose widths or words an instruction does not take."""
    source, made = plan.graph.tensors[node.a], node.output
    for tensor, known, role in ((source, ACTIVATION_BITS, "input"), (made, OUTPUT_BITS, "output")):
        if tensor.quantum.bits not in known:
            raise CompileError(
                f"layer {node.layer}: its {role} has {tensor.quantum.bits} bits, and a window "
                f"takes {', '.join(map(str, known))}; set quantise.activations to 8 or 16"
            )
        layout = plan.layouts[tensor.name]
        if layout.planar:
            _check_planes(arch, plan, node, layout)
        elif broken_words(layout):
            raise CompileError(
                f"{arch.name}: layer {node.layer} has windows over an image whose parts, which "
                f"{_cutter(plan, layout)}, do not fill words of {layout.word_bits} bits; "
                f"concatenate or slice multiples of {layout.word_bits // layout.bits} channels, or "
                "take core.dataflow pixel (smartskip), where each channel lies apart"
            )


def _check_planes(arch: Arch, plan: Distribution, node: Windowed, layout: Layout) -> None:
    """Raise CompileError for planes that are cut within words."""
    pixels = plan.graph.pixels[layout.name]
    plane = words_of(pixels, layout.bits, layout.word_bits)
    inside = [
        first
        for first, word in zip(layout.firsts, layout.words, strict=False)
        if word != first // pixels * plane + first % pixels * layout.bits // layout.word_bits
    ]
    if inside:
        raise CompileError(
            f"{arch.name}: layer {node.layer} has windows over an image whose planes of {pixels} "
            f"pixels, which {_cutter(plan, layout)}, are cut at element {inside[0]}, within a word "
            f"of {layout.word_bits} bits; concatenate or slice whole channels"
        )


def _cutter(plan: Distribution, layout: Layout) -> str:
    """Say which layer has an image in parts, by its name in the network file."""
    graph = plan.graph
    leaders = alike(graph, ("element", "cut", "state", "join"))
    for node in graph.network.nodes:
        if isinstance(node, Join | Cut) and leaders[node.output.name] == leaders[layout.name]:
            return f"layer {node.layer} joins or slices"
    maker = graph.makers.get(layout.name)
    return f"layer {maker.layer} makes" if maker else "come as input"


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
class Span:
    """What a core computes of a window's output: `size` elements from `first` on, at a word."""

    first: int
    size: int
    word: int


def _spans(space: CoreSpace, node: Windowed, plan: Distribution, places: Places) -> list[Span]:
    name = node.output.name
    layout, spans = plan.layouts[name], list[Span]()
    for piece, workers in enumerate(plan.workers[name]):
        if space.core not in workers:
            continue
        first, size = layout.firsts[piece], layout.sizes[piece]
        last = spans[-1] if spans else None
        if last and last.first + last.size == first:
            spans[-1] = replace(last, size=last.size + size)
        else:
            spans.append(Span(first, size, places.words[name, piece]))
    return spans


def lower_convolution(
    space: CoreSpace, node: Convolution, plan: Distribution, places: Places
) -> list[Op]:
    """Store a core's filters of a convolution, windows and scales, and return its instructions.

    Of planes it computes some filters, of interleaved images some rows of the output.
    """
    shape, bits = node.geometry, plan.graph.tensors[node.a].quantum.bits
    pixels = plan.graph.pixels.get(node.output.name)
    ops: list[Op] = []
    for span in _spans(space, node, plan, places):
        plane = pixels or span.size
        filters = range(span.first // plane, (span.first + span.size) // plane)
        if not pixels:
            filters = range(shape.filters)
        parts = [*filter_parts(space.arch, node, bits, filters)]
        for part in parts:
            name = f"{node.name}.f{part.filters.start}" if len(parts) > 1 else node.name
            ops.append(_lower_part(space, node, part, name, span, plan, places))
    return ops


def _lower_part(
    space: CoreSpace, whole: Convolution, part: Part, name: str, span: Span, plan: Distribution,
    places: Places,
) -> Op:  # fmt: skip
    source, node = plan.graph.tensors[whole.a], part.of(whole, name)
    planar = whole.a in plan.graph.pixels
    inner = whole.geometry.channels // whole.geometry.groups
    first = part.groups.start * inner
    operand = Operand(whole.name, source.size, (first,), (), channels=whole.geometry.channels)
    tile = _store(space, node, space.formats[whole.name], operand, source.quantum.bits, planar)
    window = _window(name, node.geometry, source, node, planar)
    scaling, shift, scale = _scaling(space, scale_name(node), node.requant)
    window = replace(window, scaling=scaling, shift=shift, scale=scale)
    if not planar:
        window = _rows(window, whole, span)
    a = places.operands[whole.a].address + _plane_word(plan, whole.a, first)
    d = span.word
    if planar:
        plane = span.first // plan.graph.pixels[whole.output.name]
        d += _plane_word(plan, whole.output.name, part.filters.start)
        d -= _plane_word(plan, whole.output.name, plane)
    table = TABLE_RELU if node.relu else TABLE_NONE
    comment = f"{node.layer}: {_told(node.geometry)}"
    return op("conv", comment, w=space.window(window), m=tile, d=d, a=a, table=table)


def _rows(window: Window, node: Windowed, span: Span) -> Window:
    """Return a window over an interleaved image that computes a span's rows of the output."""
    row = node.geometry.out_width * node.geometry.filters
    return replace(window, first_row=span.first // row, rows=span.size // row)


def _plane_word(plan: Distribution, name: str, plane: int) -> int:
    """Return the word at which a tensor's plane begins, from its first on."""
    layout = plan.layouts[name]
    return layout.words[layout.index(plane * plan.graph.pixels[name])] if plane else 0


def lower_pooling(space: CoreSpace, node: Pooling, plan: Distribution, places: Places) -> list[Op]:
    """Store a core's windows of a pooling, and return its instructions."""
    return [
        _lower_pool(space, node, span, plan, places.operands[node.a].address)
        for span in _spans(space, node, plan, places)
    ]


def _lower_pool(
    space: CoreSpace, node: Pooling, span: Span, plan: Distribution, address: int
) -> Op:
    """Return a pooling's instruction; of some planes, or rows of the output.

    Where only one of its tensors has planes, they are the rows of one channel.
    """
    source, shape, pixels = plan.graph.tensors[node.a], node.geometry, plan.graph.pixels
    reads, makes = (name in pixels for name in (node.a, node.output.name))
    if makes and reads:
        plane = pixels[node.output.name]
        address += _plane_word(plan, node.a, span.first // plane)
        shape = replace(
            shape,
            channels=span.size // plane,
            filters=span.size // plane,
            groups=span.size // plane,
        )
    elif makes:
        shape = scattering(shape.channels, source.quantum.bits, space.data.word_bits)
    elif reads:
        gathered = gathering(shape, source.quantum.bits, space.data.word_bits)
        assert gathered is not None, node.name
        shape = gathered
    window = replace(
        _window(node.name, shape, source, node, makes and reads),
        groups=1,
        pooling=MAXIMUM if node.kind == "max" else SUM,
        multiplier=int(node.requant.multiplier[0]),
        shift=int(node.requant.shift[0]),
        counted=int(node.count_outside),
    )
    if not (reads or makes):
        window = _rows(window, node, span)
    comment = f"{node.layer}: {node.kind} of {_told(node.geometry)}"
    return op("pool", comment, w=space.window(window), d=span.word, a=address)


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


def _store(
    space: CoreSpace, node: Convolution, form: str, operand: Operand, bits: int, planar: bool
) -> int:
    """Store the filters as one matrix, and return its descriptor's number."""
    arch = space.arch
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
