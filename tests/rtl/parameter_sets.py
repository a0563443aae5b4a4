"""The parameter sets that the RTL is built for, as the stepper's configurations."""

from dataclasses import dataclass
from pathlib import Path

import stepper_path  # noqa: F401
from stepper_storage import StepperConfig

TABLE = Path(__file__).with_name("parameter_sets.txt")
FIELDS = {
    "macs": "macs_per_lane", "epc": "entries_per_cycle", "depth": "queue_depth",
    "scan": "scanner_width", "acts": "activations", "wb": "weight_bits",
    "ab": "activation_bits", "word": "word_bits", "data": "data_word_bits",
    "acc": "accumulator_bits", "mac": "mac_stages", "private": "private_weight_memory",
    "bias": "bias_bits", "index": "index_bits", "ptr": "pointer_bits",
}  # fmt: skip
YES_NO = {"yes": True, "no": False}

# The numbers by which engine.v calls the choices.
CHOICES = {
    "format": ("dense", "bitmap", "run_length", "pencil"),
    "weights": ("skip", "dense", "decompress"),
    "activations": ("skip", "dense", "gate"),
    "release": ("pop", "done"),
    "hazard": ("bypass", "stall"),
    "overflow": ("wrap", "saturate"),
    "ports": ("reserved", "shared"),
}
RENAMED = {
    "release": "release_done",
    "hazard": "hazard_stall",
    "overflow": "saturate",
    "ports": "shared_ports",
}
# a descriptor input; a size of formats, and sums requantised on the way, that the RTL does not have
NOT_OF_RTL = {
    "operand_address", "extent", "partial_every", "partial_shift", "partial_bits",
    "partial_rounding", "position",
}  # fmt: skip


@dataclass(frozen=True)
class ParameterSet:
    """One build of the RTL: a line of the table."""

    number: int
    config: StepperConfig  # operand_address is the program's
    row_bits: int  # of accumulator addresses

    @property
    def row_capacity(self) -> int:
        """Rows that fit the PEs' accumulators, whatever the matrix' last group lacks."""
        slice_rows = 2**self.row_bits
        return slice_rows - slice_rows % self.config.group

    def verilog_parameters(self) -> dict[str, int]:
        """Return engine.v's parameters."""
        values = {
            name: value for name, value in vars(self.config).items() if name not in NOT_OF_RTL
        }
        for name, choices in CHOICES.items():
            values[name] = choices.index(values[name])
        values = {RENAMED.get(name, name): int(value) for name, value in values.items()}
        return {name.upper(): value for name, value in values.items()} | {"ROW_BITS": self.row_bits}


def read_sets() -> tuple[ParameterSet, ...]:
    """Read the table."""
    lines = [line.split() for line in TABLE.read_text(encoding="utf-8").splitlines()]
    header, *rows = [words for words in lines if words[0] != "#"]
    return tuple(parse_set(number, header, row) for number, row in enumerate(rows))


def parse_set(number: int, header: list[str], row: list[str]) -> ParameterSet:
    """Return the set of a line of the table."""
    values = {
        FIELDS.get(name, name): YES_NO[word] if word in YES_NO
        else int(word) if word.isdigit() else word
        for name, word in zip(header, row, strict=True)
    }  # fmt: skip
    row_bits = values.pop("row")
    config = StepperConfig(index_word_bits=int(values["word_bits"]), **values)
    return ParameterSet(number, config, int(row_bits))


SETS = read_sets()
