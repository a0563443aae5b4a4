"""External memory, its channel and a core's dma unit, T51 to T58, a cycle at a time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from chip_errors import ChipError
from chip_memory import POISON, DataMemory
from stepper_storage import ceil_div

from spusim.arch import Arch
from spusim.program import CoreImage, Matrix, Program, Transfer

LOAD, STORE, FETCH = "xld", "xst", "fetch"


def image_of(matrix: Matrix, word_bytes: int) -> bytes:
    """Return a matrix's image, T51."""
    raw = b""
    for index, entries in zip(matrix.packed.indices, matrix.packed.slices, strict=True):
        raw += index.tobytes() + entries.tobytes()
    return raw + bytes(-len(raw) % word_bytes)


class External:
    """The memory's words, and the channel that all cores share."""

    def __init__(self, program: Program, arch: Arch) -> None:
        spec = arch.external_memory
        self.word_bytes = program.word_bits // 8
        self.words = program.external_words
        if self.words > (spec.words if spec else 0):
            raise ChipError(f"{self.words} words of external memory, T51")
        self.rate = Decimal(str(spec.bytes_per_cycle)) if spec else Decimal(1)
        self.latency = spec.latency_cycles if spec else 0
        self.own_port = bool(spec and spec.data_port == "own")
        self.bytes = bytearray([POISON]) * (self.words * self.word_bytes)
        self.homes: list[range] = []
        self.requests: dict[int, Move] = {}  # by core
        self.taken_until = -1  # last cycle in which the channel moves words
        for image in program.cores:
            for matrix in image.matrices:
                if matrix.home is not None:
                    raw = image_of(matrix, self.word_bytes)
                    self.homes.append(range(matrix.home, matrix.home + len(raw) // self.word_bytes))
                    self.put(matrix.home, raw)
        for segment in program.external:
            self.put(segment.address, segment.words.tobytes())

    def check(self, words: range) -> None:
        """Refuse words beyond the last."""
        if words.stop > self.words:
            raise ChipError(f"external word {words.stop - 1} lies beyond {self.words} (T51)")

    def get(self, address: int, words: int) -> bytes:
        """Return words' bytes."""
        self.check(range(address, address + words))
        return bytes(self.bytes[address * self.word_bytes : (address + words) * self.word_bytes])

    def put(self, address: int, data: bytes) -> None:
        """Write whole words."""
        self.check(range(address, address + len(data) // self.word_bytes))
        self.bytes[address * self.word_bytes : address * self.word_bytes + len(data)] = data

    def check_writable(self, words: range) -> None:
        """Refuse to write a matrix's image, T51."""
        if any(set(words) & set(home) for home in self.homes):
            raise ChipError(f"words {words} are a matrix's (T51)")

    def settle(self, now: int) -> None:
        """Grant the channel at a cycle's end, if it moves nothing in the next, T55."""
        if self.requests and self.taken_until <= now:
            move = self.requests.pop(min(self.requests))
            move.granted = now
            self.taken_until = now + move.takes


@dataclass
class Move:
    """An instruction of the dma."""

    mnemonic: str
    requested: int
    takes: int  # D
    pairs: list[tuple[int, int]]  # (data memory word, external word), each in its order
    banks: dict[int, int]  # words in each data bank
    matrix: int = -1
    granted: int | None = None
    data: list[bytes] = field(default_factory=list)


class DmaUnit:
    """A core's dma unit, and which of its matrices are resident."""

    name = "dma"

    def __init__(
        self, core: int, program: Program, arch: Arch, external: External, memory: DataMemory
    ) -> None:
        self.core, self.external, self.memory = core, external, memory
        self.image: CoreImage = program.cores[core]
        self.private = arch.core.weight_memory is not None
        self.pes, self.banks_there = arch.core.pes, arch.core.data_memory.banks
        self.resident = [matrix.home is None for matrix in self.image.matrices]
        self.stalls: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.move: Move | None = None
        self.busy = self.done = False

    # --- what an instruction does

    def places(self, matrix: Matrix) -> tuple[set[int], set[int]]:
        """Return the rows of weight memory and words of index memory of a matrix, T53."""
        longest = max((self.slice_words(matrix, p) for p in range(self.pes)), default=0)
        index = 0 if matrix.preload else max(map(len, matrix.packed.indices), default=0)
        rows = ceil_div(longest, 1 if self.private else self.banks_there // self.pes)
        return (
            set(range(matrix.base, matrix.base + rows)),
            set(range(matrix.index_base, matrix.index_base + index)),
        )

    def slice_words(self, matrix: Matrix, pe: int) -> int:
        """Return the words of weight memory of a PE, T3."""
        index = len(matrix.packed.indices[pe]) if matrix.preload else 0
        return index + len(matrix.packed.slices[pe])

    def check_resident(self, number: int) -> None:
        """Refuse a product with a matrix that is not in its place, T53."""
        if number < len(self.resident) and not self.resident[number]:
            raise ChipError(f"matrix {self.image.matrices[number].name} is not resident (T53)")

    def operands(self, mnemonic: str, o: dict[str, int]) -> tuple[Transfer, int]:
        """Return the transfer, and its first data memory word."""
        if o["t"] >= len(self.image.transfers):
            raise ChipError(f"transfer {o['t']} does not exist")
        return self.image.transfers[o["t"]], o["d" if mnemonic == LOAD else "a"]

    def pairs(self, mnemonic: str, o: dict[str, int]) -> list[tuple[int, int]]:
        """Return each word's place in data memory and in external memory, T52, T53."""
        if mnemonic == FETCH:
            matrix = self.matrix(o)
            return [] if self.private else [*self.laid(matrix)]
        transfer, first = self.operands(mnemonic, o)
        inside, outside = transfer.local_stride, transfer.external_stride
        return [
            (first + run * inside + k, o["external"] + run * outside + k)
            for run in range(transfer.runs)
            for k in range(transfer.words)
        ]

    def laid(self, matrix: Matrix) -> Iterator[tuple[int, int]]:
        """Yield where the words of an image go that data banks hold, T3."""
        per_pe, source = self.banks_there // self.pes, matrix.home
        assert source is not None
        for pe in range(self.pes):
            for k in range(self.slice_words(matrix, pe)):
                row, bank = matrix.base + k // per_pe, pe + self.pes * (k % per_pe)
                yield row * self.banks_there + bank, source
                source += 1

    def matrix(self, o: dict[str, int]) -> Matrix:
        """Return the matrix that a `fetch` names, T53."""
        if o["m"] >= len(self.image.matrices):
            raise ChipError(f"matrix {o['m']} does not exist")
        matrix = self.image.matrices[o["m"]]
        if matrix.home != o["external"]:
            raise ChipError(f"matrix {matrix.name} has its home elsewhere (T53)")
        return matrix

    def banks(self, mnemonic: str, o: dict[str, int]) -> set[int]:
        """Return the banks that an instruction holds, T57."""
        if self.external.own_port and mnemonic != FETCH:
            return set()
        return {self.memory.bank(word) for word, _ in self.pairs(mnemonic, o)}

    def start(self, now: int, mnemonic: str, o: dict[str, int]) -> None:
        """Begin, and ask for the channel in the cycle of the issue, T54."""
        pairs = self.pairs(mnemonic, o)
        if mnemonic != FETCH:
            self.check_transfer(mnemonic, o, pairs)
        for word, _ in pairs:
            self.memory.span(word, 1, self.memory.word_bits)
        banks = Counter(self.memory.bank(word) for word, _ in pairs)
        words, most = len(pairs), max(banks.values(), default=0)
        if mnemonic == FETCH:
            matrix = self.matrix(o)
            words = len(image_of(matrix, self.external.word_bytes)) // self.external.word_bytes
            most = max([most, *self.port_words(matrix)])
        takes = max(1, most, self.channel_cycles(words))
        self.move = Move(mnemonic, now, takes, pairs, banks, o.get("m", -1))
        self.external.requests[self.core] = self.move
        self.busy, self.done = True, False
        self.count(self.move, words)

    def port_words(self, matrix: Matrix) -> list[int]:
        """Return the words that go through each write port of weight and index memories, T55."""
        ports = [] if matrix.preload else [len(index) for index in matrix.packed.indices]
        if self.private:
            ports += [self.slice_words(matrix, pe) for pe in range(self.pes)]
        return ports

    def channel_cycles(self, words: int) -> int:
        """Return how long the channel takes for so many words."""
        size, cycles = words * self.external.word_bytes, 0
        cycles = int(size / self.external.rate)
        while cycles * self.external.rate < size:
            cycles += 1
        return cycles

    def check_transfer(
        self, mnemonic: str, o: dict[str, int], pairs: list[tuple[int, int]]
    ) -> None:
        """Refuse nothing to copy, what is written twice, and words that there are not, T51, T52."""
        written = [pair[mnemonic == STORE] for pair in pairs]
        transfer, _ = self.operands(mnemonic, o)
        if not pairs or len(set(written)) < len(written) or self.goes_back(mnemonic, transfer):
            raise ChipError(f"{mnemonic} {o} copies nothing, or on itself (T52)")
        for _, word in pairs:
            self.external.check(range(word, word + 1))
            if mnemonic == STORE:
                self.external.check_writable(range(word, word + 1))

    def goes_back(self, mnemonic: str, transfer: Transfer) -> bool:
        """Tell whether the runs that are written lie closer than they are long."""
        stride = transfer.local_stride if mnemonic == LOAD else transfer.external_stride
        return transfer.runs > 1 and stride < transfer.words

    def count(self, move: Move, words: int) -> None:
        """Count an instruction's events."""
        if move.mnemonic != FETCH:
            load = move.mnemonic == LOAD
            self.counts["external_memory.read" if load else "external_memory.write"] += words
            self.counts["data_memory.write" if load else "data_memory.read"] += words
            return
        matrix = self.image.matrices[move.matrix]
        weights = sum(self.slice_words(matrix, pe) for pe in range(self.pes))
        self.counts["external_memory.read"] += words
        self.counts["weight_memory.write" if self.private else "data_memory.write"] += weights
        if not matrix.preload:
            self.counts["index_memory.write"] += sum(map(len, matrix.packed.indices))

    # --- cycle

    def cycle(self, now: int) -> None:
        """Take a cycle, T56."""
        assert self.move is not None
        move, latency = self.move, self.external.latency
        if move.granted is None:
            self.stalls["busy" if now == move.requested else "channel"] += 1
            return
        elapsed = now - move.granted - 1
        first = 0 if move.mnemonic == STORE else latency
        moving = first <= elapsed < first + move.takes
        self.stalls["busy" if moving else "latency"] += 1
        if moving:
            self.access(move, elapsed - first)
        self.done = elapsed + 1 == latency + move.takes
        if self.done:
            self.write(move)

    def access(self, move: Move, beat: int) -> None:
        """Take a beat: every bank moves the next of its words; all is read in the first."""
        if beat == 0:
            self.read(move)
        if self.external.own_port and move.mnemonic != FETCH:
            return
        for bank, words in move.banks.items():
            if beat < words:
                self.memory.use(bank, self.name)

    def read(self, move: Move) -> None:
        """Read all words."""
        if move.mnemonic == STORE:
            move.data = [self.memory.word(word) for word, _ in move.pairs]
        else:
            move.data = [self.external.get(word, 1) for _, word in move.pairs]

    def write(self, move: Move) -> None:
        """Write all words, in the last cycle; a matrix is there then."""
        for (inside, outside), data in zip(move.pairs, move.data, strict=True):
            if move.mnemonic == STORE:
                self.external.put(outside, data)
            else:
                self.memory.put_word(inside, data)
        if move.mnemonic == FETCH:
            places = [self.places(matrix) for matrix in self.image.matrices]
            rows, words = places[move.matrix]
            for other, (its_rows, its_words) in enumerate(places):
                if rows & its_rows or words & its_words:
                    self.resident[other] = False
            self.resident[move.matrix] = True

    def complete(self) -> None:
        """Leave the unit."""
        self.move = None
