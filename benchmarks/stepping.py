"""Cycle by cycle: how fast the stepping kernel is where units compete for the banks' ports."""

import time

import numpy as np

from benchmarks.product_kernels import cycles_only, stepped
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


def measure_stepping() -> list[Row]:
    """Time the stepping kernel on a product, and a run whose units compete."""
    core, cycles = load_product()
    assert stepped(core.state) == cycles  # nobody competes, so the recurrence says the same
    network, arch = load_network("kws"), load_arch("spu001", [SHARED])
    frames = quantise_input(load_stream(FRAMES, network), network).frames
    spu = Spu(compile_network(network, arch), arch)
    whole = spu.run(frames, [0])
    assert np.array_equal(whole.outputs, spu.run(frames, [0]).outputs)
    seconds = interleave(
        {"product": lambda: stepped(core.state), "run": lambda: spu.run(frames, [0])},
        ROUNDS,
        CALLS,
        time.process_time,
    )
    rate = 1e-6 * cycles / seconds["product"]
    told = f"{cycles:,} cycles of a {SIZE} x {SIZE} product in {1e3 * seconds['product']:.2f} ms"
    run = 1e-6 * whole.cycles / seconds["run"]
    return [
        Row("stepping kernel, 8 PEs x 8 lanes, shared ports", rate, "M cycles/s", ">=", TARGET,
            told),
        Row("keyword spotter with shared ports, both cores", run, "M cycles/s",
            detail=f"{whole.cycles:,} cycles in {1e3 * seconds['run']:.1f} ms"),
    ]  # fmt: skip


def measure_slowdown(rounds: int = ROUNDS) -> Row:
    """Time the stepping kernel over the recurrence that gives the same cycles at once."""
    core, _ = load_product()
    assert stepped(core.state) == cycles_only(core.state)
    seconds = interleave(
        {"stepped": lambda: stepped(core.state), "at once": lambda: cycles_only(core.state)},
        rounds,
        CALLS,
        time.process_time,
    )
    return Row("cycle by cycle / at once", seconds["stepped"] / seconds["at once"], sense="<=")
