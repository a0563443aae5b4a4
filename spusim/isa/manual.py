"""The reference manual of an instruction set, and the facts that `spusim isa check` prints."""

from collections.abc import Iterable, Iterator, Sequence

from spusim.isa.codec import decode, encode
from spusim.isa.names import HOST_BIT, RELATIVE, VALUE_NAMES
from spusim.isa.spec import OPCODE_BITS, UNITS, Field, InstructionSpec, Isa, IsaError, RecordSpec

OPCODES = 1 << OPCODE_BITS
UNUSED = "0"


def manual(isa: Isa) -> str:
    """Return the manual as Markdown."""
    parts = [
        _introduction(isa),
        _kinds(isa),
        *(_unit(isa, unit) for unit in UNITS),
        "## Descriptor records\n\nRecords that a program image holds, and operands name by number."
        " Word 0 is the lowest.",
        *(_record(isa, record) for record in isa.records.values()),
        _reserved(isa),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def check(isa: Isa) -> list[str]:
    """Return facts about an instruction set; raises IsaError if an encoding does not round-trip."""
    words = sum(_round_trips(isa, spec) for spec in isa.instructions.values())
    units = ", ".join(f"{unit} {len(_of_unit(isa, unit))}" for unit in UNITS)
    reserved = sum(r.last - r.first + 1 for r in isa.reserved)
    used = len(isa.opcodes)
    return [
        f"ISA {isa.version} ({isa.state}), sha256 {isa.hash}",
        f"{used} instructions: {units}",
        f"{len(isa.kinds)} operand kinds, {len(isa.records)} records, "
        f"at most {isa.max_operands} operands",
        f"opcodes: {used} used, {reserved} reserved in {len(isa.reserved)} ranges, "
        f"{OPCODES - used - reserved} free of {OPCODES}",
        *(_unset(s.mnemonic, isa.opcode_low, s.operand_mask) for s in isa.instructions.values()),
        *(
            _unset(f"record {r.name}", r.words * isa.word_bits, r.field_mask)
            for r in isa.records.values()
        ),
        f"all encodings round-trip at their operands' extremes ({words} words)",
    ]


def _round_trips(isa: Isa, spec: InstructionSpec) -> int:
    """Return how many words were encoded and decoded to the same operands."""
    cases = list(_extremes(spec.operands))
    for operands in cases:
        word = encode(isa, spec.mnemonic, operands)
        back = decode(isa, word)
        if (back.mnemonic, back.operands) != (spec.mnemonic, operands):
            raise IsaError(
                f"{spec.mnemonic} {operands} is encoded as {word:#018x}, which decodes to "
                f"{back.mnemonic} {back.operands}; mend the codec"
            )
    return len(cases)


def _extremes(fields: Sequence[Field]) -> Iterator[dict[str, int]]:
    """Yield all smallest, all largest, and each field at the other end than all others."""
    smallest = {f.name: f.smallest for f in fields}
    largest = {f.name: f.largest for f in fields}
    yield smallest
    if fields:
        yield largest
    for f in fields:
        yield smallest | {f.name: f.largest}
        yield largest | {f.name: f.smallest}


def _unset(what: str, bits: int, mask: int) -> str:
    free = [bit for bit in range(bits) if not mask >> bit & 1]
    return f"{what}: {len(free)} of {bits} bits unset" + (f" ({_ranges(free)})" if free else "")


def _ranges(bits: list[int]) -> str:
    """Return bits as ranges from the highest: `55..44, 3`."""
    runs: list[list[int]] = []
    for bit in reversed(bits):
        if runs and runs[-1][1] == bit + 1:
            runs[-1][1] = bit
        else:
            runs.append([bit, bit])
    return ", ".join(_span(high, low) for high, low in runs)


def _span(high: int, low: int) -> str:
    return f"{high}..{low}" if high != low else f"{high}"


def _of_unit(isa: Isa, unit: str) -> list[InstructionSpec]:
    return [spec for spec in isa.opcodes.values() if spec.unit == unit]


def _introduction(isa: Isa) -> str:
    top = isa.word_bits - 1
    diagram = _diagram(isa.word_bits, [(isa.opcode_low, OPCODE_BITS, "opcode"),
                                       (0, isa.opcode_low, "operands")])  # fmt: skip
    return (
        f"# spusim instruction set {isa.version}\n\n"
        f"Version {isa.version}, {isa.state}; table hash `{isa.hash}`.\n\n"
        f"## Instruction word\n\n"
        f"An instruction is one {isa.word_bits}-bit word. Bits {top}..{isa.opcode_low} are the "
        f"opcode; operands lie below it. Bits that no operand uses are zero; a word in which they "
        f"are not is refused, as is an opcode that is not listed here.\n\n{diagram}"
    )


def _kinds(isa: Isa) -> str:
    rows = []
    for kind in isa.kinds.values():
        values = ", ".join(f"{n} = `{name}`" for n, name in enumerate(kind.names))
        form = values or ("signed, two's complement" if kind.signed else "unsigned")
        special = [f"`{n}` is {v}" for n, v in VALUE_NAMES.get(kind.name, {}).items()]
        if kind.name == "cores":
            special = [f"a mask, written `{{0,1}}`; `host` is bit {HOST_BIT}"]
        rows.append((f"`{kind.name}`", form, "; ".join(special)))
    return "## Operand kinds\n\n" + _table(("kind", "encoding", "in assembly"), rows)


def _unit(isa: Isa, unit: str) -> str:
    specs = _of_unit(isa, unit)
    if not specs:
        return ""
    rows = [(f"`{s.opcode:#04x}`", f"`{_usage(s)}`", s.meaning) for s in specs]
    head = f"## Unit: {unit}\n\n" + _table(("opcode", "assembly", "meaning"), rows)
    return "\n\n".join([head, *(_instruction(isa, s) for s in specs)])


def _usage(spec: InstructionSpec) -> str:
    return f"{spec.mnemonic} {', '.join(f.name for f in spec.operands)}".rstrip()


def _instruction(isa: Isa, spec: InstructionSpec) -> str:
    boxes = [(isa.opcode_low, OPCODE_BITS, f"{spec.opcode:#04x}")]
    boxes += [(f.low, f.bits, f.name) for f in spec.operands]
    parts = [f"### {spec.mnemonic}", spec.meaning, _diagram(isa.word_bits, boxes)]
    if spec.operands:
        parts.append(_fields(spec.operands, spec.mnemonic))
    return "\n\n".join(parts)


def _fields(fields: Iterable[Field], mnemonic: str = "") -> str:
    rows = []
    for f in fields:
        values = ", ".join(f.kind.names) or f"{f.smallest} to {f.largest}"
        if (mnemonic, f.name) in RELATIVE:
            values += ", or a label after it"
        if f.default is not None:
            values += f"; {f.kind.names[f.default] if f.kind.names else f.default} if left out"
        rows.append((f"`{f.name}`", f"`{f.kind.name}`", _span(f.high, f.low), str(f.bits), values))
    return _table(("field", "kind", "bits", "width", "values"), rows)


def _record(isa: Isa, record: RecordSpec) -> str:
    parts = [f"### Record {record.name}", f"{record.meaning} Words: {record.words}."]
    for index in range(record.words):
        base = index * isa.word_bits
        boxes = [
            (f.low - base, f.bits, f.name) for f in record.fields if f.low // isa.word_bits == index
        ]
        parts.append(f"Word {index}:\n\n{_diagram(isa.word_bits, boxes)}")
    return "\n\n".join([*parts, _fields(record.fields)])


def _reserved(isa: Isa) -> str:
    rows = [
        (f"`{r.first:#04x}` to `{r.last:#04x}`", str(r.last - r.first + 1), r.purpose)
        for r in isa.reserved
    ]
    return "## Reserved opcodes\n\n" + _table(("opcodes", "count", "reserved for"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    # a bar inside a cell would end it
    return "\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |" for r in cells)


def _diagram(bits: int, boxes: Iterable[tuple[int, int, str]]) -> str:
    """Return a word's boxes (low, bits, label) drawn from the highest bit; gaps are unused bits."""
    whole: list[tuple[int, int, str]] = []
    top = bits
    for low, width, label in sorted(boxes, reverse=True):
        if low + width < top:
            whole.append((top - 1, low + width, UNUSED))
        whole.append((low + width - 1, low, label))
        top = low
    if top:
        whole.append((top - 1, 0, UNUSED))
    spans = [str(high) if high == low else f"{high} {low}" for high, low, _ in whole]
    widths = [max(len(s), len(label)) for s, (_, _, label) in zip(spans, whole, strict=True)]
    scale = [_ends(high, low, w) for (high, low, _), w in zip(whole, widths, strict=True)]
    labels = [f"{label:^{w}}" for (_, _, label), w in zip(whole, widths, strict=True)]
    rule = "+" + "+".join("-" * (w + 2) for w in widths) + "+"
    rows = ["  " + "   ".join(scale), rule, f"| {' | '.join(labels)} |", rule]
    return "```text\n" + "\n".join(rows) + "\n```"


def _ends(high: int, low: int, width: int) -> str:
    if high == low:
        return f"{high:^{width}}"
    return f"{high}{low:>{width - len(str(high))}}"
