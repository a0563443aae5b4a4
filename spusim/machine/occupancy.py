"""Who has a core's units and banks, and until when (T18, T24)."""

from spusim.kernels.layout import Unit

NEVER = 1 << 60  # beyond every cycle: until something else happens


class Occupancy:
    """Cycles at which the units and data banks of a core are free again."""

    def __init__(self, banks: int, reserved: bool):
        self._units = dict.fromkeys(Unit, 0)
        self._banks = [0] * banks
        self._reserved = reserved

    def unit_free_at(self, unit: Unit) -> int:
        """Cycle from which a unit can take an instruction."""
        return self._units[unit]

    def banks_free_at(self, mask: int) -> int:
        """Cycle from which all banks of a mask are free; always, with shared ports."""
        if not self._reserved or not mask:
            return 0
        return max(time for bank, time in enumerate(self._banks) if mask >> bank & 1)

    def take(self, unit: Unit, mask: int, until: int) -> None:
        """Occupy a unit, and with reserved ports its instruction's banks."""
        self._units[unit] = until
        if self._reserved and mask:
            for bank in range(len(self._banks)):
                if mask >> bank & 1:
                    self._banks[bank] = until


def bank_mask(address: int, words: int, banks: int) -> int:
    """Banks that consecutive words lie in."""
    mask = 0
    for word in range(min(words, banks)):
        mask |= 1 << (address + word) % banks
    return mask
