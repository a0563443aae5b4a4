"""Which activations of which products a core's tape holds: blank to record, or from a recording."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spusim.kernels.layout import Tape
from spusim.machine.errors import RecordingError
from spusim.machine.image_tape import ImageTape
from spusim.machine.recording import Pattern, Recording
from spusim.program import CoreImage, Matrix, Operand, Program

Taping = Callable[[CoreImage], "CoreTape"]


@dataclass(frozen=True)
class CoreTape:
    """A core's tape: patterns uint8, for each matrix (products, columns) of them from `begins` on.

    begins, products (matrices,) int64. Convolutions have none there: theirs are on `images`.
    """

    mode: Tape
    patterns: np.ndarray
    begins: np.ndarray
    products: np.ndarray
    images: ImageTape


def no_tape(image: CoreImage) -> CoreTape:
    """Return a tape of no use."""
    none = np.zeros(len(image.matrices), np.int64)
    return CoreTape(Tape.NONE, np.zeros(0, np.uint8), none, none, ImageTape(Tape.NONE))


def blank_tape(frames: int) -> Taping:
    """Have every core record its products."""

    def taping(image: CoreImage) -> CoreTape:
        products = frames * _uses(image)
        sizes = products * np.array([m.packed.columns for m in image.matrices], np.int64)
        blank = np.zeros(int(sizes.sum()), np.uint8)
        begins = np.cumsum(sizes) - sizes
        return CoreTape(Tape.RECORD, blank, begins, products, ImageTape(Tape.RECORD))

    return taping


def recorded_tape(program: Program, recording: Recording) -> Taping:
    """Have every core replay the products of a recording.

    Matrices that multiply the same columns of the same windows share their patterns. Raises
    RecordingError for a program whose matrices the recording does not have.
    """
    made: dict[tuple[Operand, int], tuple[int, np.ndarray]] = {}

    def taping(image: CoreImage) -> CoreTape:
        begins, products, parts, size = [], [], [np.zeros(0, np.uint8)], 0
        images: list[Pattern | None] = []
        here: dict[tuple[Operand, int], tuple[int, int]] = {}
        for matrix in image.matrices:
            operand = operand_of(matrix, program)
            if operand.is_image:
                begins.append(0)
                products.append(0)
                images.append(_pattern_of(recording, operand))
                continue
            images.append(None)
            key = (operand, matrix.packed.columns)
            if key not in here:
                if key not in made:
                    rows = _pattern_of(recording, operand).columns_of(*key)
                    made[key] = len(rows), rows.reshape(-1)
                count, flat = made[key]
                parts.append(flat)
                here[key] = size, count
                size += len(flat)
            begins.append(here[key][0])
            products.append(here[key][1])
        return CoreTape(
            Tape.REPLAY,
            np.concatenate(parts),
            np.array(begins, np.int64),
            np.array(products, np.int64),
            ImageTape(Tape.REPLAY, tuple(images)),
        )

    return taping


def unskipped_tape(frames: int) -> Taping:
    """Have every core time its products in so many frames as if operands held nothing.

    That is the time of any values on a machine that skips none.
    """

    def taping(image: CoreImage) -> CoreTape:
        widest = max((m.packed.columns for m in image.matrices), default=0)
        products = frames * _uses(image)
        blank = np.zeros(int(products.max(initial=0)) * widest, np.uint8)
        nothing = ImageTape(Tape.REPLAY, (None,) * len(image.matrices))
        return CoreTape(Tape.REPLAY, blank, np.zeros_like(products), products, nothing)

    return taping


def _uses(image: CoreImage) -> np.ndarray:
    """Return how often each matrix is multiplied by a vector in a frame, (matrices,) int64."""
    operands = [matrix.operand for matrix in image.matrices]
    return np.array([0 if o.is_image else len(o.windows) or 1 for o in operands], np.int64)


def operand_of(matrix: Matrix, program: Program) -> Operand:
    """Return what a matrix multiplies; raises RecordingError where the program does not say."""
    if not matrix.operand.product:
        raise RecordingError(
            f"matrix {matrix.name} of program {program.name} belongs to no product of a network, "
            "so it cannot be timed from a recording; simulate it"
        )
    return matrix.operand


def _pattern_of(recording: Recording, operand: Operand) -> Pattern:
    if operand.product not in recording.patterns:
        raise RecordingError(
            f"product {operand.product} is not in the recording, which has "
            f"{', '.join(recording.patterns) or 'none'}; record the network again"
        )
    return recording.patterns[operand.product]
