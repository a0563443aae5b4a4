"""The fast engine equals the naive stepper: outputs, cycles, every stall and every count."""

import itertools
import random
from collections.abc import Iterator

import numpy as np
import pytest
import tally
from generators import Case, PortSchedule, arch_of, packed, random_case, random_ports
from hypothesis import given, settings
from hypothesis import strategies as st
from stepper import StepResult, step

from spusim.formats import pack_elements
from spusim.isa import encode, load_isa
from spusim.kernels.engine import run_matvec
from spusim.kernels.engine_state import (
    ENGINE_STATE,
    EVERY_BANK,
    IDLE,
    PE_STATE,
    PHASE,
    SPARE_SLOTS,
    start_engine,
)
from spusim.kernels.layout import MAC_KINDS, C, M
from spusim.kernels.stepping import step_engine
from spusim.machine import beats, load
from spusim.machine.load import LoadedCore, load_core
from spusim.machine.stalls import engine_stalls
from spusim.numerics import Numerics
from spusim.program import CoreImage, InputPort, Matrix, Program, Thread

SEEDS = 60
CASES_A_SEED = 25


def loaded(case: Case) -> LoadedCore:
    """Load the case's instruction into a core as a program would be."""
    config, arch = case.config, arch_of(case)
    matrix = Matrix("m", packed(case), config.activation_bits, 0, 0, config.preload)
    mnemonic = ("dmv" if config.format == "dense" else "spmv") + "a" * case.accumulate
    isa = load_isa()
    word = encode(isa, mnemonic, {"m": 0, "src": config.operand_address, "acc": 0})
    code = np.array([word, encode(isa, "end", {})], np.uint64)
    image = CoreImage(code, (Thread("t", 0, 1),), (matrix,), (), ())
    program = Program(
        name="case",
        isa_version=isa.version,
        arch_name=arch.name,
        word_bits=config.operand_word_bits,
        pes=config.pes,
        accumulators=config.pes * arch.core.accumulators,
        numerics=Numerics(config.accumulator_bits, config.overflow),  # type: ignore[arg-type]
        cores=(image,),
        input=InputPort((0,), 0, 0, len(case.x), config.activation_bits),
        outputs=(),
        init_threads=(),
    )
    core = load_core(image, program, arch)
    begin = config.operand_address * config.operand_word_bits // 8
    words = pack_elements(np.array(case.x), config.activation_bits, config.operand_word_bits)
    data = words.reshape(-1)[: -(-len(case.x) * config.activation_bits // 8)]
    core.arrays.memory[begin : begin + len(data)] = data
    if case.start_accumulators is not None:
        core.arrays.acc[: len(case.weight)] = case.start_accumulators
    return core


def counted(core: LoadedCore) -> dict[str, int]:
    """Name the machine's counters as the stepper does."""
    counters = core.arrays.counters.tolist()
    return {
        "mac": counters[C.MAC],
        "mac_gated": counters[C.MAC + MAC_KINDS],
        "pushes": counters[C.QUEUE_PUSH] // core.arrays.params[0],
        "pops": counters[C.QUEUE_POP],
        "windows": counters[C.SCANNER_WINDOW],
    }


def nonzero(stalls: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {
        unit.removeprefix("core0."): {c: n for c, n in causes.items() if n}
        for unit, causes in stalls.items()
    }


def same(case: Case, core: LoadedCore, cycles: int, expected: StepResult) -> None:
    arrays = core.arrays
    counts = counted(core)
    pairs = {
        "outputs": (arrays.acc[: len(case.weight)].tolist(), expected.outputs),
        "cycles": (cycles, expected.cycles),
        "stalls": (
            nonzero(engine_stalls("core0", arrays, cycles)),
            expected.stalls,
        ),
        "counts": (counts, {name: expected.counts[name] for name in counts}),
    }
    differing = [f"{what}: machine {a}, not {b}" for what, (a, b) in pairs.items() if a != b]
    assert not differing, "\n".join([f"{case}", *differing])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_fast_engine_equals_stepper(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(CASES_A_SEED):
        case = random_case(rng)
        expected = step(**vars(case))
        core = loaded(case)
        src = case.config.operand_address
        cycles, mask = run_matvec(core.state, 0, src, 0, case.accumulate)
        same(case, core, int(cycles), expected)
        tally.compared("single products", expected.cycles)
        for bank, row in expected.banks.items():
            busy = int(core.arrays.bank_busy[bank])
            held = int(cycles) - busy if mask >> bank & 1 else 0
            assert (busy, held) == (row.get("busy", 0), row.get("held", 0))


# what holds no PE, or no backlog, by the form of the recurrence that is left
NONE_FIT = {"bytes": {"FEW": 0}, "words": {"FEW": 0, "BYTE": 0}}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("form", NONE_FIT)
def test_fast_engine_of_many_pes_and_deep_queues_equals_stepper(
    form: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in NONE_FIT[form].items():
        monkeypatch.setattr(beats, name, most)
    monkeypatch.setattr(load, "evenly", lambda *_: False)
    core = loaded(random_case(random.Random(seed)))
    fields = core.arrays.matrices[0, [M.SHORT_BEATS, M.EVEN]].tolist()
    assert fields == [-1, 0] and (form == "bytes" or core.arrays.matrices[0, M.BYTE_BEATS] == -1)
    test_fast_engine_equals_stepper(seed)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_fast_engine_equals_stepper_on_shrinkable_cases(rng: random.Random) -> None:
    case = random_case(rng)
    core = loaded(case)
    cycles, _ = run_matvec(core.state, 0, case.config.operand_address, 0, case.accumulate)
    same(case, core, int(cycles), step(**vars(case)))


def stepped(core: LoadedCore, case: Case, ports: PortSchedule, windows: Iterator[int]) -> int:
    """Step the compiled engine while a schedule takes banks from it; return its duration."""
    arrays = core.arrays
    run_matvec(core.state, 0, case.config.operand_address, 0, case.accumulate)  # values only
    every = case.config.activations != "skip"
    columns = np.arange(len(case.x)) if every else np.flatnonzero(case.x).astype(np.int64)
    pes = case.config.pes
    state = np.zeros(ENGINE_STATE + len(columns), np.int64)
    units = np.zeros((PE_STATE, pes), np.int64)
    last = np.zeros((pes, len(arrays.acc) // pes + SPARE_SLOTS), np.int64)
    src = case.config.operand_address
    start_engine(core.state, 0, src, len(columns), case.accumulate, state, units, last)
    time = 0
    for cycles, superset in zip(windows, itertools.cycle((0, 0, EVERY_BANK)), strict=False):
        masks = [sum(1 << bank for bank in ports(time + cycle, [])) for cycle in range(cycles)]
        taken = np.array(masks, np.uint64).view(np.int64)
        rivals = int(np.bitwise_or.reduce(taken)) | superset
        ran = step_engine(
            core.state, state, units, columns, last, cycles, taken, rivals,
            arrays.pe_stalls, arrays.scanner_stalls,
        )  # fmt: skip
        time += int(ran)
        if state[PHASE] == IDLE:
            return time
        assert ran == cycles
    raise AssertionError("the engine never completes")


def random_windows(rng: random.Random) -> Iterator[int]:
    """Yield lengths of windows: cycle by cycle, mixed, or long."""
    lengths = rng.choice(((1,), (1, 2, 3, 7), (2, 5, 64), (10_000,)))
    return (rng.choice(lengths) for _ in range(100_000))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_T19_stepped_engine_equals_stepper_under_contention(seed: int) -> None:
    rng = random.Random(1000 + seed)
    for _ in range(10):
        case = random_case(rng, ports="shared")
        ports = random_ports(rng, case.config.banks)
        expected = step(**vars(case), port_requests=ports)
        core = loaded(case)
        cycles = stepped(core, case, ports, random_windows(rng))
        same(case, core, cycles, expected)
        tally.compared("single products", expected.cycles)
