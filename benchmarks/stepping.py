"""Cycle by cycle: how fast the stepping kernel is where units compete for the banks' ports."""

import time

import numpy as np

from benchmarks.product_kernels import (
    CompetingUnits,
    contended,
    contended_by_cycle,
    cycles_only,
    stepped,
)
from benchmarks.rows import Row
from benchmarks.stopwatch import interleave
from spusim.api import (
    compile_layer,
    compile_network,
    load_arch,
    load_network,
    load_stream,
    random_layer,
)
from spusim.frontend import quantise_input
from spusim.kernels.contention import AHEAD, LEVELS, VECTOR_STATE
from spusim.kernels.engine_state import (
    ENGINE_STATE,
    PE_STATE,
    SPARE_SLOTS,
)
from spusim.kernels.layout import P
from spusim.machine import run_layer
from spusim.machine.host import pack_frames
from spusim.machine.load import LoadedCore, load_core
from spusim.machine.spu import Spu

SIZE, WEIGHT_DENSITY, ACTIVATION_DENSITY, SEED = 1024, 0.3, 0.5, 1
BITS = (8, 16)
SHARED = "core.ports=shared"
# one core, with room for the bitmaps of the whole matrix
MACHINE = ["cores=1", SHARED, "core.sparse.format=bitmap", "core.index_memory.words=4096"]
TARGET = 10.0  # million cycles a second
ROUNDS, CALLS = 15, 3
FRAMES = "random:density=0.5,frames=60,seed=1"
# an addition of vectors of 16 bits, and a transfer of a word every fourth cycle: neither ever ends
ELEMENTS, OPERANDS, WIDTHS = 1_000_000, (0, 24, 0, 52), (16, 16, 0, 16)
TRANSFER = (0, 5, 1_000_000, 4)


def load_product() -> tuple[LoadedCore, int]:
    """Load a product whose weights lie in 8 PEs' data banks; return it and its cycles."""
    weight, frames = random_layer(SIZE, SIZE, WEIGHT_DENSITY, ACTIVATION_DENSITY, 1, SEED, *BITS)
    arch = load_arch("spu001", MACHINE)
    program = compile_layer(weight, *BITS, arch)
    core = load_core(program.cores[0], program, arch)
    words = pack_frames(frames, program)[0]
    core.arrays.memory[: words.size] = words.ravel()
    core.arrays.x[:SIZE] = frames[0]
    return core, run_layer(program, arch, frames).cycles


def competing_units(core: LoadedCore) -> CompetingUnits:
    """Allocate the units of a core, with the vector unit's and the router's endless work."""
    arrays = core.arrays
    pes = int(arrays.params[P.PES])
    vector = np.zeros(VECTOR_STATE + LEVELS * (int(arrays.params[P.VECTOR_LANES]) + 1), np.int64)
    return CompetingUnits(
        engine=np.zeros(ENGINE_STATE + len(arrays.every), np.int64),
        pes=np.zeros((PE_STATE, pes), np.int64),
        last=np.zeros((pes, len(arrays.acc) // pes + SPARE_SLOTS), np.int64),
        vector=vector,
        kept=vector.copy(),
        bytes_=np.array(OPERANDS),
        bits=np.array(WIDTHS),
        transfer=np.array(TRANSFER),
        accesses=np.zeros(AHEAD, np.int64),
        taken=np.zeros(int(arrays.params[P.BANKS]), np.uint8),
    )


def check_contended(core: LoadedCore, units: CompetingUnits) -> int:
    """Assert that windows give what single cycles do, every stall; return the product's cycles."""
    told = []
    for step in (contended, contended_by_cycle):
        before = core.arrays.pe_stalls.copy(), core.arrays.scanner_stalls.copy()
        cycles = step(core.state, units, ELEMENTS)
        after = core.arrays.pe_stalls, core.arrays.scanner_stalls
        told.append([cycles, *((a - b).tolist() for a, b in zip(after, before, strict=True))])
    assert told[0] == told[1]
    return int(told[0][0])


def measure_stepping() -> list[Row]:
    """Time the stepping kernel on a product, with rivals all along and alone, and a whole run."""
    core, alone = load_product()
    units = competing_units(core)
    cycles = check_contended(core, units)
    assert stepped(core.state) == alone  # nobody competes, so the recurrence says the same
    network, arch = load_network("kws"), load_arch("spu001", [SHARED])
    frames = quantise_input(load_stream(FRAMES, network), network).frames
    spu = Spu(compile_network(network, arch), arch)
    whole = spu.run(frames, [0])
    assert np.array_equal(whole.outputs, spu.run(frames, [0]).outputs)
    seconds = interleave(
        {
            "contended": lambda: contended(core.state, units, ELEMENTS),
            "alone": lambda: stepped(core.state),
            "run": lambda: spu.run(frames, [0]),
        },
        ROUNDS,
        CALLS,
        time.process_time,
    )

    def row(name: str, cycles: int, what: str, sense: str = "", target: float | None = None) -> Row:
        told = f"{cycles:,} cycles in {1e3 * seconds[what]:.3g} ms"
        return Row(name, 1e-6 * cycles / seconds[what], "M cycles/s", sense, target, told)

    return [
        row("stepping kernel, 8 PEs x 8 lanes, shared ports", cycles, "contended", ">=", TARGET),
        row("the same product, nobody else at the banks", alone, "alone"),
        row("keyword spotter with shared ports, both cores", whole.cycles, "run"),
    ]


def measure_slowdown(rounds: int = ROUNDS) -> Row:
    """Time a product with rivals, stepped, over the recurrence of one without."""
    core, cycles = load_product()
    units = competing_units(core)
    check_contended(core, units)
    assert stepped(core.state) == cycles_only(core.state) == cycles
    seconds = interleave(
        {
            "stepped": lambda: contended(core.state, units, ELEMENTS),
            "at once": lambda: cycles_only(core.state),
        },
        rounds,
        CALLS,
        time.process_time,
    )
    return Row("stepped with rivals / at once", seconds["stepped"] / seconds["at once"], sense="<=")
