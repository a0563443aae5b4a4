"""Counters of all units to a RunResult."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spusim.arch.precisions import CODEBOOK
from spusim.arch.spec import Arch
from spusim.kernels.chip import G
from spusim.kernels.layout import MAC_KINDS, C
from spusim.machine.chip import Chip
from spusim.machine.host import ordered_outputs
from spusim.machine.load import LoadedCore
from spusim.machine.memory import memory_use, stored_bits
from spusim.machine.stalls import stalls
from spusim.program import Matrix, Program
from spusim.result import RunResult

EVENTS = {
    "accumulator.read": C.ACC_READ,
    "accumulator.write": C.ACC_WRITE,
    "queue.push": C.QUEUE_PUSH,
    "queue.pop": C.QUEUE_POP,
    "scanner.window": C.SCANNER_WINDOW,
    "data_memory.read": C.DATA_READ,
    "data_memory.write": C.DATA_WRITE,
    "weight_memory.read": C.WEIGHT_READ,
    "index_memory.read": C.INDEX_READ,
    "index_memory.write": C.INDEX_WRITE,
    "table_memory.read": C.TABLE_READ,
    "vector.element": C.VECTOR_ELEMENT,
    "vector.multiply": C.VECTOR_MULTIPLY,
    "instruction_memory.read": C.INSTRUCTION,
}


# named only where there are some: `pixel` keeps activations in its queues, few have a dma
SELDOM = {
    "queue.word_write": C.SLOT_WRITE,
    "queue.word_read": C.SLOT_READ,
    "weight_memory.write": C.WEIGHT_WRITE,
    "external_memory.read": C.EXTERNAL_READ,
    "external_memory.write": C.EXTERNAL_WRITE,
}


def named_counts(table: np.ndarray, kinds: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Name the columns of a table of counters (frames, events)."""
    named = {name: table[:, column] for name, column in EVENTS.items()}
    for k, kind in enumerate(kinds):
        named[f"mac.{kind}"] = table[:, C.MAC + k]
        named[f"mac_gated.{kind}"] = table[:, C.MAC + MAC_KINDS + k]
    looked_up = [C.MAC + k for k, kind in enumerate(kinds) if kind.startswith(CODEBOOK)]
    if looked_up:
        named["codebook.read"] = table[:, looked_up].sum(axis=1)
    some = table.sum(axis=0)
    for name, counter in SELDOM.items():
        if some[counter]:
            named[name] = table[:, counter]
    named["router.word"], named["link.word"] = table[:, -2], table[:, -1]
    return named


def total_counts(table: np.ndarray, kinds: tuple[str, ...]) -> dict[str, int]:
    """Name the sums over frames of a table of counters (frames, events)."""
    sums = named_counts(table.sum(axis=0, keepdims=True), kinds)
    return {name: int(column[0]) for name, column in sums.items()}


def collect(program: Program, arch: Arch, chip: Chip, cycles: int) -> RunResult:
    """Put a finished run's figures together."""
    table = frame_table(chip)
    named = named_counts(table, chip.loaded[0].mac_kinds)
    totals = total_counts(table, chip.loaded[0].mac_kinds)
    frame_cycles = chip.arrays["ended"] - chip.arrays["began"]
    named["cycle"] = frame_cycles
    return RunResult(
        name=program.name,
        arch_name=arch.name,
        clock_mhz=arch.clock_mhz,
        cycles=cycles,
        frame_cycles=frame_cycles,
        outputs=ordered_outputs(program, chip.arrays["outputs"]),
        stalls=stalls(chip, arch, cycles),
        counts={**totals, "cycle": cycles},
        frame_counts=named,
        memory=memory_use(program, arch),
        stored_bits=stored_bits(program),
        macs=macs(chip.loaded, table),
        peak_macs_per_cycle=peak_macs(program, arch),
        layers=layers(program, chip.loaded),
        versions={"isa": program.isa_version, **program.hashes},
        notes=program.notes,
        details={"labels": program.labels, "output_exponent": program.output_exponent},
    )


def frame_table(chip: Chip) -> np.ndarray:
    """Event counts of each frame: what came since the last one's end, (frames, events) int64.

    What comes after the last frame's end belongs to it.
    """
    ends = chip.arrays["frame_counts"]
    total = sum(core.arrays.counters for core in chip.loaded)
    table = np.empty_like(ends)  # one table more and no other: a stream may have many frames
    table[0] = ends[0]
    np.subtract(ends[1:], ends[:-1], out=table[1:])
    table[-1] += np.append(total, chip.registers[[G.ROUTER_WORDS, G.LINK_WORDS]]) - ends[-1]
    return table


def outputs_hash(outputs: np.ndarray) -> str:
    """SHA-256 of outputs as little-endian int64, row by row."""
    return hashlib.sha256(np.ascontiguousarray(outputs, "<i8").tobytes()).hexdigest()


def macs(loaded: list[LoadedCore], table: np.ndarray) -> dict[str, int]:
    """MACs: all, and those with nonzero weights, activations, both; table of counters."""
    dense = nonzero = 0
    for core in loaded:
        for matrix, use in zip(core.image.matrices, core.arrays.matrix_use, strict=True):
            dense += matrix.dense_macs * int(use[2])
            nonzero += _nonzeros(matrix) * int(use[2])
    return {
        "dense": dense,
        "weight_nonzero": nonzero,
        "activation_nonzero": int(table[:, C.ACTIVE].sum()),
        "effective": int(table[:, C.EFFECTIVE].sum()),
    }


def _nonzeros(matrix: Matrix) -> int:
    return matrix.packed.footprint.values // matrix.packed.layout.weight_bits


def peak_macs(program: Program, arch: Arch) -> int:
    """MACs that all lanes can do in a cycle, at the fastest precision that the program uses."""
    used = {m.precision for core in program.cores for m in core.matrices}
    return (
        arch.cores
        * arch.core.pes
        * arch.core.lanes
        * max(map(arch.core.macs_per_lane, used), default=1)
    )


@dataclass(frozen=True)
class Unskipped:
    """What a run takes on a machine that skips no activation: cycles, and by layer engines'."""

    cycles: int
    engine_cycles: dict[str, int]


def engine_cycles(
    program: Program, loaded: list[LoadedCore], spent: Sequence[int]
) -> dict[str, int]:
    """Sum up by layer what each matrix of each core took, in the cores' and matrices' order."""
    names = [m.name for core in loaded for m in core.image.matrices]
    table: dict[str, int] = {}
    for name, cycles in zip(names, spent, strict=True):
        layer = program.layer_of.get(name, name)
        table[layer] = table.get(layer, 0) + int(cycles)
    return table


def layers(program: Program, loaded: list[LoadedCore]) -> dict[str, dict[str, int]]:
    """Per layer over the run: MACs, and engine cycles summed over cores."""
    table: dict[str, dict[str, int]] = {}
    for core in loaded:
        for matrix, use in zip(core.image.matrices, core.arrays.matrix_use, strict=True):
            layer = program.layer_of.get(matrix.name, matrix.name)
            row = table.setdefault(
                layer, dict.fromkeys(("dense", "weight_nonzero", "effective", "engine_cycles"), 0)
            )
            cycles, effective, products = use.tolist()
            row["dense"] += matrix.dense_macs * products
            row["weight_nonzero"] += _nonzeros(matrix) * products
            row["effective"] += effective
            row["engine_cycles"] += cycles
    return table
