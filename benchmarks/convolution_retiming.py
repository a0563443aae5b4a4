"""ResNet-50's layers run in full, and timed again from recordings made on another machine.

A layer is all that `spusim layer conv2d` does for it once it is drawn: compile, load, run, collect,
attach energy. Once a layer was timed again, what depends on none of the fields in which machines
differ is kept, as it is from point to point of a sweep. Words of 256 bits, so that the largest
image lies within 65,536 of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

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
POINT = "core.queue.depth=5"  # what is different from the recorded machine
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


def _row(dataflow: str) -> Row:
    preset, rng = PRESETS[dataflow], np.random.default_rng(SEED)
    recorded, point = load_arch(preset, [WORDS]), load_arch(preset, [WORDS, POINT])
    layers = [record_shape(shape, rng, recorded) for shape in layer_shapes().values()]
    layers[-1].check(point)
    runs: dict[str, Callable[[], object]] = {
        "full": lambda: [layer.full(point) for layer in layers],
        "again": lambda: [layer.again(point) for layer in layers],
    }
    seconds = interleave({name: partial(run) for name, run in runs.items()}, ROUNDS, 1)
    full, again = seconds["full"], seconds["again"]
    detail = f"full {full:.2f} s, re-timed {again:.2f} s"
    name = f"re-timing, ResNet-50's layers on {preset}"
    if dataflow not in TARGETS:
        return Row(name, full / again, detail=detail)
    return Row(name, full / again, "x", ">=", TARGETS[dataflow], detail)
