"""Small memories force tiles of rows and columns; results stay the reference's."""

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of, golden, reference

from spusim.compiler import compile_network
from spusim.compiler.matrix_tiles import row_tiles
from spusim.isa import decode_all, load_isa
from spusim.network import tensors_of
from spusim.program import Program


def builder_of(seed: int) -> NetworkBuilder:
    """An Lstm and Linears that no small memory holds in one piece."""
    return NetworkBuilder(seed, 30).lstm(26).linear(45, requant="channel").linear(9)


def compiled(builder: NetworkBuilder, *settings: str) -> Program:
    """Compile and check the outputs."""
    network, frames, arch = builder.build(), builder.frames(3), arch_of(*settings)
    program = compile_network(network, arch)
    outputs = golden(program, frames, [0]).outputs
    np.testing.assert_array_equal(outputs, reference(network, arch, frames, [0]))
    return program


def mnemonics(program: Program, core: int = 0) -> list[str]:
    """Return a core's instructions."""
    return [i.mnemonic for i in decode_all(load_isa(), program.cores[core].code)]


@pytest.mark.parametrize(("cores", "rows"), [(1, [30, 30, 30, 14]), (2, [30, 10])])
@pytest.mark.parametrize("form", ["pencil", "bitmap", "dense", "run_length"])
def test_row_tiles(form: str, cores: int, rows: list[int]) -> None:
    """32 accumulators hold part of 4 x 26 rows; gates are cut at multiples of 4."""
    program = compiled(
        builder_of(1), "core.accumulators=16", f"core.sparse.format={form}", f"cores={cores}"
    )
    matrices = [m for m in program.cores[-1].matrices if program.layer_of[m.name] == "lstm0"]
    assert [m.packed.rows for m in matrices] == rows


def test_column_tiles_by_scanner_buffer() -> None:
    """A buffer of 5 words holds 20 activations, so 58 columns are three tiles."""
    program = compiled(builder_of(2), "core.scanner.buffer_words=5")
    widths = [m.packed.columns for m in program.cores[0].matrices if m.name.startswith("lstm0")]
    assert widths == [20, 20, 18]
    assert mnemonics(program).count("spmva") == 2 + 1 + 2
    biased = [m.packed.layout.bias_bits for m in program.cores[0].matrices[:3]]
    assert biased == [32, 0, 0]


def test_column_tiles_are_whole_windows() -> None:
    """Tiles end where scanner windows and data words do: at multiples of 12 here."""
    program = compiled(builder_of(2), "core.scanner.buffer_words=5", "core.scanner.width=6")
    assert [m.packed.columns for m in program.cores[0].matrices[:5]] == [12, 12, 12, 12, 10]


def test_column_tiles_by_index_memory() -> None:
    """Pencil maps: 104 rows are 13 bits a column and PE, of which 7 words hold 34 columns."""
    program = compiled(builder_of(3), "core.index_memory.words=7")
    tiles = [m for m in program.cores[0].matrices if m.name.startswith("lstm0")]
    assert [m.packed.columns for m in tiles] == [32, 26]
    assert all(len(index) <= 7 for m in tiles for index in m.packed.indices)


@pytest.mark.parametrize("cores", [1, 3])
def test_rows_and_columns_at_once(cores: int) -> None:
    """Tiles of rows made of tiles of columns."""
    program = compiled(
        builder_of(4), "core.accumulators=8", "core.scanner.buffer_words=3", f"cores={cores}"
    )
    assert "lstm0.r1.c12" in program.layer_of
    assert program.layer_of["lstm0.r1.c12"] == "lstm0"


def test_resident_indices_have_their_own_memory() -> None:
    """With private weight memories nothing but vectors lies in data memory."""
    memories = (
        "core.weight_memory={words: 4096, word_bits: 64}",
        "core.index_memory={words: 4096, word_bits: 64, mode: resident}",
    )
    program = compiled(builder_of(5), *memories)
    first, second, _ = program.cores[0].matrices
    assert (first.base, first.index_base, first.preload) == (0, 0, False)
    assert second.base == max(len(words) for words in first.packed.slices)
    assert second.index_base == max(len(words) for words in first.packed.indices)
    assert first.packed.layout.pointer_bits == 16
    vectors = builder_of(5).build()
    known = {each.name for each in tensors_of(vectors)}
    symbols = [name for name, _, _ in program.cores[0].symbols]
    assert all(name in known or ".scale" in name for name in symbols)
    assert len(symbols) == len(set(symbols))  # no matrix of a tensor's name


def test_matrices_share_no_row_of_banks() -> None:
    """Vectors, then matrices from the next row of banks on, none on top of another."""
    image = compiled(builder_of(6), "core.data_memory.banks=4").cores[0]
    ends = 0
    for _, address, words in image.symbols:
        assert address >= ends
        ends = address + words
    assert all(image.symbols[-3 + n][1] == m.base * 4 for n, m in enumerate(image.matrices))


def test_row_tiles_cut_gates_at_steps() -> None:
    """A gate is cut only at multiples of the step; short ends of gates may follow each other."""
    tiles = row_tiles((10,) * 4, 16, 4)
    assert [[(r.strip, r.offset, r.acc, r.rows) for r in tile] for tile in tiles] == [
        [(0, 0, 0, 10), (1, 0, 10, 4)],
        [(1, 4, 0, 6), (2, 0, 6, 10)],
        [(3, 0, 0, 10)],
    ]
