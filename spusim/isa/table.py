"""Reader of `isa/spu.isa`: checks it line by line, and returns the frozen `Isa`."""

import hashlib
import json
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from spusim.isa.spec import (
    OPCODE_BITS,
    UNITS,
    Field,
    InstructionSpec,
    Isa,
    IsaError,
    Kind,
    RecordSpec,
    Reserve,
)
from spusim.resources import shipped

__all__ = ["Isa", "IsaError", "load_isa", "read_isa"]

STATES = ("draft", "frozen")
WORD_BITS = (32, 64)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ENUMERATOR = re.compile(r"[a-z_][a-z0-9_]*|0|[1-9][0-9]*")  # assembly writes a name or an integer
_OPERAND = re.compile(r"([a-z][a-z0-9_]*):([a-z][a-z0-9_]*)@([0-9]+)\+([0-9]+)(?:=([a-z0-9_]+))?")
_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_OPCODE = re.compile(r"0x[0-9a-f]{2}")
_RANGE = re.compile(r"(0x[0-9a-f]{2})(?:-(0x[0-9a-f]{2}))?")
_LINE = re.compile(r'([^"#]*)(?:"([^"]*)"\s*)?(?:#.*)?')


def load_isa(path: str | Path | None = None) -> Isa:
    """Read an instruction table; without a path the shipped one, which is read once.

    Raises IsaError with file, line and remedy.
    """
    return _shipped_isa() if path is None else _read_file(Path(path))


def read_isa(text: str, source: str) -> Isa:
    """Read the text of an instruction table; `source` names it in errors (IsaError)."""
    return _Reader(source).read(text)


@lru_cache(maxsize=1)
def _shipped_isa() -> Isa:
    return _read_file(shipped("isa") / "spu.isa")


def _read_file(path: Path) -> Isa:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise IsaError(
            f"{path}: cannot be read as an instruction table ({reason}); check path and permission"
        ) from error
    return read_isa(text, str(path))


class _Reader:
    """Reads a table line by line; the first line that breaks a rule ends it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.line = 0
        self.version = self.state = ""
        self.word_bits = 0
        self.kinds: dict[str, Kind] = {}
        self.instructions: dict[str, InstructionSpec] = {}
        self.opcodes: dict[int, InstructionSpec] = {}
        self.records: dict[str, RecordSpec] = {}
        self.reserved: list[Reserve] = []
        self.lines: dict[str, int] = {}  # what was defined -> line

    def fail(self, message: str) -> NoReturn:
        raise IsaError(f"{self.source}:{self.line}: {message}")

    def read(self, text: str) -> Isa:
        for self.line, line in enumerate(text.splitlines(), start=1):
            match = _LINE.fullmatch(line)
            if match is None:
                self.fail('malformed line: a meaning is one "text in quotes" at the end')
            words, meaning = match[1].split(), match[2]
            if words:
                _DIRECTIVES.get(words[0], _Reader.instruction)(self, words, meaning)
            elif meaning is not None:
                self.fail(f'malformed line: "{meaning}" has no instruction; put it on its line')
        if not self.version or not self.word_bits:
            self.fail("the table has no `version` or no `word` line; begin it with both")
        return self.finish()

    def finish(self) -> Isa:
        self.check_reserved()
        return Isa(
            version=self.version,
            state=self.state,
            word_bits=self.word_bits,
            hash=self.digest(meanings=True),
            encoding_hash=self.digest(meanings=False),
            kinds=self.kinds,
            instructions=self.instructions,
            opcodes=dict(sorted(self.opcodes.items())),
            records=self.records,
            reserved=tuple(sorted(self.reserved, key=lambda r: r.first)),
            source=self.source,
        )

    def check_reserved(self) -> None:
        for opcode, spec in self.opcodes.items():
            for reserve in self.reserved:
                if reserve.first <= opcode <= reserve.last:
                    self.line = self.lines[f"instruction {spec.mnemonic}"]
                    self.fail(
                        f"opcode {opcode:#04x} of {spec.mnemonic} is reserved for "
                        f"{reserve.purpose} ({reserve.first:#04x}-{reserve.last:#04x}); "
                        f"take another opcode or shorten that `reserve`"
                    )

    def digest(self, meanings: bool) -> str:
        """Return the sha256 of the content in an order that the file's order does not change."""

        def fields(items: tuple[Field, ...]) -> list[list[object]]:
            defaults = [[] if f.default is None else [f.default] for f in items]
            plain = [[f.name, f.kind.name, f.low, f.bits] for f in items]
            return [[*one, *default] for one, default in zip(plain, defaults, strict=True)]

        def prose(text: str) -> list[str]:
            return [" ".join(text.split())] if meanings else []

        content = {
            "version": [self.version, self.state],
            "word": self.word_bits,
            "kinds": [[k.name, k.signed, k.names, k.bits] for _, k in sorted(self.kinds.items())],
            "instructions": [
                [s.mnemonic, opcode, s.unit, fields(s.operands), *prose(s.meaning)]
                for opcode, s in sorted(self.opcodes.items())
            ],
            "records": [
                [r.name, r.words, fields(r.fields), *prose(r.meaning)]
                for _, r in sorted(self.records.items())
            ],
            "reserved": sorted([r.first, r.last, *prose(r.purpose)] for r in self.reserved),
        }
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()

    def define(self, what: str, name: str) -> None:
        first = self.lines.setdefault(f"{what} {name}", self.line)
        if first != self.line:
            self.fail(f"{what} {name!r} is already defined in line {first}; rename one of them")

    def name(self, what: str, text: str) -> str:
        if _NAME.fullmatch(text) is None:
            self.fail(f"{what} {text!r} must be a lower-case letter, then letters, digits and _")
        return text

    def meaning(self, name: str, text: str | None) -> str:
        if text is None or not text.strip():
            self.fail(f'{name} has no meaning; end its line with "one sentence in quotes"')
        return text.strip()

    def arguments(self, words: list[str], counts: tuple[int, ...], form: str) -> list[str]:
        if len(words) - 1 not in counts:
            self.fail(f"malformed line: expected `{form}`, found `{' '.join(words)}`")
        return words[1:]

    def read_version(self, words: list[str], _meaning: str | None) -> None:
        self.define("version", "line")
        self.version, self.state = self.arguments(words, (2,), "version NUMBER STATE")
        if _VERSION.fullmatch(self.version) is None:
            self.fail(
                f"version {self.version!r} must be MAJOR.MINOR, numbers without leading zeros, "
                f"as 0.9 or 0.10"
            )
        if self.state not in STATES:
            self.fail(f"state {self.state!r} must be one of {', '.join(STATES)}")

    def read_word(self, words: list[str], _meaning: str | None) -> None:
        self.define("word", "line")
        (bits,) = self.arguments(words, (1,), "word BITS")
        if bits not in map(str, WORD_BITS):
            self.fail(f"word bits (={bits}) must be one of {', '.join(map(str, WORD_BITS))}")
        self.word_bits = int(bits)

    def read_kind(self, words: list[str], _meaning: str | None) -> None:
        name, *bits, values = self.arguments(
            words, (2, 3), "kind NAME BITS? signed|unsigned|one,two,..."
        )
        self.define("kind", self.name("kind", name))
        if bits and (not bits[0].isdecimal() or int(bits[0]) == 0):
            self.fail(f"kind {name}: bits (={bits[0]}) must be a number of at least 1")
        width = int(bits[0]) if bits else None
        if values in ("signed", "unsigned"):
            self.kinds[name] = Kind(name, values == "signed", (), width)
            return
        names = tuple(values.split(","))
        if len(names) < 2 or len(set(names)) < len(names) or not all(
            _ENUMERATOR.fullmatch(n) for n in names
        ):  # fmt: skip
            self.fail(
                f"kind {name}: {values!r} must be signed, unsigned, or at least two different "
                f"names or numbers with commas and no spaces"
            )
        self.kinds[name] = Kind(name, False, names, width)

    def read_record(self, words: list[str], meaning: str | None) -> None:
        if len(words) < 3 or re.fullmatch(r"words=[1-9][0-9]*", words[2]) is None:
            self.fail('malformed line: expected `record NAME words=N field:kind@low+bits "..."`')
        name, count = self.name("record", words[1]), int(words[2].removeprefix("words="))
        self.define("record", name)
        limit = count * self.bits_of_word(f"record {name}")
        fields = self.fields(f"record {name}", words[3:], limit, f"its {count} words")
        for f in fields:
            if f.low // self.word_bits != f.high // self.word_bits:
                self.fail(
                    f"record {name}: field {f.name} (bits {f.high}..{f.low}) crosses a word "
                    f"boundary; move it to bit {f.high // self.word_bits * self.word_bits}"
                )
        self.records[name] = RecordSpec(
            name, count, fields, self.meaning(f"record {name}", meaning)
        )

    def read_reserve(self, words: list[str], purpose: str | None) -> None:
        (text,) = self.arguments(words, (1,), 'reserve FIRST-LAST "for what"')
        match = _RANGE.fullmatch(text)
        if match is None:
            self.fail(f"reserved opcodes {text!r} must be written as 0x14-0x1f")
        first, last = int(match[1], 16), int(match[2] or match[1], 16)
        if first > last:
            self.fail(f"reserved opcodes {text} run backwards; write {match[2]}-{match[1]}")
        for other in self.reserved:
            if first <= other.last and other.first <= last:
                self.fail(
                    f"reserved opcodes {text} overlap {other.first:#04x}-{other.last:#04x}, "
                    f"reserved for {other.purpose}; make them disjoint"
                )
        self.reserved.append(Reserve(first, last, self.meaning(f"reserve {text}", purpose)))

    def instruction(self, words: list[str], meaning: str | None) -> None:
        if len(words) < 3 or _OPCODE.fullmatch(words[1]) is None:
            self.fail(
                "malformed line: expected `mnemonic 0xNN unit operand:kind@low+bits ... "
                f'"meaning"`, found `{" ".join(words)}`'
            )
        mnemonic, opcode, unit = self.name("mnemonic", words[0]), int(words[1], 16), words[2]
        self.define("instruction", mnemonic)
        if opcode in self.opcodes:
            self.fail(
                f"opcode {opcode:#04x} of {mnemonic} is already that of "
                f"{self.opcodes[opcode].mnemonic}; take a free one"
            )
        if unit not in UNITS:
            self.fail(f"unit {unit!r} of {mnemonic} is unknown; it is one of {', '.join(UNITS)}")
        limit = self.bits_of_word(mnemonic) - OPCODE_BITS
        operands = self.fields(mnemonic, words[3:], limit, "the bits below the opcode")
        spec = InstructionSpec(mnemonic, opcode, unit, operands, self.meaning(mnemonic, meaning))
        self.instructions[mnemonic] = self.opcodes[opcode] = spec

    def bits_of_word(self, what: str) -> int:
        if not self.word_bits:
            self.fail(f"{what} comes before the `word` line; put `word 64` above it")
        return self.word_bits

    def fields(self, what: str, texts: list[str], limit: int, place: str) -> tuple[Field, ...]:
        fields: list[Field] = []
        for text in texts:
            new = self.field(what, text)
            if new.high >= limit:
                self.fail(
                    f"{what}: {new.name} (bits {new.high}..{new.low}) does not fit in {place}, "
                    f"which end at bit {limit - 1}; move or narrow it"
                )
            for old in fields:
                if old.name == new.name:
                    self.fail(f"{what}: operand {new.name} is named twice; rename one")
                if old.mask & new.mask:
                    self.fail(
                        f"{what}: {new.name} (bits {new.high}..{new.low}) overlaps {old.name} "
                        f"(bits {old.high}..{old.low}); move one of them"
                    )
            fields.append(new)
        return tuple(fields)

    def field(self, what: str, text: str) -> Field:
        match = _OPERAND.fullmatch(text)
        if match is None or int(match[4]) == 0:
            self.fail(
                f"{what}: malformed operand {text!r}; write name:kind@low+bits, as src:row@8+20"
            )
        kind = self.kinds.get(match[2])
        if kind is None:
            self.fail(f"{what}: kind {match[2]!r} is unknown; add a `kind` line above")
        default = self.default(what, kind, match[5]) if match[5] else None
        new = Field(match[1], kind, int(match[3]), int(match[4]), default)
        if default is not None and not new.smallest <= default <= new.largest:
            self.fail(f"{what}: {new.name}'s default {default} does not fit its {new.bits} bits")
        if kind.bits not in (None, new.bits):
            self.fail(f"{what}: {new.name} has {new.bits} bits, its kind {kind.name} {kind.bits}")
        if len(kind.names) > 1 << new.bits:
            self.fail(
                f"{what}: {new.name} has {new.bits} bits, too few for the {len(kind.names)} names "
                f"of {kind.name}; give it {(len(kind.names) - 1).bit_length()}"
            )
        return new

    def default(self, what: str, kind: Kind, text: str) -> int:
        if text in kind.names:
            return kind.names.index(text)
        if kind.names or not text.isdecimal():
            choices = ", ".join(kind.names) or "a number"
            self.fail(f"{what}: default {text!r} is no value of {kind.name}; use {choices}")
        return int(text)


_DIRECTIVES: dict[str, Callable[[_Reader, list[str], str | None], None]] = {
    "version": _Reader.read_version,
    "word": _Reader.read_word,
    "kind": _Reader.read_kind,
    "record": _Reader.read_record,
    "reserve": _Reader.read_reserve,
}
