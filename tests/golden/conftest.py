"""Hand-made programs: instructions by mnemonic, threads by their bodies."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from spusim.formats import Layout, pack
from spusim.golden import GoldenResult, run
from spusim.isa import encode, load_isa
from spusim.numerics import Numerics
from spusim.program import (
    CoreImage,
    InputPort,
    Matrix,
    OutputPort,
    Program,
    Segment,
    Thread,
)

TO_HOST = 1 << 15
WIDTH_CODE = {8: 0, 16: 1, 32: 2}
VSET = {"len": 0, "wa": 16, "wb": 16, "wd": 16, "sa": 0, "sb": 0, "sd": 0}
SEND = {"dest": TO_HOST, "channel": 0, "src": 0, "words": 1, "thread": 0}
DEFAULTS = {"vset": VSET, "send": SEND, "recv": {"channel": 0, "dst": 0, "words": 1}}

Instruction = tuple[str, dict[str, int]]
Body = list[Instruction]


class _Mnemonics:
    """`op.vadd(d=0, a=1, b=2)` is an instruction; widths are given in bits."""

    def __getattr__(self, mnemonic: str) -> Callable[..., Instruction]:
        def instruction(**operands: int) -> Instruction:
            operands = DEFAULTS.get(mnemonic, {}) | operands
            for width in {"wa", "wb", "wd"} & set(operands):
                operands[width] = WIDTH_CODE[operands[width]]
            return mnemonic.rstrip("_"), operands

        return instruction


def thread(name: str, body: Body, tokens: int = 1) -> tuple[Thread, Body]:
    """Return a thread whose entry `core` fills in; an `end` is appended."""
    return Thread(name, 0, tokens), [*body, ("end", {})]


def core(
    *threads: tuple[Thread, Body],
    memory: dict[int, np.ndarray] | None = None,
    matrices: tuple[Matrix, ...] = (),
    tables: tuple = (),
    word_bytes: int = 8,
) -> CoreImage:
    """Return a core with its threads' bodies one after the other.

    memory: word address -> elements, laid out at their dtype's width.
    """
    isa, words, placed = load_isa(), [], []
    for spec, body in threads:
        placed.append(Thread(spec.name, len(words), spec.tokens))
        words += [encode(isa, mnemonic, operands) for mnemonic, operands in body]
    segments = []
    for address, values in (memory or {}).items():
        data = np.asarray(values).view(np.uint8).reshape(-1)
        data = np.pad(data, (0, -len(data) % word_bytes)).reshape(-1, word_bytes)
        segments.append(Segment(f"at{address}", address, data))
    return CoreImage(np.array(words, np.uint64), tuple(placed), matrices, tables, tuple(segments))


def program(
    *cores: CoreImage,
    input: InputPort | None = None,
    outputs: tuple[OutputPort, ...] = (OutputPort(0, 0, 0, 4, 16),),
    init: tuple[tuple[int, int], ...] = (),
    numerics: Numerics | None = None,
    word_bits: int = 64,
    accumulators: int = 64,
) -> Program:
    """Return a program; by default 4 elements of 16 bits go to core 0's thread 0 and come back."""
    return Program(
        name="test",
        isa_version=load_isa().version,
        arch_name="test",
        word_bits=word_bits,
        pes=2,
        accumulators=accumulators,
        numerics=numerics or Numerics(),
        cores=cores,
        input=input or InputPort((0,), 0, 0, 4, 16),
        outputs=outputs,
        init_threads=init,
    )


IN_OUT = 9000  # word address that `execute` leaves to the frame


def execute(body: Body, numerics: Numerics | None = None, **image: object) -> GoldenResult:
    """Run one thread once: it takes the frame, executes the body, and sends the frame back."""
    word_bytes = image.get("word_bytes", 8)
    words = 8 // word_bytes or 1
    recv = ("recv", {"channel": 0, "dst": IN_OUT, "words": words})
    send = ("send", SEND | {"src": IN_OUT, "words": words})
    only = core(thread("only", [recv, *body, send]), **image)
    whole = program(only, numerics=numerics, word_bits=8 * word_bytes)
    return run(whole, np.zeros((1, 4), np.int64), [0])


def elements(result: GoldenResult, address: int, count: int, bits: int, core: int = 0) -> list[int]:
    """Return elements of a core's final data memory."""
    data = result.data_memory[core][address:].reshape(-1)[: count * bits // 8]
    return data.view(f"<i{bits // 8}").tolist()


def matrix(
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    format: str = "bitmap",
    weight_bits: int = 8,
    activation_bits: int = 16,
    pes: int = 2,
    preload: bool = True,
) -> Matrix:
    """Return a packed matrix; weight (rows, columns), bias (rows,) of 32 bits."""
    layout = Layout(
        format=format,
        pes=pes,
        word_bits=64,
        index_word_bits=64,
        weight_bits=weight_bits,
        group=4 if format == "pencil" else 1,
        pointer_bits=16 if format == "run_length" else 0,
        bias_bits=0 if bias is None else 32,
    )
    packed = pack(np.asarray(weight), layout, None if bias is None else np.asarray(bias))
    return Matrix("m", packed, activation_bits, 0, 0, preload)


@pytest.fixture(scope="session")
def hand() -> SimpleNamespace:
    """The vocabulary of hand-made programs."""
    return SimpleNamespace(
        op=_Mnemonics(),
        thread=thread,
        core=core,
        program=program,
        execute=execute,
        elements=elements,
        matrix=matrix,
        run=run,
        TO_HOST=TO_HOST,
    )
