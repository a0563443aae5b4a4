"""Assembly text to instruction words; every mistake of a file is reported at once.

A line is `label: mnemonic operands ; comment`, each part optional. Operands are given in table
order, by name (`op=value`), or the first ones in order and the rest by name. Values are constant
expressions; enumerations, `none` and `relu` for tables, sets of cores as `{0,host}`; `loop` takes
a label as its body. `.equ NAME value` names a constant; `.thread NAME tokens=N` makes the next
instruction a thread's entry, threads being numbered as they come, or all by `number=K`.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from spusim.errors import nearest
from spusim.isa.codec import encode
from spusim.isa.expression import Symbols
from spusim.isa.faults import AssemblyError, Faults
from spusim.isa.lexer import Cursor, FaultError, Token, tokens
from spusim.isa.names import reserved_names
from spusim.isa.operands import Operand, constant, read_operand, value_of
from spusim.isa.spec import Field, InstructionSpec, Isa
from spusim.isa.table import load_isa

__all__ = ["Assembler", "Assembly", "AssemblyError", "assemble"]


@dataclass(frozen=True)
class Assembly:
    """What a file assembles to: words (n,) uint64, and what its text says of them."""

    words: np.ndarray
    labels: dict[str, int]  # name -> instruction index
    lines: tuple[int, ...]  # source line of each word
    threads: tuple[tuple[str, int, int], ...] = ()  # (name, entry, tokens), thread 0 first


def assemble(text: str, source: str, isa: Isa | None = None) -> Assembly:
    """Assemble a file; `source` names it in errors. Raises AssemblyError with up to 20 mistakes."""
    faults = Faults()
    assembler = Assembler(isa or load_isa(), faults)
    for line, content in enumerate(text.split("\n"), start=1):
        with faults.collecting(line):
            assembler.read(line, Cursor(tokens(content)))
    assembly = assembler.finish()
    if faults:
        raise faults.error(source)
    return assembly


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


class Assembler:
    """The code of one core being assembled: lines are read first, then values are worked out.

    Mistakes go to `faults`; a FaultError that `read` raises is for the caller to collect.
    """

    def __init__(self, isa: Isa, faults: Faults) -> None:
        self._isa = isa
        self._faults = faults
        self._collecting = faults.collecting
        self._defined: dict[str, int] = {}  # label, constant or thread -> line
        self._labels: dict[str, int] = {}
        self._equs: dict[str, tuple[int, Operand]] = {}
        self._statements: list[_Statement] = []
        self._thread_marks: list[_ThreadMark] = []
        self._size = 0  # instructions so far, wrong ones included
        self._line = 0
        self._given: dict[str, int] = {}  # constants that no `.equ` defines
        self._constants: dict[str, int] = {}
        self._reserved = reserved_names(
            tuple(f for spec in isa.instructions.values() for f in spec.operands)
        )

    @property
    def constants(self) -> Mapping[str, int]:
        """Constants whose value is known so far."""
        return self._constants

    def set_constant(self, line: int, name: Token, value: int) -> None:
        """Define a constant whose value is known; raises FaultError for a name that is taken."""
        self._line = line
        self._define(name, name.text)
        self._given[name.text] = self._constants[name.text] = value

    def finish(self) -> Assembly:
        """Return what the lines assemble to; of no use if there are faults."""
        symbols = self._symbols()
        words = [self._word(statement, symbols) for statement in self._statements]
        return Assembly(
            words=np.array(words, dtype=np.uint64),
            labels=self._labels,
            lines=tuple(statement.line for statement in self._statements),
            threads=self._threads(symbols),
        )

    # first pass: lines

    def read(self, line: int, cursor: Cursor) -> None:
        """Read the line with number `line`; raises FaultError for the first mistake of its form."""
        self._line = line
        while cursor.follows("name", ":"):
            self._define(cursor.token, cursor.token.text)
            self._labels[cursor.take().text] = self._size
            cursor.take()
        if cursor.token.kind == "directive":
            self._read_directive(cursor)
        elif cursor.token.kind == "name":
            self._read_instruction(cursor)
        else:
            cursor.expect("end", "a label, an instruction, `.equ` or `.thread`")

    def _define(self, token: Token, name: str) -> None:
        if name in self._reserved:
            raise FaultError(token, "is the name of an operand's value; take another name")
        first = self._defined.setdefault(name, self._line)
        taken = name in self._labels or name in self._equs or name in self._constants
        if first != self._line or taken:
            raise FaultError(token, f"is already defined in line {first}; rename one of them")

    def _read_directive(self, cursor: Cursor) -> None:
        directive = cursor.take()
        match directive.text:
            case ".equ":
                self._read_equ(cursor)
            case ".thread":
                self._read_thread(cursor)
            case _:
                raise FaultError(directive, "unknown directive; there are .equ and .thread")

    def _read_equ(self, cursor: Cursor) -> None:
        name = cursor.expect("name", "the constant's name, as `.equ STRIDE 4`")
        self._define(name, name.text)
        operand = read_operand(cursor)
        self._equs[name.text] = (self._line, operand)
        cursor.expect("end", "the end of the line after the value")
        # one that holds labels waits for the second pass
        with suppress(FaultError):
            self._constants[name.text] = constant(operand, self.known())

    def _read_thread(self, cursor: Cursor) -> None:
        wanted = 'the thread\'s name, as `.thread step tokens=2` or in "quotes"'
        name = cursor.take() if cursor.token.kind == "text" else cursor.expect("name", wanted)
        self._define(name, f"thread {name.text.strip(chr(34))}")
        settings: dict[str, Operand] = {}
        while cursor.mark(",") or cursor.token.kind != "end":
            operand = read_operand(cursor)
            label = operand.name.text if operand.name else ""
            if label not in ("tokens", "number") or label in settings:
                raise FaultError(operand.start, "expected `tokens=N`, once, or `number=K`, once")
            settings[label] = operand
        if "tokens" not in settings:
            raise FaultError(cursor.token, "expected `tokens=N`, which arm the thread")
        self._thread_marks.append(_ThreadMark(self._line, name, self._size, settings))

    def _read_instruction(self, cursor: Cursor) -> None:
        mnemonic, address = cursor.take(), self._size
        self._size += 1
        spec = self._isa.instructions.get(mnemonic.text)
        if spec is None:
            hint = nearest(mnemonic.text, self._isa.instructions)
            raise FaultError(mnemonic, f"is no instruction of ISA {self._isa.version}; {hint}")
        operands = []
        if cursor.token.kind != "end":
            operands.append(read_operand(cursor))
        while cursor.mark(","):
            operands.append(read_operand(cursor))
        cursor.expect("end", "`,` between operands, or the end of the line")
        bound = self._bind(spec, mnemonic, operands)
        self._statements.append(_Statement(self._line, address, mnemonic, spec, bound))

    def _bind(
        self, spec: InstructionSpec, mnemonic: Token, operands: list[Operand]
    ) -> tuple[tuple[Field, Operand], ...]:
        """Return each operand with its field; wrong ones are reported and left out."""
        bound: dict[str, tuple[Field, Operand]] = {}
        named = False
        for position, operand in enumerate(operands):
            named |= operand.name is not None
            with self._collecting(self._line):
                target = _field_of(spec, operand, position, named)
                if target.name in bound:
                    raise FaultError(operand.start, f"{target.name} is given twice; remove one")
                bound[target.name] = (target, operand)
        missing = [f.name for f in spec.operands if f.name not in bound and f.default is None]
        # a wrong operand may be the missing one
        if missing and len(bound) == len(operands):
            with self._collecting(self._line):
                raise FaultError(mnemonic, f"lacks {', '.join(missing)}; {_takes(spec)}")
        return tuple(bound.values())

    # second pass: values

    def _symbols(self) -> Symbols:
        constants = dict(self._given)
        symbols = Symbols(constants, self._labels, self.known().equ_lines)
        for name, (line, operand) in self._equs.items():
            with self._collecting(line):
                constants[name] = constant(operand, symbols)
        return symbols

    def known(self) -> Symbols:
        """Return the names' values as far as they are known before the second pass."""
        equ_lines = {name: line for name, (line, _) in self._equs.items()}
        return Symbols(self._constants, {}, equ_lines)

    def _word(self, statement: _Statement, symbols: Symbols) -> int:
        spec = statement.spec
        values = {f.name: f.default for f in spec.operands if f.default is not None}
        for target, operand in statement.operands:
            with self._collecting(statement.line):
                values[target.name] = value_of(
                    spec.mnemonic, target, operand, statement.address, symbols
                )
        complete = len(values) == len(spec.operands)
        return encode(self._isa, spec.mnemonic, values) if complete else 0

    def _threads(self, symbols: Symbols) -> tuple[tuple[str, int, int], ...]:
        threads, numbers = [], []
        for mark in self._thread_marks:
            with self._collecting(mark.line):
                count = constant(mark.settings["tokens"], symbols)
                if count < 1:
                    raise FaultError(
                        mark.settings["tokens"].start, "a thread needs 1 token or more"
                    )
                if mark.entry == self._size:
                    raise FaultError(mark.name, "no instruction follows; end the thread with `end`")
                threads.append((mark.name.text.strip('"'), mark.entry, count))
                if "number" in mark.settings:
                    numbers.append(constant(mark.settings["number"], symbols))
        if numbers and len(threads) == len(self._thread_marks):
            return self._renumber(threads, numbers)
        return tuple(threads)

    def _renumber(
        self, threads: list[tuple[str, int, int]], numbers: list[int]
    ) -> tuple[tuple[str, int, int], ...]:
        if sorted(numbers) != list(range(len(threads))):
            last = self._thread_marks[-1]
            self._faults.add(
                last.line,
                last.name,
                f"threads' numbers (={numbers}) must be 0 to {len(threads) - 1}, each once, "
                f"for all {len(threads)} threads; mend them, or leave out every `number=`",
            )
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
    names = (f.name if f.default is None else f"{f.name} (or not)" for f in spec.operands)
    return f"{spec.mnemonic} takes {', '.join(names) or 'nothing'}"
