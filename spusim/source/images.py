"""A core's matrices, tables and data, from directives to the parts of its image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spusim.arch import Arch
from spusim.arch.spec import WIDE_BIAS_BITS
from spusim.formats import GROUPED, Layout, pack, pack_elements
from spusim.formats.codes import ENTRIES as CODEBOOK_ENTRIES
from spusim.formats.codes import TERNARY_BITS
from spusim.isa import Assembler, IsaError, encode_record, load_isa
from spusim.isa.lexer import FaultError
from spusim.numerics import build_table, table_entries
from spusim.program import (
    Matrix,
    Segment,
    Table,
    Transfer,
    Window,
    transfer_record,
    window_record,
)
from spusim.source.directives import Given, LineFaultError
from spusim.source.values import in_bits, limited_values, sparse_values

SCALE_UNIT = 4  # the operand `scale` counts in words of four
_SCALE_BITS = 64  # a multiplier in the low half, a shift above it


# smallest and largest of settings that no record of the program bounds by itself
_RANGES = {
    "rows": (1, (1 << 16) - 1),
    "columns": (1, (1 << 16) - 1),
    "group": (1, 255),
    "extent": (0, 255),
    "in": (-64, 64),
    "out": (-64, 64),
}


@dataclass
class Part:
    """A directive with a body, and the lines of the body."""

    head: Given
    body: list[Given] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name that it defines."""
        return str(self.head.values["name"])

    def lines(self, directive: str) -> list[Given]:
        """Return the lines of its body that begin with a directive."""
        return [given for given in self.body if given.token.text == directive]

    def one(self, directive: str) -> Given | None:
        """Return the line of its body with a directive, or None; raises FaultError for a second."""
        found = self.lines(directive)
        if len(found) > 1:
            raise LineFaultError(found[1], "stands twice below one directive; remove one")
        return found[0] if found else None


@dataclass
class CoreGiven:
    """What a source says of one core besides its code, in file order."""

    mentioned: Given | None = None
    matrices: list[Part] = field(default_factory=list)
    tables: list[Part] = field(default_factory=list)
    windows: list[Part] = field(default_factory=list)
    transfers: list[Part] = field(default_factory=list)
    external: list[Part] = field(default_factory=list)  # contents of external memory
    places: list[Part] = field(default_factory=list)  # data, scales, spaces

    def begin(self, given: Given, assembler: Assembler) -> Part:
        """Take a directive that defines a name, and let the core's code know it."""
        part = Part(given)
        kind = given.token.text
        lists = {
            ".matrix": self.matrices, ".table": self.tables, ".window": self.windows,
            ".transfer": self.transfers, ".external": self.external,
        }  # fmt: skip
        home = lists.get(kind, self.places)
        value = _address(given) if "address" in given.values else len(home)
        home.append(part)
        assembler.set_constant(given.line, given.at("name"), value)
        return part


def _address(given: Given) -> int:
    """Return what the name of a place stands for; raises FaultError."""
    address: int = given.values["address"]
    if address < 0:
        raise FaultError(given.at("address"), f"address (={address}) must be at least 0")
    if given.token.text != ".scales":
        return address
    if address % SCALE_UNIT:
        raise FaultError(
            given.at("address"),
            f"address (={address}) of scale entries must be a multiple of {SCALE_UNIT}, in which "
            f"`scale` counts; try {address - address % SCALE_UNIT}",
        )
    return address // SCALE_UNIT


# data


def segment(part: Part, word_bits: int) -> Segment:
    """Return the words of a `.data` or `.scales`; raises LineFaultError."""
    bits: int = _SCALE_BITS
    if part.head.token.text == ".scales":
        values = np.array([_scale(given) for given in part.lines(".scale")], np.int64)
    else:
        bits = int(part.head.values.get("bits", 16))
        values = _data_values(part, bits)
    if not len(values):
        raise LineFaultError(part.head, "has no values; list them below it, or use `.space`")
    if bits == _SCALE_BITS:
        values, bits = values.view("<i4"), _SCALE_BITS // 2
    words = pack_elements(values, bits, word_bits)
    return Segment(part.name, part.head.values["address"], words)


def _check_ranges(head: Given) -> None:
    """Raise LineFaultError for the first setting out of its range."""
    for key, (smallest, largest) in _RANGES.items():
        value = head.values.get(key, smallest)
        if not smallest <= value <= largest:
            raise LineFaultError(head, f"{key} (={value}) must be {smallest} to {largest}", key)


def _scale(given: Given) -> int:
    multiplier, shift = given.values["multiplier"], given.values["shift"]
    if not 0 <= multiplier < 1 << 31:
        raise LineFaultError(
            given, f"multiplier (={multiplier}) must be 0 to {(1 << 31) - 1}", "multiplier"
        )
    if not 0 <= shift <= 62:
        raise LineFaultError(given, f"shift (={shift}) must be 0 to 62", "shift")
    return int(multiplier | shift << 32)


def _data_values(part: Part, bits: int) -> np.ndarray:
    drawn = part.one(".random")
    if drawn is None:
        return in_bits(part.lines(".values"), bits)
    if part.lines(".values"):
        raise LineFaultError(drawn, "stands beside listed values; keep one of the two")
    if "count" not in drawn.values:
        raise LineFaultError(drawn, "lacks count, the number of elements")
    values = sparse_values(drawn, drawn.values["count"], drawn.values.get("bits", bits))
    return values.ravel()


# windows

# settings of a `.window` whose names or words are not those of the record
_WINDOW_NAMES = {"activations": "activation_bits", "outputs": "output_bits"}


def built_window(part: Part) -> Window:
    """Return the descriptor that a `.window` tells; raises LineFaultError."""
    head, isa = part.head, load_isa()
    words = {f.name: f.kind.names for f in isa.records["window"].fields if f.kind.names}
    values = {_WINDOW_NAMES.get(key, key): value for key, value in head.values.items()}
    for key, names in words.items():
        if key in values:
            values[key] = names.index(values[key])
    window = Window(**values)
    try:
        encode_record(isa, "window", window_record(window))
    except IsaError as error:
        raise LineFaultError(head, str(error), "name") from error
    if complaint := window.complaint(window.groups):
        raise LineFaultError(head, complaint, "name")
    return window


def built_transfer(part: Part) -> Transfer:
    """Return the descriptor that a `.transfer` tells; raises LineFaultError."""
    transfer = Transfer(**part.head.values)
    try:
        encode_record(load_isa(), "transfer", transfer_record(transfer))
    except IsaError as error:
        raise LineFaultError(part.head, str(error), "name") from error
    return transfer


# matrices


def matrix_layout(arch: Arch, head: Given, biased: bool) -> Layout:
    """Return how the architecture packs a matrix, where its directive does not say otherwise."""
    core, values = arch.core, head.values
    word_bits = core.weight_word_bits
    resident = core.index_memory.mode == "resident"
    form = values["format"]
    pointers = form == "run_length" or (resident and form != "dense")
    group, extent = core.sparse.grouping(form)
    return Layout(
        format=form,
        pes=core.pes,
        word_bits=word_bits,
        index_word_bits=core.index_memory.word_bits if resident else word_bits,
        weight_bits=values.get("weights", 8),
        group=values.get("group", group) if form in GROUPED else 1,
        index_bits=values.get("index_bits", core.sparse.index_bits),
        pointer_bits=values.get("pointer_bits", core.sparse.pointer_bits if pointers else 0),
        bias_bits=values.get("bias_bits", arch.bias_bits) if biased else 0,
        extent=values.get("extent", extent) if extent else 0,
    )


def packed_matrix(
    arch: Arch, part: Part, base: int, index_base: int, tables: Sequence[Table]
) -> Matrix:
    """Pack a `.matrix`, at base and index_base if it does not say. Raises SpusimError."""
    head = part.head
    _check_ranges(head)
    rows, columns = head.values["rows"], head.values["columns"]
    codebook = _codebook(head, tables)
    weight = _weight(part, rows, columns, codebook)
    bias = _bias(part, rows)
    layout = replace(matrix_layout(arch, head, bias is not None), codebook=codebook)
    packed = pack(weight, layout, bias)
    preload = arch.core.index_memory.mode == "preload"
    return Matrix(
        part.name,
        packed,
        head.values.get("activations", 16),
        head.values.get("base", base),
        0 if preload else head.values.get("index_base", index_base),
        preload,
        codebook=head.values["codebook"] + 1 if codebook else 0,
        home=head.values.get("home"),
    )


def _codebook(head: Given, tables: Sequence[Table]) -> tuple[int, ...]:
    """Return the entries of the table that a matrix names; raises LineFaultError."""
    number = head.values.get("codebook")
    if number is None:
        return ()
    if not 0 <= number < len(tables):
        raise LineFaultError(
            head, f"codebook (={number}) must be one of the core's {len(tables)} tables", "codebook"
        )
    entries: list[int] = tables[number].entries.tolist()
    if len(entries) != CODEBOOK_ENTRIES:
        raise LineFaultError(
            head, f"table {tables[number].name} has {len(entries)} entries, and a codebook "
            f"{CODEBOOK_ENTRIES}: give it address_bits=4, interpolate=0", "codebook",
        )  # fmt: skip
    return tuple(entries)


def _weight(part: Part, rows: int, columns: int, codebook: tuple[int, ...]) -> np.ndarray:
    """Return the matrix's weights (rows, columns), listed row by row or drawn.

    Of a matrix with a codebook they are the entries themselves, not their indices.
    """
    bits = 16 if codebook else part.head.values.get("weights", 8)
    drawn, listed = part.one(".random"), part.lines(".values")
    if drawn is not None:
        if listed:
            raise LineFaultError(drawn, "stands beside listed values; keep one of the two")
        return _drawn(drawn, rows * columns, bits, codebook).reshape(rows, columns)
    for given in listed:
        if len(given.items) != columns:
            raise LineFaultError(
                given, f"has {len(given.items)} values; a row of {part.name} has {columns}"
            )
    if len(listed) != rows:
        raise LineFaultError(
            part.head, f"has {len(listed)} rows of values below it, not {rows}; list each, or draw"
        )
    return in_bits(listed, max(bits, 2)).reshape(rows, columns)


def _drawn(drawn: Given, size: int, bits: int, codebook: tuple[int, ...]) -> np.ndarray:
    """Draw weights, (1, size): signs for one and two bits, entries of a codebook, or integers."""
    if codebook:
        picks = np.flatnonzero(codebook)
        which = sparse_values(drawn, size, 32)
        return np.where(which, np.array(codebook)[picks[which % len(picks)]], 0)
    return sparse_values(drawn, size, 1 if bits <= TERNARY_BITS else drawn.values.get("bits", bits))


def _bias(part: Part, rows: int) -> np.ndarray | None:
    listed, drawn = part.one(".bias"), part.one(".random_bias")
    if drawn is not None:
        if listed is not None:
            raise LineFaultError(drawn, "stands beside a listed bias; keep one of the two")
        return limited_values(drawn, rows)
    if listed is None:
        return None
    if len(listed.items) != rows:
        raise LineFaultError(listed, f"has {len(listed.items)} values; {part.name} has {rows} rows")
    return in_bits([listed], WIDE_BIAS_BITS)


# tables


def built_table(arch: Arch, part: Part, base: int) -> Table:
    """Build a `.table` of a function or of listed entries; raises SpusimError."""
    _check_ranges(part.head)
    values, listed = part.head.values, part.lines(".values")
    address_bits = values.get("address_bits", arch.numerics.table_address_bits)
    fraction_bits = values.get("fraction_bits", max(16 - address_bits, 0))
    interpolate = bool(values.get("interpolate", arch.numerics.table_interpolate))
    if not 1 <= address_bits <= 15 or not 0 <= fraction_bits <= 16 - address_bits:
        raise LineFaultError(
            part.head,
            f"address_bits (={address_bits}) must be 1 to 15, and fraction_bits "
            f"(={fraction_bits}) 0 to what they leave of a table's 16 input bits",
            "address_bits",
        )
    if ("function" in values) == bool(listed):
        raise LineFaultError(part.head, "needs either function=NAME or `.values` below it")
    if listed:
        entries = _entries(part, listed, table_entries(address_bits, interpolate))
    else:
        exponents = (values.get(key, 0) for key in ("in", "out"))
        entries = _tabulated(part.head, address_bits, fraction_bits, interpolate, *exponents)
    place = values.get("base", base)
    return Table(part.name, entries, place, address_bits, fraction_bits, interpolate)


def _tabulated(
    head: Given, address_bits: int, fraction_bits: int, interpolate: bool, into: int, out: int
) -> np.ndarray:
    bits = head.values.get("bits", 16)
    return build_table(
        head.values["function"], address_bits, fraction_bits, into, bits, out, interpolate
    )


def _entries(part: Part, listed: Iterable[Given], count: int) -> np.ndarray:
    entries = in_bits(list(listed), 32)
    if len(entries) != count:
        raise LineFaultError(
            part.head,
            f"has {len(entries)} entries; 2**address_bits, one more if interpolated, are {count}",
        )
    return entries.astype(np.int32)
