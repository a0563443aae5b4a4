"""Shared ports, T19: nothing changes where nobody competes; where units do, a model of the rule.

The model below knows one PE, 64-bit words and four banks, and a dense matrix of 16-bit weights
whose rows are a multiple of four: column j of a matrix of 4 r rows is the words r j to r j + r - 1
of the slice, one beat each.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from chip_agreement import checked_run
from programs import PRIVATE, causes, core, hand_arch, matrix, nops, program, segment, table, vset
from random_programs import random_program

from spusim.arch import Arch
from spusim.machine import run
from spusim.program import OutputPort
from spusim.result import RunResult

BANKS, STAGES = 4, 3


@pytest.mark.parametrize("first", range(2000, 2100, 20))
def test_T19_alone_on_its_core_nobody_waits(first: int) -> None:
    for seed in range(first, first + 20):
        whole, arch, frames, starts = random_program(np.random.default_rng(seed))
        reserved, shared = (run(whole, one_at_a_time(arch, p), frames, starts)
                            for p in ("reserved", "shared"))  # fmt: skip
        assert (seed, reserved.cycles) == (seed, shared.cycles)
        assert reserved.frame_cycles.tolist() == shared.frame_cycles.tolist()
        assert (seed, reserved.counts) == (seed, shared.counts)
        for unit in reserved.stalls:
            if ".bank" in unit:
                assert reserved.stalls[unit]["busy"] == shared.stalls[unit]["busy"]
                assert "held" not in shared.stalls[unit]
            else:
                assert (seed, unit, causes(reserved, unit)) == (seed, unit, causes(shared, unit))


def one_at_a_time(arch: Arch, ports: str) -> Arch:
    """Return the same machine with one context."""
    sequencer = arch.core.sequencer.model_copy(update={"contexts": 1})
    update = {"sequencer": sequencer, "ports": ports}
    return arch.model_copy(update={"core": arch.core.model_copy(update=update)})


@dataclass
class Product:
    """A product and how far it has come."""

    start: int
    src: int
    columns: int
    words: int  # of a column
    bias_words: int
    private: bool
    hazard: int  # cycles between updates of a row
    width: int = 4
    streamed: int = 0
    fetched: int = 0
    pushed: int = 0
    window: int = -1
    column: int = 0
    beat: int = 0
    drained: int = 0
    updated: dict[int, int] = field(default_factory=dict)
    scanner: Counter[str] = field(default_factory=Counter)
    pe: Counter[str] = field(default_factory=Counter)

    @property
    def operand_words(self) -> int:
        """Words that the load phase streams (T7)."""
        return 0 if self.private else -(-self.columns // 4)

    def cycle(self, now: int, taken: set[int]) -> bool:
        """Take one cycle; return whether the product is still running."""
        if self.streamed < self.operand_words or self.fetched < self.bias_words:
            self.load(taken)
        elif self.column < self.columns:
            arrived = self.pushed
            self.scan(taken)
            self.work(now, taken, arrived)
        else:
            self.drained += 1
            self.scanner["drain"] += 1
            self.pe["drain"] += 1
        return self.drained < STAGES

    def load(self, taken: set[int]) -> None:
        """The operand's word first; its bank is the one PE's own."""
        streaming = False
        cause = "load"
        if self.streamed < self.operand_words:
            streaming = (self.src + self.streamed) % BANKS not in taken
            cause = "load" if streaming else "port"
            self.streamed += streaming
        self.scanner[cause] += 1
        cause = "load"
        if self.fetched < self.bias_words and not streaming:
            free = self.private or self.fetched % BANKS not in taken
            cause = "load" if free else "port"
            self.fetched += free
        self.pe[cause] += 1

    def scan(self, taken: set[int]) -> None:
        """All activations are nonzero and the queue never fills: a push a cycle, T8, T10."""
        if self.pushed == self.columns:
            self.scanner["pe_wait"] += 1
            return
        window = self.pushed // self.width
        if window != self.window and self.private:
            last = min(self.columns, (window + 1) * self.width) - 1
            words = range(window * self.width // 4, last // 4 + 1)
            if any((self.src + word) % BANKS in taken for word in words):
                self.scanner["port"] += 1
                return
        self.window = window
        self.pushed += 1
        self.scanner["busy"] += 1

    def work(self, now: int, taken: set[int], arrived: int) -> None:
        """A beat, if it may: first the hazard, then the word's bank."""
        if self.column >= arrived:
            self.pe["starved"] += 1
            return
        word = self.bias_words + self.column * self.words + self.beat
        if now - self.updated.get(self.beat, -100) < self.hazard:
            self.pe["hazard"] += 1
        elif not self.private and word % BANKS in taken:
            self.pe["port"] += 1
        else:
            self.pe["busy"] += 1
            self.updated[self.beat] = now
            self.beat = (self.beat + 1) % self.words
            self.column += self.beat == 0


@dataclass
class Vector:
    """A vector instruction: per beat its banks in order, and the cycles of its look-ups."""

    start: int
    beats: list[tuple[list[int], int]]
    elapsed: int = 0
    drained: int = 0
    stalls: Counter[str] = field(default_factory=Counter)

    def cycle(self, taken: set[int]) -> bool:
        """Take one cycle, and banks; return whether the instruction is still running."""
        if not self.beats:
            self.drained += 1
            self.stalls["busy"] += 1
            return self.drained < STAGES
        banks, lookups = self.beats[0]
        if not self.elapsed:
            self.natural = max(1, lookups, *Counter(banks).values())
            self.left = list(banks)
        left = []
        for bank in self.left:
            if bank in taken:
                left.append(bank)
            taken.add(bank)
        self.left, self.elapsed = left, self.elapsed + 1
        if not left and self.elapsed >= lookups:
            self.stalls["busy"] += self.natural
            self.stalls["port"] += self.elapsed - self.natural
            self.beats, self.elapsed = self.beats[1:], 0
        return True


def contend(product: Product, vector: Vector, transfer: range, bank: int) -> int:
    """Step all units; return the product's duration. transfer: cycles in which the router reads."""
    now, running, end = product.start, True, 0
    vector_runs = True
    while running or vector_runs:
        taken = {(bank + now - transfer.start) % BANKS} if now in transfer else set()
        if vector_runs and now >= vector.start:
            vector_runs = vector.cycle(taken)
        if running:
            running = product.cycle(now, taken)
            end = now + 1
        now += 1
    return end - product.start


DISPATCHED = 68  # main: recv 5, loop 6, nops 7 to 66, posts 67 and 68, product 69
PRODUCT, TRANSFER, VECTOR = 69, 70, 72  # port: recv 70; side: vset 71, its instruction 72


def three_units(vector: str, length: int, arch: Arch, weight: np.ndarray, bias, src: int,
                words: int, dst: int) -> RunResult:  # fmt: skip
    """Run a product, a vector instruction and a recv that meet; the words have arrived before."""
    first = f"""
    .thread main tokens=1
        recv channel=0, dst=0, words=1
        {nops(60)} post core=0, thread=2
        post core=0, thread=1
        dmv m=0, src={src}, acc=0
        post core=0, thread=3
        end
    .thread side tokens=1
        {vset(length)} {vector}
        post core=0, thread=3
        end
    .thread port tokens=1
        recv channel=1, dst={dst}, words={words}
        post core=0, thread=3
        end
    .thread out tokens=3
        send dest={{host}}, channel=0, src=0, words=1, thread=0
        end
    .thread sink tokens=9
        end
    """
    second = f"""
    .thread main tokens=1
        send dest={{0}}, channel=1, src=0, words={words}, thread=4
        end
    """
    m = matrix(weight, bias)
    image = core(first, (m,), (table(4, 12, True),), (segment(64, [1] * weight.shape[1]),))
    whole = program(
        image, core(second), arch=arch, init=((1, 0),), outputs=(OutputPort(0, 0, 0, 4, 16),)
    )
    return checked_run(whole, arch, np.ones((1, 4), np.int64), (0,))


@pytest.mark.parametrize("seed", range(60))
def test_T19_router_before_vector_unit_before_engine(seed: int) -> None:
    rng = np.random.default_rng(seed)
    private, stall = bool(rng.random() < 0.4), bool(rng.random() < 0.3)
    width = int(rng.choice((2, 4, 8)))
    arch = hand_arch(
        "cores=2", "core.ports=shared", "core.sequencer.contexts=3", "core.queue.depth=64",
        f"core.hazard={'stall' if stall else 'bypass'}", f"core.scanner.width={width}",
        *(PRIVATE if private else ()),
    )  # fmt: skip
    rows, columns = int(rng.choice((4, 8, 12))), int(rng.integers(4, 40))
    biased = bool(rng.random() < 0.5)
    src, words, dst = 64, int(rng.integers(3, 30)), int(rng.integers(200, 204))
    a, b, d = (int(base + rng.integers(4)) for base in (100, 130, 160))
    length = int(rng.integers(1, 60))
    beats = range(-(-length // 4))
    if rng.random() < 0.3:
        text = f"vlut d={d}, a={a}, table=0"
        plan = [([(a + k) % 4, (d + k) % 4], min(4, length - 4 * k)) for k in beats]
    else:
        text = f"vadd d={d}, a={a}, b={b}"
        plan = [([(a + k) % 4, (b + k) % 4, (d + k) % 4], 1) for k in beats]
    product = Product(
        start=PRODUCT, src=src, columns=columns, words=rows // 4,
        bias_words=rows // 2 if biased else 0, private=private, hazard=3 if stall else 0,
        width=width,
    )  # fmt: skip
    vector = Vector(VECTOR, plan)
    duration = contend(product, vector, range(TRANSFER, TRANSFER + words), dst)
    result = three_units(
        text, length, arch, np.ones((rows, columns), np.int64),
        np.ones(rows, np.int64) if biased else None, src, words, dst,
    )  # fmt: skip
    assert result.layers["m"]["engine_cycles"] == duration
    found = {unit: causes(result, f"core0.{unit}") for unit in ("scanner", "pe0", "vector")}
    for unit in found.values():
        unit.pop("idle", None)
    assert found == {
        "scanner": {cause: n for cause, n in product.scanner.items() if n},
        "pe0": {cause: n for cause, n in product.pe.items() if n},
        "vector": {cause: n for cause, n in vector.stalls.items() if n},
    }


def test_T19_a_vector_beat_waits_for_the_router() -> None:
    # The recv of 20 words into banks 0 1 2 3 0 ... takes, in cycles 70 to 89, bank (t - 70) mod 4.
    # One beat from 72 on: a in bank 2, d in bank 3. 72: the router has 2, so a waits; d is
    # granted. 73: a. Two cycles instead of one, then three stages.
    arch = hand_arch("cores=2", "core.ports=shared", "core.sequencer.contexts=3")
    result = three_units("vmov d=163, a=102", 4, arch, np.ones((4, 4), np.int64), None, 64, 20, 200)
    assert result.stalls["core0.vector"] == {
        "busy": 1 + 3, "port": 1, "idle": result.cycles - 5
    }  # fmt: skip


def test_T13_hazards_and_T19_ports_of_one_beat_add_up() -> None:
    # One PE, one row, so one accumulator: M = 3. Alone (private): beats at 1 4 7 10, see T13 in
    # test_machine_rules. In the data banks, columns of one 16-bit entry: four to a word, one word
    # for four columns, read again in the first beat of each column.
    arch = hand_arch("core.ports=shared", "core.hazard=stall")
    text = """
    .thread main tokens=1
        recv channel=0, dst=63, words=1
        dmv m=0, src=0, acc=0
        send dest={host}, channel=0, src=63, words=1, thread=0
        end
    """
    image = core(text, (matrix(np.ones((1, 4), np.int64)),), (), (segment(0, [1] * 4),))
    result = checked_run(program(image, arch=arch), arch, np.ones((1, 4), np.int64), (0,))
    # W = L = 1, then 11 cycles to F, 3 to drain
    assert result.cycles == 10 + 1 + 11 + 3
    assert causes(result, "core0.pe0") == {
        "load": 1, "starved": 1, "busy": 4, "hazard": 6, "drain": 3, "idle": 10
    }  # fmt: skip
