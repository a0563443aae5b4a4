"""Assembly text to instruction words; every mistake of a file is reported at once.

A line is `label: mnemonic operands ; comment`, each part optional. Operands are given in table
order, by name (`op=value`), or the first ones in order and the rest by name. Values are constant
expressions; enumerations, `none` and `relu` for tables, sets of cores as `{0,host}`; `loop` takes
a label as its body. `.equ NAME value` names a constant; `.thread NAME tokens=N` makes the next
instruction a thread's entry, threads being numbered as they come, or all by `number=K`.
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from spusim.errors import SpusimError
from spusim.isa.codec import encode
from spusim.isa.expression import Symbols
from spusim.isa.lexer import Cursor, FaultError, Token, tokens
from spusim.isa.names import reserved_names
from spusim.isa.operands import Operand, constant, read_operand, value_of
from spusim.isa.spec import Field, InstructionSpec, Isa
from spusim.isa.table import load_isa

MAX_REPORTED = 20


class AssemblyError(SpusimError):
    """Assembly with mistakes; `errors` has one `file:line:column: ...` for each, in file order."""

    def __init__(self, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


@dataclass(frozen=True)
class Assembly:
    """What a file assembles to: words (n,) uint64, and what its text says of them."""

    words: np.ndarray
    labels: dict[str, int]  # name -> instruction index
    lines: tuple[int, ...]  # source line of each word
    threads: tuple[tuple[str, int, int], ...] = ()  # (name, entry, tokens), thread 0 first


def assemble(text: str, source: str, isa: Isa | None = None) -> Assembly:
    """Assemble a file; `source` names it in errors. Raises AssemblyError with up to 20 mistakes."""
    return _File(isa or load_isa(), source).assemble(text)


@dataclass(frozen=True)
class _Statement:
    line: int
    address: int
    mnemonic: Token
    spec: InstructionSpec
    operands: tuple[tuple[Field, Operand], ...]


@dataclass(frozen=True)
class _ThreadMark:
    line: int
    name: Token
    entry: int
    settings: dict[str, Operand]


class _File:
    """A file being assembled: every line is read first, then values are worked out."""

    def __init__(self, isa: Isa, source: str) -> None:
        self.isa = isa
        self.source = source
        self.faults: list[tuple[int, FaultError]] = []
        self.defined: dict[str, int] = {}  # label, constant or thread -> line
        self.labels: dict[str, int] = {}
        self.equs: dict[str, tuple[int, Operand]] = {}
        self.statements: list[_Statement] = []
        self.thread_marks: list[_ThreadMark] = []
        self.size = 0  # instructions so far, wrong ones included
        self.line = 0
        self.reserved = reserved_names(
            tuple(f for spec in isa.instructions.values() for f in spec.operands)
        )

    @contextmanager
    def collecting(self, line: int) -> Iterator[None]:
        try:
            yield
        except FaultError as fault:
            self.faults.append((line, fault))

    def assemble(self, text: str) -> Assembly:
        for self.line, line in enumerate(text.split("\n"), start=1):
            with self.collecting(self.line):
                self.read(Cursor(tokens(line)))
        symbols = self.symbols()
        words = [self.word(statement, symbols) for statement in self.statements]
        threads = self.threads(symbols)
        if self.faults:
            raise self.error()
        return Assembly(
            words=np.array(words, dtype=np.uint64),
            labels=self.labels,
            lines=tuple(statement.line for statement in self.statements),
            threads=threads,
        )

    def error(self) -> AssemblyError:
        faults = sorted(self.faults, key=lambda item: (item[0], item[1].token.column))
        errors = [
            f"{self.source}:{line}:{fault.token.column}: `{fault.token.text}`: {fault.message}"
            for line, fault in faults
        ]
        shown = errors[:MAX_REPORTED]
        if len(errors) > len(shown):
            shown.append(f"{self.source}: and {len(errors) - len(shown)} more mistakes")
        return AssemblyError("\n".join(shown), errors[:MAX_REPORTED])

    # first pass: lines

    def read(self, cursor: Cursor) -> None:
        while cursor.follows("name", ":"):
            self.define(cursor.token, cursor.token.text)
            self.labels[cursor.take().text] = self.size
            cursor.take()
        if cursor.token.kind == "directive":
            self.read_directive(cursor)
        elif cursor.token.kind == "name":
            self.read_instruction(cursor)
        else:
            cursor.expect("end", "a label, an instruction, `.equ` or `.thread`")

    def define(self, token: Token, name: str) -> None:
        if name in self.reserved:
            raise FaultError(token, "is the name of an operand's value; take another name")
        first = self.defined.setdefault(name, self.line)
        if first != self.line or name in self.labels or name in self.equs:
            raise FaultError(token, f"is already defined in line {first}; rename one of them")

    def read_directive(self, cursor: Cursor) -> None:
        directive = cursor.take()
        match directive.text:
            case ".equ":
                self.read_equ(cursor)
            case ".thread":
                self.read_thread(cursor)
            case _:
                raise FaultError(directive, "unknown directive; there are .equ and .thread")

    def read_equ(self, cursor: Cursor) -> None:
        name = cursor.expect("name", "the constant's name, as `.equ STRIDE 4`")
        self.define(name, name.text)
        self.equs[name.text] = (self.line, read_operand(cursor))
        cursor.expect("end", "the end of the line after the value")

    def read_thread(self, cursor: Cursor) -> None:
        wanted = 'the thread\'s name, as `.thread step tokens=2` or in "quotes"'
        name = cursor.take() if cursor.token.kind == "text" else cursor.expect("name", wanted)
        self.define(name, f"thread {name.text.strip(chr(34))}")
        settings: dict[str, Operand] = {}
        while cursor.mark(",") or cursor.token.kind != "end":
            operand = read_operand(cursor)
            label = operand.name.text if operand.name else ""
            if label not in ("tokens", "number") or label in settings:
                raise FaultError(operand.start, "expected `tokens=N`, once, or `number=K`, once")
            settings[label] = operand
        if "tokens" not in settings:
            raise FaultError(cursor.token, "expected `tokens=N`, which arm the thread")
        self.thread_marks.append(_ThreadMark(self.line, name, self.size, settings))

    def read_instruction(self, cursor: Cursor) -> None:
        mnemonic, address = cursor.take(), self.size
        self.size += 1
        spec = self.isa.instructions.get(mnemonic.text)
        if spec is None:
            near = difflib.get_close_matches(mnemonic.text, self.isa.instructions, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {[*self.isa.instructions]}"
            raise FaultError(mnemonic, f"is no instruction of ISA {self.isa.version}; {hint}")
        operands = []
        if cursor.token.kind != "end":
            operands.append(read_operand(cursor))
        while cursor.mark(","):
            operands.append(read_operand(cursor))
        cursor.expect("end", "`,` between operands, or the end of the line")
        bound = self.bind(spec, mnemonic, operands)
        self.statements.append(_Statement(self.line, address, mnemonic, spec, bound))

    def bind(
        self, spec: InstructionSpec, mnemonic: Token, operands: list[Operand]
    ) -> tuple[tuple[Field, Operand], ...]:
        """Return each operand with its field; wrong ones are reported and left out."""
        bound: dict[str, tuple[Field, Operand]] = {}
        named = False
        for position, operand in enumerate(operands):
            named |= operand.name is not None
            with self.collecting(self.line):
                target = _field_of(spec, operand, position, named)
                if target.name in bound:
                    raise FaultError(operand.start, f"{target.name} is given twice; remove one")
                bound[target.name] = (target, operand)
        missing = [f.name for f in spec.operands if f.name not in bound]
        # a wrong operand may be the missing one
        if missing and len(bound) == len(operands):
            with self.collecting(self.line):
                raise FaultError(mnemonic, f"lacks {', '.join(missing)}; {_takes(spec)}")
        return tuple(bound.values())

    # second pass: values

    def symbols(self) -> Symbols:
        constants: dict[str, int] = {}
        equ_lines = {name: line for name, (line, _) in self.equs.items()}
        symbols = Symbols(constants, self.labels, equ_lines)
        for name, (line, operand) in self.equs.items():
            with self.collecting(line):
                constants[name] = constant(operand, symbols)
        return symbols

    def word(self, statement: _Statement, symbols: Symbols) -> int:
        spec, values = statement.spec, {}
        for target, operand in statement.operands:
            with self.collecting(statement.line):
                values[target.name] = value_of(
                    spec.mnemonic, target, operand, statement.address, symbols
                )
        complete = len(values) == len(spec.operands)
        return encode(self.isa, spec.mnemonic, values) if complete else 0

    def threads(self, symbols: Symbols) -> tuple[tuple[str, int, int], ...]:
        threads, numbers = [], []
        for mark in self.thread_marks:
            with self.collecting(mark.line):
                count = constant(mark.settings["tokens"], symbols)
                if count < 1:
                    raise FaultError(
                        mark.settings["tokens"].start, "a thread needs 1 token or more"
                    )
                if mark.entry == self.size:
                    raise FaultError(mark.name, "no instruction follows; end the thread with `end`")
                threads.append((mark.name.text.strip('"'), mark.entry, count))
                if "number" in mark.settings:
                    numbers.append(constant(mark.settings["number"], symbols))
        if numbers and len(threads) == len(self.thread_marks):
            return self.renumber(threads, numbers)
        return tuple(threads)

    def renumber(
        self, threads: list[tuple[str, int, int]], numbers: list[int]
    ) -> tuple[tuple[str, int, int], ...]:
        if sorted(numbers) != list(range(len(threads))):
            last = self.thread_marks[-1]
            self.faults.append((
                last.line,
                FaultError(
                    last.name,
                    f"threads' numbers (={numbers}) must be 0 to {len(threads) - 1}, each once, "
                    f"for all {len(threads)} threads; mend them, or leave out every `number=`",
                ),
            ))  # fmt: skip
            return ()
        return tuple(thread for _, thread in sorted(zip(numbers, threads, strict=True)))


def _field_of(spec: InstructionSpec, operand: Operand, position: int, named: bool) -> Field:
    """Return the field that an operand is for; raises FaultError."""
    if operand.name is None:
        if named:
            raise FaultError(operand.start, "stands after a named operand; name it too")
        if position >= len(spec.operands):
            raise FaultError(operand.start, f"is one operand too many; {_takes(spec)}")
        return spec.operands[position]
    for target in spec.operands:
        if target.name == operand.name.text:
            return target
    raise FaultError(operand.name, f"is no operand of {spec.mnemonic}; {_takes(spec)}")


def _takes(spec: InstructionSpec) -> str:
    return f"{spec.mnemonic} takes {', '.join(f.name for f in spec.operands) or 'nothing'}"
