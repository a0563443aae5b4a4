"""Growth: time against the work done, over four orders of magnitude, and memory against frames.

A slope is that of the straight line through log(time) over log(work): 1 is linear, less where fixed
costs show. Layers and frames are timed in processor time.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.rows import Row
from benchmarks.stopwatch import interleave
from spusim.api import (
    compile_layer,
    compile_network,
    load_arch,
    load_network,
    load_stream,
    simulate_program,
)
from spusim.frontend import quantise_input
from spusim.kernels.engine import run_matvec
from spusim.machine.host import pack_frames
from spusim.machine.load import LoadedCore, load_core
from spusim.network.records import Stream

TARGET, MEMORY_TARGET = 1.05, 1.05
SIDES = (256, 512, 1024, 2048, 4096, 8192)
FRAMES = (1, 10, 100, 1000, 10_000)
LAYERS = (1, 2, 5, 10, 20, 50, 100, 200)
MEMORY_FRAMES = (100, 10_000)
WEIGHT_DENSITY, ACTIVATION_DENSITY, SEED, PES = 0.1, 0.5, 1, 8
WIDTH = 32  # of the layers
# a core that has room for 200 layers
DEEP = [f"core.{key}" for key in ("instruction_memory.words=65536", "sequencer.descriptors=256",
                                  "index_memory.words=65536")]  # fmt: skip


def slope(work: list[float], seconds: list[float]) -> float:
    """Return the slope of the line through log(seconds) over log(work)."""
    return float(np.polyfit(np.log(work), np.log(seconds), 1)[0])


def slope_row(name: str, sizes: tuple[int, ...], work: list[float], seconds: list[float]) -> Row:
    """Make the row of a growth whose sizes are told with their times."""
    told = ", ".join(f"{n}: {1e3 * s:.3g}" for n, s in zip(sizes, seconds, strict=True))
    detail = f"{slope(work[-2:], seconds[-2:]):.2f} in the last step; ms at {told}"
    return Row(f"growth, {name}: slope", slope(work, seconds), "", "<=", TARGET, detail)


def load_product(side: int) -> tuple[LoadedCore, int]:
    """Load a product of side x side on a machine with memories to match; return its MACs, too."""
    rng = np.random.default_rng(SEED)
    weight = rng.integers(1, 128, (side, side), np.int8)
    weight[rng.random(weight.shape, np.float32) >= WEIGHT_DENSITY] = 0
    frames = rng.integers(1, 1000, (1, side)).astype(np.int32)
    frames[rng.random(frames.shape) >= ACTIVATION_DENSITY] = 0
    words = side * side // PES + 2 * side
    settings = [f"core.pes={PES}", f"core.accumulators={side // PES}"]
    settings += [f"core.{memory}_memory.words={words}" for memory in ("index", "weight")]
    arch = load_arch("row64", settings)
    program = compile_layer(weight, 8, 16, arch)
    core = load_core(program.cores[0], program, arch)
    packed = pack_frames(frames, program)[0]
    core.arrays.memory[: packed.size] = packed.ravel()
    return core, int(np.count_nonzero(weight[:, frames[0] != 0]))


def measure_sides(sides: tuple[int, ...] = SIDES, rounds: int = 25) -> Row:
    """Time products over their side."""
    cores, work = zip(*(load_product(side) for side in sides), strict=True)
    seconds = interleave(
        {str(side): _product(core) for side, core in zip(sides, cores, strict=True)}, rounds, 4
    )
    name = f"SpMV side {sides[0]} to {sides[-1]} over nonzero MACs"
    return slope_row(name, sides, list(work), list(seconds.values()))


def _product(core: LoadedCore) -> Callable[[], object]:
    return lambda: run_matvec(core.state, 0, 0, 0, False)


def measure_frames(counts: tuple[int, ...] = FRAMES, rounds: int = 5) -> Row:
    """Time runs of the keyword spotter over the number of frames: load, run, collect, price."""
    network, arch = load_network("kws"), load_arch("spu001")
    program = compile_network(network, arch)
    spec = f"random:density={ACTIVATION_DENSITY},frames={max(counts)},seed={SEED}"
    frames = quantise_input(load_stream(spec, network), network).frames

    def run(count: int) -> Callable[[], object]:
        stream = Stream(frames[:count], (0,), ("noise",))
        return lambda: simulate_program(program, arch, stream)

    calls = {str(count): run(count) for count in counts}
    seconds = interleave(calls, rounds, 1, time.process_time)
    name = f"keyword spotter, {counts[0]} to {counts[-1]:,} frames"
    return slope_row(name, counts, list(counts), list(seconds.values()))


def deep_network(layers: int, folder: Path) -> Path:
    """Write a network of so many linear layers of WIDTH, random weights; return its file."""
    np.save(folder / "frames.npy", np.random.default_rng(SEED).normal(size=(8, WIDTH)))
    lines = [f"name: deep{layers}", f"weights: random:seed={SEED}"]
    lines += [f"input: {{size: {WIDTH}, bits: 16}}", "layers:"]
    lines += [f"  - {{type: linear, name: l{n}, outputs: {WIDTH}}}" for n in range(layers)]
    lines += ["quantise: {weights: 8, activations: 16, calibrate: frames.npy}"]
    file = folder / f"deep{layers}.yaml"
    file.write_text("\n".join(lines) + "\n")
    return file


def measure_layers_deep(counts: tuple[int, ...] = LAYERS, rounds: int = 5) -> Row:
    """Time whole simulations over the number of layers: read, quantise, compile, run, price."""
    arch = load_arch("row64", DEEP)
    frames = np.random.default_rng(SEED).normal(size=(2, WIDTH)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        files = {str(count): deep_network(count, Path(folder)) for count in counts}

        def run(file: Path) -> Callable[[], object]:
            def whole() -> object:
                network = load_network(file)
                stream = quantise_input(Stream(frames, (0,), ("noise",)), network)
                return simulate_program(compile_network(network, arch), arch, stream)

            return whole

        calls = {name: run(file) for name, file in files.items()}
        seconds = interleave(calls, rounds, 1, time.process_time)
    name = f"{counts[0]} to {counts[-1]} linear layers, file to result"
    return slope_row(name, counts, list(counts), list(seconds.values()))


def measure_memory(counts: tuple[int, int] = MEMORY_FRAMES) -> Row:
    """Compare the peak memory of processes that run few and many frames."""
    few, many = (_peak(count) for count in counts)
    each = 1e6 * (many["peak"] - few["peak"]) / (counts[1] - counts[0])
    detail = (
        f"{few['peak']:.1f} MB, {many['peak']:.1f} MB: {each:.0f} bytes a frame, of which stream "
        f"and result {many['kept']:.0f}"
    )
    name = f"peak memory, {counts[1]:,} frames / {counts[0]} frames"
    return Row(name, many["peak"] / few["peak"], "x", "<=", MEMORY_TARGET, detail)


def _peak(frames: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.peak_memory", str(frames)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(told)
    return figures


def measure_growth() -> list[Row]:
    """Time and weigh every growth."""
    return [measure_sides(), measure_frames(), measure_layers_deep(), measure_memory()]
