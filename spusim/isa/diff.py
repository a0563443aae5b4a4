"""What changed between two instruction tables, and what that does to old binaries and assembly.

Everything is decided from the tables. An old binary is kept when every word that the old table
decodes, the new one decodes to the same instruction and operands, operands that are new reading
zero; old assembly is kept when all that assembled still does, to the same words. Whether two
sentences mean the same, no table can say: a changed meaning is reported, and no verdict.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from spusim.isa.compatibility import bits_set, misread, refuses, rewords
from spusim.isa.names import IDENTIFIER, reserved_names
from spusim.isa.spec import Field, InstructionSpec, Isa, Kind, RecordSpec, Reserve


@dataclass(frozen=True)
class Change:
    """One difference. The last four say what it breaks, and are empty where it does not.

    binaries: why old words are refused or mean something else; assembly: why old text no longer
    assembles; words: why it assembles to other words; time: why it may take another time.
    """

    subject: str  # as `instruction vadd`, `record matrix`, `kind width`
    kind: str  # as `added`, `opcode moved`, `operand renamed`
    before: str
    after: str
    binaries: str = ""
    assembly: str = ""
    words: str = ""
    time: str = ""


@dataclass(frozen=True)
class TableDiff:
    """All changes from one table to another, in the order of their subjects."""

    old: Isa
    new: Isa
    changes: tuple[Change, ...]

    @property
    def breaks_binaries(self) -> tuple[str, ...]:
        """Why old binaries do not decode to the same meaning; empty if they do."""
        return tuple(f"{c.subject}: {c.binaries}" for c in self.changes if c.binaries)

    @property
    def breaks_assembly(self) -> tuple[str, ...]:
        """Why old assembly no longer assembles; empty if it does."""
        return tuple(f"{c.subject}: {c.assembly}" for c in self.changes if c.assembly)

    @property
    def rewords_assembly(self) -> tuple[str, ...]:
        """Why old assembly assembles to other words; empty if to the same."""
        return tuple(f"{c.subject}: {c.words}" for c in self.changes if c.words)

    @property
    def retimes(self) -> tuple[str, ...]:
        """Why old binaries may take another time, as far as a table can tell."""
        return tuple(f"{c.subject}: {c.time}" for c in self.changes if c.time)

    @property
    def compatible(self) -> bool:
        """Whether old binaries and old assembly are kept."""
        return not (self.breaks_binaries or self.breaks_assembly or self.rewords_assembly)


def diff_tables(old: Isa, new: Isa) -> TableDiff:
    """Return every difference from an old table to a new one, layout and comments left out."""
    changes = [
        *_word(old, new),
        *_instructions(old, new),
        *_records(old, new),
        *_kinds(old, new),
        *_reserves(old, new),
        *_taken_names(old, new),
    ]
    return TableDiff(old, new, tuple(changes))


def _word(old: Isa, new: Isa) -> Iterator[Change]:
    if old.word_bits != new.word_bits:
        yield Change(
            "word", "width", f"{old.word_bits} bits", f"{new.word_bits} bits",
            binaries="every instruction has another width", words="every word has another width",
        )  # fmt: skip


# instructions


def _instructions(old: Isa, new: Isa) -> Iterator[Change]:
    renamed = _renamed(old, new)
    for mnemonic, before in old.instructions.items():
        after = new.instructions.get(renamed.get(mnemonic, mnemonic))
        if after is None:
            yield _removed(before, new)
        else:
            yield from _instruction(before, after)
    kept = {renamed.get(mnemonic, mnemonic) for mnemonic in old.instructions}
    for mnemonic, spec in new.instructions.items():
        if mnemonic not in kept:
            yield _added(spec, old)


def _renamed(old: Isa, new: Isa) -> dict[str, str]:
    """Return old -> new mnemonic where a line differs in nothing else, but perhaps the opcode."""
    fresh = [spec for name, spec in new.instructions.items() if name not in old.instructions]
    pairs: dict[str, str] = {}
    for spec in old.instructions.values():
        if spec.mnemonic in new.instructions:
            continue
        twins = [other for other in fresh if _content(spec) == _content(other)]
        twins.sort(key=lambda other: other.opcode != spec.opcode)
        if twins:
            pairs[spec.mnemonic] = twins[0].mnemonic
            fresh.remove(twins[0])
    return pairs


def _content(spec: InstructionSpec) -> tuple[object, ...]:
    meaning = [
        "*" if word.strip("`,.:") == spec.mnemonic else word for word in spec.meaning.split()
    ]
    return (spec.unit, [_field_text(f) for f in spec.operands], meaning)


def _removed(spec: InstructionSpec, new: Isa) -> Change:
    other = new.opcodes.get(spec.opcode)
    now = f"is {other.mnemonic} now" if other else "is no instruction any more"
    return Change(
        f"instruction {spec.mnemonic}", "removed", _line(spec), "",
        binaries=f"opcode {spec.opcode:#04x} {now}", assembly="the mnemonic is unknown",
    )  # fmt: skip


def _added(spec: InstructionSpec, old: Isa) -> Change:
    reserve = old.reserve_of(spec.opcode)
    before = f"opcode reserved for {reserve.purpose}" if reserve else ""
    kind = "added, reservation taken" if reserve else "added"
    return Change(f"instruction {spec.mnemonic}", kind, before, _line(spec))


def _instruction(old: InstructionSpec, new: InstructionSpec) -> Iterator[Change]:
    subject = f"instruction {old.mnemonic}"
    if old.mnemonic != new.mnemonic:
        yield Change(
            subject, "renamed", old.mnemonic, new.mnemonic, assembly=f"is named {new.mnemonic} now"
        )
    if old.opcode != new.opcode:
        moved = f"the opcode was {old.opcode:#04x}, is {new.opcode:#04x}"
        yield Change(
            subject, "opcode moved", f"{old.opcode:#04x}", f"{new.opcode:#04x}",
            binaries=moved, words=moved,
        )  # fmt: skip
    yield from _fields(subject, old.operands, new.operands, assembled=True)
    if old.unit != new.unit:
        yield Change(
            subject, "unit", old.unit, new.unit, time=f"runs on the {new.unit}, not the {old.unit}"
        )
    yield from _meaning(subject, old.meaning, new.meaning)


def _meaning(subject: str, old: str, new: str) -> Iterator[Change]:
    if old.split() != new.split():
        yield Change(subject, "meaning", old, new)


# operands and fields


def _fields(
    subject: str, old: Sequence[Field], new: Sequence[Field], assembled: bool = True
) -> Iterator[Change]:
    """Yield what changed in an instruction's operands, or in a record's fields."""
    what = "operand" if assembled else "field"
    pairs = _pairs(old, new)
    changes = [
        *(
            change
            for before, after in pairs
            for change in _field(subject, what, before, after, _others(before, old))
        ),
        *(_lost(subject, what, f) for f in old if f not in [b for b, _ in pairs]),
        *(_gained(subject, what, f, old) for f in new if f not in [a for _, a in pairs]),
    ]
    if not assembled:
        yield from (replace(change, assembly="", words="") for change in changes)
        return
    yield from changes
    yield from _order(subject, old, new, [after for _, after in pairs])


def _order(
    subject: str, old: Sequence[Field], new: Sequence[Field], kept: Sequence[Field]
) -> Iterator[Change]:
    """Yield that operands changed places, which those given without names go by."""
    if list(kept) == [f for f in new if f in kept]:
        return
    refused = [why for one, other in zip(old, new, strict=False) if (why := refuses(one, other))]
    places = "operands given without names stand in another order"
    yield Change(
        subject, "operands reordered", _names(old), _names(new),
        assembly=f"{places}: {refused[0]}" if refused else "", words=places,
    )  # fmt: skip


def _others(one: Field, fields: Sequence[Field]) -> int:
    return bits_set(f for f in fields if f is not one)


def _pairs(old: Sequence[Field], new: Sequence[Field]) -> list[tuple[Field, Field]]:
    """Return each field with what it became: that of its name, else the new one in its place."""
    named = {f.name: f for f in new}
    fresh = {_place(f): f for f in new if f.name not in {g.name for g in old}}
    found = ((f, named.get(f.name) or fresh.get(_place(f))) for f in old)
    return [(before, after) for before, after in found if after is not None]


def _place(f: Field) -> tuple[int, int, str]:
    return f.low, f.bits, f.kind.name


def _field(subject: str, what: str, old: Field, new: Field, rest: int) -> Iterator[Change]:
    if old.name != new.name:
        yield Change(
            subject, f"{what} renamed", old.name, new.name, assembly=f"{old.name} is {new.name} now"
        )
    reasons = misread(old, new, rest), refuses(old, new), rewords(old, new) or _by_default(old, new)
    if old.default is not None and new.default is None:
        reasons = reasons[0], reasons[1] or f"{new.name} must be given now", reasons[2]
    if _place(old) != _place(new) or any(reasons):
        how = _how_changed(old, new)
        yield Change(subject, f"{what} {how}", _field_text(old), _field_text(new), *reasons)


def _by_default(old: Field, new: Field) -> str:
    """Return why assembly that leaves an operand out gives other bits; "" if the same."""
    if old.default in (None, new.default) or new.default is None:
        return ""
    return f"{old.name} left out was {old.default}, is {new.default}"


def _how_changed(old: Field, new: Field) -> str:
    ways = {
        "moved": old.low != new.low,
        "widened": old.bits < new.bits,
        "narrowed": old.bits > new.bits,
        "of another kind": old.kind != new.kind,
        "of another default": old.default != new.default,
    }
    return ", ".join(way for way, holds in ways.items() if holds)


def _lost(subject: str, what: str, f: Field) -> Change:
    return Change(
        subject, f"{what} removed", _field_text(f), "",
        binaries=f"{f.name} is no longer read", assembly=f"there is no {f.name} any more",
    )  # fmt: skip


def _gained(subject: str, what: str, f: Field, old: Sequence[Field]) -> Change:
    overlaps = bool(f.mask & bits_set(old))
    return Change(
        subject, f"{what} added", "", _field_text(f),
        binaries=f"{f.name} reads bits that belonged to other {what}s" if overlaps else "",
        assembly="" if f.default is not None else f"lacks {f.name}, which has no default",
        words=f"{f.name} is set where it is left out" if f.default else "",
    )  # fmt: skip


# records, kinds, reserved opcodes, names


def _records(old: Isa, new: Isa) -> Iterator[Change]:
    for name, before in old.records.items():
        subject, after = f"record {name}", new.records.get(name)
        if after is None:
            yield Change(subject, "removed", _record_text(before), "", binaries="is unknown")
            continue
        if before.words != after.words:
            yield Change(
                subject, "words", str(before.words), str(after.words),
                binaries=f"has {after.words} words, images hold {before.words}",
            )  # fmt: skip
        yield from _fields(subject, before.fields, after.fields, assembled=False)
        yield from _meaning(subject, before.meaning, after.meaning)
    for name, after in new.records.items():
        if name not in old.records:
            yield Change(f"record {name}", "added", "", _record_text(after))


def _kinds(old: Isa, new: Isa) -> Iterator[Change]:
    """Yield what kinds are now; what that breaks is told of the operands that have the kind."""
    for name in dict.fromkeys([*old.kinds, *new.kinds]):
        before, after = old.kinds.get(name), new.kinds.get(name)
        if before != after:
            how = "added" if before is None else "removed" if after is None else "changed"
            yield Change(f"kind {name}", how, _kind_text(before), _kind_text(after))


def _reserves(old: Isa, new: Isa) -> Iterator[Change]:
    for r in old.reserved:
        now = [_reserve_text(other) for other in new.reserved if _overlap(r, other)]
        if now != [_reserve_text(r)]:
            yield Change(
                _range("reserve", r), "changed", r.purpose, "; ".join(now) or "not reserved"
            )
    for r in new.reserved:
        if not any(_overlap(r, other) for other in old.reserved):
            yield Change(_range("reserve", r), "added", "", r.purpose)


def _overlap(one: Reserve, other: Reserve) -> bool:
    return one.first <= other.last and other.first <= one.last


def _taken_names(old: Isa, new: Isa) -> Iterator[Change]:
    """Yield names of values that are new: old assembly may use them for labels or constants."""
    for name in sorted(_value_names(new) - _value_names(old)):
        if IDENTIFIER.fullmatch(name):
            yield Change(
                f"name {name}", "taken", "", "names a value of an operand",
                assembly="labels and constants may no longer have this name",
            )  # fmt: skip


def _value_names(isa: Isa) -> frozenset[str]:
    return reserved_names(tuple(f for spec in isa.instructions.values() for f in spec.operands))


# as the table writes it


def _field_text(f: Field) -> str:
    plain = f"{f.name}:{f.kind.name}@{f.low}+{f.bits}"
    if f.default is None:
        return plain
    return f"{plain}={f.kind.names[f.default] if f.kind.names else f.default}"


def _names(fields: Iterable[Field]) -> str:
    return ", ".join(f.name for f in fields)


def _line(spec: InstructionSpec) -> str:
    operands = [_field_text(f) for f in spec.operands]
    return " ".join([f"{spec.opcode:#04x}", spec.unit, *operands])


def _record_text(record: RecordSpec) -> str:
    return " ".join([f"words={record.words}", *map(_field_text, record.fields)])


def _kind_text(kind: Kind | None) -> str:
    if kind is None:
        return ""
    form = ",".join(kind.names) or ("signed" if kind.signed else "unsigned")
    return f"{kind.bits} {form}" if kind.bits else form


def _range(what: str, r: Reserve) -> str:
    return f"{what} {r.first:#04x}-{r.last:#04x}"


def _reserve_text(r: Reserve) -> str:
    return f"{_range('', r).strip()} {r.purpose}"
