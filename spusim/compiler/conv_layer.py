"""Compile one convolution on its own, for `spusim layer conv2d`."""

from dataclasses import dataclass, replace

import numpy as np

from spusim.arch import Arch, arch_hash
from spusim.arch.engine_rules import conv_complaint
from spusim.arch.reads import unwatched
from spusim.compiler.capacity import check_precision
from spusim.compiler.code import ThreadCode, op
from spusim.compiler.convolution import modes_complaint
from spusim.compiler.errors import CompileError
from spusim.compiler.memory import ADDRESS_WORDS, words_of
from spusim.compiler.network import build_core, formats_of
from spusim.compiler.space import CoreSpace
from spusim.compiler.storage import Packing, layout_for
from spusim.formats import pack, weight_kind
from spusim.isa import IsaError, encode_record, load_isa
from spusim.numerics import numerics_of
from spusim.numerics.convolution import Convolution
from spusim.program import (
    PLANAR,
    TABLE_NONE,
    InputPort,
    Operand,
    OutputPort,
    Program,
    Window,
    window_record,
)

RAW_BITS = 32


@dataclass(frozen=True)
class _Layer:
    """The layer, as formats are chosen for it."""

    name: str
    weight_bits: int
    codebook: tuple[int, ...] = ()

    @property
    def layer(self) -> str:
        """Its name."""
        return self.name


def compile_conv_layer(
    weight: np.ndarray, shape: Convolution, weight_bits: int, activation_bits: int, arch: Arch, *,
    check_capacity: bool = True, name: str = "conv2d", pack: Packing = pack,
) -> Program:  # fmt: skip
    """Compile a convolution to one `conv` whose activations lie at data word 0.

    weight (filters, channels of a group, R, S) int. pack: see `compile_network`. Raises
    CompileError for what the machine cannot compute or hold.
    """
    _check(arch, name)
    check_precision(arch, name, weight_kind(weight_bits, ()), activation_bits)
    window = conv_window(name, shape, activation_bits, arch)
    dense = arch.core.sparse.weights == "dense"
    matrix = conv_matrix(weight, shape, window.planar, dense)
    formats, notes = formats_of(arch, [(_Layer(name, weight_bits), matrix)])
    if formats[name] == "dense":
        matrix = conv_matrix(weight, shape, window.planar, True)
    space = CoreSpace(arch, 0, formats, check_capacity, pack)
    elements = operand_elements(window, arch.core.data_memory.word_bits)
    space.data.vector(f"{name}.operand", elements, activation_bits)
    layout = layout_for(arch, formats[name], weight_bits, False)
    void = matrix.size - weight.size
    operand = Operand(name, shape.channels * shape.height * shape.width, (0,), ())
    space.matrices.add(name, name, matrix, None, layout, activation_bits, operand, void, 0)
    end = space.data.used_words % ADDRESS_WORDS
    code = op("conv", f"{name}: {shape.filters} filters", w=0, m=0, d=end, a=0, table=TABLE_NONE)
    isa = load_isa()
    image = replace(build_core(isa, space, [ThreadCode(name, 1, (code,))]), windows=(window,))
    outputs = shape.filters * shape.positions
    return Program(
        name=name,
        isa_version=isa.version,
        arch_name=arch.name,
        word_bits=arch.core.data_memory.word_bits,
        pes=arch.core.pes,
        accumulators=arch.core.pes * arch.core.accumulators,
        numerics=numerics_of(arch.numerics),
        cores=(image,),
        input=InputPort((0,), 0, 0, elements, activation_bits),
        outputs=(OutputPort(0, 0, 0, outputs, RAW_BITS),),
        init_threads=(),
        hashes={"arch": arch_hash(unwatched(arch))},
        layer_of={name: name},
        notes=tuple(notes),
    )


def _check(arch: Arch, name: str) -> None:
    if complaint := conv_complaint(arch):
        raise CompileError(f"layer {name}: {complaint}")
    if complaint := modes_complaint(arch):
        raise CompileError(f"{arch.name}: layer {name}: {complaint}")
    if arch.cores > 1:
        raise CompileError(
            f"layer {name}: a convolution on its own is one core's, and {arch.name} has "
            f"{arch.cores}; set cores=1"
        )


def conv_window(name: str, shape: Convolution, activation_bits: int, arch: Arch) -> Window:
    """Return the window of a whole convolution, its results raw; raises CompileError."""
    top, left, bottom, right = shape.padding
    window = Window(
        name, shape.channels, shape.height, shape.width, shape.out_height, shape.kernel_height,
        shape.kernel_width, *shape.stride, *shape.dilation, top, left, bottom, right, shape.groups,
        layout=PLANAR if arch.core.dataflow == "pixel" else 0, activation_bits=activation_bits,
        output_bits=RAW_BITS,
    )  # fmt: skip
    try:
        encode_record(load_isa(), "window", window_record(window))
    except IsaError as error:
        raise CompileError(f"layer {name}: a window cannot say it: {error}") from error
    return window


def conv_matrix(weight: np.ndarray, shape: Convolution, planar: bool, dense: bool) -> np.ndarray:
    """Return the stored matrix of weights (filters, channels of a group, R, S) (T36, T49).

    (filters, columns): of all channels, or `dense` of those that a filter sees.
    """
    if not dense and shape.groups > 1:
        inputs, per_group = shape.channels // shape.groups, shape.filters // shape.groups
        spread = np.zeros((shape.filters, shape.channels, *weight.shape[2:]), weight.dtype)
        for group in range(shape.groups):
            rows = slice(group * per_group, (group + 1) * per_group)
            spread[rows, group * inputs : (group + 1) * inputs] = weight[rows]
        weight = spread
    ordered = weight if planar else np.moveaxis(weight, 1, 3)
    return np.ascontiguousarray(ordered).reshape(shape.filters, -1)


def operand_elements(window: Window, word_bits: int) -> int:
    """Return the elements that a window's operand takes, planes filled up to whole words."""
    pixels, bits = window.height * window.width, window.activation_bits
    if not window.planar:
        return pixels * window.channels
    return window.channels * words_of(pixels, bits, word_bits) * word_bits // bits
