"""What a core gives away while its program is planned: memory, tables, matrix descriptors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spusim.arch import Arch
from spusim.compiler.memory import SCALE_ALIGN_WORDS, SCALE_ENTRY_BYTES, DataMap
from spusim.compiler.storage import MatrixStore, Packing
from spusim.formats import pack, pack_elements, padded_codebook
from spusim.formats.codes import INDEX_BITS as CODEBOOK_INDEX_BITS
from spusim.network.records import Curve, Function, Lut, Quantum
from spusim.numerics import build_table
from spusim.program import TABLE_RELU, Segment, Table, Transfer, Window

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


@dataclass(frozen=True)
class Slicing:
    """How finely a product is cut: rows of a matrix, and its words of a PE's index memory (0: any).

    Only what is streamed is cut finer than accumulators and buffers ask for.
    """

    rows: int = 2**32
    index_words: int = 0


class CoreSpace:
    """A core's memories while they are given away."""

    def __init__(
        self,
        arch: Arch,
        core: int,
        formats: dict[str, str],
        check_capacity: bool,
        pack: Packing = pack,
        planned: Sequence[int | None] = (),
    ) -> None:
        self.arch = arch
        self.core = core
        self.formats = formats  # product -> format
        self.check_capacity = check_capacity
        self.data = DataMap(arch, core, planned)
        self.tables = TableStore(arch)
        self.matrices = MatrixStore(arch, pack)
        self.segments: list[Segment] = []
        self.windows: list[Window] = []
        self.transfers: list[Transfer] = []
        self._scales: dict[bytes, int] = {}  # entries -> address
        self.turns: dict[str, int] = {}  # scales that are loaded for each use -> address
        self.loaded: dict[str, np.ndarray] = {}  # and their words (n, bytes) uint8
        self.slicings: dict[str, Slicing] = {}  # by product
        self._pack = pack

    def slicing(self, product: str) -> Slicing:
        """Return how a product is cut."""
        return self.slicings.get(product, Slicing())

    def again(self, planned: Sequence[int | None] = ()) -> "CoreSpace":
        """Return the same memories with nothing given away; planned: as in `DataMap`."""
        return CoreSpace(
            self.arch, self.core, self.formats, self.check_capacity, self._pack, planned
        )

    def scale(self, name: str, multiplier: np.ndarray, shift: np.ndarray) -> int:
        """Store scale entries, (n,) each, equal ones once; returns the first word's address.

        Of those that are loaded, several of one name lie one behind the other.
        """
        word_bytes = self.data.word_bits // 8
        entries = np.zeros(len(multiplier), _SCALE_ENTRY)
        entries["multiplier"], entries["shift"] = multiplier, shift
        words = -(-len(entries) * SCALE_ENTRY_BYTES // word_bytes)
        image = np.zeros(words * word_bytes, np.uint8)
        image[: entries.nbytes] = entries.view(np.uint8)
        if name in self.turns:
            known = self.loaded.get(name, np.zeros((0, word_bytes), np.uint8))
            known = np.pad(known, ((0, -len(known) % SCALE_ALIGN_WORDS), (0, 0)))
            self.loaded[name] = np.concatenate([known, image.reshape(words, word_bytes)])
            return self.turns[name] + len(known)
        if entries.tobytes() in self._scales:
            return self._scales[entries.tobytes()]
        address = self._scales[entries.tobytes()] = self.data.scale(name, len(entries))
        self.segments.append(Segment(name, address, image.reshape(words, word_bytes)))
        return address

    def window(self, window: Window) -> int:
        """Add a window descriptor; returns its number."""
        self.windows.append(window)
        return len(self.windows) - 1

    def equal_window(self, window: Window) -> int:
        """Return the number of a descriptor that says the same; adds it if there is none."""
        for number, known in enumerate(self.windows):
            if replace(known, name=window.name) == window:
                return number
        return self.window(window)

    def transfer(self, transfer: Transfer) -> int:
        """Return the number of a transfer descriptor; adds it if there is none."""
        if transfer not in self.transfers:
            self.transfers.append(transfer)
        return self.transfers.index(transfer)

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
