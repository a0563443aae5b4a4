"""Hand-made programs for the machine's tests: assembly text a core, matrices of integers, ports.

`random_program` in `random_programs` builds on what is here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import lru_cache

import numpy as np
from chip_agreement import checked_run as run

from spusim.arch import Arch, load_arch
from spusim.formats import GROUPED, Layout, pack
from spusim.isa import assemble, load_isa
from spusim.numerics import numerics_of
from spusim.program import (
    CoreImage,
    InputPort,
    Matrix,
    OutputPort,
    Program,
    Segment,
    Table,
    Thread,
)
from spusim.result import RunResult

# One PE, four single-port banks of 64-bit words, four vector lanes, a host word a cycle: most
# operands are one word a beat, and message times can be told at sight.
HAND = (
    "core.pes=1",
    "core.lanes=4",
    "core.decoder.entries_per_cycle=4",
    "core.data_memory.banks=4",
    "core.queue.depth=8",
    "core.vector.lanes=4",
    "core.instruction_memory.words=4096",
    "link.host_cycles_per_word=1",
)
PRIVATE = ("core.weight_memory={words: 512, word_bits: 64}",)


@lru_cache(maxsize=256)
def hand_arch(*settings: str) -> Arch:
    """Return `tiny` with HAND and `settings` laid over it."""
    return load_arch("tiny", [*HAND, *settings])


def matrix(
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    format: str = "dense",
    *,
    pes: int = 1,
    weight_bits: int = 16,
    activation_bits: int = 16,
    word_bits: int = 64,
    index_word_bits: int = 64,
    preload: bool = True,
    group: int = 4,
    extent: int = 0,
    index_bits: int = 4,
    bias_bits: int = 32,
    name: str = "m",
) -> Matrix:
    """Pack weight (rows, columns) and bias (rows,) integers."""
    pointers = 0 if preload or format in ("dense", "n_of_m") else 16
    layout = Layout(
        format=format,
        pes=pes,
        word_bits=word_bits,
        index_word_bits=index_word_bits,
        weight_bits=weight_bits,
        group=group if format in GROUPED else 1,
        extent=extent,
        index_bits=index_bits,
        pointer_bits=pointers,
        bias_bits=0 if bias is None else bias_bits,
    )
    packed = pack(np.asarray(weight), layout, None if bias is None else np.asarray(bias))
    return Matrix(name, packed, activation_bits, 0, 0, preload)


def segment(address: int, values: Iterable[int], bits: int = 16, word_bits: int = 64) -> Segment:
    """Lay out integers from a word address on."""
    raw = np.asarray(values, dtype=np.int64).astype(f"<i{bits // 8}").view(np.uint8)
    width = word_bits // 8
    words = np.pad(raw, (0, -len(raw) % width)).reshape(-1, width)
    return Segment(f"at{address}", address, words)


def scales(address: int, pairs: Iterable[tuple[int, int]], word_bits: int = 64) -> Segment:
    """Lay out (multiplier, shift) entries of eight bytes from a word address on."""
    return segment(address, [m | s << 32 for m, s in pairs], 64, word_bits)


def table(address_bits: int, fraction_bits: int, interpolate: bool, base: int = 0) -> Table:
    """Return the identity as a look-up table."""
    half = 2 ** (address_bits - 1)
    entries = np.arange(-half, half + int(interpolate), dtype=np.int32) << fraction_bits
    return Table(f"t{base}", entries, base, address_bits, fraction_bits, interpolate)


def core(
    text: str,
    matrices: tuple[Matrix, ...] = (),
    tables: tuple[Table, ...] = (),
    segments: tuple[Segment, ...] = (),
) -> CoreImage:
    """Assemble a core's threads, told by `.thread NAME tokens=N`."""
    assembly = assemble(text, "test")
    threads = tuple(Thread(*thread) for thread in assembly.threads)
    return CoreImage(assembly.words, threads, matrices, tables, segments)


def program(
    *cores: CoreImage,
    arch: Arch,
    input: InputPort | None = None,
    outputs: tuple[OutputPort, ...] | None = None,
    init: tuple[tuple[int, int], ...] = (),
) -> Program:
    """Put cores together; by default a word of four int16 comes to core 0's thread 0 and leaves."""
    return Program(
        name="test",
        isa_version=load_isa().version,
        arch_name=arch.name,
        word_bits=arch.core.data_memory.word_bits,
        pes=arch.core.pes,
        accumulators=arch.core.pes * arch.core.accumulators,
        numerics=numerics_of(arch.numerics),
        cores=cores,
        input=input or InputPort((0,), 0, 0, 4, 16),
        outputs=outputs or (OutputPort(0, 0, 0, 4, 16),),
        init_threads=init,
    )


def frames(count: int = 1, elements: int = 4) -> np.ndarray:
    """Return small distinct frames (count, elements)."""
    return np.arange(1, count * elements + 1, dtype=np.int64).reshape(count, elements)


# Host, T31: requests at 0, granted at the end of 0, its word runs in cycle 1, and is there at
# 0 + 1 + 1 + hop(2) = 4. The thread is armed and dispatched at the end of 4 and issues from 5 on:
# recv of a word at 5, BODY from 6 on, send of a word at s = 6 + body. Its word arrives at
# s + 1 + 1 + 2, the run's end: 10 + body.
AROUND = 10
IN = 63  # where the frame lies, in bank 3 of four
ECHO = f"""
.thread main tokens=1
    recv channel=0, dst={IN}, words=1
    send dest={{host}}, channel=0, src={IN}, words=1, thread=0
    end
"""
SINK = """
.thread sink tokens=99
    end
"""


def lone(
    body: str,
    arch: Arch,
    count: int = 1,
    starts: tuple[int, ...] = (0,),
    tail: str = "",
    **image: tuple,
) -> RunResult:
    """Run one thread: recv, `body`, send of the frame as it came, `tail`."""
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        {body}
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        {tail}
        end
    """
    whole = program(core(text, **image), arch=arch)
    return run(whole, arch, frames(count), starts)


def body_cycles(body: str, arch: Arch, **image: tuple) -> int:
    """Return the cycles that a lone thread spends on `body`."""
    return lone(body, arch, **image).cycles - AROUND


def pair(main: str, side: str, arch: Arch, **image: tuple) -> RunResult:
    """Run two threads at once; `out` sends when both have ended their work.

    main (oldest): recv at 5, post at 6, its text from 7 on. side: dispatched at the end of 6, may
    issue from 7 on.
    """
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        post core=0, thread=1
        {main}
        post core=0, thread=2
        end
    .thread side tokens=1
        {side}
        post core=0, thread=2
        end
    .thread out tokens=2
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    """
    return run(program(core(text, **image), arch=arch), arch, frames(), (0,))


def causes(result: RunResult, unit: str) -> dict[str, int]:
    """Return a unit's nonzero cycles by cause."""
    return {cause: cycles for cause, cycles in result.stalls[unit].items() if cycles}


def complaints(result: RunResult) -> list[str]:
    """Return units whose cycles do not sum to the run's, or of which a cause is negative."""
    return [
        f"{unit}: {cycles}, not {result.cycles} in all"
        for unit, cycles in result.stalls.items()
        if sum(cycles.values()) != result.cycles or min(cycles.values()) < 0
    ]


def plain(value: object) -> object:
    """Turn arrays inside a result into lists, so that results compare with ==."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def differences(a: RunResult, b: RunResult) -> list[str]:
    """Return the names of the fields in which two results differ."""
    names = [field.name for field in fields(RunResult)]
    return [n for n in names if plain(getattr(a, n)) != plain(getattr(b, n))]


def vset(
    n: int, wa: int = 16, wb: int = 16, wd: int = 16, sa: int = 0, sb: int = 0, sd: int = 0
) -> str:
    """Return a `vset` line."""
    return f"vset len={n}, wa={wa}, wb={wb}, wd={wd}, sa={sa}, sb={sb}, sd={sd}\n"


def nops(count: int) -> str:
    """Return lines that take count + 1 cycles."""
    return f"loop count={count}, body=1, bump=0\nnop\n"
