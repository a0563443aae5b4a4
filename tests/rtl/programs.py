"""Generated programs for a parameter set: one matrix-vector instruction each, on the corners.

A Program is small and made of choices, so that hypothesis shrinks it and a seed draws it; `case_of`
makes matrix, operand, accumulators and port schedule from it.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from generators import Case, PortSchedule, random_ports
from parameter_sets import ParameterSet
from rtl_engine import MEMORY_WORDS, slice_depth
from stepper_storage import StepperConfig, ceil_div, owned_rows

MOST_COLUMNS = 24
PERCENT = (100, 80, 60, 30, 10, 0)


@dataclass(frozen=True)
class Program:
    """The choices that a case is made from."""

    rows: int
    columns: int
    matrix: str
    weight_percent: int  # of nonzeros
    operand: str
    activation_percent: int
    values: str
    start: str
    accumulate: bool
    contended: bool
    place: str
    offset: int  # of the operand, in words
    seed: int


@dataclass(frozen=True)
class Placed:
    """A case, where its slices lie, and who takes banks from it."""

    case: Case
    slice_base: int
    ports: PortSchedule | None

    def taken(self) -> list[int]:
        """Return the masks of banks taken, by cycle."""
        if self.ports is None:
            return []
        return [sum(1 << bank for bank in self.ports(cycle, [])) for cycle in range(self.ports.end)]


def choices(parameter_set: ParameterSet) -> dict[str, Sequence]:
    """Return what each field of a program may be, the plainest first."""
    config = parameter_set.config
    round_rows = config.pes * config.group  # a group for every PE
    most_rows = min(parameter_set.row_capacity, 4 * round_rows if config.pes > 2 else 64)
    corners = {1, config.group, round_rows, round_rows + 1, most_rows}
    plain = sorted({*range(1, most_rows + 1, 3), *(n for n in corners if n <= most_rows)})
    return {  # what is named twice is drawn more often
        "rows": plain,
        "columns": range(1, MOST_COLUMNS + 1),
        "matrix": (
            "random",
            "random",
            "random",
            "empty_rows",
            "empty_columns",
            "last_row",
            "one_pe",
            "gaps",
        ),
        "weight_percent": PERCENT,
        "operand": (
            "random",
            "random",
            "random",
            "random",
            "alternating",
            "late",
            "late",
            "last",
            "zeros",
        ),
        "activation_percent": PERCENT,
        "values": ("any", "small", "limits"),
        "start": ("zero", "random", "lowest", "highest"),
        "accumulate": (False, True),
        "contended": (True, True, False) if config.ports == "shared" else (False,),
        "place": ("low", "slices_last", "operand_last"),
        "offset": range(2 * config.banks + 1),
        "seed": range(1 << 16),
    }


def random_program(parameter_set: ParameterSet, seed: int) -> Program:
    """Return the program of a seed."""
    rng = random.Random(f"{parameter_set.number}/{seed}")
    return Program(**{name: rng.choice(of) for name, of in choices(parameter_set).items()})


def limits(bits: int) -> tuple[int, int]:
    """Return the range of signed integers."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def nonzero(rng: random.Random, bits: int, values: str) -> int:
    """Return a nonzero signed integer."""
    lowest, highest = limits(bits)
    if values == "small":
        return rng.choice((1, -1, 2))
    if values == "limits":
        return rng.choice((lowest, highest))
    return rng.choice((rng.randint(lowest, -1), rng.randint(1, highest)))


def owner_positions(config: StepperConfig, rows: int) -> dict[int, int]:
    """Return every row's number within its slice."""
    slices = [owned_rows(rows, config.pes, config.group, pe) for pe in range(config.pes)]
    return {row: k for own in slices for k, row in enumerate(own)}


def make_matrix(rng: random.Random, config: StepperConfig, program: Program) -> list[list[int]]:
    """Return the matrix, [row][column]."""
    rows, columns = program.rows, program.columns
    position = owner_positions(config, rows)
    span = 2**config.index_bits  # rows that the largest index leads on
    pe = rng.randrange(config.pes)
    kept = {
        "random": lambda row, column: True,
        "empty_rows": lambda row, column: row % 2 == 1,
        "empty_columns": lambda row, column: column % 2 == 1,
        "last_row": lambda row, column: row == rows - 1,
        "one_pe": lambda row, column: row // config.group % config.pes == pe,
        # gaps just as long as an index can say, one less and one more
        "gaps": lambda row, column: (position[row] + 1) % (span + column % 3 - 1 or span) == 0,
    }[program.matrix]
    percent = 100 if program.matrix in ("last_row", "gaps") else program.weight_percent
    return [
        [
            nonzero(rng, config.weight_bits, program.values)
            if kept(row, column) and rng.random() * 100 < percent
            else 0
            for column in range(columns)
        ]
        for row in range(rows)
    ]


def make_operand(rng: random.Random, config: StepperConfig, program: Program) -> list[int]:
    """Return the activations."""
    columns = program.columns
    kept = {
        "random": lambda column: rng.random() * 100 < program.activation_percent,
        "zeros": lambda column: False,
        "last": lambda column: column == columns - 1,
        "alternating": lambda column: column % 2 == 0,
        "late": lambda column: column >= columns // 2,  # long scan, then full queues
    }[program.operand]
    return [
        nonzero(rng, config.activation_bits, program.values) if kept(column) else 0
        for column in range(columns)
    ]


def make_start(rng: random.Random, bits: int, program: Program) -> list[int]:
    """Return what the rows start from: biases or accumulators."""
    lowest, highest = limits(bits)
    draw = {
        "zero": lambda: 0,
        "random": lambda: rng.randint(lowest, highest),
        "lowest": lambda: lowest + rng.randrange(2),
        "highest": lambda: highest - rng.randrange(2),
    }[program.start]
    return [draw() for _ in range(program.rows)]


def case_of(parameter_set: ParameterSet, program: Program) -> Placed:
    """Make what a program runs on and with."""
    config, rng = parameter_set.config, random.Random(program.seed)
    weight = make_matrix(rng, config, program)
    x = make_operand(rng, config, program)
    bias_bits = min(config.bias_bits, config.accumulator_bits)
    bias = make_start(rng, bias_bits, program) if bias_bits else None
    start = make_start(rng, config.accumulator_bits, program) if program.accumulate else None
    ports = port_schedule(rng, config, program)
    case = Case(config, weight, x, bias, start, program.accumulate)
    address, base = place(case, program)
    case = replace(case, config=replace(config, operand_address=address))
    return Placed(case, base, ports)


def port_schedule(
    rng: random.Random, config: StepperConfig, program: Program
) -> PortSchedule | None:
    """Return who takes which banks; None where all are reserved for the engine."""
    if config.ports == "reserved":
        return None
    return random_ports(rng, config.banks) if program.contended else PortSchedule((frozenset(),), 0)


def place(case: Case, program: Program) -> tuple[int, int]:
    """Return the operand's word address and the slices' base: apart, or at the memory's end."""
    config = case.config
    words = ceil_div(len(case.x), config.operand_word_bits // config.activation_bits)
    operand_rows = ceil_div(program.offset + words, config.banks)
    if program.place == "operand_last":
        return config.banks * MEMORY_WORDS - words, 0
    if program.place == "slices_last":
        return program.offset, MEMORY_WORDS - slice_depth(case)
    return program.offset, operand_rows


def as_json(program: Program) -> dict[str, object]:
    """Return a program's choices for a command line."""
    return asdict(program)
