"""What a core gives away while its program is planned: memory, tables, matrix descriptors."""

import numpy as np

from spusim.arch import Arch
from spusim.compiler.memory import SCALE_ENTRY_BYTES, DataMap
from spusim.compiler.storage import MatrixStore, Packing
from spusim.formats import pack, pack_elements, padded_codebook
from spusim.formats.codes import INDEX_BITS as CODEBOOK_INDEX_BITS
from spusim.network.records import Curve, Function, Lut, Quantum
from spusim.numerics import build_table
from spusim.program import TABLE_RELU, Segment, Table, Window

TABLE_INPUT_BITS = 16

_SCALE_ENTRY = np.dtype([("multiplier", "<u4"), ("shift", "u1"), ("zero", "u1", 3)])


class TableStore:
    """The look-up tables of one core; equal ones are stored once."""

    def __init__(self, arch: Arch) -> None:
        self.address_bits = arch.numerics.table_address_bits
        self.interpolate = arch.numerics.table_interpolate
        self.tables: list[Table] = []

    def of(self, function: Function, entry: Quantum, output: Quantum) -> int:
        """Return the operand `table` that applies a function to inputs of quantum `entry`."""
        if isinstance(function, Lut):
            return self._number(self._listed(function))
        if function == Curve("relu"):
            return TABLE_RELU
        name = f"{function.function} 2^{entry.exponent} -> {output.bits} bits 2^{output.exponent}"
        return self._number(self._tabulated(name, function.function, entry.exponent, output))

    def codebook(self, entries: tuple[int, ...]) -> int:
        """Return 1 + the number of the table that holds a codebook; 0 where there is none."""
        if not entries:
            return 0
        whole = np.array(padded_codebook(entries), np.int32)
        table = Table("codebook", whole, self.used_words, CODEBOOK_INDEX_BITS, 0, False)
        return self._number(table) + 1

    def _number(self, table: Table) -> int:
        """Store a table unless one that computes the same is there; return its number."""
        for number, known in enumerate(self.tables):
            if _shape(known) == _shape(table) and np.array_equal(known.entries, table.entries):
                return number
        self.tables.append(table)
        return len(self.tables) - 1

    @property
    def used_words(self) -> int:
        """Words of table memory taken."""
        return sum(len(table.entries) for table in self.tables)

    def _listed(self, lut: Lut) -> Table:
        entries = lut.entries.astype(np.int32)
        return Table(lut.name, entries, self.used_words, lut.address_bits, 0, False)

    def _tabulated(self, name: str, function: str, exponent: int, output: Quantum) -> Table:
        bits, interpolate = self.address_bits, self.interpolate
        fraction = TABLE_INPUT_BITS - bits
        # with a zero point to come, entries are the code's distance from it: one bit more (A10)
        wide = TABLE_INPUT_BITS if output.zero_point else output.bits
        entries = build_table(
            function, bits, fraction, exponent, wide, output.exponent, interpolate
        )
        if output.zero_point:
            low, high = (end - output.zero_point for end in (output.smallest, output.largest))
            entries = np.clip(entries, low, high)
        return Table(name, entries, self.used_words, bits, fraction, interpolate)


def _shape(table: Table) -> tuple[int, int, bool]:
    return table.address_bits, table.fraction_bits, table.interpolate


class CoreSpace:
    """A core's memories while they are given away."""

    def __init__(
        self,
        arch: Arch,
        core: int,
        formats: dict[str, str],
        check_capacity: bool,
        pack: Packing = pack,
    ) -> None:
        self.arch = arch
        self.core = core
        self.formats = formats  # product -> format
        self.check_capacity = check_capacity
        self.data = DataMap(arch, core)
        self.tables = TableStore(arch)
        self.matrices = MatrixStore(arch, pack)
        self.segments: list[Segment] = []
        self.windows: list[Window] = []
        self._scales: dict[bytes, int] = {}  # entries -> address

    def scale(self, name: str, multiplier: np.ndarray, shift: np.ndarray) -> int:
        """Store scale entries, (n,) each, equal ones once; returns the first word's address."""
        word_bytes = self.data.word_bits // 8
        entries = np.zeros(len(multiplier), _SCALE_ENTRY)
        entries["multiplier"], entries["shift"] = multiplier, shift
        if entries.tobytes() in self._scales:
            return self._scales[entries.tobytes()]
        address = self._scales[entries.tobytes()] = self.data.scale(name, len(entries))
        words = -(-len(entries) * SCALE_ENTRY_BYTES // word_bytes)
        image = np.zeros(words * word_bytes, np.uint8)
        image[: entries.nbytes] = entries.view(np.uint8)
        self.segments.append(Segment(name, address, image.reshape(words, word_bytes)))
        return address

    def window(self, window: Window) -> int:
        """Add a window descriptor; returns its number."""
        self.windows.append(window)
        return len(self.windows) - 1

    def constant(
        self, name: str, address: int, values: np.ndarray, bits: int, rest: int = 0
    ) -> None:
        """Have words from an address on hold values (n,) of `bits` when the program is loaded.

        rest: what the last word holds beyond them.
        """
        filled = np.pad(values, (0, -len(values) % (self.data.word_bits // bits)))
        if rest:
            filled[len(values) :] = rest
        words = pack_elements(filled if rest else values, bits, self.data.word_bits)
        self.segments.append(Segment(name, address, words))
