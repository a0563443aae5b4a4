"""Seeded programs without races that stream through external memory beside their products.

Every core has the same threads. `main` takes the frame and starts the others; `streams` fills one
of two buffers, each with words and a matrix of its own, a step ahead of `computes`, which gives
them back by tokens; `side` multiplies with a matrix that stays; `out` comes after both, brings
back what `computes` stored, and sends to the host. Places overlap within a buffer.
"""

from dataclasses import dataclass, replace

import numpy as np
from programs import core, program, segment
from random_machines import ROWS, random_arch, random_matrix, random_values
from random_programs import Block

from spusim.arch import Arch, check_arch
from spusim.formats import stored_words
from spusim.program import InputPort, Matrix, OutputPort, Program, Transfer

FRAME, BUFFERS, RESULT, BACK, SIDE = 0, (40, 80), 120, 160, 200  # data memory words
ROOM = 24  # words of each
AREA = 1200  # external words of a core: sources, results, homes
RESULTS, HOMES, INPUT = 300, 400, 200
STREAMS, COMPUTES, ASIDE, OUT = 1, 2, 3, 4  # threads
FIRST_ROW, ROWS_A_BUFFER = 420, 180  # of weight memory


@dataclass
class Case:
    """What is run on every implementation."""

    program: Program
    arch: Arch
    frames: np.ndarray
    starts: tuple[int, ...]
    input_period: int | None


def external_arch(rng: np.random.Generator) -> Arch:
    """Return a machine with an external memory, often slow or far away."""
    arch = random_arch(rng)
    spec = arch.core
    core = {
        "ports": "reserved",
        "weight_memory": spec.weight_memory and {**spec.weight_memory.model_dump(), "words": 1024},
        "index_memory": {**spec.index_memory.model_dump(), "words": 1024},
    }
    memory = {
        "words": AREA * arch.cores + int(rng.integers(0, 3)),
        "bytes_per_cycle": float(rng.choice((0.3, 1.0, 2.4, 8.0, 33.3, 500.0))),
        "latency_cycles": int(rng.choice((0, 1, 7, 40))),
        "data_port": str(rng.choice(("banks", "own"))),
    }
    tree = arch.model_dump()
    tree["core"].update(core)
    return check_arch(Arch.model_validate({**tree, "external_memory": memory}))


def random_transfer(rng: np.random.Generator, name: str) -> Transfer:
    """Return a transfer that stays within ROOM words on either side."""
    words, runs = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    strides = (int(rng.integers(words, 9)) for _ in range(2))
    return Transfer(name, words, runs, *strides)


def reach(transfer: Transfer) -> int:
    """Return the words from a transfer's first to its last, on the wider side."""
    stride = max(transfer.local_stride, transfer.external_stride)
    return (transfer.runs - 1) * stride + transfer.words


def placed_matrices(rng: np.random.Generator, arch: Arch, c: int) -> tuple[Matrix, ...]:
    """Return a core's matrices: the first stays, the others take turns in the buffers."""
    first, *others = [random_matrix(rng, arch, f"c{c}m{k}") for k in range(5)]
    home = AREA * c + HOMES
    matrices = [replace(first, base=FIRST_ROW - ROWS_A_BUFFER, index_base=600)]
    for k, matrix in enumerate(others):
        base = FIRST_ROW + ROWS_A_BUFFER * (k % 2) + int(rng.integers(0, 9))
        index = 200 * (k % 2) + int(rng.integers(0, 9))
        matrices.append(replace(matrix, base=base, index_base=index, home=home))
        home += stored_words(matrix.packed, arch.core.data_memory.word_bits)
    assert home <= AREA * (c + 1)
    return tuple(m if not m.preload else replace(m, index_base=0) for m in matrices)


@dataclass
class Threads:
    """A core's threads, as they grow."""

    rng: np.random.Generator
    arch: Arch
    c: int
    matrices: tuple[Matrix, ...]
    transfers: tuple[Transfer, ...]

    def load(self, base: int) -> list[str]:
        """Return a random transfer into a buffer, maybe in a loop."""
        t = int(self.rng.integers(len(self.transfers)))
        slack = ROOM - reach(self.transfers[t])
        at = AREA * self.c + int(self.rng.integers(0, INPUT - ROOM))
        bump = int(self.rng.integers(0, slack + 1))
        line = f"xld d={base + slack - bump}, external={at}, t={t}"
        if self.rng.random() < 0.7:
            return [line]
        return [f"loop count=2, body=1, bump={bump}", line]

    def product(self, m: int, base: int) -> str:
        """Return a product with a matrix on words of a buffer, into one of two sets of rows."""
        matrix = self.matrices[m]
        bits = matrix.packed.columns * matrix.activation_bits
        words = -(-bits // self.arch.core.data_memory.word_bits)
        if words > ROOM:
            return "nop"
        op = "dmv" if matrix.packed.layout.format == "dense" else "spmv"
        op += str(self.rng.choice(("", "a")))
        source = base + int(self.rng.integers(0, ROOM - words + 1))
        return f"{op} m={m}, src={source}, acc={ROWS * int(self.rng.integers(0, 2))}"

    def fill(self, step: int) -> tuple[list[str], int]:
        """Return what fills a buffer, and the matrix that it fetches, -1 for none."""
        base, m = BUFFERS[step % 2], int(self.rng.choice(((1, 3), (2, 4))[step % 2]))
        parts = [self.load(base) for _ in range(int(self.rng.integers(1, 3)))]
        fetches = self.rng.random() < 0.8
        if fetches:
            fetch = [f"fetch m={m}, external={self.matrices[m].home}"]
            parts.insert(int(self.rng.integers(0, len(parts) + 1)), fetch)
        return [line for part in parts for line in part], m if fetches else -1

    def use(self, step: int, m: int) -> list[str]:
        """Return what uses a buffer, and stores a result."""
        base, length = BUFFERS[step % 2], int(self.rng.integers(1, ROWS + 1))
        t = int(self.rng.integers(len(self.transfers)))
        stored = AREA * self.c + RESULTS + ROOM * (step % 2)
        return [
            *(self.product(m, base) for _ in range(2) if m >= 0),
            f"vset len={length}, wa=16, wb=8, wd=16, sa=0, sb=0, sd=2",
            f"vqs d={RESULT + step}, acc={ROWS * int(self.rng.integers(0, 2))}, table=none",
            f"vadd d={RESULT + 8}, a={base}, b={base + 1}",
            f"xst a={RESULT}, external={stored}, t={t}",
        ]

    def steps(self) -> tuple[list[str], list[str]]:
        """Return the streaming and the computing thread."""
        streams, computes, steps = [], [], int(self.rng.integers(2, 6))
        for step in range(steps):
            if step >= 2:
                streams.append("yield")
            filled, m = self.fill(step)
            streams += [*filled, f"post core={self.c}, thread={COMPUTES}"]
            computes += self.use(step, m)
            if step + 2 < steps:
                computes.append(f"post core={self.c}, thread={STREAMS}")
            last = step == steps - 1
            computes.append(f"post core={self.c}, thread={OUT}" if last else "yield")
        return streams, computes

    def side(self) -> list[str]:
        """Return a thread that works on what stays."""
        block = Block(self.rng, self.arch, self.matrices[:1], (), SIDE, 3 * ROWS, [SIDE])
        for _ in range(int(self.rng.integers(0, 6))):
            block.product(0)
        return [*block.lines, f"post core={self.c}, thread={OUT}"]

    def text(self, frame: str, words: int) -> str:
        """Return the core's assembly; `frame` brings the frame."""
        c, t = self.c, int(self.rng.integers(len(self.transfers)))
        back = f"xld d={BACK}, external={AREA * c + RESULTS}, t={t}"
        streams, computes = self.steps()
        starts = [f"post core={c}, thread={thread}" for thread in (STREAMS, ASIDE)]
        source = int(self.rng.choice((RESULT, BACK, FRAME)))
        send = f"send dest={{host}}, channel=0, src={source}, words={words}, thread=0"
        bodies = {
            "main": [frame, *starts],
            "streams": streams,
            "computes": computes,
            "aside": self.side(),
            "out": [back, send],
        }
        return "\n".join(
            "\n".join([f".thread {name} tokens={1 + (name == 'out')}", *lines, "end"])
            for name, lines in bodies.items()
        )


def external_case(rng: np.random.Generator) -> Case:
    """Return a program, its machine, and a stream."""
    arch = external_arch(rng)
    spec, words = arch.core, int(rng.integers(1, 6))
    word = spec.data_memory.word_bits
    outside = bool(rng.random() < 0.5)
    images, contents = [], []
    for c in range(arch.cores):
        transfers = (Transfer("word", 1), *(random_transfer(rng, f"t{k}") for k in range(3)))
        frame = f"recv channel=0, dst={FRAME}, words={words}"
        if outside:
            frame = f"xld d={FRAME}, external={INPUT}, t={len(transfers)}"
        threads = Threads(rng, arch, c, placed_matrices(rng, arch, c), transfers)
        values = random_values(rng, 8, 240 * word // 8, 0.7)
        contents.append(replace(segment(AREA * c, values[: INPUT * word // 8], 8, word)))
        image = core(
            threads.text(frame, words), threads.matrices, (), (segment(0, values, 8, word),)
        )
        images.append(replace(image, transfers=(*transfers, Transfer("frame", words))))
    elements = words * word // 16
    port = InputPort(tuple(range(arch.cores)), 0, 0, elements, 16, external=INPUT)
    whole = program(
        *images,
        arch=arch,
        input=port if outside else replace(port, external=None),
        outputs=tuple(OutputPort(c, 0, c * elements, elements, 16) for c in range(arch.cores)),
    )
    whole = replace(
        whole,
        external=tuple(contents),
        external_words=AREA * arch.cores,
        row_words=0 if spec.weight_memory else spec.data_memory.banks // spec.pes,
    )
    count = int(rng.integers(2, 5))
    frames = random_values(rng, 16, count * elements, 0.8).reshape(count, elements)
    period = int(rng.integers(1, 900)) if outside and rng.random() < 0.5 else None
    return Case(whole, arch, frames, (0, int(rng.integers(1, count))), period)
