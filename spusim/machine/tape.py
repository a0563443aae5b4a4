"""Which activations of which products a core's tape holds: blank to record, or from a recording."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spusim.kernels.layout import Op, Tape
from spusim.machine.errors import RecordingError
from spusim.machine.recording import Pattern, Recording
from spusim.program import CoreImage, Program

# (image, decoded code) -> the core's tape
Taping = Callable[[CoreImage, np.ndarray], "CoreTape"]


@dataclass(frozen=True)
class CoreTape:
    """A core's tape: patterns uint8, for each matrix (products, columns) of them from `begins` on.

    begins, products (matrices,) int64.
    """

    mode: Tape
    patterns: np.ndarray
    begins: np.ndarray
    products: np.ndarray


def no_tape(image: CoreImage, code: np.ndarray) -> CoreTape:
    """Return a tape of no use."""
    none = np.zeros(len(image.matrices), np.int64)
    return CoreTape(Tape.NONE, np.zeros(0, np.uint8), none, none)


def blank_tape(frames: int) -> Taping:
    """Have every core record its products, each matrix being used once a frame."""

    def taping(image: CoreImage, code: np.ndarray) -> CoreTape:
        sizes = frames * np.array([m.packed.columns for m in image.matrices], np.int64)
        return CoreTape(
            Tape.RECORD,
            np.zeros(int(sizes.sum()), np.uint8),
            np.cumsum(sizes) - sizes,
            np.full(len(sizes), frames, np.int64),
        )

    return taping


def recorded_tape(program: Program, recording: Recording) -> Taping:
    """Have every core replay the products of a recording.

    Matrices that read the same columns share their patterns. Raises RecordingError for a program
    whose matrices the recording does not have.
    """
    made: dict[tuple[str, int, int, int], tuple[int, np.ndarray]] = {}

    def taping(image: CoreImage, code: np.ndarray) -> CoreTape:
        begins, products, parts, size = [], [], [], 0
        here: dict[tuple[str, int, int, int], tuple[int, int]] = {}
        for place in operand_places(image, program, code):
            key = (place.layer, place.first, place.columns, place.operand_columns)
            if key not in here:
                if key not in made:
                    rows = _pattern_of(recording, place).columns_of(*key[1:])
                    made[key] = len(rows), rows.reshape(-1)
                count, flat = made[key]
                parts.append(flat)
                here[key] = size, count
                size += len(flat)
            begins.append(here[key][0])
            products.append(here[key][1])
        return CoreTape(
            Tape.REPLAY,
            np.concatenate(parts) if parts else np.zeros(0, np.uint8),
            np.array(begins, np.int64),
            np.array(products, np.int64),
        )

    return taping


def unskipped_tape(products: int) -> Taping:
    """Have every core time up to so many products of each matrix whose operands hold nothing.

    That is the time of any values on a machine that skips none.
    """

    def taping(image: CoreImage, code: np.ndarray) -> CoreTape:
        widest = max((m.packed.columns for m in image.matrices), default=0)
        none = np.zeros(len(image.matrices), np.int64)
        blank = np.zeros(products * widest, np.uint8)
        return CoreTape(Tape.REPLAY, blank, none, np.full_like(none, products))

    return taping


@dataclass(frozen=True)
class OperandPlace:
    """Which columns of its layer's operand a matrix multiplies: `columns` from `first` on."""

    layer: str
    first: int
    columns: int
    operand_columns: int  # of the whole operand


def operand_places(image: CoreImage, program: Program, code: np.ndarray) -> list[OperandPlace]:
    """Return the place of every matrix of a core.

    Told by the code: a tile of columns that goes on accumulating reads its operand so many words
    behind the tile that begins. Raises RecordingError for a matrix that is of no layer.
    """
    firsts: dict[int, int] = {}
    origin = 0
    for row in code[code[:, 0] == Op.MATVEC].tolist():
        matrix, source, accumulate = row[2], row[3], row[5]
        origin = source if not accumulate else origin
        bits = image.matrices[matrix].activation_bits
        firsts[matrix] = (source - origin) * program.word_bits // bits
    ends: dict[str, int] = {}
    for number, matrix in enumerate(image.matrices):
        layer = program.layer_of.get(matrix.name)
        if layer is None:
            raise RecordingError(
                f"matrix {matrix.name} of program {program.name} belongs to no layer, so it cannot "
                "be timed from a recording; simulate it"
            )
        ends[layer] = max(ends.get(layer, 0), firsts.get(number, 0) + matrix.packed.columns)
    layers = [program.layer_of[matrix.name] for matrix in image.matrices]
    return [
        OperandPlace(layer, firsts.get(k, 0), image.matrices[k].packed.columns, ends[layer])
        for k, layer in enumerate(layers)
    ]


def _pattern_of(recording: Recording, place: OperandPlace) -> Pattern:
    if place.layer not in recording.patterns:
        raise RecordingError(
            f"layer {place.layer} is not in the recording, which has "
            f"{', '.join(recording.patterns) or 'none'}; record the network again"
        )
    return recording.patterns[place.layer]
