"""What is on the chip, as energy and area see it: memories, MAC lanes and other logic."""

import math
from dataclasses import dataclass

from spusim.arch.precisions import operand_bits, widest_activation_bits
from spusim.arch.spec import Arch

COLUMN_BITS = 16  # a queued activation carries its column number, as wide as an address
INSTRUCTION_BITS = 64
VECTOR_BITS = 32  # the vector unit's adders, multipliers and registers


@dataclass(frozen=True)
class Memory:
    """`copies` equal memories of `words` words, whose accesses and area belong to `term`."""

    term: str
    copies: int
    words: int
    word_bits: int

    @property
    def kibibytes(self) -> float:
        """Capacity of one copy."""
        return self.words * self.word_bits / 8192


def memories(arch: Arch) -> dict[str, Memory]:
    """Every memory of the chip by name; a table memory with n ports is n copies.

    `weight_memory`, `scanner` (its operand buffer) and `slots` (activations in the queues of
    dataflow `pixel`) are there only where the machine has them.
    """
    core = arch.core
    pes = arch.cores * core.pes
    banks, tables = core.data_memory, core.table_memory
    buffers = 2 * pes if core.dataflow == "pixel" else pes  # T39
    parts = [
        Memory("accumulator", buffers, core.accumulators, arch.numerics.accumulator_bits),
        Memory("queue", pes, core.queue.depth, widest_activation_bits(core) + COLUMN_BITS),
        Memory("data_memory", arch.cores * banks.banks, banks.words, banks.word_bits),
        Memory("index_memory", pes, core.index_memory.words, core.index_memory.word_bits),
        Memory(
            "table_memory", arch.cores * tables.banks * tables.ports, tables.words, tables.word_bits
        ),
        Memory("instruction_memory", arch.cores, core.instruction_memory.words, INSTRUCTION_BITS),
    ]
    if core.weight_memory is not None:
        weights = core.weight_memory
        parts.append(Memory("weight_memory", pes, weights.words, weights.word_bits))
    else:
        buffer_words = core.scanner.buffer_words
        parts.append(Memory("scanner", arch.cores, buffer_words, banks.word_bits))
    found = {part.term: part for part in parts}
    if core.dataflow == "pixel":
        found["slots"] = Memory("queue", pes, core.queue.depth * _slot_words(arch), banks.word_bits)
    return found


def _slot_words(arch: Arch) -> int:
    """Words of a queue slot in dataflow `pixel`: an activation for each accumulator of a PE.

    What a block needs of a channel is at most its positions, and their neighbours at the edges.
    """
    bits = arch.core.accumulators * widest_activation_bits(arch.core)
    return math.ceil(bits / arch.core.data_memory.word_bits)


def lanes(arch: Arch) -> int:
    """MAC lanes of the chip."""
    return arch.cores * arch.core.pes * arch.core.lanes


def window_bits(arch: Arch) -> int:
    """Bits of a scanner window."""
    return arch.core.scanner.width * widest_activation_bits(arch.core)


def window_words(arch: Arch) -> int:
    """Return the data memory words of a scanner window, rounded up."""
    return math.ceil(window_bits(arch) / arch.core.data_memory.word_bits)


def product_bits(precision: str) -> int:
    """Partial-product bits of a multiplication, such as 128 for 8x16."""
    weight, activation = operand_bits(precision)
    return weight * activation
