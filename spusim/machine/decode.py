"""Instruction words to rows of the interpreter's code table: the machine's dispatch."""

from functools import lru_cache

import numpy as np

from spusim.isa import Instruction, decode_all, load_isa
from spusim.kernels.layout import Op, Unit
from spusim.machine.errors import MachineError

# mnemonic -> operation, fixed operands that follow those of the word
DISPATCH: dict[str, tuple[Op, tuple[int, ...]]] = {
    "nop": (Op.NOP, ()),
    "end": (Op.END, ()),
    "post": (Op.POST, ()),
    "loop": (Op.LOOP, ()),
    "vset": (Op.VSET, ()),
    "zset": (Op.ZERO_SET, ()),
    "pset": (Op.POSITION_SET, ()),
    "rset": (Op.RANDOM_SET, ()),
    "yield": (Op.YIELD, ()),
    "nset": (Op.NORM_SET, ()),
    "spmv": (Op.MATVEC, (0,)),
    "spmva": (Op.MATVEC, (1,)),
    "dmv": (Op.MATVEC, (0,)),
    "dmva": (Op.MATVEC, (1,)),
    "vqs": (Op.QUANTISE_SHIFT, ()),
    "vqm": (Op.QUANTISE_TENSOR, ()),
    "vqc": (Op.QUANTISE_CHANNEL, ()),
    "vnrm": (Op.NORMALISE, ()),
    "vadd": (Op.ADD, ()),
    "vsub": (Op.SUB, ()),
    "vmul": (Op.MUL, ()),
    "vmax": (Op.MAX, ()),
    "vmin": (Op.MIN, ()),
    "vmov": (Op.MOVE, ()),
    "vrelu": (Op.RELU, ()),
    "vlut": (Op.LOOKUP, ()),
    "vfill": (Op.FILL, ()),
    "vthr": (Op.THRESHOLD, ()),
    "vtop": (Op.TOP, ()),
    "conv": (Op.CONVOLVE, ()),
    "pool": (Op.POOL, ()),
    "send": (Op.SEND, ()),
    "recv": (Op.RECV, ()),
    "xld": (Op.LOAD_EXTERNAL, ()),
    "xst": (Op.STORE_EXTERNAL, ()),
    "fetch": (Op.FETCH, ()),
}
UNITS = {
    "sequencer": Unit.SEQUENCER,
    "engine": Unit.ENGINE,
    "vector": Unit.VECTOR,
    "router": Unit.ROUTER,
    "dma": Unit.DMA,
}
CODE_WIDTH = 12
OPERANDS = 10  # of them


def decode_program(words: np.ndarray) -> tuple[np.ndarray, list[Instruction]]:
    """Decode (n,) uint64 words to the interpreter's (n, CODE_WIDTH) int64 table, and for people.

    Raises MachineError for an instruction that the machine does not implement.
    """
    code, instructions = _decoded(np.ascontiguousarray(words, np.uint64).tobytes())
    return code.copy(), [*instructions]


@lru_cache(maxsize=64)  # points of a sweep mostly have the same programs
def _decoded(image: bytes) -> tuple[np.ndarray, tuple[Instruction, ...]]:
    words = np.frombuffer(image, np.uint64)
    instructions = decode_all(load_isa(), words)
    code = np.zeros((len(words), CODE_WIDTH), np.int64)
    for row, instruction in zip(code, instructions, strict=True):
        if instruction.mnemonic not in DISPATCH:
            raise MachineError(
                f"instruction {instruction.mnemonic} is in the ISA table but not in the machine's "
                "dispatch; add it to spusim/machine/decode.py"
            )
        op, fixed = DISPATCH[instruction.mnemonic]
        operands = (*instruction.operands.values(), *fixed)
        row[:2] = op, UNITS[instruction.unit]
        row[2 : 2 + len(operands)] = operands
    return code, tuple(instructions)
