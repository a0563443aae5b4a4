"""Recording a run, and timing it again on another architecture without computing any value."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spusim.arch.spec import Arch
from spusim.kernels.layout import M
from spusim.machine.collect import Unskipped, engine_cycles
from spusim.machine.errors import RecordingError
from spusim.machine.load import LoadedCore
from spusim.machine.recording import Pattern, Recording, joined, pattern, recorded_outputs
from spusim.machine.spu import Spu
from spusim.machine.tape import blank_tape, operand_of, recorded_tape, unskipped_tape
from spusim.program import Program
from spusim.result import RunResult


def record(
    program: Program,
    arch: Arch,
    frames: np.ndarray,
    starts: Sequence[int],
) -> tuple[RunResult, dict[str, Pattern], str]:
    """Run a program; return the result, by product the patterns of what it multiplies, the order.

    The last two are those of `Recording`. Raises RecordingError for a program that uses its
    matrices otherwise than it says.
    """
    spu = Spu(program, arch, taping=blank_tape(len(frames)))
    result = spu.run(frames, starts)
    return result, patterns_of(program, spu.cores, len(frames)), order_of(spu.cores, arch)


def order_of(cores: Sequence[LoadedCore], arch: Arch) -> str:
    """Return `Recording.order` of what cores have recorded."""
    return arch.core.dataflow if any(core.images.inexact for core in cores) else ""


def check_order(recording: Recording, arch: Arch) -> None:
    """Raise RecordingError for sums that another dataflow might have made differently (T35)."""
    if recording.order not in ("", arch.core.dataflow):
        raise RecordingError(
            f"recording of {recording.name}: its sums may overflow in the order of core.dataflow: "
            f"{recording.order}, and that of {arch.core.dataflow} may give others; simulate it"
        )


def retime(
    program: Program, arch: Arch, recording: Recording, input_period: int | None = None
) -> RunResult:
    """Return what `run` would for the recording's frames; the program may be an outlined one.

    Raises RecordingError for a program whose products or outputs are not the recording's.
    """
    check_order(recording, arch)
    spu = Spu(program, arch, taping=recorded_tape(program, recording))
    result = spu.run_blank(recording.frames, recording.starts, input_period)
    outputs = recorded_outputs(recording, result.name, result.outputs.shape)
    return replace(result, outputs=outputs)


def unskipped_cycles(
    program: Program,
    arch: Arch,
    starts: Sequence[int],
    frames: int,
    input_period: int | None = None,
) -> Unskipped:
    """Return what `run` would take for `frames` of files that begin at `starts`.

    For a machine that skips no activation: no value changes its time, and since every file begins
    with an idle chip (T31), one file of each length is run. The program may be an outlined one.
    """
    lengths = np.diff([*starts, frames]).tolist()
    distinct = list(dict.fromkeys(lengths))
    bounds = np.cumsum([0, *distinct])
    spu = Spu(program, arch, taping=unskipped_tape(int(bounds[-1])))
    spu.run_blank(int(bounds[-1]), bounds[:-1].tolist(), input_period)
    # A file begins in the cycle after the last one's end.
    begins = [0, *(end + 1 for end in spu.file_ends[:-1])]
    cycles = {n: end - begin for n, begin, end in zip(distinct, begins, spu.file_ends, strict=True)}
    products = dict(zip(distinct, np.diff(spu.file_products, axis=0, prepend=0), strict=True))
    return Unskipped(
        sum(cycles[length] + 1 for length in lengths) - 1,
        engine_cycles(program, spu.cores, sum(products[length] for length in lengths)),
    )


def patterns_of(program: Program, cores: Sequence[LoadedCore], frames: int) -> dict[str, Pattern]:
    """Put the tapes of all matrices together; tiles of rows and cores agree."""
    flags: dict[str, np.ndarray] = {}
    known: dict[str, np.ndarray] = {}
    images: dict[str, Pattern] = {}
    for core in cores:
        arrays = core.arrays
        for number, matrix in enumerate(core.image.matrices):
            operand, columns = operand_of(matrix, program), matrix.packed.columns
            if operand.is_image:
                made = core.images.recorded(number, operand, frames)
                images[operand.product] = joined(images.get(operand.product, made), made)
                continue
            fields, used = arrays.matrices[number], int(arrays.matrix_use[number, 2])
            if used != fields[M.PRODUCTS]:
                raise RecordingError(
                    f"product {operand.product} of {program.name} was multiplied {used} times in "
                    f"{frames} frames of {len(operand.windows)} windows; only what is used as "
                    "often in every frame can be recorded"
                )
            whole = flags.setdefault(operand.product, np.zeros((frames, operand.size), np.uint8))
            seen = known.setdefault(operand.product, np.zeros(operand.size, bool))
            begin, size = int(fields[M.TAPE]), used * columns
            tape = arrays.tape[begin : begin + size].reshape(frames, -1, columns)
            order = operand.order
            for at, element, count in operand.runs:
                for window, first in enumerate(operand.windows):
                    part = order[first + element : first + element + count]
                    whole[:, part], seen[part] = tape[:, window, at : at + count], True
    return images | {product: pattern(whole, known[product]) for product, whole in flags.items()}
