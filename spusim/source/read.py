"""A program source as a file: its lines to directives and code, and the Source that they make."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spusim.arch import Arch
from spusim.isa import Assembler, Assembly, Faults, load_isa
from spusim.isa.expression import Symbols
from spusim.isa.lexer import Cursor, FaultError, Token, tokens
from spusim.program import Program
from spusim.source.architecture import Setting, chosen_arch
from spusim.source.build import build_program
from spusim.source.directives import BODY, CORE, DIRECTIVES, SET, Given, read_given, unknown
from spusim.source.errors import SourceError
from spusim.source.images import CoreGiven, Part
from spusim.source.stream import build_stream

MOST_CORES = 15


@dataclass(frozen=True)
class Source:
    """What a program source says.

    frames (frames, elements) int64, of files that begin at `starts`; none where the source has no
    frames. assemblies: one a core, whose `lines` are those of the file.
    """

    program: Program
    arch: Arch
    frames: np.ndarray
    starts: tuple[int, ...]
    input_period: int | None
    assemblies: tuple[Assembly, ...]


def is_source(text: str) -> bool:
    """Tell a program source from the code of one core: by a directive that only sources have."""
    return any(token.text in DIRECTIVES for line in text.split("\n") for token in tokens(line)[:1])


def load_source(
    path: str | Path, arch: str | Path | None = None, settings: Sequence[str] = ()
) -> Source:
    """Read a program source; arch and settings go over what it says itself.

    Raises AssemblyError with every mistake of its text, SourceError for a file that is no text.
    """
    path = Path(path)
    return read_source(source_text(path), str(path), path.stem, path.parent, arch, settings)


def source_text(path: str | Path) -> str:
    """Return a text file's content; raises SourceError."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not data:
        raise SourceError(f"{path}: is empty (0 bytes); write or copy it again")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(
            f"{path}: is not UTF-8 text; `spusim isa disasm` reads words, `spusim run` a .spu"
        ) from None


def read_source(
    text: str,
    source: str,
    name: str = "program",
    folder: str | Path = ".",
    arch: str | Path | None = None,
    settings: Sequence[str] = (),
) -> Source:
    """Read a program source's text; `source` names it in errors, `folder` is where it lies.

    Raises AssemblyError with up to 20 mistakes, each with file, line, column and token.
    """
    reader = _Reader(Faults())
    for line, content in enumerate(text.split("\n"), start=1):
        with reader.faults.collecting(line):
            reader.read(line, content)
    assemblies = {core: assembler.finish() for core, assembler in reader.assemblers.items()}
    named, _ = reader.one(".arch"), reader.one(".period")
    chosen = chosen_arch(reader.faults, named, reader.settings, folder, arch, settings)
    if reader.faults or chosen is None:
        raise reader.faults.error(source)
    program = build_program(reader.faults, name, chosen, reader.program, reader.cores, assemblies)
    stream = build_stream(reader.faults, program, reader.program) if program else None
    if reader.faults or program is None or stream is None:
        raise reader.faults.error(source)
    empty = Assembler(load_isa(), Faults()).finish()
    whole = tuple(assemblies.get(core, empty) for core in range(chosen.cores))
    return Source(program, chosen, stream.frames, stream.starts, stream.period, whole)


@dataclass
class _Reader:
    """The lines of a source, sorted by whom they concern."""

    faults: Faults
    program: list[Given] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    cores: dict[int, CoreGiven] = field(default_factory=dict)
    assemblers: dict[int, Assembler] = field(default_factory=dict)
    core: int = 0
    shared: list[tuple[int, str]] = field(default_factory=list)  # constants of every core
    named: bool = False  # a `.core` has been read
    part: Part | None = None  # what the lines of a body belong to

    def one(self, directive: str) -> Given | None:
        """Return the directive that may stand once; a second one is noted as a fault."""
        found = [given for given in self.program if given.token.text == directive]
        for again in found[1:]:
            self.faults.add(
                again.line, again.token, f"stands in line {found[0].line} already; remove one"
            )
        return found[0] if found else None

    def read(self, line: int, content: str) -> None:
        """Read one line; raises FaultError for its first mistake."""
        cursor = Cursor(tokens(content))
        head = cursor.token
        if head.kind == "directive" and head.text == SET:
            self.settings.append(_setting(line, head, content))
        elif head.kind == "directive" and head.text in DIRECTIVES:
            self.directive(line, cursor)
        elif head.kind == "directive" and head.text not in (".equ", ".thread"):
            raise unknown(head)
        else:
            if head.text == ".equ" and not self.named:
                self.shared.append((line, content))
            self.assembler(self.core).read(line, cursor)

    def directive(self, line: int, cursor: Cursor) -> None:
        """Read a directive other than those of the assembler."""
        name = cursor.token.text
        if name not in BODY:
            self.part = None  # before the reading, so that no line of a wrong one goes astray
        given = read_given(line, cursor, self.symbols())
        if name == ".core":
            self.choose_core(given)
        elif name in CORE:
            self.part = self.core_given().begin(given, self.assembler(self.core))
        elif name in BODY:
            self.go_on(given)
        else:
            self.program.append(given)

    def symbols(self) -> Symbols:
        """Return the constants of the present core that are known so far."""
        return self.assembler(self.core).known()

    def core_given(self) -> CoreGiven:
        """Return what was said of the present core."""
        return self.cores.setdefault(self.core, CoreGiven())

    def assembler(self, core: int) -> Assembler:
        """Return a core's assembler; a new one knows the constants above the first `.core`."""
        if core not in self.assemblers:
            self.assemblers[core] = made = Assembler(load_isa(), self.faults)
            for line, content in self.shared:
                with self.faults.collecting(line):
                    made.read(line, Cursor(tokens(content)))
        return self.assemblers[core]

    def choose_core(self, given: Given) -> None:
        """Let what follows be another core's."""
        number = given.values["number"]
        if not 0 <= number < MOST_CORES:
            raise FaultError(given.at("number"), f"core (={number}) must be 0 to {MOST_CORES - 1}")
        self.core, self.named = number, True
        self.core_given().mentioned = self.core_given().mentioned or given
        self.assembler(number)

    def go_on(self, given: Given) -> None:
        """Add a line to the body of the matrix, data or table above it."""
        owners, _ = BODY[given.token.text]
        if self.part is None or self.part.head.token.text not in owners:
            raise FaultError(given.token, f"must follow {' or '.join(owners)}; put it below one")
        self.part.body.append(given)


def _setting(line: int, head: Token, content: str) -> Setting:
    """Return the rest of a `.set` line: a YAML value may hold any token."""
    rest = content[head.column - 1 + len(SET) :].split(";")[0].split(" #")[0].strip()
    if "=" not in rest:
        raise FaultError(head, "expected `.set PATH=VALUE`, as `.set core.queue.depth=4`")
    return Setting(line, Token("text", rest, content.index(rest, head.column) + 1), rest)
