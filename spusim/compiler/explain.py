"""What a program looks like, for people: memory maps, matrices, threads and commented assembly."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from spusim.arch import Arch
from spusim.compiler.explain_stream import LayerMoves, layer_moves, streams
from spusim.isa import Isa, decode_all, disassemble, load_isa
from spusim.program import HOST, CoreImage, Matrix, Program

Row = Sequence[object]
Posts = dict[tuple[int, int], list[str]]
MOST_NAMES = 4  # of those that share words, a symbol


def explain(program: Program, arch: Arch) -> str:
    """Return the memory map, matrices, threads and assembly of every core as aligned text."""
    isa = load_isa()
    posts = _posts(isa, program)
    blocks = [_heading(program)]
    for number, image in enumerate(program.cores):
        blocks += [
            _title(f"core {number}"),
            _memories(image, arch),
            _memory_map(image, arch),
            _matrix_table(program, image, arch),
            _window_table(image),
            _lookup_tables(image),
            _thread_table(image, posts, number),
            _schedule(isa, image, arch),
            _assembly(isa, image),
        ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _heading(program: Program) -> str:
    hashes = ", ".join(f"{name} {digest[:12]}" for name, digest in program.hashes.items())
    lines = [
        f"program {program.name} for {program.arch_name}, ISA {program.isa_version} ({hashes})",
        f"input: {program.input.elements} elements of {program.input.bits} bits, to "
        f"{_cores(program.input.cores)}{_planes(program.input.planes)}",
    ]
    lines += [
        f"output: {p.elements} elements of {p.bits} bits from {p.offset} on, of core {p.core}"
        f"{_planes(p.planes)}"
        for p in program.outputs
    ]
    return "\n".join(lines + [f"note: {note}" for note in program.notes])


def _memories(image: CoreImage, arch: Arch) -> str:
    """Tell how full each of a core's memories is; those of PEs by the fullest."""
    core = arch.core
    data, table = core.data_memory, core.table_memory
    used = [
        ("data memory", _taken(image), data.banks * data.words),
        ("table memory", sum(len(t.entries) for t in image.tables), table.banks * table.words),
        ("instruction memory", len(image.code), core.instruction_memory.words),
    ]
    if core.weight_memory:
        ends = [m.base + _slice_words(m) for m in image.matrices]
        used.append(("weight memory of a PE", max(ends, default=0), core.weight_memory.words))
    ends = [m.index_base + max(map(len, m.packed.indices)) for m in image.matrices]
    used.append(("index memory of a PE", max(ends, default=0), core.index_memory.words))
    rows = [(name, words, there, _percent(words, there)) for name, words, there in used]
    return _table("memories", ("memory", "words", "of", "share"), rows)


def _slice_words(matrix: Matrix) -> int:
    """Return the words of the longest slice, with what is stored in front of it."""
    packed = matrix.packed
    return max(
        len(slice_) + (len(index) if matrix.preload else 0)
        for slice_, index in zip(packed.slices, packed.indices, strict=True)
    )


def _memory_map(image: CoreImage, arch: Arch) -> str:
    """Tell where everything lies in data memory. A bank row is a word of every bank."""
    memory = arch.core.data_memory
    capacity = memory.banks * memory.words
    rows: list[list[object]] = []
    for name, address, words in image.symbols:
        last = (address + max(words, 1) - 1) // memory.banks
        rows.append(
            [name, address, words, f"{address // memory.banks}-{last}",
             words * memory.word_bits // 8, _percent(words, capacity)]
        )  # fmt: skip
    used = _taken(image)
    rows.append(["total", "", used, "", used * memory.word_bits // 8, _percent(used, capacity)])
    header = ["symbol", "word", "words", "bank rows", "bytes", "share"]
    sharing = _sharing(image)
    if any(sharing):
        header.append("at other times")
        sharing.append(f"({_asked(image)} words if none were shared)")
        rows = [[*row, others] for row, others in zip(rows, sharing, strict=True)]
    title = f"data memory: {memory.banks} banks of {memory.words} words of {memory.word_bits} bits"
    return _table(title, header, rows)


def _asked(image: CoreImage) -> int:
    """Return the words of all symbols, as if none shared any."""
    return sum(words for _, _, words in image.symbols)


def _taken(image: CoreImage) -> int:
    """Return the words that symbols take, those that several share once."""
    used, end = 0, 0
    for first, last in sorted((address, address + words) for _, address, words in image.symbols):
        used += max(0, last - max(first, end))
        end = max(end, last)
    return used


def _sharing(image: CoreImage) -> list[str]:
    """Return for each symbol the names of those that have words of it at other times."""
    shared = []
    for n, (_, address, words) in enumerate(image.symbols):
        others = [
            other
            for m, (other, begin, count) in enumerate(image.symbols)
            if m != n and begin < address + words and address < begin + count
        ]
        more = [f"{len(others) - MOST_NAMES} more"] if len(others) > MOST_NAMES else []
        shared.append(", ".join(others[:MOST_NAMES] + more))
    return shared


def _matrix_table(program: Program, image: CoreImage, arch: Arch) -> str:
    if not image.matrices:
        return ""
    header = (
        "m", "matrix", "layer", "format", "rows x columns", "density", "base", "PE words",
        "value bits", "zero bits", "index bits", "pointer bits", "bias bits", "padding bits",
        "total bytes",
    )  # fmt: skip
    rows = [
        _matrix_row(number, matrix, program.layer_of.get(matrix.name, ""))
        for number, matrix in enumerate(image.matrices)
    ]
    where = "in the PEs' weight memories" if arch.core.weight_memory else "in the data banks"
    return _table(f"matrices, {where} from row `base` on", header, rows)


def _matrix_row(number: int, matrix: Matrix, layer: str) -> Row:
    packed, bits = matrix.packed, matrix.packed.footprint
    nonzero = bits.values // packed.layout.weight_bits
    return (
        number, matrix.name, layer, packed.layout.format, f"{packed.rows} x {packed.columns}",
        _percent(nonzero, matrix.dense_macs), matrix.base, _slice_words(matrix),
        bits.values, bits.explicit_zeros, bits.indices, bits.pointers, bits.bias, bits.padding,
        bits.total // 8,
    )  # fmt: skip


def _window_table(image: CoreImage) -> str:
    """Tell what convolutions and poolings read, and how their tensors lie."""
    rows: list[Row] = [
        (
            number, w.name, f"{w.height} x {w.width} x {w.channels}",
            f"{w.kernel_height} x {w.kernel_width}", w.rows, w.activation_bits, w.output_bits,
            "planar" if w.planar else "interleaved",
        )
        for number, w in enumerate(image.windows)
    ]  # fmt: skip
    header = ("w", "window", "image", "kernel", "rows out", "bits", "bits out", "layout")
    return _table("windows", header, rows) if rows else ""


def _lookup_tables(image: CoreImage) -> str:
    rows = [(n, t.name, t.base, len(t.entries)) for n, t in enumerate(image.tables)]
    return _table("tables", ("table", "function", "base", "entries"), rows) if rows else ""


def _thread_table(image: CoreImage, posts: Posts, core: int) -> str:
    rows = [
        (n, thread.name, thread.entry, thread.tokens, _counted(posts.get((core, n), ["nobody"])))
        for n, thread in enumerate(image.threads)
    ]
    return _table("threads", ("thread", "name", "entry", "tokens", "posted by"), rows)


def _counted(names: list[str]) -> str:
    """Return names in their order, each once, with how often it is there if more than once."""
    return ", ".join(
        f"{name} ({names.count(name)} times)" if names.count(name) > 1 else name
        for name in dict.fromkeys(names)
    )


def _schedule(isa: Isa, image: CoreImage, arch: Arch) -> str:
    """Tell what each layer of a core that streams moves beside its computation."""
    if not streams(image) or arch.external_memory is None:
        return ""
    layers = layer_moves(isa, image, arch)
    total = LayerMoves("total")
    for each in layers:
        total.add(each)
    header = (
        "computed", "stages", "loaded", "stored", "fetched", "dma cycles", "compute, est.",
        "not hidden",
    )  # fmt: skip
    rows = [
        (each.layer, each.stages, *each.words.values(), each.dma, each.compute, each.waits)
        for each in [*layers, total]
    ]
    title = (
        "schedule of a frame: words moved to and from external memory while each layer is computed"
    )
    return _table(title, header, rows)


def _assembly(isa: Isa, image: CoreImage) -> str:
    threads = [(t.name, t.entry, t.tokens) for t in image.threads]
    return "code\n" + disassemble(isa, image.code, image.comments, threads).rstrip()


def _posts(isa: Isa, program: Program) -> Posts:
    """Return who posts to each (core, thread): the host, and threads by `post` and `send`."""
    posts: Posts = defaultdict(list)
    for core, thread in program.init_threads:
        posts[core, thread].append("host (file)")
    for core in program.input.cores:
        posts[core, program.input.thread].append("host (frame)")
    for number, image in enumerate(program.cores):
        for target, name in _posts_of(isa, image):
            posts[target].append(f"core {number} {name}")
    return posts


def _posts_of(isa: Isa, image: CoreImage) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield ((core, thread), thread that posts) for every token that a core's code posts."""
    instructions = decode_all(isa, image.code)
    starts = {thread.entry: thread.name for thread in reversed(image.threads)}
    name = ""
    for index, each in enumerate(instructions):
        name = name or starts[index]
        if each.mnemonic == "post":
            yield (each.operands["core"], each.operands["thread"]), name
        elif each.mnemonic == "send":
            for core in range(HOST):
                if each.operands["dest"] >> core & 1:
                    yield (core, each.operands["thread"]), f"{name} (message)"
        elif each.mnemonic == "end":
            name = ""


def _planes(planes: int) -> str:
    return f", in {planes} planes" if planes > 1 else ""


def _cores(cores: Sequence[int]) -> str:
    return f"core{'s' if len(cores) > 1 else ''} {', '.join(map(str, cores))}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}"


def _table(title: str, header: Sequence[str], rows: Sequence[Row]) -> str:
    """Align columns: text to the left, numbers and shares to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    right = [
        all(not c or c[0].isdigit() or c[0] == "-" for c in column)
        for column in zip(*cells, strict=True)
    ]

    def line(row: Sequence[str]) -> str:
        parts = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        return ("  " + "  ".join(parts)).rstrip()

    return "\n".join([title, line(header), *map(line, cells)])
