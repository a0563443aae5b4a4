"""The instruction set: one table, and everything that is made from it."""

from spusim.isa.assembler import Assembler, Assembly, assemble
from spusim.isa.codec import (
    Instruction,
    decode,
    decode_all,
    decode_record,
    decode_table,
    encode,
    encode_record,
)
from spusim.isa.disassembler import disassemble
from spusim.isa.faults import AssemblyError, Faults
from spusim.isa.manual import check, manual
from spusim.isa.spec import (
    UNITS,
    Field,
    InstructionSpec,
    Isa,
    IsaError,
    Kind,
    RecordSpec,
    Reserve,
)
from spusim.isa.table import load_isa, read_isa

__all__ = [
    "UNITS",
    "Assembler",
    "Assembly",
    "AssemblyError",
    "Faults",
    "Field",
    "Instruction",
    "InstructionSpec",
    "Isa",
    "IsaError",
    "Kind",
    "RecordSpec",
    "Reserve",
    "assemble",
    "check",
    "decode",
    "decode_all",
    "decode_record",
    "decode_table",
    "disassemble",
    "encode",
    "encode_record",
    "load_isa",
    "manual",
    "read_isa",
]
