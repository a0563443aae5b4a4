"""A replay of the engine's work shows the naive stepper's state word in every cycle."""

import random

import numpy as np
import pytest
from generators import arch_of, random_case
from stepper import step
from test_stepper_machine import loaded

from spusim.kernels.ahead import COLUMNS_A_NOTE
from spusim.kernels.chip import A
from spusim.kernels.engine_state import (
    BY_ENGINE,
)
from spusim.kernels.layout import S, Unit
from spusim.kernels.trace import (
    HELD,
    P_IDLE,
    PE_SIGNALS,
    PHASE_SIGNAL,
    SCANNER_SIGNAL,
    WINDOW_SIGNAL,
    Replay,
    W,
    Y,
    replay_work,
)
from spusim.machine.trace_replay import new_replay

BEGINS = 7  # cycle in which the instruction is issued


def over_time(changes: np.ndarray, start: np.ndarray, end: int) -> np.ndarray:
    """Lay changes (cycle, signal, value) out as (cycles, signals) from cycle 0 on."""
    table = np.tile(start, (end, 1))
    for cycle, signal, value in changes.tolist():
        table[cycle:, signal] = value
    return table


def replayed(case, cycles: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return every signal's value in each cycle of a replay of the case's instruction."""
    core, arch = loaded(case), arch_of(case)
    columns = np.arange(len(case.x))
    pushed = columns if case.config.activations != "skip" else np.flatnonzero(case.x)
    notes = np.zeros(len(case.x) // COLUMNS_A_NOTE + 1, np.int64)
    for column in pushed.tolist():
        notes[column // COLUMNS_A_NOTE] |= 1 << column % COLUMNS_A_NOTE
    work = np.zeros((1, W.COUNT), np.int64)
    work[0, [W.UNIT, W.START, W.END]] = Unit.ENGINE, BEGINS, BEGINS + cycles
    work[0, W.BANKS] = 1  # held by the instruction
    work[0, W.PLAN + A.SOURCE] = case.config.operand_address
    work[0, W.PLAN + A.ACCUMULATE] = case.accumulate
    arrays = new_replay(arch, len(case.x) + 1)
    arrays.kept[:] = 1
    start, parts, done = arrays.current.copy(), [], False
    handle = Replay(*arrays)
    while not done:
        done = replay_work(core.state, handle, work, notes, BEGINS + cycles + 3)
        parts.append(arrays.changes[: arrays.state[Y.USED]].copy())
        arrays.state[Y.USED] = 0
    assert arrays.state[Y.WRONG] == 0
    return over_time(np.concatenate(parts), start, BEGINS + cycles + 3)


@pytest.mark.parametrize("seed", range(30))
def test_every_cycle_has_the_steppers_state_word(seed: int) -> None:
    rng = random.Random(2000 + seed)
    for _ in range(8):
        case = random_case(rng, ports="shared")
        expected = step(**vars(case), trace=True)
        table = replayed(case, expected.cycles)
        pes, body = case.config.pes, slice(BEGINS, BEGINS + expected.cycles)
        columns, beats = (table[:, PE_SIGNALS + k * pes :][:, :pes] for k in (2, 3))
        pairs = np.stack([columns, beats], axis=2).reshape(len(table), 2 * pes)
        queues = table[:, PE_SIGNALS + pes :][:, :pes]
        words = np.hstack([table[:, [PHASE_SIGNAL, WINDOW_SIGNAL]], queues, pairs])
        assert words[body].tolist() == [list(word) for word in expected.trace]
        outside = np.delete(table[:, PHASE_SIGNAL], np.r_[body])
        assert (outside == P_IDLE).all()


@pytest.mark.parametrize("seed", range(15))
def test_causes_and_bank_accesses_of_all_cycles_are_the_steppers(seed: int) -> None:
    rng = random.Random(3000 + seed)
    for _ in range(8):
        case = random_case(rng, ports="shared")
        expected = step(**vars(case))
        table = replayed(case, expected.cycles)
        pes = case.config.pes
        signals = {"scanner": SCANNER_SIGNAL, **{f"pe{p}": PE_SIGNALS + p for p in range(pes)}}
        for unit, signal in signals.items():
            values = table[BEGINS : BEGINS + expected.cycles, signal]
            found = {cause.name.lower(): int((values == cause).sum()) for cause in S}
            assert {c: n for c, n in found.items() if n} == expected.stalls[unit]
        for bank in range(case.config.banks):
            values = table[:, PE_SIGNALS + 4 * pes + bank]
            busy = expected.banks.get(bank, {}).get("busy", 0)
            held = expected.cycles - busy if bank == 0 else 0
            assert (values == BY_ENGINE).sum() == busy
            assert (values == BY_ENGINE + HELD).sum() == held
