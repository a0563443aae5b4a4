"""Whole programs: stepper, machine and golden agree on values, stepper and machine on all else.

The single units' rules, worked out by hand in tests/machine, run on both as well
(`chip_agreement.checked_run`), and so do the seeded programs of test_machine_stepper.py.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from chip_agreement import checked_run, disagreements
from chip_generators import CORNERS, Case, cases, random_case, with_core
from chip_stepper import ChipError, first_difference, step_program
from hypothesis import HealthCheck, given, settings
from programs import core, frames, hand_arch, nops, program, vset
from random_programs import random_program

from spusim.arch import Arch
from spusim.errors import SpusimError
from spusim.isa import decode_all, load_isa
from spusim.machine import run
from spusim.program import InputPort, OutputPort, Program

PROGRAMS = 200


@settings(
    max_examples=PROGRAMS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow],
)
@given(cases())
def test_generated_programs_agree(case: Case) -> None:
    found = disagreements(*vars(case).values())
    assert not found, found


def test_generator_reaches_all_that_there_is() -> None:
    # The same draws from a seed instead of hypothesis; nothing runs.
    isa, seen = load_isa(), Counter[str]()
    for seed in range(120):
        case = random_case(np.random.default_rng(seed))
        seen[f"{len(case.program.cores)} cores"] += 1
        seen[f"ports {case.arch.core.ports}"] += 1
        seen[f"private {case.arch.core.weight_memory is not None}"] += 1
        seen[f"overflow {case.program.numerics.overflow}"] += 1
        seen[f"weights {case.arch.core.sparse.weights}"] += 1
        seen[f"period {case.input_period is not None}"] += 1
        seen.update(f"{corner.__name__}" for corner in CORNERS if holds(corner, case))
        for image in case.program.cores:
            seen.update({i.mnemonic for i in decode_all(isa, image.code)})
            seen.update(f"format {m.packed.layout.format}" for m in image.matrices)
    # drawn in convolution_programs and external_programs
    elsewhere = {"conv", "pool", "xld", "xst", "fetch", "yield"}
    expected = {*isa.instructions} - elsewhere | {*(corner.__name__ for corner in CORNERS)}
    expected |= {"1 cores", "2 cores", "3 cores", "ports shared", "ports reserved"}
    expected |= {"private True", "private False", "period True", "period False"}
    expected |= {f"format {f}" for f in ("dense", "bitmap", "run_length", "pencil")}
    expected |= {"overflow saturate", "overflow wrap"}
    expected |= {f"weights {mode}" for mode in ("skip", "dense", "decompress")}
    assert {name for name in expected if seen[name] < 8} == set()


def holds(corner: Callable[[Program, Arch], Arch], case: Case) -> bool:
    """Tell whether a case's machine has a corner."""
    return corner(case.program, case.arch) == case.arch


# --- simultaneous requests


def two_messages(delay: int, channel: int) -> str:
    """Return a core that sends two messages of three words to core 0, from a cycle on."""
    return f"""
    .thread start tokens=1
        {nops(delay)} loop count=2, body=1, bump=1
        send dest={{0}}, channel={channel}, src=1, words=3, thread={channel}
        end
    """


@pytest.mark.parametrize("delay", range(10))
def test_T28_two_cores_and_the_host_ask_for_one_port(delay: int) -> None:
    takers = "\n".join(
        f".thread taker{c} tokens=1\nrecv channel={c}, dst={6 * c}, words=3\nend" for c in (1, 2)
    )
    first = f"""
    .thread main tokens=1
        recv channel=0, dst=0, words=2
        send dest={{host}}, channel=0, src=0, words=2, thread=0
        end
    {takers}
    """
    arch = hand_arch("cores=3", "core.ports=shared", "link.channel_words=3")
    whole = program(
        core(first), core(two_messages(delay, 1)), core(two_messages(4, 2)), arch=arch,
        init=((1, 0), (2, 0)),
        input=InputPort((0,), 0, 0, 8, 16), outputs=(OutputPort(0, 0, 0, 8, 16),),
    )  # fmt: skip
    stream = frames(3, 8)
    result = checked_run(whole, arch, stream, (0, 2), 6)
    assert result.outputs.tolist() == stream.tolist()
    assert result.stalls["host.out"].get("blocked", 0) > 0


# --- streams and vectors of nothing


def test_T31_a_stream_without_frames_is_refused_by_both() -> None:
    whole, arch, stream, _ = random_program(np.random.default_rng(1))
    for starts in ((), (0,)):
        with pytest.raises(SpusimError, match="at least one frame"):
            run(whole, arch, stream[:0], starts)
        with pytest.raises(ChipError, match="0 frames"):
            step_program(whole, arch, stream[:0], starts)


def test_T17_vectors_of_nothing_take_a_beat_and_no_bank() -> None:
    text = f"""
    .thread main tokens=1
        recv channel=0, dst=0, words=1
        {vset(0)} vadd d=0, a=0, b=0
        send dest={{host}}, channel=0, src=0, words=1, thread=0
        end
    """
    arch = hand_arch("core.ports=shared")
    result = checked_run(program(core(text), arch=arch), arch, frames(), (0,))
    # recv 5, vset 6, vadd 7 to 10 (a beat and three stages), send 11, there at 15
    assert result.cycles == 15
    assert result.counts["data_memory.read"] == 1  # the sent word


# --- traces and reports


def traced(**changes: object):  # type: ignore[no-untyped-def]
    """Step a program of several cores with a trace."""
    whole, arch, stream, starts = random_program(np.random.default_rng(3))
    return step_program(whole, with_core(arch, **changes), stream, starts, trace=True)


def test_trace_has_a_word_for_every_cycle_that_sums_to_the_stalls() -> None:
    chip = traced(ports="shared")
    assert len(chip.trace) == chip.cycles
    assert {len(word) for word in chip.trace} == {len(chip.trace_names)}
    columns = dict(zip(chip.trace_names, zip(*chip.trace, strict=True), strict=True))
    for unit, causes in chip.stalls.items():
        if unit.endswith(".sequencer") or unit.startswith("host"):
            assert Counter(columns[unit]) == causes
        if ".bank" in unit:
            assert sum(user in ("router", "vector", "engine") for user in columns[unit]) == (
                causes.get("busy", 0)
            )
        if unit.endswith(".vector"):
            beats = columns[f"{unit}.beat"]
            assert sum(beat == -1 for beat in beats) == causes.get("idle", 0)


def test_first_difference_names_cycle_and_field() -> None:
    chip = traced()
    assert first_difference(chip, chip) == ""
    cycle = chip.cycles // 2
    word = list(chip.trace[cycle])
    field = chip.trace_names.index("core0.vector.beat")
    word[field] = 99
    changed = replace(chip, trace=[*chip.trace[:cycle], tuple(word), *chip.trace[cycle + 1 :]])
    report = first_difference(chip, changed).splitlines()
    assert report[0] == f"first differing cycle: {cycle}"
    assert [line for line in report if line.endswith("<--")] == [
        f"  core0.vector.beat: {chip.trace[cycle][field]} and 99  <--"
    ]


def test_first_difference_names_units_counts_and_frames() -> None:
    whole, arch, stream, starts = random_program(np.random.default_rng(3))
    result = run(whole, arch, stream, starts)
    slower = arch.core.pipeline.model_copy(update={"vector_stages": 9})
    report = first_difference(
        step_program(whole, with_core(arch, pipeline=slower), stream, starts), result
    )
    assert "cycles: " in report
    assert "core0.vector.busy: " in report
    assert "frame_cycles of frame 0 (cycles " in report
    assert "counts.cycle: " in report
    assert "outputs" not in report
