"""A core's units under shared ports (T19): stepped in windows, re-stepped when a rival appears."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from spusim.kernels.contention import (
    ACTIVE,
    ADDRESS,
    ENGINE_DONE,
    INTERVAL,
    START,
    TRANSFER_STATE,
    VECTOR_DONE,
    VECTOR_STATE,
    WORDS,
    start_vector,
    step_window,
)
from spusim.kernels.layout import M, P, S, Unit, X
from spusim.kernels.stepping import (
    ENGINE_STATE,
    IDLE,
    PE_STATE,
    PHASE,
    SPARE_SLOTS,
    start_engine,
)
from spusim.kernels.thread import address_offset, table_reads, vector_operands
from spusim.machine.load import LoadedCore

_FOREVER = 1 << 60


@dataclass
class WindowState:
    """All that stepping changes; copied to look ahead."""

    engine: np.ndarray
    pes: np.ndarray
    last: np.ndarray
    vector: np.ndarray
    pending: np.ndarray
    pe_stalls: np.ndarray
    scanner_stalls: np.ndarray
    vector_stalls: np.ndarray

    def copy(self) -> "WindowState":
        """Return an independent copy."""
        return WindowState(*(part.copy() for part in vars(self).values()))


class SharedPorts:
    """The stepping state of a core whose units compete for its banks."""

    def __init__(self, loaded: LoadedCore):
        arrays = loaded.arrays
        pes = int(arrays.params[P.PES])
        slots = len(arrays.acc) // pes + SPARE_SLOTS
        most = 8 * int(arrays.params[P.VECTOR_LANES]) + 8
        self._arrays, self._core = arrays, loaded.state
        self._state = WindowState(
            engine=np.zeros(ENGINE_STATE, np.int64),
            pes=np.zeros((pes, PE_STATE), np.int64),
            last=np.zeros((pes, slots), np.int64),
            vector=np.zeros(VECTOR_STATE, np.int64),
            pending=np.zeros(most, np.int64),
            pe_stalls=np.zeros((pes, S.COUNT), np.int64),
            scanner_stalls=np.zeros(S.COUNT, np.int64),
            vector_stalls=np.zeros(2, np.int64),
        )
        self._columns = np.zeros(0, np.int64)
        self._bytes = np.zeros(4, np.int64)
        self._bits = np.zeros(4, np.int64)
        self._transfer = np.zeros(TRANSFER_STATE, np.int64)
        self._transfer[INTERVAL] = 1
        self._now = 0
        self._engine_matrix = self._engine_began = 0

    @property
    def stalls(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cycles by cause of PEs, scanner, and vector unit (busy, port)."""
        state = self._state
        return state.pe_stalls, state.scanner_stalls, state.vector_stalls

    def plan(self, unit: Unit, context: np.ndarray, row: np.ndarray) -> Callable[[], None]:
        """Note an instruction's operands before its values are computed; return what begins it."""
        if unit == Unit.ENGINE:
            m, src = int(row[2]), int(row[3]) + int(address_offset(context))
            return lambda: self._begin_engine(m, src, bool(row[5]))
        if unit == Unit.VECTOR:
            op, operands = int(row[0]), row[2:]
            bytes_, bits = self._bytes, self._bits
            table, fixed = vector_operands(self._core, context, op, operands, bytes_, bits)
            reads = table_reads(self._core, table)
            return partial(
                start_vector, self._core, context[X.LENGTH], fixed, reads, self._state.vector
            )
        return lambda: None

    def _begin_engine(self, m: int, src: int, accumulate: bool) -> None:
        arrays, state = self._arrays, self._state
        total = int(arrays.matrices[m, M.COLUMNS])
        every = arrays.params[P.PUSH_ALL]
        self._columns = np.arange(total) if every else np.flatnonzero(arrays.x[:total])
        self._engine_matrix, self._engine_began = m, self._now
        start_engine(
            self._core, m, src, len(self._columns), accumulate, state.engine, state.pes, state.last
        )

    def begin_transfer(self, start: int, address: int, words: int, interval: int) -> None:
        """Let the router access a word every `interval` cycles from `start` on."""
        self._transfer[[START, ADDRESS, WORDS, INTERVAL]] = start, address, words, interval

    def advance(self, now: int) -> list[Unit]:
        """Step to the beginning of cycle `now`; return the units that complete there."""
        finished: list[Unit] = []
        while self._now < now and self._busy:
            self._now, done = self._step(self._state, now)
            if done & ENGINE_DONE:
                finished.append(Unit.ENGINE)
                use = self._arrays.matrix_use[self._engine_matrix]
                use[0] += self._now - self._engine_began
            if done & VECTOR_DONE:
                finished.append(Unit.VECTOR)
        self._now = now
        return finished

    def next_completion(self) -> int | None:
        """Return the cycle at which the next unit completes if nothing new begins, or None."""
        if not self._busy:
            return None
        time, _ = self._step(self._state.copy(), _FOREVER)
        return time

    @property
    def _busy(self) -> bool:
        return bool(self._state.engine[PHASE] != IDLE or self._state.vector[ACTIVE])

    def _step(self, state: WindowState, until: int) -> tuple[int, int]:
        time, done = step_window(
            self._core, self._now, until, state.engine, state.pes, self._columns, state.last,
            state.vector, self._bytes, self._bits, state.pending, self._transfer,
            state.pe_stalls, state.scanner_stalls, state.vector_stalls,
        )  # fmt: skip
        return int(time), int(done)
