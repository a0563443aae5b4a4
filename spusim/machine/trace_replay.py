"""Work of a traced run stepped again, core by core, to the signals of its units."""

from collections.abc import Callable, Iterator

import numpy as np

from spusim.arch.spec import Arch
from spusim.kernels.chip import NEVER
from spusim.kernels.contention import INTERVAL, LEVELS, TRANSFER_STATE, VECTOR_STATE
from spusim.kernels.core import CoreState
from spusim.kernels.engine_state import (
    ENGINE_STATE,
    PE_STATE,
    SPARE_SLOTS,
)
from spusim.kernels.layout import S
from spusim.kernels.trace import (
    NOTHING,
    P_IDLE,
    PE_SIGNALS,
    PHASE_SIGNAL,
    SCANNER_SIGNAL,
    UNIT_IDLE,
    V_IDLE,
    VECTOR_SIGNAL,
    WINDOW_SIGNAL,
    Replay,
    ReplayArrays,
    W,
    Y,
    replay_work,
    signal_count,
)
from spusim.machine.errors import TraceError
from spusim.machine.load import LoadedCore, load_core
from spusim.machine.trace import (
    BANK_CAUSES,
    BANK_STATES,
    ENGINE_CAUSES,
    PHASES,
    VECTOR_CAUSES,
    Progress,
    Signal,
    TraceRequest,
    too_many,
)
from spusim.machine.trace_log import LogReader, Work

CHANGES = 1 << 16  # rows of changes taken out at once
_Kind = tuple[str, str, tuple[str, ...] | None, tuple[str, ...] | None]


def replay_all(
    reader: LogReader, request: TraceRequest, end: int, progress: Progress | None
) -> list[Signal]:
    """Return the signals of every core's engine, vector unit and banks in cycles first to end - 1.

    Raises TraceError for more changes than are wanted.
    """
    assert reader.chip is not None
    signals: list[Signal] = []
    kept = changes = 0
    for c, loaded in enumerate(reader.chip.loaded):
        kinds = [(f"core{c}.{kind[0]}", *kind[1:]) for kind in signal_kinds(reader.arch)]
        wanted = [
            unit in reader.units and (request.signals is None or name in request.signals)
            for unit, name, _, _ in kinds
        ]
        if not any(wanted):
            continue
        log = reader.cores[c].work

        def tell(cycle: int, c: int = c) -> None:
            if progress:
                progress(f"looking into core {c}", cycle, end)

        replay = CoreReplay(loaded, reader, c, np.array(wanted))
        initial, table, more = replay.run(
            log, request.first, end, request.most * request.changes - kept, tell
        )
        kept, changes = kept + len(table), changes + more
        if kept < changes:
            continue
        signals += [
            Signal(*kind[:2], *values, *kind[2:])
            for kind, values, wish in zip(
                kinds, _by_signal(initial, table, request.first), wanted, strict=True
            )
            if wish
        ]
    if kept < changes:
        raise TraceError(too_many(f"more than {changes // request.changes:,}", request.most))
    return signals


def signal_kinds(arch: Arch) -> list[_Kind]:
    """Return unit, name, states and causes of a core's signals, in the kernel's order."""
    pes = [f"pe{p}" for p in range(arch.core.pes)]
    kinds: dict[int, _Kind] = {
        PHASE_SIGNAL: ("engine", "phase", PHASES, None),
        WINDOW_SIGNAL: ("engine", "window", None, None),
        SCANNER_SIGNAL: ("scanner", "cause", ENGINE_CAUSES, ENGINE_CAUSES),
        VECTOR_SIGNAL: ("vector", "cause", VECTOR_CAUSES, VECTOR_CAUSES),
    }
    return [
        *(kinds[number] for number in range(PE_SIGNALS)),
        *((pe, "cause", ENGINE_CAUSES, ENGINE_CAUSES) for pe in pes),
        *((f"{pe}.queue", "queue", None, None) for pe in pes),
        *((pe, "column", None, None) for pe in pes),
        *((pe, "beat", None, None) for pe in pes),
        *(
            (f"data_memory.bank{bank}", "access", BANK_STATES, BANK_CAUSES)
            for bank in range(arch.core.data_memory.banks)
        ),
    ]


class CoreReplay:
    """One core's units, stepped through its logged work."""

    def __init__(self, loaded: LoadedCore, reader: LogReader, number: int, wanted: np.ndarray):
        self._loaded = _with_beats(loaded, reader)
        self._number = number
        self._wanted = wanted.astype(np.uint8)
        self._arrays = new_replay(reader.arch, len(loaded.arrays.every))
        self._replay = Replay(*self._arrays)

    @property
    def _state(self) -> CoreState:
        return self._loaded.state

    def run(
        self, log: list[Work], first: int, end: int, most: int, tell: Callable[[int], None]
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Return every signal's value in the first cycle, changes (rows, 3) after it, their number.

        Beyond `most` changes are counted, not kept.
        """
        work, notes = _tables(log)
        replay, arrays = self._replay, self._arrays
        arrays.state[Y.NOW] = min(first, int(work[0, W.START])) if len(work) else first
        replay_work(self._state, replay, work, notes, first)
        # the first cycle's values are not changes: the kernel finds them by stepping it
        unknown = arrays.current.copy()
        arrays.kept[:] = self._wanted
        parts: list[np.ndarray] = []
        count, done = 0, False
        while not done:
            done = bool(replay_work(self._state, replay, work, notes, end))
            used = int(arrays.state[Y.USED])
            count += used
            if count <= most:
                parts.append(arrays.changes[:used].copy())
            arrays.state[Y.USED] = 0
            tell(int(arrays.state[Y.NOW]))
        self._check(work)
        table = np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)
        return unknown, table, count

    def _check(self, work: np.ndarray) -> None:
        """Assert that everything ended when the machine said."""
        wrong = int(self._arrays.state[Y.WRONG])
        assert not wrong, f"core {self._number}: trace and run disagree about {work[wrong - 1]}"


def new_replay(arch: Arch, longest: int) -> ReplayArrays:
    """Allocate the state of a replay, everything idle; longest: columns of any matrix, and 1."""
    core = arch.core
    pes, banks = core.pes, core.data_memory.banks
    transfer = np.zeros(TRANSFER_STATE, np.int64)
    transfer[INTERVAL] = 1
    signals = signal_count(pes, banks)
    current = np.zeros(signals, np.int64)
    current[[PHASE_SIGNAL, SCANNER_SIGNAL, VECTOR_SIGNAL]] = P_IDLE, UNIT_IDLE, V_IDLE
    current[PE_SIGNALS : PE_SIGNALS + pes] = UNIT_IDLE
    current[PE_SIGNALS + 2 * pes : PE_SIGNALS + 4 * pes] = NOTHING
    return ReplayArrays(
        state=np.zeros(Y.COUNT, np.int64),
        engine=np.zeros(ENGINE_STATE + longest, np.int64),
        pes=np.zeros((PE_STATE, pes), np.int64),
        last=np.zeros((pes, core.accumulators + SPARE_SLOTS), np.int64),
        vector=np.zeros(VECTOR_STATE + LEVELS * (core.vector.lanes + 1), np.int64),
        bytes_=np.zeros(4, np.int64),
        bits=np.zeros(4, np.int64),
        accesses=np.zeros(1, np.int64),
        transfer=transfer,
        columns=np.zeros(longest + 1, np.int64),
        taken=np.zeros(banks, np.uint8),
        held=np.zeros((banks, 2), np.int64),
        pe_stalls=np.zeros((pes, S.COUNT), np.int64),
        scanner_stalls=np.zeros(S.COUNT, np.int64),
        before=np.zeros((pes, 3), np.int64),
        kept=np.zeros(signals, np.uint8),
        current=current,
        changes=np.zeros((max(CHANGES, 2 * signals), 3), np.int64),
    )


def _with_beats(loaded: LoadedCore, reader: LogReader) -> LoadedCore:
    """Return a core whose beats are laid out one by one, which only some machines' are."""
    if len(loaded.arrays.beat_first) > 1 or not loaded.image.matrices:
        return loaded
    arch = reader.arch
    shared = arch.model_copy(update={"core": arch.core.model_copy(update={"ports": "shared"})})
    return load_core(loaded.image, reader.program, shared)


def _tables(log: list[Work]) -> tuple[np.ndarray, np.ndarray]:
    """Lay work out as the kernel wants it: rows by start, and all masks of columns."""
    work = np.zeros((len(log), W.COUNT), np.int64)
    at = 0
    for row, each in zip(work, log, strict=True):
        row[:] = each.row
        row[W.NOTES] = at
        at += len(each.columns)
    assert not (work[:, W.END] == NEVER).any()
    empty = np.zeros(0, np.int64)
    return work, np.concatenate([empty, *(each.columns for each in log)])


def _by_signal(
    initial: np.ndarray, table: np.ndarray, first: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split changes (rows, 3) in time order into each signal's cycles and values."""
    order = np.argsort(table[:, 1], kind="stable")
    rows = table[order]
    bounds = np.searchsorted(rows[:, 1], np.arange(len(initial) + 1))
    for signal, value in enumerate(initial.tolist()):
        part = rows[bounds[signal] : bounds[signal + 1]]
        cycles, values = part[:, 0], part[:, 2]
        if not len(cycles) or cycles[0] > first:
            cycles, values = np.append(first, cycles), np.append(value, values)
        yield cycles, values
