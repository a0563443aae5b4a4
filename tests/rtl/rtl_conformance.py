"""Matrix-vector instructions of the conformance programs, with the operands that they really had.

The stepper of whole programs runs each program; when one of its engines completes an instruction,
matrix, operand, accumulators and the banks that other units took from it are noted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import chip_core
from chip_engine import EngineUnit
from chip_meaning import VectorState
from chip_stepper import step_program
from generators import Case, PortSchedule
from parameter_sets import CHOICES, SETS, ParameterSet
from rtl_programs import Placed
from stepper_storage import StepperConfig

from spusim.experiments.conformance import ConformanceCase, load_conformance
from spusim.experiments.poison import poisoned_accumulators
from spusim.isa import Instruction, decode_all, load_isa
from spusim.program import Matrix

LEAST_ROW_BITS = 5
MOST_WORD_BITS = 64  # of the harness' ports to the RTL's memories


@dataclass(frozen=True)
class Product:
    """An instruction that a program executed, and what it came to."""

    program: str
    matrix: Matrix
    placed: Placed
    cycles: int
    outputs: list[int]


class NotingEngine(EngineUnit):
    """An engine that notes its instructions: matrix, case, banks taken, cycles, outputs."""

    noted: ClassVar[list[tuple[Matrix, Case, list[frozenset[int]], int, list[int]]]] = []

    def __init__(self, image: Any, arch: Any, numerics: Any, memory: Any) -> None:
        super().__init__(image, arch, numerics, memory)
        self.images = image.matrices

    def start(
        self, instruction: Instruction, o: dict[str, int], s: VectorState, accumulators: list[int]
    ) -> None:
        """Begin, and note where from."""
        super().start(instruction, o, s, accumulators)
        if self.convolution:
            return  # the RTL has no convolution engine
        self.number, self.taken = o["m"], list[frozenset[int]]()
        self.first = [accumulators[row] for row in self.rows]

    def cycle(self) -> None:
        """Take a cycle, and note the banks that others have in it."""
        if not self.convolution:
            self.taken.append(frozenset(self.memory.users))
        super().cycle()

    def finish(self) -> None:
        """Complete, and note all."""
        super().finish()
        stored = self.running
        case = Case(
            self.engine.config, stored.weight, [*self.x], stored.bias if stored.biased else None,
            self.first if self.goes_on else None, self.goes_on,
        )  # fmt: skip
        outputs = [self.accumulators[row] for row in self.rows]
        matrix = self.images[self.number]
        if not self.zero:  # the RTL has no zero points
            self.noted.append((matrix, case, self.taken, self.engine.cycle, outputs))


@contextmanager
def noting() -> Iterator[None]:
    """Let the stepper's cores have engines that note."""
    plain = chip_core.EngineUnit
    chip_core.EngineUnit = NotingEngine  # type: ignore[misc]
    NotingEngine.noted.clear()
    try:
        yield
    finally:
        chip_core.EngineUnit = plain  # type: ignore[misc]


def products_of(case: ConformanceCase) -> list[Product]:
    """Run a program and return its matrix-vector instructions in the order of completion."""
    start = [values.tolist() for values in poisoned_accumulators(case.program)]
    with noting():
        step_program(
            case.program, case.arch, case.frames, case.starts, case.input_period,
            accumulators=start,
        )  # fmt: skip
    products = []
    for matrix, instruction, taken, cycles, outputs in NotingEngine.noted:
        shared = instruction.config.ports == "shared"
        ports = PortSchedule(tuple(taken), len(taken)) if shared else None
        placed = Placed(instruction, matrix.base, ports)
        products.append(Product(case.name, matrix, placed, cycles, outputs))
    return products


@cache
def conformance_products() -> dict[ParameterSet, list[Product]]:
    """Return all programs' instructions by the parameter set that they run on."""
    found: dict[StepperConfig, list[Product]] = {}
    for case in load_conformance():
        for product in products_of(case):
            machine = replace(product.placed.case.config, operand_address=0, position=0)
            if fits(machine) and decodes(product.matrix):
                found.setdefault(machine, []).append(product)
    return {
        ParameterSet(len(SETS) + number, config, row_bits_of(config, products)): products
        for number, (config, products) in enumerate(found.items())
    }


def fits(config: StepperConfig) -> bool:
    """Tell whether the RTL's decoder has the format, and its harness can fill such memories."""
    narrow = max(config.word_bits, config.operand_word_bits) <= MOST_WORD_BITS
    plain = config.overflow in CHOICES["overflow"] and not config.partial_every
    return narrow and plain and config.format in CHOICES["format"]


def decodes(matrix: Matrix) -> bool:
    """Tell whether the RTL has the number format: two's complement, as from two bits on."""
    layout = matrix.packed.layout
    return not layout.codebook and layout.weight_bits > 1 and matrix.activation_bits > 1


def has_modes(case: ConformanceCase) -> bool:
    """Tell whether the RTL's sums are a program's: no zero points, partial sums or `nullify`."""
    numerics = case.program.numerics
    code = [i for image in case.program.cores for i in decode_all(load_isa(), image.code)]
    shifted = any(i.mnemonic == "zset" for i in code)
    plain = numerics.overflow in CHOICES["overflow"] and not numerics.partial_sums.every
    return plain and not shifted


def row_bits_of(config: StepperConfig, products: list[Product]) -> int:
    """Return the bits of accumulator addresses that hold the tallest slice."""
    groups = max(-(-len(p.placed.case.weight) // config.group) for p in products)
    slice_rows = -(-groups // config.pes) * config.group
    return max(LEAST_ROW_BITS, (slice_rows - 1).bit_length())
