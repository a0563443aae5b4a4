"""The naive stepper of the sparse engine: every cycle, every unit, plain integers and lists.

It is written from docs/timing.md alone (rules T1 to T15, T18 to T20) and is what the fast machine
must equal. In every cycle all units decide on the state at the start of the cycle, the arbiter
settles who gets which bank, and then all units commit. Cycle 0 is the cycle of issue.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stepper_storage import Slice, StepperConfig, build_slice, ceil_div
from stepper_units import Loader, Pe, Receive, Scanner, accumulate_product

LOAD, RUN, DRAIN = 0, 1, 2
NOTHING = -1  # in a trace: no column, no beat

# (cycle, banks granted to the engine in each cycle so far) -> banks that other units take
PortRequests = Callable[[int, list[set[int]]], set[int]]


@dataclass(frozen=True)
class StepResult:
    """What one matrix-vector instruction did.

    `stalls` holds for `scanner` and every `pe{p}` the causes that occurred, which sum to `cycles`.
    `banks[b]` holds the `busy` cycles of bank b and, where it is held (T18), its `held` ones.
    A trace word is (phase, scanner window, every queue's length, then column and beat of every PE):
    lengths at the start of the cycle, the window examined, column and beat due in the cycle.
    """

    outputs: list[int]
    cycles: int
    stalls: dict[str, dict[str, int]]
    counts: dict[str, int]
    words_read: list[int]  # of entries, by PE
    banks: dict[int, dict[str, int]]
    trace: list[tuple[int, ...]]


class Engine:
    """The sparse engine with its loader, scanner and PEs, for one instruction.

    x is what the operand's words have brought so far: `receive` is told each word as it is read.
    """

    def __init__(
        self,
        config: StepperConfig,
        slices: list[Slice],
        x: list[int],
        start: list[int],
        fetch_bias: bool,
        receive: Receive,
    ) -> None:
        """Set every register to its state at issue."""
        self.config = config
        self.cycle = 0
        self.phase = LOAD
        self.drain_left = config.mac_stages
        self.granted: set[int] = set()  # in this cycle
        per_word = config.operand_word_bits // config.activation_bits
        self.operand_words = ceil_div(len(x), per_word)
        streamed_words = 0 if config.private_weight_memory else self.operand_words
        self.loader = Loader(config, streamed_words, receive)
        self.scanner = Scanner(config, x, receive)
        self.pes = []
        for p, part in enumerate(slices):
            to_load = part.index_words + (part.bias_words if fetch_bias else 0)
            self.pes.append(Pe(config, p, part, x, {r: start[r] for r in part.rows}, to_load))
        self.enter_phase()

    def ended(self) -> bool:
        """Tell whether the last accumulators are written."""
        return self.phase == DRAIN and self.drain_left == 0

    def step(self, taken: set[int]) -> set[int]:
        """Take a cycle in which others have `taken` banks; return the banks accessed."""
        self.granted = set()
        CYCLES[self.phase](self, taken)
        self.cycle += 1
        self.enter_phase()
        return self.granted

    def enter_phase(self) -> None:
        """Go on to the next phase as soon as this one has nothing left, T7, T14."""
        if self.phase == LOAD and self.loader.wants() is None:
            if any(pe.wants_load() for pe in self.pes):
                return
            self.phase = RUN
        if self.phase == RUN and self.scanner.ended() and all(pe.idle() for pe in self.pes):
            self.phase = DRAIN
            for pe in self.pes:
                pe.count("imbalance", pe.waiting)

    def grant(self, banks: list[int], taken: set[int]) -> bool:
        """Grant all of the banks, or none."""
        if any(bank in taken for bank in banks):
            return False
        self.granted.update(banks)
        return True

    def load_cycle(self, taken: set[int]) -> None:
        """Step the load phase."""
        bank = self.loader.wants()
        granted = bank is not None and self.grant([bank], taken)
        self.scanner.count("load" if bank is None or granted else "port")
        self.loader.commit(granted)
        for pe in self.pes:
            own = granted and bank is not None and bank % self.config.pes == pe.number
            wanted = pe.bank_of(pe.words_loaded) if pe.wants_load() and not own else None
            pe.commit_load(own, wanted is None or self.grant([wanted], taken))

    def run_cycle(self, taken: set[int]) -> None:
        """Step scanner and PEs: decide, settle, commit."""
        room = all(pe.has_room() for pe in self.pes)
        scanner_banks = self.scanner.wants()
        pe_banks = [pe.wants(self.cycle) for pe in self.pes]
        scanner_granted = self.grant(scanner_banks, taken)
        granted = [bank is None or self.grant([bank], taken) for bank in pe_banks]
        for pe, is_granted in zip(self.pes, granted, strict=True):
            pe.commit(self.cycle, is_granted)
        column = self.scanner.commit(scanner_granted, room)
        if column is not None:
            for pe in self.pes:
                pe.queue.append(column)
                pe.slots_taken += 1

    def drain_cycle(self, _taken: set[int]) -> None:
        """Let the last accumulators' additions through the pipeline."""
        self.drain_left -= 1
        self.scanner.count("drain")
        for pe in self.pes:
            pe.count("drain")

    def state_word(self) -> tuple[int, ...]:
        """Return this cycle's word of the trace."""
        word = [self.phase, self.scanner.window]
        word.extend(len(pe.queue) for pe in self.pes)
        for pe in self.pes:
            column = pe.current()
            word.append(NOTHING if column is None else column)
            word.append(NOTHING if column is None else pe.beat)
        return tuple(word)


CYCLES = {LOAD: Engine.load_cycle, RUN: Engine.run_cycle, DRAIN: Engine.drain_cycle}


def check(
    config: StepperConfig,
    weight: list[list[int]],
    x: list[int],
    start: list[int],
    port_requests: PortRequests | None,
) -> None:
    """Refuse what timing.md does not cover."""
    if not x or any(len(row) != len(x) for row in weight):
        raise ValueError(f"weight must have rows of len(x) (={len(x)}) columns, at least one")
    if len(start) != len(weight):
        raise ValueError(f"start values (={len(start)}) must be one a row (={len(weight)})")
    if any(accumulate_product(config, value, 0) != value for value in start):
        raise ValueError(f"start values must fit {config.accumulator_bits} bit")
    if port_requests is not None and config.ports != "shared":
        raise ValueError("port_requests needs ports: shared; reserved banks are the engine's, T18")
    if config.private_weight_memory:
        scanner = Scanner(config, x, lambda word: None)
        while not scanner.ended():
            banks = scanner.wants()
            if len(set(banks)) != len(banks):
                raise ValueError(f"window {scanner.window} needs two words of one bank, T8")
            scanner.window += 1


def held_banks(engine: Engine) -> set[int]:
    """Return the banks that the instruction holds from issue to completion, T18."""
    config = engine.config
    if config.ports == "shared":
        return set()
    if not config.private_weight_memory:
        return set(range(config.banks))
    return {(config.operand_address + k) % config.banks for k in range(engine.operand_words)}


def bank_rows(engine: Engine, grants: list[set[int]]) -> dict[int, dict[str, int]]:
    """Return busy and held cycles of every bank accessed or held."""
    held = held_banks(engine)
    rows = {}
    for bank in range(engine.config.banks):
        busy = sum(1 for granted in grants if bank in granted)
        row = {"busy": busy, "held": engine.cycle - busy if bank in held else 0}
        rows[bank] = {cause: cycles for cause, cycles in row.items() if cycles}
    return {bank: row for bank, row in rows.items() if row}


def stall_rows(engine: Engine) -> dict[str, dict[str, int]]:
    """Return every unit's cycles by cause, and make sure that they sum to the total."""
    rows = {"scanner": dict(engine.scanner.stalls)}
    rows.update({f"pe{pe.number}": dict(pe.stalls) for pe in engine.pes})
    for unit, row in rows.items():
        assert sum(row.values()) == engine.cycle, f"{unit}: {row} does not sum to {engine.cycle}"
    return rows


def event_counts(engine: Engine) -> dict[str, int]:
    """Return the instruction's events, over all PEs."""
    events = ("mac", "mac_gated", "pops", "words_read", "accumulator_updates", "index_reads")
    counts = {event: sum(pe.counts.get(event, 0) for pe in engine.pes) for event in events}
    counts["pushes"] = engine.scanner.pushes
    counts["windows"] = engine.scanner.windows
    counts["load_words"] = sum(pe.words_loaded for pe in engine.pes)
    counts["operand_words"] = engine.loader.streamed + engine.scanner.words_read
    return counts


def step(
    config: StepperConfig,
    weight: list[list[int]],
    x: list[int],
    bias: list[int] | None = None,
    start_accumulators: list[int] | None = None,
    port_requests: PortRequests | None = None,
    accumulate: bool = False,
    trace: bool = False,
) -> StepResult:
    """Simulate one matrix-vector instruction. weight[row][column], x by column, bias by row.

    With `accumulate` (spmva, dmva) the rows go on from start_accumulators and no bias is fetched,
    else they start from the bias. Raises ValueError for what the rules do not cover.
    """
    if (bias is not None) != (config.bias_bits > 0):
        raise ValueError(f"bias must be given exactly with bias_bits (={config.bias_bits}) above 0")
    start = start_accumulators if accumulate else bias
    start = start or [0] * len(weight)
    check(config, weight, x, start, port_requests)
    slices = [build_slice(config, weight, len(x), p) for p in range(config.pes)]
    fetch_bias = bias is not None and not accumulate
    engine = Engine(config, slices, x, start, fetch_bias, receive=lambda word: None)
    grants: list[set[int]] = []
    words = []
    while not engine.ended():
        taken = port_requests(engine.cycle, grants) if port_requests else set()
        words.append(engine.state_word())
        grants.append(engine.step(taken))
    values = {row: value for pe in engine.pes for row, value in pe.final_accumulators().items()}
    return StepResult(
        outputs=[values[row] for row in range(len(weight))],
        cycles=engine.cycle,
        stalls=stall_rows(engine),
        counts=event_counts(engine),
        words_read=[pe.counts.get("words_read", 0) for pe in engine.pes],
        banks=bank_rows(engine, grants),
        trace=words if trace else [],
    )
