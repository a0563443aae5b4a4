"""ResNet-50's layers run in full, and timed again from recordings made on another machine.

A layer is all that `spusim layer conv2d` does for it once it is drawn: compile, load, run, collect,
attach energy. Every round is of another machine, as every point of a sweep is; what depends on none
of the fields in which machines differ is kept from the one to the next. Processor time. Words of
256 bits, so that the largest image lies within 65,536 of them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import count, cycle

import numpy as np

from benchmarks.resnet_layers import BITS, PRESETS, SEED, draw_operands, layer_shapes
from benchmarks.rows import Row
from benchmarks.stopwatch import interleave
from spusim.api.identity import layer_hash
from spusim.arch import Arch, load_arch
from spusim.compiler import compile_conv_layer
from spusim.compiler.reuse import outline_conv_layer
from spusim.energy import attach_energy
from spusim.machine import Recording
from spusim.machine.conv_bench import record_conv_layer, retime_conv_layer, run_conv_layer
from spusim.numerics.convolution import Convolution
from spusim.result import RunResult

WORDS = "core.data_memory.word_bits=256"
FIELD, FIRST_DEPTH = "core.queue.depth", 5  # what is different from the recorded machine
TARGETS = {"pixel": 10.0}
ROUNDS = 3


@dataclass(frozen=True)
class Recorded:
    """A layer's operands, and what was recorded of it."""

    shape: Convolution
    weight: np.ndarray
    frames: np.ndarray
    recording: Recording

    def full(self, arch: Arch) -> RunResult:
        """Run it."""
        program = compile_conv_layer(self.weight, self.shape, BITS, BITS, arch)
        return attach_energy(run_conv_layer(program, arch, self.frames), arch)

    def again(self, arch: Arch) -> RunResult:
        """Time it from the recording."""
        hashed = layer_hash(self.weight, BITS, BITS, ())
        program = outline_conv_layer(self.weight, self.shape, BITS, BITS, arch, hashed=hashed)
        return attach_energy(retime_conv_layer(program, arch, self.recording), arch)

    def check(self, arch: Arch) -> None:
        """Assert that both ways give the same in every field."""
        full, again = self.full(arch), self.again(arch)
        for field in fields(RunResult):
            assert repr(getattr(full, field.name)) == repr(getattr(again, field.name)), field.name
        assert np.array_equal(full.outputs, again.outputs)


def record_shape(shape: Convolution, rng: np.random.Generator, arch: Arch) -> Recorded:
    """Draw a layer and record it on a machine."""
    weight, x = draw_operands(shape, rng)
    program = compile_conv_layer(weight, shape, BITS, BITS, arch)
    result, patterns, order = record_conv_layer(program, arch, x[None])
    kept = Recording(program.name, "", "", "", (0,), result.outputs, patterns, order)
    return Recorded(shape, weight, x[None], kept)


def measure_layer_retiming() -> list[Row]:
    """Return a row for each dataflow: all layers in full over all layers timed again."""
    return [_row(dataflow) for dataflow in PRESETS]


def _all(layers: Sequence[Callable[[Arch], RunResult]], archs: Iterator[Arch]) -> None:
    arch = next(archs)
    for run in layers:
        run(arch)


def _row(dataflow: str) -> Row:
    preset, rng = PRESETS[dataflow], np.random.default_rng(SEED)
    recorded = load_arch(preset, [WORDS])
    layers = [record_shape(shape, rng, recorded) for shape in layer_shapes().values()]
    # in every round another machine, as from point to point of a sweep
    points = (load_arch(preset, [WORDS, f"{FIELD}={depth}"]) for depth in count(FIRST_DEPTH))
    layers[-1].check(next(points))
    archs = [next(points) for _ in range(ROUNDS + 1)]
    runs = {
        "full": partial(_all, [layer.full for layer in layers], cycle(archs)),
        "again": partial(_all, [layer.again for layer in layers], iter(archs)),
    }
    seconds = interleave(runs, ROUNDS, 1, time.process_time)
    full, again = seconds["full"], seconds["again"]
    detail = f"full {full:.2f} s, re-timed {again:.3f} s"
    name = f"re-timing, ResNet-50's layers on {preset}"
    if dataflow not in TARGETS:
        return Row(name, full / again, detail=detail)
    return Row(name, full / again, "x", ">=", TARGETS[dataflow], detail)
