"""Program sources: what each directive comes to, and the report of every mistake."""

from pathlib import Path

import numpy as np
import pytest

from spusim import golden
from spusim.arch import ArchError, arch_hash, load_arch
from spusim.formats import unpack
from spusim.isa import AssemblyError, assemble
from spusim.numerics import build_table
from spusim.source import Source, SourceError, is_source, load_source, read_source

HEAD = ".arch tiny\n.input elements=4\n.output elements=4\n"
CODE = """.thread main tokens=1
  recv channel=0, dst=0, words=1
  send dest={host}, channel=0, src=0, words=1, thread=0
  end
"""


def read(text: str) -> Source:
    return read_source(text, "t.spuasm", "t")


def mistakes(text: str) -> list[str]:
    """Return the mistakes of a text without the file's name."""
    with pytest.raises(AssemblyError) as error:
        read(text)
    assert all(e.startswith("t.spuasm:") for e in error.value.errors)
    return [e.removeprefix("t.spuasm:") for e in error.value.errors]


def test_the_least_program_echoes() -> None:
    source = read(HEAD + ".frame 1, -2, 3, 4\n" + CODE)
    outputs = golden.run(source.program, source.frames, source.starts).outputs
    assert outputs.tolist() == [[1, -2, 3, 4]]
    assert source.program.name == "t"
    assert source.program.hashes == {"arch": arch_hash(load_arch("tiny"))}
    assert (source.starts, source.input_period) == ((0,), None)


def test_settings_are_laid_over_the_architecture_in_order() -> None:
    text = (
        HEAD + ".set core.queue.depth=7 ; deep\n.set core.weight_memory={words: 9, word_bits: 32}\n"
    )
    source = read(text + ".set core.queue.depth=5\n" + CODE)
    assert source.arch.core.queue.depth == 5
    assert source.arch.core.weight_memory is not None
    assert source.arch.core.weight_memory.words == 9


def test_options_go_over_what_the_source_says() -> None:
    text = HEAD + ".set core.queue.depth=7\n" + CODE
    source = read_source(text, "t", arch="tiny", settings=["core.queue.depth=3"])
    assert source.arch.core.queue.depth == 3
    with pytest.raises(ArchError, match="depht"):
        read_source(text, "t", settings=["core.queue.depht=3"])


def test_an_architecture_file_lies_beside_the_source(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: tiny\ncore: {lanes: 4}\n")
    path = tmp_path / "p.spuasm"
    path.write_text(HEAD.replace("tiny", '"mine.yaml"') + CODE)
    assert load_source(path).arch.core.lanes == 4


def test_names_of_matrices_tables_and_places_are_constants_of_their_core() -> None:
    source = read(
        HEAD
        + """
        .data a 8
          .values 1
        .scales s 16
          .scale multiplier=5 shift=3
        .space b 9 words=2
        .table t function=tanh
        .table u function=sigmoid
        .matrix m format=dense rows=1 columns=1
          .values 1
        .matrix n format=dense rows=1 columns=2
          .values 1, 2
        .thread main tokens=1
          vmov d=a+1, a=b
          vqm d=a, acc=0, scale=s, table=u
          dmv m=n, src=b, acc=m
          end
        """
    )
    plain = assemble("vmov 9, 9\nvqm 8, 0, 4, 1\ndmv 1, 9, 0\nend", "t")
    assert source.program.cores[0].code.tolist() == plain.words.tolist()
    assert source.program.cores[0].symbols[:3] == (("a", 8, 1), ("s", 16, 1), ("b", 9, 2))
    (segment, entries) = source.program.cores[0].segments
    assert entries.words.view("<u8").tolist() == [[5 | 3 << 32]]
    assert segment.words.view("<i2").tolist() == [[1, 0, 0, 0]]


def test_constants_above_the_first_core_are_every_cores() -> None:
    source = read(
        HEAD + ".set cores=2\n.equ N 3\n.core 0\n" + CODE
        + ".core 1\n.equ M N+1\n.thread t tokens=1\nvfill d=N, value=M\nend\n"
    )  # fmt: skip
    expected = assemble("vfill d=3, value=4\nend", "t").words
    assert source.program.cores[1].code.tolist() == expected.tolist()
    assert "`M`: unknown name" in mistakes(
        HEAD + ".set cores=2\n.core 1\n.equ M 4\n.core 0\nvfill d=0, value=M\n" + CODE
    )[0]  # fmt: skip


def test_a_matrix_listed_row_by_row() -> None:
    source = read(
        HEAD
        + ".matrix m format=pencil rows=3 columns=2 weights=16 activations=8 group=2\n"
        + "  .values 1, -2\n  .values 0, 0\n  .values 300, 4\n  .bias 1, 2, -3\n"
        + CODE
    )
    (matrix,) = source.program.cores[0].matrices
    weight, bias = unpack(matrix.packed)
    assert weight.tolist() == [[1, -2], [0, 0], [300, 4]]
    assert bias is not None and bias.tolist() == [1, 2, -3]
    layout = matrix.packed.layout
    assert (layout.group, layout.weight_bits, matrix.activation_bits) == (2, 16, 8)
    assert (layout.bias_bits, layout.pointer_bits, matrix.preload) == (32, 0, True)


def test_a_drawn_matrix_has_its_density_and_its_seed() -> None:
    def drawn(density: float, seed: int) -> np.ndarray:
        text = HEAD + ".matrix m format=bitmap rows=10 columns=20\n"
        source = read(text + f".random density={density} seed={seed}\n" + CODE)
        return unpack(source.program.cores[0].matrices[0].packed)[0]

    assert np.count_nonzero(drawn(0.35, 1)) == 70
    assert np.array_equal(drawn(0.35, 1), drawn(0.35, 1))
    assert not np.array_equal(drawn(0.35, 1), drawn(0.35, 2))


def test_tables_of_functions_and_of_entries() -> None:
    source = read(
        HEAD
        + ".table t function=tanh in=-10 out=-7 bits=8 address_bits=6 fraction_bits=9 "
        + "interpolate=0\n"
        + ".table u address_bits=2 fraction_bits=3 interpolate=1 base=100\n.values 1, 2, 3, 4, 5\n"
        + CODE
    )
    first, second = source.program.cores[0].tables
    assert first.entries.tolist() == build_table("tanh", 6, 9, -10, 8, -7, False).tolist()
    assert (first.base, first.address_bits, first.fraction_bits) == (0, 6, 9)
    assert (second.entries.tolist(), second.base, second.interpolate) == (
        [1, 2, 3, 4, 5],
        100,
        True,
    )


def test_matrices_lie_behind_the_data_and_behind_each_other() -> None:
    text = HEAD + ".space x 0 words=5\n"
    for name in "mn":
        text += f".matrix {name} format=dense rows=4 columns=4 weights=16\n"
        text += ".values 1, 2, 3, 4\n" * 4
    first, second = read(text + CODE).program.cores[0].matrices
    assert first.base == 3  # 5 words in 2 banks
    assert second.base == first.base + max(map(len, first.packed.slices))


def test_ports_init_threads_files_and_period() -> None:
    source = read(
        """.arch tiny
        .set cores=2
        .input elements=2 bits=8 cores={0,1} channel=1 thread=0
        .output elements=3 bits=32 core=1
        .output elements=2 channel=2
        .output elements=1 core=1 channel=3 offset=9
        .init core=1 thread=0
        .period 77
        .frame 1, 2
        .file
        .frames count=3 density=0.5 seed=4
        .core 0
        .thread t tokens=1
          end
        .core 1
        .thread t tokens=1
          end
        """
    )
    program = source.program
    assert (program.input.cores, program.input.channel, program.input.bits) == ((0, 1), 1, 8)
    assert [(p.core, p.channel, p.offset, p.elements, p.bits) for p in program.outputs] == [
        (1, 0, 0, 3, 32), (0, 2, 3, 2, 16), (1, 3, 9, 1, 16),
    ]  # fmt: skip
    assert program.init_threads == ((1, 0),)
    assert (source.starts, source.input_period, len(source.frames)) == ((0, 1), 77, 4)
    assert np.count_nonzero(source.frames[1:], axis=1).tolist() == [1, 1, 1]


def test_code_of_one_core_is_no_source() -> None:
    assert not is_source(".equ N 1\n.thread t tokens=1\nnop\nend")
    assert is_source("nop\n  .core 0")
    assert not is_source("; .core 0\nnop")


def test_the_assemblys_lines_are_those_of_the_file() -> None:
    source = read(HEAD + ".frame 1, 2, 3, 4\n" + CODE)
    assert source.assemblies[0].lines == (6, 7, 8)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "p.spuasm"
    with pytest.raises(SourceError, match=r"p\.spuasm: cannot be read \(No such file"):
        load_source(path)
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="is empty"):
        load_source(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="is not UTF-8"):
        load_source(path)
