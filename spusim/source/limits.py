"""What an architecture holds, and where a source asks for more or for the same words twice."""

from collections.abc import Sequence

from spusim.arch import Arch
from spusim.isa import Assembly, Faults
from spusim.isa.lexer import Token
from spusim.program import Table
from spusim.source.directives import Given
from spusim.source.place import Area, Placed, index_words

TABLE_NUMBERS = 62  # what the operand `table` can name; the last two are built in
MATRIX_NUMBERS = 256


def check_areas(faults: Faults, arch: Arch, areas: Sequence[Area]) -> None:
    """Refuse areas beyond the data memory, or on each other's words."""
    memory = arch.core.data_memory
    capacity = memory.banks * memory.words
    for area in areas:
        if area.words < 0:
            _add(faults, area.given, "words", f"words (={area.words}) must be at least 0")
    _check_within(faults, areas, capacity, "data memory", "core.data_memory.words")
    _check_apart(faults, areas, "words")


def _check_within(
    faults: Faults, areas: Sequence[Area], capacity: int, memory: str, setting: str
) -> None:
    for area in areas:
        if area.words > 0 and not 0 <= area.address <= capacity - area.words:
            _add(
                faults, area.given, "name",
                f"takes words {area.address} to {area.last} of a {memory} of {capacity}; move it, "
                f"make it smaller, or set {setting}",
            )  # fmt: skip


def _check_apart(faults: Faults, areas: Sequence[Area], what: str) -> None:
    for number, area in enumerate(areas):
        for other in areas[:number]:
            if area.overlay and other.overlay:
                continue
            if area.address <= other.last and other.address <= area.last:
                later, earlier = sorted((other, area), key=lambda a: a.given.line)[::-1]
                _add(
                    faults, later.given, "name",
                    f"takes {what} {later.address} to {later.last}, and {earlier.name} (line "
                    f"{earlier.given.line}) {earlier.address} to {earlier.last}; move one of them",
                )  # fmt: skip


def check_matrices(faults: Faults, arch: Arch, placed: Sequence[Placed]) -> None:
    """Refuse matrices that the engine cannot compute, or its memories cannot hold."""
    most = min(arch.core.sequencer.descriptors, MATRIX_NUMBERS)
    for extra in placed[most:]:
        _add(faults, extra.given, "name", f"is one of {len(placed)} matrices; {arch.name} has "
             f"{most} descriptors: set core.sequencer.descriptors")  # fmt: skip
    for one in placed:
        for at, complaint in _complaints(arch, one):
            _add(faults, one.given, at, complaint)
    own = [Area(p.given, p.matrix.name, p.matrix.base, p.depth_rows, p.overlay) for p in placed]
    private = arch.core.weight_memory
    if private:
        setting = "core.weight_memory.words"
        _check_within(faults, own, private.words, "weight memory", setting)
        _check_apart(faults, own, "weight memory words")
    resident = [p for p in placed if not p.matrix.preload]
    indices = [
        Area(p.given, p.matrix.name, p.matrix.index_base, index_words(p.matrix), p.overlay)
        for p in resident
    ]
    _check_apart(faults, indices, "index memory words")


def _complaints(arch: Arch, placed: Placed) -> list[tuple[str, str]]:
    """Return what is wrong with one matrix: the value to point at, and why."""
    core, matrix = arch.core, placed.matrix
    layout, columns, rows = matrix.packed.layout, matrix.packed.columns, matrix.packed.rows
    precision = matrix.precision
    operand = -(-columns * matrix.activation_bits // core.data_memory.word_bits)
    index_end = matrix.index_base + index_words(matrix)
    allowed = ("dense",) if core.sparse.weights == "dense" else core.sparse.formats
    rules = (
        ("format", layout.format in allowed,
         f"format (={layout.format}) must be one of {', '.join(allowed)}, which core.sparse takes"),
        ("weights", precision in core.precisions,
         f"needs {precision} (weight x activation bits), and the lanes compute "
         f"{', '.join(core.precisions)}; add it to core.precisions"),
        ("rows", rows <= core.pes * core.accumulators,
         f"rows (={rows}) must be at most the core's {core.pes * core.accumulators} accumulators"),
        ("columns", core.weight_memory is not None or operand <= core.scanner.buffer_words,
         f"operand takes {operand} words of core.scanner.buffer_words "
         f"(={core.scanner.buffer_words}); split its columns, or enlarge the buffer"),
        ("name", index_end <= core.index_memory.words,
         f"pointers and indices take words up to {index_end} of core.index_memory.words "
         f"(={core.index_memory.words}); split its columns, or enlarge the memory"),
        ("base", matrix.base >= 0 and matrix.index_base >= 0, "base must be at least 0"),
    )  # fmt: skip
    return [(at, why) for at, holds, why in rules if not holds]


def check_tables(faults: Faults, arch: Arch, tables: Sequence[tuple[Given, Table]]) -> None:
    """Refuse tables beyond the table memory or on each other's entries, or too many."""
    memory = arch.core.table_memory
    half = 1 << (memory.word_bits - 1)
    for given, _ in tables[TABLE_NUMBERS:]:
        _add(faults, given, "name", f"is one of {len(tables)} tables; `table` can name "
             f"{TABLE_NUMBERS}")  # fmt: skip
    for given, table in tables:
        if not (-half <= table.entries.min() and table.entries.max() < half):
            _add(faults, given, "name", f"has entries beyond {-half} to {half - 1}, which "
                 f"core.table_memory.word_bits (={memory.word_bits}) hold")  # fmt: skip
    areas = [Area(given, t.name, t.base, len(t.entries)) for given, t in tables]
    capacity = memory.banks * memory.words
    _check_within(faults, areas, capacity, "table memory", "core.table_memory.words")
    _check_apart(faults, areas, "entries")


def check_code(faults: Faults, arch: Arch, assembly: Assembly) -> None:
    """Refuse more instructions or threads than a core has room for."""
    core = arch.core
    end = Token("end", "end of code", 1)
    rules = (
        ("instructions", len(assembly.words), core.instruction_memory.words,
         "core.instruction_memory.words"),
        ("threads", len(assembly.threads), core.sequencer.threads, "core.sequencer.threads"),
    )  # fmt: skip
    for what, needed, there, setting in rules:
        if needed > there:
            faults.add(
                assembly.lines[-1], end, f"{needed} {what}, and {arch.name} has room for {there}; "
                f"set {setting}={needed}",
            )  # fmt: skip


def _add(faults: Faults, given: Given, at: str, message: str) -> None:
    faults.add(given.line, given.at(at), message)
