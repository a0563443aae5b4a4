"""External memory of a run: its contents, and what the dma units must know (T51 to T57)."""

from collections.abc import Sequence

import numpy as np

from spusim.arch.spec import Arch
from spusim.formats import stored_words
from spusim.isa import Instruction
from spusim.kernels.chip import NEVER, D, G, V
from spusim.kernels.dma import OVERWRITTEN
from spusim.kernels.layout import M
from spusim.machine.errors import MachineError
from spusim.machine.load import LoadedCore
from spusim.machine.memory import spread_words
from spusim.placement import absence, bank_places, external_complaint, images_at_home, overlapping
from spusim.program import Matrix, Program, Transfer

POISON = 0xA5


def external_arrays(
    program: Program, arch: Arch, loaded: Sequence[LoadedCore]
) -> dict[str, np.ndarray]:
    """Allocate the chip's arrays of external memory, with its contents at the start.

    Raises MachineError for contents that do not fit, or an architecture that has none.
    """
    _check_fit(program, arch)
    images = images_at_home(program)
    word_bytes = program.word_bits // 8
    memory = np.full((program.external_words, word_bytes), POISON, np.uint8)
    for _, first, words in (*images, *((s.name, s.address, s.words) for s in program.external)):
        memory[first : first + len(words)] = words
    matrices = max((len(image.matrices) for image in program.cores), default=0)
    descriptors = max((len(image.transfers) for image in program.cores), default=0)
    cores, banks = len(program.cores), arch.core.data_memory.banks
    arrays: dict[str, np.ndarray] = {
        "external": memory.reshape(-1),
        "homes": np.array([(image.first, image.end) for image in images], np.int64).reshape(-1, 2),
        "transfers": np.zeros((cores, descriptors, 4), np.int64),
        "places": np.zeros((cores, matrices, V.COUNT), np.int64),
        "overlaps": np.zeros((cores, matrices, matrices), np.uint8),
        "fetch_banks": np.zeros((cores, matrices, banks), np.int64),
        "dma": np.zeros((cores, D.COUNT), np.int64),
    }
    arrays["places"][:, :, V.HOME] = -1
    bank_words = [np.zeros(0, np.int64)]
    for c, core in enumerate(loaded):
        for k, t in enumerate(core.image.transfers):
            arrays["transfers"][c, k] = t.words, t.runs, t.local_stride, t.external_stride
        for m, matrix in enumerate(core.image.matrices):
            if matrix.home is not None:
                _place(program, arch, arrays, core, (c, m), matrix)
                arrays["places"][c, m, V.FIRST] = sum(map(len, bank_words))
                bank_words.append(_bank_words(program, core, matrix))
    return arrays | {"bank_words": np.concatenate(bank_words)}


def set_channel(registers: np.ndarray, program: Program, arch: Arch) -> None:
    """Set the chip's registers of the channel, and where frames go."""
    registers[G.MEMORY_NEXT], registers[G.CHANNEL_BYTES], registers[G.CHANNEL_CYCLES] = NEVER, 1, 1
    if arch.external_memory:
        rate = arch.external_memory.bandwidth
        registers[[G.CHANNEL_BYTES, G.CHANNEL_CYCLES]] = rate.numerator, rate.denominator
        registers[G.LATENCY] = arch.external_memory.latency_cycles
        registers[G.OWN_PORT] = arch.external_memory.data_port == "own"
    external = program.input.external
    registers[G.INPUT_WORD] = -1 if external is None else external


def _check_fit(program: Program, arch: Arch) -> None:
    needed = program.external_words
    there = arch.external_memory.words if arch.external_memory else 0
    if needed > there:
        raise MachineError(
            f"program {program.name} needs {needed} words of external memory, and {arch.name} has "
            f"{there or 'none'}; set external_memory.words"
            f"{'' if there else ', bytes_per_cycle and latency_cycles'}, or compile it without"
        )
    if complaint := external_complaint(program):
        raise MachineError(complaint)
    core = arch.core
    row_words = 0 if core.weight_memory else core.data_memory.banks // core.pes
    fetched = any(m.home is not None for image in program.cores for m in image.matrices)
    if fetched and program.row_words != row_words:
        raise MachineError(
            f"program {program.name} fetches matrices to places of {program.row_words} words a "
            f"row, and {arch.name} has rows of {row_words}; recompile it"
        )


def _bank_words(program: Program, core: LoadedCore, matrix: Matrix) -> np.ndarray:
    """Return the data memory words that a matrix's image goes to; raises MachineError."""
    words = bank_places(program, matrix)
    there = core.arrays.memory.size // core.word_bytes
    if len(words) and words.max() >= there:
        raise MachineError(
            f"matrix {matrix.name} is fetched to data memory word {words.max()}, and the last one "
            f"is {there - 1}; recompile the program for this architecture"
        )
    return words


def _place(
    program: Program,
    arch: Arch,
    arrays: dict[str, np.ndarray],
    core: LoadedCore,
    number: tuple[int, int],
    matrix: Matrix,
) -> None:
    """Note a matrix's image, its place, and which others lie there (T53, T55)."""
    packed, spec = matrix.packed, arch.core
    index = np.array([len(words) for words in packed.indices], np.int64)
    weights = np.array([len(words) for words in packed.slices], np.int64)
    if matrix.preload:
        weights, index = weights + index, np.zeros_like(index)
    in_banks = spec.weight_memory is None
    counts = np.zeros(spec.data_memory.banks, np.int64)
    if in_banks:
        counts = spread_words(np.zeros_like(weights), weights, len(counts), spec.pes)
    mask = sum(1 << int(bank) for bank in np.flatnonzero(counts))
    row = arrays["places"][number]
    row[[V.HOME, V.WORDS]] = matrix.home, stored_words(packed, program.word_bits)
    row[V.MOST] = max(index.max(initial=0), 0 if in_banks else weights.max(initial=0))
    row[[V.WEIGHTS, V.INDICES, V.IN_BANKS]] = weights.sum(), index.sum(), in_banks
    row[V.BANKS] = mask - (1 << 64) if mask >= 1 << 63 else mask  # as the kernels' signed masks
    arrays["fetch_banks"][number] = counts
    c, m = number
    arrays["overlaps"][c, m, list(overlapping(program, core.image.matrices, m))] = 1
    core.arrays.matrices[m, M.ABSENT] = 1


def absent_text(core: LoadedCore, m: int) -> str:
    """Return why a product with a matrix is refused; "" if it is resident."""
    state = int(core.arrays.matrices[m, M.ABSENT])
    if not state:
        return ""
    matrices = core.image.matrices
    overwriter = matrices[state - OVERWRITTEN] if state >= OVERWRITTEN else None
    return absence(matrices[m], overwriter)


def dma_complaint(
    core: LoadedCore, instruction: Instruction, offset: int, external_words: int, homes: np.ndarray
) -> str:
    """Return what T51 to T53 do not allow in an instruction of the dma; loops add `offset`."""
    values = instruction.operands
    if instruction.mnemonic == "fetch":
        return _fetch_complaint(core, values["m"], values["external"])
    if values["t"] >= len(core.image.transfers):
        return f"the program has no such transfer; it has {len(core.image.transfers)}"
    transfer = core.image.transfers[values["t"]]
    load = instruction.mnemonic == "xld"
    inside = values["d" if load else "a"] + offset
    return transfer.complaint(load) or _bounds_complaint(
        core, transfer, inside, values["external"], external_words
    ) or _home_complaint(transfer, values["external"], homes)  # fmt: skip


def _fetch_complaint(core: LoadedCore, m: int, external: int) -> str:
    if m >= len(core.image.matrices):
        return "the program has no such matrix"
    matrix = core.image.matrices[m]
    home = "no home" if matrix.home is None else f"its home in word {matrix.home}"
    return (
        f"fetches matrix {matrix.name} from external memory word {external}, and it has {home}; "
        "fetch matrices from their homes"
    )


def _bounds_complaint(
    core: LoadedCore, transfer: Transfer, inside: int, external: int, external_words: int
) -> str:
    data_words = core.arrays.memory.size // core.word_bytes
    sides = (
        ("external memory", external, transfer.external_stride, external_words, "the program has"),
        ("data memory", inside, transfer.local_stride, data_words, "there are"),
    )
    for memory, address, stride, there, whose in sides:
        end = address + (transfer.runs - 1) * stride + transfer.words
        if end > there:
            return (
                f"{memory} words {address} to {end - 1} lie beyond the {there} words that {whose}; "
                "lower the address, or enlarge the memory"
            )
    return ""


def _home_complaint(transfer: Transfer, external: int, homes: np.ndarray) -> str:
    for first, end in transfer.spans(external, transfer.external_stride):
        for home, last in homes.tolist():
            if first < last and home < end:
                return (
                    f"writes external memory words {first} to {end - 1}, of which {home} to "
                    f"{last - 1} are a matrix's image, which stays; move one of them"
                )
    return ""
