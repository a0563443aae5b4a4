"""Compile one matrix-vector product on its own, for `spusim layer`."""

import math
from dataclasses import dataclass

import numpy as np

from spusim.arch import Arch, arch_hash
from spusim.arch.reads import unwatched
from spusim.compiler.capacity import check_precision
from spusim.compiler.code import ThreadCode
from spusim.compiler.errors import CompileError
from spusim.compiler.matrix_tiles import lower_matrix, most_tile_rows, row_tiles, store_tile
from spusim.compiler.network import build_core, formats_of
from spusim.compiler.space import CoreSpace
from spusim.compiler.split import Part, elements_per_word, group_rows, split
from spusim.compiler.storage import Packing
from spusim.formats import pack, weight_kind
from spusim.isa import load_isa
from spusim.numerics import numerics_of
from spusim.program import CoreImage, InputPort, Operand, OutputPort, Program


def compile_layer(
    weight: np.ndarray, weight_bits: int, activation_bits: int, arch: Arch, *,
    check_capacity: bool = True, name: str = "layer", pack: Packing = pack,
    codebook: tuple[int, ...] = (),
) -> Program:  # fmt: skip
    """Compile weight (out, in) int to a program that starts with its operand at data word 0.

    Each core has one thread, armed by the token of a frame, and leaves its rows in the
    accumulators (tiles of rows, if there are several, one after the other): the output ports say
    which rows are whose, and no instruction sends them. pack: see `compile_network`. codebook: of
    weights that are its entries, stored as indices of 4 bits. Raises
    CompileError.
    """
    check_precision(arch, name, weight_kind(weight_bits, codebook), activation_bits)
    layer = _Layer(name, weight_bits, codebook)
    if weight.ndim != 2 or 0 in weight.shape:
        raise CompileError(f"layer {name}: weight of shape {weight.shape} must be (out, in)")
    align = math.lcm(group_rows(arch), elements_per_word(arch, activation_bits))
    parts = split(len(weight), align, arch.cores)
    formats, notes = formats_of(arch, [(layer, weight)])
    isa = load_isa()
    cores: list[CoreImage] = []
    layer_of: dict[str, str] = {}
    for core in range(arch.cores):
        space = CoreSpace(arch, core, formats, check_capacity, pack)
        mine = [part for part in parts if part.core == core]
        code = _layer_thread(space, layer, weight, activation_bits, mine)
        cores.append(build_core(isa, space, [code]))
        layer_of |= {tile.name: tile.layer for tile in space.matrices.tiles}
    bits = 32 if arch.numerics.accumulator_bits <= 32 else 64
    return Program(
        name=name,
        isa_version=isa.version,
        arch_name=arch.name,
        word_bits=arch.core.data_memory.word_bits,
        pes=arch.core.pes,
        accumulators=arch.core.pes * arch.core.accumulators,
        numerics=numerics_of(arch.numerics),
        cores=tuple(cores),
        input=InputPort(tuple(p.core for p in parts), 0, 0, weight.shape[1], activation_bits),
        outputs=tuple(OutputPort(p.core, 0, p.offset, p.size, bits) for p in parts),
        init_threads=(),
        hashes={"arch": arch_hash(unwatched(arch))},
        layer_of=layer_of,
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Layer:
    """A layer on its own, as `store_tile` wants to know it."""

    name: str
    weight_bits: int
    codebook: tuple[int, ...]

    @property
    def layer(self) -> str:
        """Its name."""
        return self.name


def _layer_thread(
    space: CoreSpace, layer: _Layer, weight: np.ndarray, activation_bits: int, parts: list[Part],
) -> ThreadCode:  # fmt: skip
    """Return a core's thread: the products of its tiles of rows; no part, no products."""
    ops, name = [], layer.name
    columns = weight.shape[1]
    multiplied = Operand(name, columns, (0,), ((0, 0, columns),))
    for part in parts:
        operand = space.data.vector(f"{name}.operand", columns, activation_bits)
        step = group_rows(space.arch)
        tiles = row_tiles((part.size,), most_tile_rows(space.arch, step, name), step)
        for number, (run,) in enumerate(tiles):
            first = part.offset + run.offset
            rows = weight[first : first + run.rows]
            tile = f"{name}.r{number}" if len(tiles) > 1 else name
            stored = store_tile(space, tile, layer, rows, None, activation_bits, multiplied)
            ops += lower_matrix(space, stored, operand.address)
    return ThreadCode(name, 1, tuple(ops))
