"""Values: random programs, and the corners of single instructions, on machine and golden."""

import numpy as np
import pytest
from chip_agreement import checked_run
from programs import (
    complaints,
    core,
    differences,
    hand_arch,
    matrix,
    nops,
    program,
    scales,
    segment,
    vset,
)
from random_programs import random_program

from spusim import golden
from spusim.arch import Arch
from spusim.errors import SpusimError
from spusim.machine import run
from spusim.program import InputPort, OutputPort, Program
from spusim.result import RunResult

CHUNK = 20
SEEDS = range(1000, 1200, CHUNK)


def with_core(arch: Arch, **changes: object) -> Arch:
    """Return the same machine with other settings of its cores."""
    return arch.model_copy(update={"core": arch.core.model_copy(update=changes)})


def chunk(first: int):  # type: ignore[no-untyped-def]
    """Yield (seed, program, arch, frames, starts)."""
    for seed in range(first, first + CHUNK):
        yield seed, *random_program(np.random.default_rng(seed))


@pytest.mark.parametrize("first", SEEDS)
def test_outputs_equal_goldens_with_either_kind_of_ports(first: int) -> None:
    for seed, whole, arch, frames, starts in chunk(first):
        expected = golden.run(whole, frames, starts).outputs.tolist()
        for ports in ("reserved", "shared"):
            result = run(whole, with_core(arch, ports=ports), frames, starts)
            assert (seed, ports, result.outputs.tolist()) == (seed, ports, expected)
            assert (seed, ports, complaints(result)) == (seed, ports, [])


@pytest.mark.parametrize("first", SEEDS[:5])
def test_results_do_not_depend_on_the_order_of_cores(first: int) -> None:
    for seed, whole, arch, frames, starts in chunk(first):
        if arch.cores == 1:
            continue
        for ports in ("reserved", "shared"):
            one = with_core(arch, ports=ports)
            result = run(whole, one, frames, starts)
            for order in (
                range(arch.cores)[::-1],
                np.random.default_rng(seed).permutation(arch.cores),
            ):
                other = run(whole, one, frames, starts, order=[int(c) for c in order])
                assert (seed, ports, differences(result, other)) == (seed, ports, [])


@pytest.mark.parametrize("first", SEEDS[:5])
def test_counts_are_the_programs_own(first: int) -> None:
    for seed, whole, arch, frames, starts in chunk(first):
        result = run(whole, arch, frames, starts)
        executed = golden.run(whole, frames, starts).counts
        assert (seed, result.counts["instruction_memory.read"]) == (seed, sum(executed.values()))
        for name, column in result.frame_counts.items():
            if name != "cycle":
                assert (seed, name, int(column.sum())) == (seed, name, result.counts[name])


# --- a lone thread's steps are summed up; with another in flight each issue is an event


def crowded(work: str, arch: Arch, idle: int, image: dict[str, tuple]) -> RunResult:
    """Run `work` in a thread that first posts to `idle` threads that do nothing but end."""
    sides = "\n".join(f".thread side{k} tokens=1\nend" for k in range(8))
    posts = "\n".join(f"post core=0, thread={1 + k if k < idle else 9}" for k in range(8))
    text = f"""
    .thread main tokens=1
        recv channel=0, dst=63, words=1
        {posts}
        {work}
        send dest={{host}}, channel=0, src=63, words=1, thread=0
        end
    {sides}
    .thread never tokens=999
        end
    """
    return run(program(core(text, **image), arch=arch), arch, np.ones((2, 4), np.int64), (0, 1))


@pytest.mark.parametrize("seed", range(6))
def test_summing_up_a_lone_threads_steps_changes_nothing(seed: int) -> None:
    # Each idle thread is in flight for the 40 cycles of its dispatch, then ends in a cycle that the
    # older main does not need; main itself is never in its way.
    rng = np.random.default_rng(seed)
    arch = hand_arch("core.pipeline.dispatch_cycles=40", "core.sequencer.threads=16")
    m = matrix(rng.integers(-5, 5, (8, 12)), rng.integers(-5, 5, 8))
    image = {"matrices": (m,), "segments": (segment(0, rng.integers(0, 2, 16)),)}
    lines = [
        vset(9), "vadd d=8, a=0, b=4", "dmv m=0, src=0, acc=0", "nop", nops(3),
        vset(8) + "vqs d=12, acc=0, table=relu", "dmva m=0, src=1, acc=0",
    ]  # fmt: skip
    work = "\n".join(rng.choice(lines, 60).tolist())
    alone, beside = (crowded(work, arch, idle, image) for idle in (0, 3))
    assert alone.cycles == beside.cycles
    assert alone.frame_cycles.tolist() == beside.frame_cycles.tolist()
    for unit in alone.stalls:
        if unit != "core0.sequencer":
            assert alone.stalls[unit] == beside.stalls[unit]
    busy = [result.stalls["core0.sequencer"]["busy"] for result in (alone, beside)]
    assert busy[1] - busy[0] == 2 * 3  # an `end` each, in two files


# --- corners of single instructions


def execute(body: str, arch: Arch, frame: list[int], bits: int = 32, **image: tuple):  # type: ignore[no-untyped-def]
    """Return what golden and machine make of `body`: the frame lies at 0, two results at 32."""
    words = -(-len(frame) * bits // 64)
    text = f"""
    .thread main tokens=1
        recv channel=0, dst=0, words={words}
        {body}
        send dest={{host}}, channel=0, src=32, words=1, thread=0
        end
    """
    whole = program(
        core(text, **image), arch=arch, input=InputPort((0,), 0, 0, len(frame), bits),
        outputs=(OutputPort(0, 0, 0, 2, 32),),
    )  # fmt: skip
    stream = np.array([frame])
    return (
        golden.run(whole, stream, (0,)).outputs.tolist(),
        checked_run(whole, arch, stream, (0,)).outputs.tolist(),
    )


LARGE = [-(2**31), 2**31 - 1, -(2**31), 2**30]
OPS = ("vadd d=32, a=0, b=1", "vsub d=32, a=0, b=1", "vmul d=32, a=0, b=1",
       "vmax d=32, a=0, b=1", "vmov d=32, a=0", "vrelu d=32, a=0")  # fmt: skip


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize("sa", [-30, 0, 3, 62])
@pytest.mark.parametrize("sd", [-30, -7, 0, 31, 40, 62])
def test_shifts_of_the_largest_elements(sa: int, sd: int, overflow: str) -> None:
    for k, rounding in enumerate(("floor", "half_up", "half_even")):
        settings = (f"numerics.rounding={rounding}", f"numerics.requantize_overflow={overflow}")
        arch = hand_arch(*settings)
        for op in OPS:
            sb = (-30, sa, 1)[k]
            expected, found = execute(vset(2, 32, 32, 32, sa, sb, sd) + op, arch, LARGE)
            assert (op, rounding, found) == (op, rounding, expected)


@pytest.mark.parametrize("shift", [-64, -31, 63])
@pytest.mark.parametrize("name", ["sa", "sb", "sd"])
def test_shifts_out_of_range_are_refused(name: str, shift: int) -> None:
    arch, stream = hand_arch(), np.array([[1, 2, 3, 4]])
    text = ".thread main tokens=1\nrecv channel=0, dst=0, words=1\n" + vset(2, **{name: shift})
    text += "send dest={host}, channel=0, src=0, words=1, thread=0\nend"
    whole = program(core(text), arch=arch)
    with pytest.raises(golden.CodeError, match="shift"):
        golden.run(whole, stream, (0,))
    with pytest.raises(SpusimError, match="shift"):
        run(whole, arch, stream, (0,))


def test_vrelu_of_what_wraps() -> None:
    # "d = max(0, a >> sd)": max first, then the result overflows; a negative a gives 0 either way
    arch = hand_arch("numerics.requantize_overflow=wrap")
    text = vset(2, 32, 32, 8) + "vrelu d=31, a=0\n" + vset(2, 8, 32, 32) + "vmov d=32, a=31"
    expected, found = execute(text, arch, [200, -200])
    assert found == [[200 - 256, 0]]
    assert expected == found


@pytest.mark.parametrize("name", ["none", "relu"])
def test_vlut_with_a_function_that_is_no_table(name: str) -> None:
    text = vset(2, 32, 32, 32) + f"vlut d=32, a=0, table={name}"
    expected, found = execute(text, hand_arch(), [100_000, -100_000])
    assert found == expected


@pytest.mark.parametrize("bits", [32, 48])
@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
@pytest.mark.parametrize(
    ("multiplier", "shift"), [(2**31 - 1, 62), (2**31 - 1, 0), (1, 62), (3, 31)]
)
def test_requantising_the_largest_accumulators(
    multiplier: int, shift: int, rounding: str, bits: int
) -> None:
    arch = hand_arch(f"numerics.accumulator_bits={bits}", f"numerics.rounding={rounding}")
    top = 2 ** (bits - 1) - 1
    m = matrix(np.array([[1], [1]]), np.array([top, -top - 1]), bias_bits=bits)
    image = {"matrices": (m,), "segments": (scales(16, [(multiplier, shift)]), segment(8, [0]))}
    text = "dmv m=0, src=8, acc=0\n" + vset(2, 32, 32, 32) + "vqm d=32, acc=0, scale=4, table=none"
    expected, found = execute(text, arch, [0, 0], **image)
    assert found == expected


@pytest.mark.parametrize(("multiplier", "shift"), [(2**32 - 1, 62), (3, 63), (2**31 - 1, 64)])
def test_scale_entries_out_of_range_are_refused_by_both_or_neither(
    multiplier: int, shift: int
) -> None:
    # numerics.requantise is exact for multipliers below 2**31 and shifts of 0 to 62; a scale word
    # in memory can hold more
    m = matrix(np.array([[1], [1]]), np.array([2**31 - 1, -(2**31)]))
    image = {"matrices": (m,), "segments": (scales(16, [(multiplier, shift)]), segment(8, [0]))}
    text = "dmv m=0, src=8, acc=0\n" + vset(2, 32, 32, 32) + "vqm d=32, acc=0, scale=4, table=none"
    arch, stream = hand_arch(), np.zeros((1, 4), np.int64)
    text = f"""
    .thread main tokens=1
        recv channel=0, dst=0, words=1
        {text}
        send dest={{host}}, channel=0, src=32, words=1, thread=0
        end
    """
    whole = program(core(text, **image), arch=arch, outputs=(OutputPort(0, 0, 0, 2, 32),))
    found = []
    for opinion in (
        lambda: golden.run(whole, stream, (0,)),
        lambda: run(whole, arch, stream, (0,)),
    ):
        try:
            found.append(opinion().outputs.tolist())
        except SpusimError:
            found.append("refused")
    assert found[0] == found[1]


def two_ports(dest: str) -> Program:
    """Return a program in which core 0 sends its frame to `dest`, which takes it."""
    first = f"""
    .thread main tokens=1
        recv channel=0, dst=0, words=1
        send dest={dest}, channel=1, src=0, words=1, thread=1
        end
    .thread back tokens=1
        recv channel=1, dst=1, words=1
        send dest={{host}}, channel=0, src=1, words=1, thread=0
        end
    """
    return program(core(first), arch=hand_arch())


def test_a_core_may_send_to_itself() -> None:
    # the ISA says "every core in dest", T27 its sender's out port and its own in port
    whole = two_ports("{0}")
    frames = np.array([[1, 2, 3, 4]])
    expected = golden.run(whole, frames, (0,)).outputs.tolist()
    assert run(whole, hand_arch(), frames, (0,)).outputs.tolist() == expected


def test_a_body_that_outlives_its_enclosing_loop_is_refused() -> None:
    text = "loop count=2, body=2, bump=0\nnop\nloop count=2, body=3, bump=0\nnop\nnop\nnop\n"
    whole = program(
        core(".thread main tokens=1\nrecv channel=0, dst=0, words=1\n" + text
             + "send dest={host}, channel=0, src=0, words=1, thread=0\nend"),
        arch=hand_arch(),
    )  # fmt: skip
    frames = np.array([[1, 2, 3, 4]])
    with pytest.raises(golden.CodeError):
        golden.run(whole, frames, (0,))
    with pytest.raises(SpusimError):
        run(whole, hand_arch(), frames, (0,))


def test_an_output_of_another_length_is_refused() -> None:
    whole = program(
        core(".thread main tokens=1\nrecv channel=0, dst=0, words=1\n"
             "send dest={host}, channel=0, src=0, words=1, thread=0\nend"),
        arch=hand_arch(), outputs=(OutputPort(0, 0, 0, 8, 16),),
    )  # fmt: skip
    frames = np.array([[1, 2, 3, 4]])
    with pytest.raises(golden.OutputError):
        golden.run(whole, frames, (0,))
    with pytest.raises(SpusimError):
        run(whole, hand_arch(), frames, (0,))
