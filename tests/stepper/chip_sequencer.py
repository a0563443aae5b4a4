"""A core's threads: tokens, armings, ready queue, contexts, issue, T21 to T26."""

from collections import Counter, deque
from dataclasses import dataclass, field

from chip_errors import ChipError
from chip_meaning import VectorState

from spusim.arch import Arch
from spusim.isa import Instruction
from spusim.program import CoreImage

LOOP_DEPTH = 4
WIDTHS = (8, 16, 32, 4)
BINARY = ("", "a", "b", "ab", "d", "ad", "bd", "abd")
ROUNDINGS = ("arch", "floor", "half_up", "half_even")
SHIFTS = range(-30, 63)
MOVED = ("d", "a", "b", "src", "dst")  # data addresses; a scale's stays, and `bump` is none


@dataclass
class ThreadEntry:
    """A scoreboard entry."""

    name: str
    entry: int
    tokens: int  # the N of T21
    missing: int
    queued: bool = False
    running: bool = False
    arming_waits: bool = False
    activations: int = 0  # in this file
    resume: int = 0  # the instruction that it goes on with, T59


@dataclass
class Loop:
    """A loop in execution: its body is [first, end)."""

    first: int
    end: int
    count: int
    bump: int
    iteration: int = 0


@dataclass
class Flight:
    """A thread in flight."""

    thread: int
    next: int  # instruction
    ready_at: int
    loops: list[Loop] = field(default_factory=list)
    vector: VectorState = field(default_factory=VectorState)
    running: str | None = None  # the unit that its instruction occupies
    at: int = -1  # the instruction that was issued last
    ended_at: int | None = None

    def operands(self, instruction: Instruction) -> dict[str, int]:
        """Return operands with the bumps of all loops added to data addresses, T25."""
        bumps = sum(loop.iteration * loop.bump for loop in self.loops)
        return {
            name: value + bumps if name in MOVED else value
            for name, value in instruction.operands.items()
        }

    def advance(self) -> None:
        """Go on to the next instruction; going round a loop costs nothing."""
        self.at = self.next
        self.next += 1
        while self.loops and self.next == self.loops[-1].end:
            loop = self.loops[-1]
            loop.iteration += 1
            if loop.iteration < loop.count:
                self.next = loop.first
                return
            self.loops.pop()


class Sequencer:
    """Scoreboard, ready queue and contexts of one core."""

    def __init__(self, core: int, image: CoreImage, code: list[Instruction], arch: Arch) -> None:
        self.core, self.code = core, code
        self.contexts = arch.core.sequencer.contexts
        self.dispatch_cycles = arch.core.pipeline.dispatch_cycles
        self.threads = [
            ThreadEntry(t.name, t.entry, t.tokens, missing=t.tokens, resume=t.entry)
            for t in image.threads
        ]
        self.ready: deque[int] = deque()
        self.flights: list[Flight] = []  # in the order of their dispatch
        self.posts: list[tuple[int, int]] = []  # (core, thread) of this cycle
        self.stalls: Counter[str] = Counter()
        self.executed = 0

    # --- tokens

    def start_file(self) -> None:
        """Set every count back to N, T31."""
        for thread in self.threads:
            thread.missing, thread.arming_waits = thread.tokens, False
            thread.activations = 0
            thread.resume = thread.entry

    def quiet(self) -> bool:
        """Tell whether every thread has ended."""
        return not (self.ready or self.flights)

    def take_tokens(self, numbers: list[int]) -> None:
        """Apply a cycle's tokens in ascending thread number, T22."""
        for number in sorted(numbers):
            if number >= len(self.threads):
                raise ChipError(f"core {self.core} has no thread {number}")
            thread = self.threads[number]
            thread.missing -= 1
            if thread.missing == 0:
                thread.missing = thread.tokens
                self.arm(number)

    def arm(self, number: int) -> None:
        """Queue a thread, or let its arming wait, T21."""
        thread = self.threads[number]
        if not (thread.queued or thread.running):
            thread.queued = True
            self.ready.append(number)
        elif not thread.arming_waits:
            thread.arming_waits = True
        else:
            raise ChipError(f"core {self.core} thread {thread.name}: a second arming waits (T21)")

    def retire(self, now: int) -> None:
        """Let threads leave that have ended; an arming that waited enters the queue, T21."""
        for flight in [f for f in self.flights if f.ended_at == now]:
            self.flights.remove(flight)
            thread = self.threads[flight.thread]
            thread.running = False
            if thread.arming_waits:
                thread.arming_waits = False
                self.arm(flight.thread)

    def dispatch(self, now: int) -> bool:
        """Let the head of the ready queue take a free context, one a cycle, T23."""
        if not self.ready or len(self.flights) == self.contexts:
            return False
        number = self.ready.popleft()
        thread = self.threads[number]
        thread.queued, thread.running = False, True
        flight = Flight(number, thread.resume, now + self.dispatch_cycles)
        flight.vector.activation = thread.activations
        thread.activations += 1
        self.flights.append(flight)
        return True

    # --- instructions

    def waiting(self, now: int) -> list[Flight]:
        """Return the threads that may issue as far as they are concerned, the oldest first."""
        return [
            f
            for f in self.flights
            if f.running is None and f.ended_at is None and now >= f.ready_at
        ]

    def fetch(self, flight: Flight) -> Instruction:
        """Return a thread's next instruction."""
        if flight.next >= len(self.code):
            raise ChipError(f"core {self.core}: code ends at {len(self.code) - 1}, without `end`")
        return self.code[flight.next]

    def execute(self, now: int, flight: Flight, mnemonic: str, o: dict[str, int]) -> None:
        """Execute an instruction of the sequencer's own; it takes this cycle, T25."""
        flight.ready_at = now + 1
        CONTROL[mnemonic](self, now, flight, o)

    def nop(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """Do nothing."""

    def end(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """End the thread in the next cycle; it begins at its entry again."""
        flight.ended_at = now + 1
        entry = self.threads[flight.thread]
        entry.resume = entry.entry

    def pause(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """Leave the context as `end` does, to go on behind this instruction, T59."""
        if flight.loops:
            raise ChipError("a yield inside a loop (T59)")
        flight.ended_at = now + 1
        self.threads[flight.thread].resume = flight.next + 1

    def post(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """Post a token."""
        self.posts.append((o["core"], o["thread"]))

    def loop(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """Begin a loop, or skip its body."""
        first, end = flight.next + 1, flight.next + 1 + o["body"]
        if flight.loops and end > flight.loops[-1].end:
            raise ChipError("a loop's body goes on beyond the enclosing loop's")
        if len(flight.loops) == LOOP_DEPTH:
            raise ChipError(f"loops nest {LOOP_DEPTH} deep")
        if o["count"] and o["body"]:
            flight.loops.append(Loop(first, end, o["count"], o["bump"]))
        else:
            flight.next += o["body"]

    def vset(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """Set the thread's vector state."""
        if any(o[name] not in SHIFTS for name in ("sa", "sb", "sd")):
            raise ChipError(f"vset {o}: shifts must be from -30 to 62")
        binary = BINARY[o["binary"]]
        widths = (1 if side in binary else WIDTHS[o[f"w{side}"]] for side in "abd")
        rounding = ROUNDINGS[o["rounding"]]
        if o["stochastic"]:
            rounding = "stochastic"
        state = flight.vector
        state.length, state.rounding = o["len"], rounding
        state.wa, state.wb, state.wd = widths
        state.sa, state.sb, state.sd = o["sa"], o["sb"], o["sd"]

    def zset(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """Set the thread's zero points."""
        flight.vector.zero_x, flight.vector.zero_d = o["operand"], o["result"]

    def pset(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """Set the dense position of the first column of the thread's products."""
        flight.vector.position = o["position"]

    def rset(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """Set where the thread's stochastic rounding draws its bits."""
        state = flight.vector
        state.stream, state.first, state.ordinal = o["stream"], o["first"], 0

    def nset(self, now: int, flight: Flight, o: dict[str, int]) -> None:
        """Set the thread's run-time shift."""
        flight.vector.norm = o["shift"]


CONTROL = {
    "nop": Sequencer.nop,
    "end": Sequencer.end,
    "yield": Sequencer.pause,
    "post": Sequencer.post,
    "loop": Sequencer.loop,
    "vset": Sequencer.vset,
    "zset": Sequencer.zset,
    "pset": Sequencer.pset,
    "rset": Sequencer.rset,
    "nset": Sequencer.nset,
}
