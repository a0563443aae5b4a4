"""Points of a sweep: run in full, and timed again from a recording made on another machine.

A point is all that a sweep does for it: compile, load, run, collect, attach energy, for a machine
that was not there before.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from benchmarks.product import ACTIVATION_BITS, ACTIVATION_DENSITY, MACHINE, SEED, SIZE, WEIGHT_BITS
from benchmarks.rows import Row
from benchmarks.stopwatch import interleave
from spusim.api import (
    load_arch,
    load_network,
    load_stream,
    random_layer,
    record_layer,
    record_values,
    retime,
    retime_layer,
    simulate,
    simulate_layer,
)
from spusim.result import RunResult

POINT = "core.queue.depth=4"  # what is different from the recorded machine
DENSITIES = (0.1, 0.3)
FRAMES = 50
SPOTTER_TARGET, LAYER_TARGET = 3.0, 5.0
ROUNDS = 15
Point = Callable[..., RunResult]


@dataclass(frozen=True)
class Contest:
    """One point, both ways; each takes `baseline`."""

    name: str
    target: float
    full: Point
    again: Point

    def check(self) -> None:
        """Assert that both ways give the same in every field."""
        full, again = self.full(baseline=True), self.again(baseline=True)
        for field in fields(RunResult):
            assert repr(getattr(full, field.name)) == repr(getattr(again, field.name)), field.name
        assert np.array_equal(full.outputs, again.outputs)
        assert np.array_equal(full.frame_cycles, again.frame_cycles)

    def rows(self, rounds: int = ROUNDS) -> list[Row]:
        """Time the point, and the point with its speedup over the dense twin."""
        ways = {"full": self.full, "again": self.again}
        calls = {(way, twin): partial(call, baseline=twin)
                 for way, call in ways.items() for twin in (False, True)}  # fmt: skip
        told = {f"{way} {twin}": call for (way, twin), call in calls.items()}
        seconds = interleave(told, rounds, 1, time.process_time)
        return [self._row(seconds, twin) for twin in (False, True)]

    def _row(self, seconds: dict[str, float], twin: bool) -> Row:
        full, again = seconds[f"full {twin}"], seconds[f"again {twin}"]
        detail = f"full {1e3 * full:.1f} ms, re-timed {1e3 * again:.1f} ms"
        name = f"re-timing, {self.name}"
        if twin:
            return Row(f"{name}, with its speedup", full / again, detail=detail)
        return Row(name, full / again, "x", ">=", self.target, detail)


def spotter() -> Contest:
    """Return the keyword spotter's contest."""
    network = load_network("kws")
    stream = load_stream("kws", network)
    recording = record_values(network, load_arch("spu001"), stream)
    arch = load_arch("spu001", [POINT])
    name = f"keyword spotter, {recording.frames} frames"

    def full(**how: bool) -> RunResult:
        return simulate(network, arch.model_copy(), stream, **how)

    def again(**how: bool) -> RunResult:
        return retime(network, arch.model_copy(), recording, **how)

    return Contest(name, SPOTTER_TARGET, full, again)


def layer(density: float) -> Contest:
    """Return the contest of a layer of this weight density."""
    bits = (WEIGHT_BITS, ACTIVATION_BITS)
    weight, frames = random_layer(SIZE, SIZE, density, ACTIVATION_DENSITY, FRAMES, SEED, *bits)
    preset, settings = MACHINE
    recording = record_layer(weight, frames, load_arch(preset, settings), *bits)
    arch = load_arch(preset, [*settings, POINT])
    name = f"{SIZE} x {SIZE}, density {density:g}, {FRAMES} frames"

    def full(**how: bool) -> RunResult:
        return simulate_layer(weight, frames, arch.model_copy(), *bits, **how)

    def again(**how: bool) -> RunResult:
        return retime_layer(weight, arch.model_copy(), recording, *bits, **how)

    return Contest(name, LAYER_TARGET, full, again)


def measure_retiming() -> list[Row]:
    """Time points in full over points timed again."""
    rows: list[Row] = []
    for contest in (spotter(), *map(layer, DENSITIES)):
        contest.check()
        rows += contest.rows()
    return rows
