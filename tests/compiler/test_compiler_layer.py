"""compile_layer: bare products whose rows end up in the accumulators."""

import numpy as np
import pytest
from compiler_networks import arch_of

from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_layer
from spusim.formats import unpack
from spusim.isa import decode_all, load_isa
from spusim.program import Program


def outputs_of(program: Program, x: np.ndarray) -> np.ndarray:
    """Follow the products' instructions: accumulators of every tile of rows, core after core."""
    results = []
    for image in program.cores:
        rows: list[np.ndarray] = []
        for each in decode_all(load_isa(), image.code)[:-1]:
            packed = image.matrices[each.operands["m"]].packed
            first = each.operands["src"] * program.word_bits // program.input.bits
            part = unpack(packed)[0] @ x[first : first + packed.columns]
            assert each.operands["acc"] == 0
            if each.mnemonic in ("spmva", "dmva"):
                rows[-1] = rows[-1] + part
            else:
                rows.append(part)
        results += rows
    return np.concatenate(results)


def random_layer(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a half empty weight and an operand."""
    rng = np.random.default_rng(rows)
    weight = rng.integers(-128, 128, (rows, columns)) * (rng.random((rows, columns)) < 0.5)
    return weight, rng.integers(-1000, 1000, columns)


ARCHS = [
    arch_of(),
    arch_of("cores=3"),
    arch_of("core.accumulators=16", "core.sparse.format=bitmap"),
    arch_of("core.scanner.buffer_words=4", "cores=2"),
    arch_of("core.accumulators=8", "core.index_memory.words=2", "cores=2"),
    arch_of("core.sparse.weights=dense"),
    arch_of("core.sparse.format=run_length", "core.scanner.buffer_words=4"),
]


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("rows", [3, 50, 70])
def test_tiles_make_up_the_product(arch: Arch, rows: int) -> None:
    """All tiles of all cores together are W x, in order."""
    weight, x = random_layer(rows, 43)
    program = compile_layer(weight, 8, 16, arch)
    np.testing.assert_array_equal(outputs_of(program, x), weight @ x)
    assert sum(p.elements for p in program.outputs) == rows
    assert all(p.channel == 0 and p.bits == 32 for p in program.outputs)


def test_program_is_products_and_an_end() -> None:
    """One thread a core, an operand at word 0, and nothing else in the code."""
    weight, _ = random_layer(50, 43)
    program = compile_layer(weight, 8, 16, arch_of("cores=2"), name="fc")
    for image in program.cores:
        assert [t.tokens for t in image.threads] == [1]
        mnemonics = [each.mnemonic for each in decode_all(load_isa(), image.code)]
        assert mnemonics == ["spmv", "end"]
        assert image.symbols[0] == ("fc.operand", 0, 11)
    assert [(p.core, p.offset, p.elements) for p in program.outputs] == [(0, 0, 28), (1, 28, 22)]
    assert (program.input.elements, program.input.bits) == (43, 16)
    assert program.layer_of == {"fc": "fc"}


def test_a_core_without_rows_only_ends() -> None:
    """Three rows are one unit, and one core's."""
    weight, _ = random_layer(3, 8)
    program = compile_layer(weight, 8, 16, arch_of("cores=2"))
    assert [len(image.code) for image in program.cores] == [2, 1]
    assert program.input.cores == (0,)


def test_wide_accumulators_and_precisions() -> None:
    """48-bit accumulators are read as 64 bits; what lanes cannot do is refused."""
    weight, _ = random_layer(8, 8)
    program = compile_layer(weight, 8, 16, arch_of("numerics.accumulator_bits=48"))
    assert program.outputs[0].bits == 64
    with pytest.raises(CompileError, match="layer needs 16x16"):
        compile_layer(weight, 16, 16, load_arch("spu001"))


def test_capacity() -> None:
    """The check can be left out, for a dense baseline."""
    weight, _ = random_layer(128, 120)
    arch = arch_of("core.data_memory.words=512")
    with pytest.raises(CompileError, match="prune layer layer to"):
        compile_layer(weight, 8, 16, arch)
    assert compile_layer(weight, 8, 16, arch, check_capacity=False).cores
