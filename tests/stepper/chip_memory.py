"""A core's data memory: bytes, the banks' holders, and who accessed which bank in a cycle."""

from collections import Counter
from collections.abc import Iterable

from chip_errors import ChipError
from chip_numbers import element_of, put_element

from spusim.arch import Arch
from spusim.program import CoreImage

POISON = 0xA5


class DataMemory:
    """Word a is in bank a mod banks. A bank that an instruction holds has a holder, T18."""

    def __init__(self, image: CoreImage, arch: Arch) -> None:
        spec = arch.core.data_memory
        self.banks = spec.banks
        self.words = spec.banks * spec.words
        self.word_bits = spec.word_bits
        self.word_bytes = spec.word_bits // 8
        self.bytes = bytearray([POISON]) * (self.words * self.word_bytes)
        self.holders: dict[int, str] = {}
        self.users: dict[int, str] = {}  # of this cycle
        self.stalls: list[Counter[str]] = [Counter() for _ in range(self.banks)]
        self.counts: Counter[str] = Counter()
        for segment in image.segments:
            raw = segment.words.tobytes()
            start = segment.address * self.word_bytes
            self.bytes[start : start + len(raw)] = raw

    # --- contents

    def span(self, address: int, elements: int, bits: int) -> range:
        """Return the words in which elements from a word address on lie."""
        words = range(address, address + -(-elements * bits // self.word_bits))
        if words.stop > self.words:
            raise ChipError(f"word {words.stop - 1} lies beyond the last one (={self.words - 1})")
        return words

    def elements(self, address: int, bits: int, count: int) -> list[int]:
        """Return little-endian elements from a word address on."""
        self.span(address, count, bits)
        start = address * self.word_bits
        return [element_of(self.bytes, start + k * bits, bits) for k in range(count)]

    def put_element(self, address: int, bits: int, index: int, value: int) -> None:
        """Write an element of a row of elements that starts at a word address."""
        put_element(self.bytes, address * self.word_bits + index * bits, bits, value)

    def word(self, address: int) -> bytes:
        """Return a word's bytes."""
        start = address * self.word_bytes
        return bytes(self.bytes[start : start + self.word_bytes])

    def put_word(self, address: int, data: bytes) -> None:
        """Write a word."""
        start = address * self.word_bytes
        self.bytes[start : start + self.word_bytes] = data

    # --- ports

    def bank(self, address: int) -> int:
        """Return a word's bank."""
        return address % self.banks

    def hold(self, banks: Iterable[int], unit: str) -> None:
        """Let a unit's instruction hold banks."""
        self.holders.update(dict.fromkeys(banks, unit))

    def release(self, unit: str) -> None:
        """Free the banks that a unit holds."""
        self.holders = {bank: u for bank, u in self.holders.items() if u != unit}

    def use(self, bank: int, unit: str) -> None:
        """Mark a bank's port as a unit's for this cycle."""
        assert self.users.get(bank, unit) == unit, f"{unit} and {self.users} meet in bank {bank}"
        self.users[bank] = unit

    def end_cycle(self) -> dict[int, str]:
        """Attribute the cycle to each bank; return who had which bank."""
        for bank in self.users:
            self.stalls[bank]["busy"] += 1
        for bank in self.holders:
            if bank not in self.users:
                self.stalls[bank]["held"] += 1
        users, self.users = self.users, {}
        return users
