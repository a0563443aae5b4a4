"""What a core gives away while its program is planned: memory, tables, matrix descriptors."""

import numpy as np

from spusim.arch import Arch
from spusim.compiler.memory import SCALE_ENTRY_BYTES, DataMap
from spusim.compiler.stages import TABLE_INPUT_BITS
from spusim.compiler.storage import MatrixStore, Packing
from spusim.formats import pack
from spusim.network.records import Quantum
from spusim.numerics import build_table, table_entries
from spusim.program import TABLE_RELU, Segment, Table

_SCALE_ENTRY = np.dtype([("multiplier", "<u4"), ("shift", "u1"), ("zero", "u1", 3)])


class TableStore:
    """The look-up tables of one core; equal ones are stored once."""

    def __init__(self, arch: Arch) -> None:
        self.address_bits = arch.numerics.table_address_bits
        self.interpolate = arch.numerics.table_interpolate
        self.tables: list[Table] = []

    def number(self, function: str, in_exponent: int, output: Quantum) -> int:
        """Return the operand `table` that applies a function to inputs of 2**in_exponent."""
        if function == "relu":
            return TABLE_RELU
        name = f"{function} 2^{in_exponent} -> {output.bits} bits 2^{output.exponent}"
        names = [table.name for table in self.tables]
        if name not in names:
            self.tables.append(self._build(name, function, in_exponent, output))
            return len(names)
        return names.index(name)

    @property
    def used_words(self) -> int:
        """Words of table memory taken."""
        return len(self.tables) * table_entries(self.address_bits, self.interpolate)

    def _build(self, name: str, function: str, in_exponent: int, output: Quantum) -> Table:
        fraction_bits = TABLE_INPUT_BITS - self.address_bits
        entries = build_table(
            function,
            self.address_bits,
            fraction_bits,
            in_exponent,
            output.bits,
            output.exponent,
            self.interpolate,
        )
        base = self.used_words
        return Table(name, entries, base, self.address_bits, fraction_bits, self.interpolate)


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
        self.formats = formats  # layer -> format
        self.check_capacity = check_capacity
        self.data = DataMap(arch, core)
        self.tables = TableStore(arch)
        self.matrices = MatrixStore(arch, pack)
        self.segments: list[Segment] = []
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
