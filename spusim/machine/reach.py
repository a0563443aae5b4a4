"""Which words of data memory an instruction's operands take, for the message that refuses it."""

from collections.abc import Iterator

import numpy as np

from spusim.kernels.context import address_offset
from spusim.kernels.layout import M, P, X
from spusim.kernels.vector import SCALE_BYTES
from spusim.machine.load import LoadedCore

WIDTHS = {"a": X.WA, "b": X.WB, "d": X.WD}
SCALE_WORDS = 4  # what the operand `scale` counts in


def beyond_memory(core: LoadedCore, context: np.ndarray) -> str:
    """Say which operand of a context's next instruction ends beyond data memory; "" if none."""
    words = len(core.arrays.memory) // core.arrays.params[P.WORD_BYTES]
    banks = len(core.arrays.bank_busy)
    for name, first, end in _operands(core, context):
        if end > words:
            return (
                f": {name} takes words {first} to {end - 1}, and there are {words} "
                f"(core.data_memory: {banks} banks x {words // banks} words)"
            )
    return ""


def _operands(core: LoadedCore, context: np.ndarray) -> Iterator[tuple[str, int, int]]:
    """Yield the data operands of a context's next instruction: name, first word, end."""
    instruction = core.instructions[int(context[X.PC])]
    values, offset = instruction.operands, int(address_offset(context))
    length, word_bits = int(context[X.LENGTH]), 8 * int(core.arrays.params[P.WORD_BYTES])
    if instruction.unit == "vector":
        for name in WIDTHS.keys() & values.keys():
            first = values[name] + offset
            yield name, first, first - (-length * int(context[WIDTHS[name]]) // word_bits)
        if "scale" in values:
            entries = 1 if instruction.mnemonic == "vqm" else length
            first = SCALE_WORDS * values["scale"]
            yield "scale", first, first - (-entries * 8 * SCALE_BYTES // word_bits)
    elif instruction.unit == "engine":
        matrix = core.arrays.matrices[values["m"]]
        bits = int(matrix[M.COLUMNS] * matrix[M.ACTIVATION_BITS])
        yield "src", values["src"] + offset, values["src"] + offset - (-bits // word_bits)
    else:
        for name in {"src", "dst"} & values.keys():
            yield name, values[name] + offset, values[name] + offset + values["words"]
