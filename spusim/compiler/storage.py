"""How matrices are stored: format, tiles of columns, and room in the weight and index memories."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from spusim.arch import Arch
from spusim.compiler.errors import CompileError
from spusim.compiler.split import elements_per_word
from spusim.formats import (
    FormatError,
    Layout,
    PackedMatrix,
    entries_per_word,
    footprint,
    format_of,
    pack,
    slice_heights,
    smallest_format,
)
from spusim.formats.footprint import flag_words, pointer_words
from spusim.program import Matrix, Operand

# (weight, layout, bias or None) -> matrix: `pack`, or `outline` where nobody reads the words
Packing = Callable[[np.ndarray, Layout, np.ndarray | None], PackedMatrix]


def remembering(pack: Packing) -> Packing:
    """Return a packing that packs what it has packed before only once."""
    known: dict[tuple[object, ...], PackedMatrix] = {}

    def packed(weight: np.ndarray, layout: Layout, bias: np.ndarray | None) -> PackedMatrix:
        parts = [weight] if bias is None else [weight, bias]
        digests = tuple(blake2b(np.ascontiguousarray(each).data).digest() for each in parts)
        key = (weight.shape, weight.dtype, layout, *digests)
        if key not in known:
            known[key] = pack(weight, layout, bias)
        return known[key]

    return packed


def layout_for(
    arch: Arch, form: str, weight_bits: int, biased: bool, codebook: tuple[int, ...] = ()
) -> Layout:
    """Return how a matrix of a format is packed on an architecture."""
    core = arch.core
    word_bits = core.weight_word_bits
    resident = core.index_memory.mode == "resident"
    pointers = form == "run_length" or (resident and form != "dense")
    group, extent = core.sparse.grouping(form)
    return Layout(
        format=form,
        pes=core.pes,
        word_bits=word_bits,
        index_word_bits=core.index_memory.word_bits if resident else word_bits,
        weight_bits=weight_bits,
        group=group,
        index_bits=core.sparse.index_bits,
        pointer_bits=core.sparse.pointer_bits if pointers else 0,
        bias_bits=arch.bias_bits if biased else 0,
        codebook=codebook,
        extent=extent,
    )


def choose_format(
    arch: Arch, weight: np.ndarray, weight_bits: int, codebook: tuple[int, ...], name: str
) -> tuple[str, str]:
    """Return a layer's format, and a note where `auto` chose it. weight (rows, columns)."""
    sparse = arch.core.sparse
    if sparse.weights == "dense":
        return "dense", ""
    if sparse.format != "auto":
        _check_stored(
            arch, layout_for(arch, sparse.format, weight_bits, False, codebook), weight, name
        )
        return sparse.format, ""
    layouts = [layout_for(arch, form, weight_bits, False, codebook) for form in sparse.formats]
    best = smallest_format(weight, layouts)
    kib = footprint(weight, layouts[sparse.formats.index(best)]).total / 8192
    return best, f"layer {name}: format {best} is the smallest, {kib:.1f} KiB"


def _check_stored(arch: Arch, layout: Layout, weight: np.ndarray, name: str) -> None:
    """Raise CompileError for a weight whose structure the one format cannot store."""
    try:
        format_of(layout).check_weight(weight, layout)
    except FormatError as refusal:
        raise CompileError(f"{arch.name}: layer {name}: {refusal}") from None


def tile_format(
    arch: Arch, form: str, weight: np.ndarray, weight_bits: int, codebook: tuple[int, ...] = ()
) -> str:
    """Return the format of a tile (rows, columns) of a layer that is stored in `form`.

    That is dense where `auto` chose groups which the tile's own rows do not come in: rows shared
    out over cores, or of gates of odd sizes, may begin within one.
    """
    layout = layout_for(arch, form, weight_bits, False, codebook)
    try:
        format_of(layout).check_weight(weight, layout)
    except FormatError:
        if arch.core.sparse.format == "auto" and "dense" in arch.core.sparse.formats:
            return "dense"
        raise
    return form


def short_note(arch: Arch, form: str, weight: np.ndarray, name: str) -> str:
    """Say that blocks or groups do not divide a layer and the last are padded, or nothing."""
    rows, columns = weight.shape
    down, across = arch.core.sparse.grouping(form)
    if form == "block" and (rows % down or columns % across):
        what = f"blocks of {down} x {across}"
    elif form == "n_of_m" and rows % down:
        what = f"groups of {down} rows"
    else:
        return ""
    return (
        f"layer {name}: {rows} x {columns} is no whole number of {what}; the last ones are padded "
        "with rows and columns that do not exist"
    )


def packing_note(arch: Arch, form: str, weight_bits: int, name: str) -> str:
    """Say that a word packs fewer entries than the preset was made for, or nothing."""
    made_for = arch.core.layer_weight_bits
    now, then = (
        entries_per_word(layout_for(arch, form, bits, False)) for bits in (weight_bits, made_for)
    )
    if now >= then:
        return ""
    return (
        f"layer {name}: a {arch.core.weight_word_bits}-bit word packs {now} entries of "
        f"{weight_bits}-bit weights ({form}), where {arch.name} was made for {then} of {made_for} "
        "bits"
    )


def column_tiles(
    arch: Arch, layout: Layout, shape: tuple[int, int], activation_bits: int, name: str,
    check: bool, index_words: int = 0,
) -> list[tuple[int, int]]:  # fmt: skip
    """Cut a matrix (rows, columns) into [first, end) of columns that scanner and index memory hold.

    Cuts are at multiples of a data word's elements and of the scanner's width, so that windows and
    operands of all tiles are aligned. index_words: what a tile may take of a PE's index memory
    where that holds several. Raises CompileError where not even one such unit fits.
    """
    rows, columns = shape
    span = format_of(layout).index_span(layout)  # so that no block is cut in two
    most = columns
    for rule in (_buffer_rule, _index_rule):
        fits, complaint = rule(arch, layout, rows, activation_bits, index_words)
        if not fits(most):
            unit = math.lcm(elements_per_word(arch, activation_bits), arch.core.scanner.width, span)
            units = _most(fits, unit, most // unit)
            if not units and check:
                raise CompileError(f"{arch.name}: layer {name}: {complaint(min(unit, columns))}")
            most = max(1, units) * unit
    return [(first, min(first + most, columns)) for first in range(0, columns, most)]


Rule = tuple[Callable[[int], bool], Callable[[int], str]]


def _buffer_rule(
    arch: Arch, layout: Layout, rows: int, activation_bits: int, index_words: int
) -> Rule:
    words = arch.core.scanner.buffer_words
    columns = words * elements_per_word(arch, activation_bits)
    return (
        lambda n: arch.core.weight_memory is not None or n <= columns,
        lambda n: (
            f"{n} activations of {activation_bits} bits are the fewest that can be scanned at "
            f"once, and core.scanner.buffer_words (={words}) hold {columns}; enlarge the "
            "buffer or take a narrower scanner"
        ),
    )


def _index_rule(
    arch: Arch, layout: Layout, rows: int, activation_bits: int, index_words: int
) -> Rule:
    memory = arch.core.index_memory
    heights = slice_heights(rows, layout)
    most = index_words if memory.mode == "resident" else 0

    def need(columns: int) -> int:
        words = pointer_words(layout, columns) + int(flag_words(layout, heights, columns).max())
        return -(-words * layout.index_word_bits // memory.word_bits)

    return (
        lambda n: (not most and memory.mode == "resident") or need(n) <= (most or memory.words),
        lambda n: (
            f"pointers and indices of {n} columns take {need(n)} words of a PE's index memory, and "
            f"core.index_memory.words (={memory.words}); give it {need(n)} words or use more PEs"
        ),
    )


def _most(fits: Callable[[int], bool], unit: int, limit: int) -> int:
    """Return the largest number of units, at most `limit`, that fit, by bisection; 0 if none."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle * unit) else (low, middle - 1)
    return low


@dataclass(frozen=True)
class StoredMatrix:
    """A tile as it is packed, with its descriptor's number."""

    number: int
    name: str
    layer: str
    packed: PackedMatrix
    activation_bits: int
    operand: Operand
    void: int
    codebook: int  # as in `program.Matrix`

    @property
    def mnemonic(self) -> str:
        """The instruction that reads its format, going on from nothing."""
        return "dmv" if self.packed.layout.format == "dense" else "spmv"

    @property
    def slice_words(self) -> int:
        """Words of the longest slice: bias and entries."""
        return max(len(words) for words in self.packed.slices)

    @property
    def index_words(self) -> int:
        """Words of the longest pointers and indices."""
        return max(len(words) for words in self.packed.indices)


class MatrixStore:
    """The matrices of one core, in the order of their descriptors."""

    def __init__(self, arch: Arch, pack: Packing = pack) -> None:
        self.arch = arch
        self.tiles: list[StoredMatrix] = []
        self._pack = pack

    def add(
        self, name: str, layer: str, weight: np.ndarray, bias: np.ndarray | None, layout: Layout,
        activation_bits: int, operand: Operand, void: int, codebook: int,
    ) -> StoredMatrix:  # fmt: skip
        """Pack a tile (rows, columns); PEs without rows or entries simply have shorter slices."""
        packed = self._pack(weight, layout, bias)
        tile = StoredMatrix(
            len(self.tiles), name, layer, packed, activation_bits, operand, void, codebook
        )
        self.tiles.append(tile)
        return tile

    def read_in_windows(self, number: int, windows: tuple[int, ...]) -> None:
        """Note the first elements of the parts of an image that a matrix is used on in turn."""
        tile = self.tiles[number]
        self.tiles[number] = replace(tile, operand=replace(tile.operand, windows=windows))


@dataclass(frozen=True)
class Storage:
    """Where a core's matrices lie, and what they need.

    rows [first, end): words of a bank where the data banks hold the weights, else words of a PE's
    weight memory; index_words: words of a PE's index memory that are taken.
    """

    matrices: tuple[Matrix, ...]
    depths: tuple[int, ...]
    end_row: int
    index_words: int


def place_matrices(arch: Arch, tiles: list[StoredMatrix], vector_words: int) -> Storage:
    """Put matrices one after the other, behind the vectors where they share a memory."""
    preload = arch.core.index_memory.mode == "preload"
    banks = arch.core.data_memory.banks
    row = 0 if arch.core.weight_memory else -(-vector_words // banks)
    index_base, matrices, depths = 0, [], []
    for tile in tiles:
        matrices.append(
            Matrix(
                tile.name,
                tile.packed,
                tile.activation_bits,
                row,
                index_base,
                preload,
                tile.operand,
                tile.void,
                tile.codebook,
            )
        )
        depths.append(depth_rows(arch, tile))
        row += depths[-1]
        index_base += 0 if preload else tile.index_words
    return Storage(tuple(matrices), tuple(depths), row, index_base)


def depth_rows(arch: Arch, tile: StoredMatrix) -> int:
    """Return the rows that a tile's longest slice takes (T3)."""
    words = max(
        len(words) + (len(index) if arch.core.index_memory.mode == "preload" else 0)
        for words, index in zip(tile.packed.slices, tile.packed.indices, strict=True)
    )
    return -(-words // words_per_row(arch))


def words_per_row(arch: Arch) -> int:
    """Return the words of one PE in a row of weight memory: B/P of the data banks, else one."""
    core = arch.core
    return 1 if core.weight_memory else core.data_memory.banks // core.pes
