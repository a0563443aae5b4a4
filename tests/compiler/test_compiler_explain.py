"""explain tells the facts of a program."""

from compiler_networks import NetworkBuilder, arch_of

from spusim.compiler import compile_network, explain
from spusim.program import Program


def spotter(*settings: str) -> tuple[Program, str]:
    """Return a program and what is explained of it."""
    builder = NetworkBuilder(1, 10).lstm(24, requant="channel").linear(16).activation("relu")
    arch = arch_of(*settings)
    program = compile_network(builder.linear(12).pool("mean").build(), arch)
    return program, explain(program, arch)


def line_with(text: str, *words: str) -> str:
    """Return the one line that has all words, its spaces squeezed."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    found = [line for line in lines if all(word in line.split() for word in words)]
    assert len(found) >= 1, (words, text)
    return found[0]


def test_memory_map() -> None:
    """Every symbol is listed with its place, words, bytes and share."""
    program, text = spotter()
    image = program.cores[0]
    for name, address, words in image.symbols:
        line = line_with(text, name, str(address), str(words))
        assert f"{address // 2}-{(address + words - 1) // 2} {words * 8} " in line
    used = sum(words for _, _, words in image.symbols)
    assert f"total {used} {used * 8} {100 * used / 16384:.1f} %" in line_with(text, "total")
    assert f"instruction memory {len(image.code)} 4096 " in " ".join(text.split())


def test_matrices_with_their_bits() -> None:
    """Format, shape, density and every kind of bits are there."""
    program, text = spotter()
    for matrix in program.cores[0].matrices:
        packed, bits = matrix.packed, matrix.packed.footprint
        line = line_with(text, matrix.name, "pencil")
        nonzero = bits.values // 8
        density = 100 * nonzero / (packed.rows * packed.columns)
        assert f"{packed.rows} x {packed.columns} {density:.1f} %" in line
        facts = (bits.values, bits.explicit_zeros, bits.indices, bits.pointers, bits.bias)
        assert " ".join(map(str, (*facts, bits.padding, bits.total // 8))) in line


def test_threads_and_who_posts_them() -> None:
    """Tokens are counted, and each has its sender."""
    _, text = spotter("cores=2")
    first = text[text.index("core 0\n==") : text.index("core 1\n==")]
    assert line_with(first, "init", "(file)").split()[:4] == ["0", "init", "0", "1"]
    frame = line_with(first, "frame", "(frame),")
    assert frame.endswith("2 host (frame), core 0 barrier")
    assert line_with(first, "fc1", "(message)").endswith("2 core 0 frame, core 1 frame (message)")
    assert line_with(first, "barrier", "init,").endswith(
        "core 0 init, core 0 fc3, core 1 init, core 1 fc3"
    )


def test_assembly_with_comments() -> None:
    """The code is there as assembly, with the compiler's comments."""
    program, text = spotter()
    for comment in program.cores[0].comments.values():
        assert comment in text
    assert "spmv  m=0, src=" in text and ".thread frame tokens=2" in text


def test_notes_and_private_memories() -> None:
    """Notes are printed, and private weight and index memories measured."""
    program, text = spotter(
        "core.sparse.format=auto",
        "core.weight_memory={words: 4096, word_bits: 64}",
        "core.index_memory={words: 4096, word_bits: 64, mode: resident}",
    )
    assert all(f"note: {note}" in text for note in program.notes) and program.notes
    last = program.cores[0].matrices[-1]
    end = last.base + max(len(words) for words in last.packed.slices)
    assert f"weight memory of a PE {end} 4096" in " ".join(text.split())
    assert "matrices, in the PEs' weight memories" in text
