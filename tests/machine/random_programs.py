"""Seeded random programs without races, for machine, stepper and golden.

Every core has the same threads. `head` takes the frame, or the message of the core before, works,
and arms the `side` threads; these work at the same time, each in a region and in accumulators of
its own, some waiting for words from another core; `join` comes after all of them, works, and sends
to the host, to the next core, or both. `tick` is armed by another core's head and answers to its
join; `count` is armed by every third join, so that files leave tokens behind.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from programs import core, program, scales, segment
from random_machines import ROWS, random_arch, random_matrix, random_table, random_values

from spusim.arch import Arch
from spusim.program import InputPort, Matrix, OutputPort, Program, Segment, Table

HEAD, SINK, JOIN, TICK, INIT, COUNT, SIDE = range(7)  # thread numbers; sides from SIDE on
NAMES = ("head", "sink", "join", "tick", "init", "count")
NEVER = 1000  # tokens that a sink never gets
ROUNDINGS = ("arch", "floor", "half_up", "half_even")
REGION = 24  # words of a thread's own region
FRAME, CHAIN = 0, 1  # channels: from the host, from the core before; from 2 on: to the sides
SCALES, SCALE_ENTRIES = 16, 4  # word address
FIRST_REGION = 64


@dataclass
class Block:
    """Assembly lines of one thread, as they grow."""

    rng: np.random.Generator
    arch: Arch
    matrices: tuple[Matrix, ...]
    tables: tuple[Table, ...]
    base: int  # of the thread's own region
    row: int  # first own accumulator
    readable: list[int]  # bases of the regions that it may read, its own among them
    lines: list[str] = field(default_factory=list)
    depth: int = 0
    length: int = 0
    widths: tuple[int, int, int] = (16, 16, 16)

    def work(self, most: int) -> None:
        """Append up to `most` random instructions or loops."""
        for _ in range(int(self.rng.integers(0, most + 1))):
            self.instruction(0)

    def instruction(self, slack: int) -> None:
        """Append one; loops around it add up to `slack` words to its addresses."""
        choice = self.rng.random()
        if choice < 0.08:
            self.lines.append(self.mode())
        elif choice < 0.22 and self.depth < 3:
            self.loop(slack)
        elif choice < 0.42 and self.matrices:
            self.product(slack)
        else:
            self.vector(slack)

    def mode(self) -> str:
        """Return an instruction of the sequencer that sets how others compute, or nothing."""
        zeros = self.rng.choice((-(2**15), -128, -1, 0, 3, 2**15 - 1), 2)
        return str(
            self.rng.choice(
                (
                    "nop",
                    f"zset operand={int(zeros[0])}, result={int(zeros[1])}",
                    f"nset shift={int(zeros[0]) % 64 - 32}",
                    f"pset position={int(self.rng.integers(-4, 9))}",
                    f"rset stream={int(self.rng.integers(0, 99))}, first={int(zeros[1]) % 2**32}",
                )
            )
        )

    def loop(self, slack: int) -> None:
        """Append a loop, whose body never relies on the vector state of an earlier instruction."""
        count, bump = int(self.rng.integers(0, 4)), int(self.rng.integers(0, 4))
        at = len(self.lines)
        self.depth += 1
        self.lines.append("")
        self.length = 0
        for _ in range(int(self.rng.integers(1, 4))):
            self.instruction(slack + max(count - 1, 0) * bump)
        self.depth -= 1
        self.length = 0
        self.lines[at] = f"loop count={count}, body={len(self.lines) - at - 1}, bump={bump}"

    def product(self, slack: int) -> None:
        """Append a product into own accumulators."""
        m = int(self.rng.integers(len(self.matrices)))
        packed = self.matrices[m].packed
        words = self.words(packed.columns, self.matrices[m].activation_bits)
        if words + slack > REGION:
            return self.lines.append("nop")
        op = "dmv" if packed.layout.format == "dense" else "spmv"
        op += str(self.rng.choice(("", "a")))
        row = self.row + int(self.rng.integers(0, ROWS - packed.rows + 1))
        self.lines.append(f"{op} m={m}, src={self.source(words + slack)}, acc={row}")

    def vector(self, slack: int) -> None:
        """Append a vector instruction, with a `vset` in front when its state is not known."""
        if not self.length or self.rng.random() < 0.5:
            self.vset(slack)
        n, (wa, wb, wd) = self.length, self.widths
        a, b = (self.words(n, w) + slack for w in (wa, wb))
        d = self.words(n, wd) + slack
        if max(a, b, d) > REGION:
            self.vset(slack)
            return self.vector(slack)
        ops = [
            "vadd",
            "vsub",
            "vmul",
            "vmax",
            "vmin",
            "vmov",
            "vrelu",
            "vlut",
            "vfill",
            "vthr",
            "vtop",
            "vnrm",
        ]
        ops += ["vqs", "vqs", "vqm", "vqm", "vqc"] if n <= ROWS else []
        op = str(self.rng.choice(ops))
        operands = [f"d={self.base + int(self.rng.integers(0, REGION - d + 1))}"]
        if op.startswith("vq"):
            operands += self.requantise(op, n)
        elif op == "vfill":
            operands.append(f"value={int(random_values(self.rng, 32, 1, 1.0)[0])}")
        else:
            operands.append(f"a={self.source(a)}")
        if op in ("vadd", "vsub", "vmul", "vmax", "vmin"):
            operands.append(f"b={self.source(b)}")
        if op == "vthr":
            operands.append(f"threshold={int(self.rng.choice((0, 1, 60, 5000, 2**24 - 1)))}")
        if op == "vtop":
            operands.append(f"keep={int(self.rng.integers(0, n + 2))}")
        if op == "vlut":
            operands.append(f"table={int(self.rng.integers(len(self.tables)))}")
        self.lines.append(f"{op} {', '.join(operands)}")

    def requantise(self, op: str, n: int) -> list[str]:
        """Return accumulator, scale and table operands."""
        operands = [f"acc={self.row + int(self.rng.integers(0, ROWS - n + 1))}"]
        if op != "vqs":
            operands.append(f"scale={SCALES // 4 + int(self.rng.integers(0, 2))}")
        names = ["none", "relu", *map(str, range(len(self.tables)))]
        return [*operands, f"table={self.rng.choice(names)}"]

    def vset(self, slack: int) -> None:
        """Append a `vset` whose operands fit the regions."""
        room = (REGION - slack) * self.arch.core.data_memory.word_bits // 32
        self.length = int(self.rng.integers(1, min(room, 20) + 1))
        self.widths = tuple(int(w) for w in self.rng.choice((8, 16, 32), 3))  # type: ignore[assignment]
        wa, wb, wd = self.widths
        sa, sb, sd = (int(s) for s in self.rng.integers(-3, 17, 3))
        self.lines.append(
            f"vset len={self.length}, wa={wa}, wb={wb}, wd={wd}, sa={sa}, sb={sb}, sd={sd}, "
            f"rounding={ROUNDINGS[(sa + sb + sd) % 4]}, stochastic={int(sa == sb)}"
        )

    def source(self, words: int) -> int:
        """Return an address in a readable region from which `words` words can be read."""
        base = int(self.rng.choice(self.readable))
        return base + int(self.rng.integers(0, REGION - words + 1))

    def words(self, elements: int, bits: int) -> int:
        """Return the words of `elements` elements."""
        return -(-elements * bits // self.arch.core.data_memory.word_bits)


@dataclass
class Plan:
    """How cores and threads of a program hang together."""

    arch: Arch
    elements: int
    bits: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    inits: tuple[int, ...]
    sides: dict[int, int]  # core -> number of side threads
    crossings: dict[tuple[int, int], tuple[int, int]]  # (core, side) -> (from core, words)
    ticks: dict[int, int]  # core -> the lower core whose tick it arms

    @property
    def frame_words(self) -> int:
        """Words of a frame."""
        return -(-self.elements * self.bits // self.arch.core.data_memory.word_bits)

    def feeds(self, c: int) -> bool:
        """Whether a core's join sends to the next core: it must, unless the host waits for it."""
        return c + 1 < self.arch.cores and (c not in self.outputs or c + 1 not in self.inputs)


def random_plan(rng: np.random.Generator, arch: Arch) -> Plan:
    """Return who talks to whom."""
    cores = range(arch.cores)
    inputs = tuple(c for c in cores if c == 0 or rng.random() < 0.5)
    outputs = tuple(c for c in cores if c == arch.cores - 1 or rng.random() < 0.5)
    sides = {c: int(rng.choice((0, 1, 2, 3, 4, 4))) for c in cores}
    crossings = {
        (c, s): (int(rng.integers(0, c + 1)), int(rng.integers(1, 9)))
        for c in cores
        for s in range(sides[c])
        if rng.random() < (0.5 if c else 0.2)
    }
    ticks = {c: int(rng.integers(0, c)) for c in cores if c and rng.random() < 0.5}
    ticks = {c: d for c, d in ticks.items() if [*ticks.values()].count(d) == 1}
    return Plan(
        arch=arch,
        elements=int(rng.integers(1, 17)),
        bits=int(rng.choice((8, 16, 32))),
        inputs=inputs,
        outputs=outputs,
        inits=tuple(c for c in cores if rng.random() < 0.5),
        sides=sides,
        crossings=crossings,
        ticks=ticks,
    )


def region(thread: int) -> int:
    """Return the base of a thread's own region."""
    return FIRST_REGION + REGION * thread


def threads_of(
    rng: np.random.Generator, plan: Plan, c: int, matrices: tuple[Matrix, ...],
    tables: tuple[Table, ...],
) -> str:  # fmt: skip
    """Return a core's assembly."""
    blocks = {}
    for t in range(SIDE + plan.sides[c]):
        readable = [region(t)]
        if t >= SIDE:
            readable.append(region(HEAD))
        if t == JOIN:
            readable += [region(HEAD), *(region(SIDE + s) for s in range(plan.sides[c]))]
        blocks[t] = Block(rng, plan.arch, matrices, tables, region(t), ROWS * t, readable)
    chained = plan.feeds(c - 1) if c else False
    _head(plan, c, blocks, chained)
    _join(rng, plan, c, blocks)
    ticked = [d for d, low in plan.ticks.items() if low == c]
    blocks[TICK].work(3)
    blocks[TICK].lines += [f"post core={d}, thread={JOIN}" for d in ticked]
    blocks[COUNT].work(3)
    blocks[INIT].work(2)
    if c in plan.inits:
        blocks[INIT].lines.append(f"post core={c}, thread={HEAD}")
    for s in range(plan.sides[c]):
        _side(rng, plan, c, s, blocks[SIDE + s])
    tokens = {
        HEAD: (c in plan.inputs) + chained + (c in plan.inits),
        SINK: NEVER,
        JOIN: 1 + plan.sides[c] + (c in plan.ticks),
        COUNT: 3,
    }
    names = [*NAMES, *(f"side{s}" for s in range(plan.sides[c]))]
    return "\n".join(
        "\n".join([f".thread {name} tokens={tokens.get(t, 1)}", *blocks[t].lines, "end"])
        for t, name in enumerate(names)
    )


def _head(plan: Plan, c: int, blocks: dict[int, Block], chained: bool) -> None:
    head = blocks[HEAD]
    sources = [FRAME] * (c in plan.inputs) + [CHAIN] * chained
    for channel in sources:
        head.lines.append(f"recv channel={channel}, dst={region(HEAD)}, words={plan.frame_words}")
    head.work(4)
    for (to, s), (source, words) in plan.crossings.items():
        if source == c:
            head.lines.append(
                f"send dest={{{to}}}, channel={2 + s}, src={region(HEAD)}, words={words}, "
                f"thread={SINK}"
            )
    posts = [f"post core={c}, thread={SIDE + s}" for s in range(plan.sides[c])]
    if c in plan.ticks:
        posts.append(f"post core={plan.ticks[c]}, thread={TICK}")
    head.lines += [*posts, f"post core={c}, thread={JOIN}"]


def _side(rng: np.random.Generator, plan: Plan, c: int, s: int, block: Block) -> None:
    early = rng.random() < 0.5
    if not early:
        block.work(6)
    if (c, s) in plan.crossings:
        words = plan.crossings[c, s][1]
        block.lines.append(f"recv channel={2 + s}, dst={block.base + 3}, words={words}")
    if early:
        block.work(6)
    block.lines.append(f"post core={c}, thread={JOIN}")


def _join(rng: np.random.Generator, plan: Plan, c: int, blocks: dict[int, Block]) -> None:
    join = blocks[JOIN]
    join.work(5)
    join.lines.append(f"post core={c}, thread={COUNT}")
    parts = []
    if c in plan.outputs:
        parts.append("dest={host}, channel=0, thread=0")
    if plan.feeds(c):
        parts.append(f"dest={{{c + 1}}}, channel={CHAIN}, thread={HEAD}")
    if rng.random() < 0.5:
        parts.reverse()
    for part in parts:
        source = join.source(plan.frame_words)
        join.lines.append(f"send {part}, src={source}, words={plan.frame_words}")
    # Nothing orders the next frame after this, but that its head reads and writes elsewhere.
    join.readable = [join.base]
    join.work(2)
    if c in plan.inits:
        join.lines.append(f"post core={c}, thread={HEAD}")


def random_program(
    rng: np.random.Generator,
    arch: Arch | None = None,
    rewrite: Callable[[str], str] = lambda text: text,
) -> tuple[Program, Arch, np.ndarray, tuple[int, ...]]:
    """Return a program that golden accepts, its machine, frames (n, elements) and file starts.

    Without `arch` the machine is random, too; `rewrite` may change each core's assembly.
    """
    arch = arch or random_arch(rng)
    plan = random_plan(rng, arch)
    word = arch.core.data_memory.word_bits
    images = []
    for c in range(arch.cores):
        matrices = tuple(random_matrix(rng, arch, f"c{c}m{k}") for k in range(rng.integers(1, 4)))
        tables = tuple(random_table(rng, k) for k in range(2))
        text = threads_of(rng, plan, c, matrices, tables)
        images.append(core(rewrite(text), matrices, tables, _segments(rng, plan, c, word)))
    per_core = plan.elements
    count = int(rng.integers(3, 6))
    density = float(rng.choice((0.3, 0.8)))
    stream = random_values(rng, plan.bits, count * per_core, density).reshape(count, per_core)
    whole = program(
        *images,
        arch=arch,
        input=InputPort(plan.inputs, FRAME, HEAD, per_core, plan.bits),
        outputs=tuple(
            OutputPort(c, 0, k * per_core, per_core, plan.bits) for k, c in enumerate(plan.outputs)
        ),
        init=tuple((c, INIT) for c in range(arch.cores)),
    )
    return whole, arch, stream, (0, int(rng.integers(1, count)))


def _segments(rng: np.random.Generator, plan: Plan, c: int, word: int) -> tuple[Segment, ...]:
    """Return scales, and random contents of all regions."""
    multipliers = rng.integers(1, 2**31, 32)
    shifts = rng.integers(20, 50, 32)
    size = REGION * (SIDE + plan.sides[c]) * word // 8
    contents = random_values(rng, 8, size, 0.7)
    return (
        scales(SCALES, zip(multipliers.tolist(), shifts.tolist(), strict=True), word),
        segment(FIRST_REGION, contents, 8, word),
    )
