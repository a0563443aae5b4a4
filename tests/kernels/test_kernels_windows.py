"""Units that compete for banks: in windows of any length, and all of them in one cycle's steps."""

import numpy as np
import pytest

from spusim.api import compile_layer, load_arch, random_layer
from spusim.kernels.contention import (
    ACTIVE,
    AHEAD,
    BUSY_CYCLES,
    ENGINE_DONE,
    LEVELS,
    PORT_CYCLES,
    VECTOR_STATE,
    start_vector,
    step_cycle,
    step_window,
)
from spusim.kernels.engine_state import (
    ENGINE_STATE,
    IDLE,
    PE_STATE,
    PHASE,
    SPARE_SLOTS,
    start_engine,
)
from spusim.kernels.layout import P
from spusim.kernels.matvec import nonzero_columns
from spusim.machine.host import pack_frames
from spusim.machine.load import load_core

NEVER = 1 << 60
SETTINGS = {
    "plain": [],
    "hazards": ["core.hazard=stall", "core.pipeline.mac_stages=6"],
    "two banks a PE": ["core.pes=4", "core.queue.depth=2", "core.queue.release=done"],
    "own weight memory": [
        "core.weight_memory.words=4096", "core.weight_memory.word_bits=64", "core.scanner.width=8",
    ],
}  # fmt: skip


class Units:
    """One core's competing units at the beginning of a product, a vector instruction, a message."""

    def __init__(self, settings: list[str], seed: int):
        rng = np.random.default_rng(seed)
        columns, rows = rng.integers(30, 90, 2).tolist()
        weight, frames = random_layer(columns, rows, 0.4, 0.6, 1, seed, 8, 16)
        arch = load_arch("spu001", ["core.ports=shared", *settings])
        program = compile_layer(weight, 8, 16, arch)
        self.loaded = load_core(program.cores[0], program, arch)
        core = self.loaded.arrays
        words = pack_frames(frames, program)[0]
        core.memory[: words.size] = words.ravel()
        core.x[:columns] = frames[0]
        n = nonzero_columns(core.x[:columns], core.columns)
        pes = arch.core.pes
        self.engine = np.zeros(ENGINE_STATE + n, np.int64)
        self.pes = np.zeros((PE_STATE, pes), np.int64)
        self.last = np.zeros((pes, len(core.acc) // pes + SPARE_SLOTS), np.int64)
        start_engine(self.loaded.state, 0, 0, n, False, self.engine, self.pes, self.last)
        lanes = int(core.params[P.VECTOR_LANES])
        self.vector = np.zeros(VECTOR_STATE + LEVELS * (lanes + 1), np.int64)
        elements, passes = int(rng.integers(0, 400)), int(rng.choice([0, 0, 3]))
        start_vector(self.loaded.state, elements, 0, int(rng.choice([0, 2])), passes, self.vector)
        self.bytes_ = rng.integers(0, 500, 4) * 2
        self.bits = rng.choice([0, 8, 16], 4)
        between = int(rng.choice([1, 3, 17]))
        self.transfer = np.array([rng.integers(0, 50), rng.integers(0, 99), 40, between])
        # begins with what completes first, and then meets the vector unit
        self.reply = np.array([0, rng.integers(0, 99), 60, int(rng.choice([1, 2]))])
        self.accesses = np.zeros(AHEAD, np.int64)

    def common(self) -> tuple[np.ndarray, ...]:
        return self.engine, self.pes, self.loaded.arrays.columns, self.last, self.vector

    def stalls(self) -> tuple[np.ndarray, np.ndarray]:
        return self.loaded.arrays.pe_stalls, self.loaded.arrays.scanner_stalls

    def step_window(self, now: int, until: int) -> tuple[int, int]:
        return step_window(
            self.loaded.state, now, until, *self.common(), self.vector.copy(), self.bytes_,
            self.bits, self.transfer, self.accesses, *self.stalls(),
        )  # fmt: skip

    def step_cycles(self, now: int, until: int) -> tuple[int, int]:
        done, taken = 0, np.zeros(int(self.loaded.arrays.params[P.BANKS]), np.uint8)
        while now < until and not done:
            done = step_cycle(
                self.loaded.state, now, *self.common(), self.bytes_, self.bits, self.transfer,
                self.accesses, taken, *self.stalls(),
            )  # fmt: skip
            now += 1
        return now, done

    def run(self, step, lengths) -> list:  # type: ignore[no-untyped-def,type-arg]
        """Step until all is done; return when what completed, and what every cycle went to."""
        now, told = 0, []
        while self.engine[PHASE] != IDLE or self.vector[ACTIVE]:
            now, done = step(now, now + int(next(lengths)))
            if done:
                told.append((int(now), int(done)))
            if done & ENGINE_DONE or (done and len(told) == 1):
                self.transfer[:] = self.reply
                self.transfer[0] = now
        vector = self.vector[[BUSY_CYCLES, PORT_CYCLES]].tolist()
        return [told, vector, *(stalls.tolist() for stalls in self.stalls())]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("seed", range(12))
def test_T19_windows_of_all_lengths_are_cycle_by_cycle(settings: str, seed: int) -> None:
    def begun() -> Units:
        return Units(SETTINGS[settings], seed)

    def lengths(longest: int):  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(longest)
        while True:
            yield rng.integers(1, longest + 1)

    units = begun()
    by_cycle = units.run(units.step_cycles, iter(lambda: NEVER, 0))
    assert len(by_cycle[0]) == 2 or by_cycle[0][0][1] == 3  # both complete
    for longest in (2, 9, 70, 1000, NEVER):
        units = begun()
        assert units.run(units.step_window, lengths(longest)) == by_cycle, longest
