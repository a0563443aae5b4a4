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
from spusim.isa.diff import Change, TableDiff, diff_tables
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
from spusim.isa.versions import Freeze, check_beside, plan_freeze, shipped_versions

__all__ = [
    "UNITS",
    "Assembler",
    "Assembly",
    "AssemblyError",
    "Change",
    "Faults",
    "Field",
    "Freeze",
    "Instruction",
    "InstructionSpec",
    "Isa",
    "IsaError",
    "Kind",
    "RecordSpec",
    "Reserve",
    "TableDiff",
    "assemble",
    "check",
    "check_beside",
    "decode",
    "decode_all",
    "decode_record",
    "decode_table",
    "diff_tables",
    "disassemble",
    "encode",
    "encode_record",
    "load_isa",
    "manual",
    "plan_freeze",
    "read_isa",
    "shipped_versions",
]
