"""Fast forms of a product's values and time against their plain ones, on loaded cores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.api import compile_layer, load_arch, random_layer
from spusim.kernels.engine import multiply, run_matvec, settle
from spusim.kernels.layout import M
from spusim.kernels.matvec import add_columns, add_in_pairs
from spusim.machine.host import pack_frames
from spusim.machine.load import load_core

SEEDS = st.integers(0, 2**32 - 1)
LEDGER = ("acc", "counters", "bank_busy", "pe_stalls", "scanner_stalls", "matrix_use")


def loaded(seed: int, *settings_: str):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    columns, rows = rng.integers(1, 90, 2).tolist()
    densities = rng.uniform(0.05, 1, 2).tolist()
    weight, frames = random_layer(columns, rows, *densities, 1, seed, 8, 16)
    arch = load_arch("spu001", list(settings_))
    program = compile_layer(weight, 8, 16, arch)
    core = load_core(program.cores[0], program, arch)
    words = pack_frames(frames, program)[0]
    core.arrays.memory[: words.size] = words.ravel()
    return core


def ledger(core):  # type: ignore[no-untyped-def]
    return {name: getattr(core.arrays, name).copy() for name in LEDGER}


def assert_equal(one, other):  # type: ignore[no-untyped-def]
    for name in LEDGER:
        assert np.array_equal(one[name], other[name]), name


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from([np.int8, np.int16]))
def test_pairs_of_columns_equal_columns(seed, kind):
    rng = np.random.default_rng(seed)
    total, rows = rng.integers(1, 300, 2).tolist()
    limits = np.iinfo(kind)
    weights = rng.integers(limits.min, limits.max + 1, (total, rows)).astype(kind)
    x = rng.integers(-(2**15) + 1, 2**15, total).astype(np.int32)
    columns = np.flatnonzero(rng.random(total) < rng.random())
    start = rng.integers(-(2**31), 2**31, rows).astype(np.int32)
    plain, paired = start.copy(), start.copy()
    n = len(columns)
    add_columns(weights, x, columns, n, plain)
    offsets, factors = np.full(n + 3, 7, np.int32), np.full(n + 3, 7, np.int16)
    add_in_pairs(weights.ravel(), rows, x, columns, n, paired, offsets, factors)
    exact = start + weights[columns].astype(np.int64).T @ x[columns].astype(np.int64)
    assert np.array_equal(paired, exact.astype(np.int32))  # modulo 2**32
    assert np.array_equal(paired, plain)


@pytest.mark.parametrize("release", ["pop", "done"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=SEEDS, depth=st.sampled_from([1, 2, 3, 8]), width=st.sampled_from([1, 4]))
def test_backlogs_in_bytes_equal_times_in_words(release, seed, depth, width):
    queue = (f"core.queue.depth={depth}", f"core.queue.release={release}")
    core = loaded(seed, *queue, f"core.scanner.width={width}")
    assert core.arrays.matrices[0, M.BYTE_BEATS] >= 0
    in_bytes = run_matvec(core.state, 0, 0, 0, False), ledger(core)
    core = loaded(seed, *queue, f"core.scanner.width={width}")
    core.arrays.matrices[0, M.BYTE_BEATS] = -1
    in_words = run_matvec(core.state, 0, 0, 0, False), ledger(core)
    assert in_bytes[0] == in_words[0]
    assert_equal(in_bytes[1], in_words[1])


def test_a_queue_too_deep_for_bytes_is_timed_in_words():
    assert loaded(1, "core.queue.depth=255").arrays.matrices[0, M.BYTE_BEATS] == -1


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SEEDS)
def test_settling_late_is_settling_at_once(seed):
    core = loaded(seed)
    for _ in range(3):
        run_matvec(core.state, 0, 0, 0, False)
    at_once = ledger(core)
    core = loaded(seed)
    for _ in range(3):
        multiply(core.state, 0, 0, 0, False)
    assert core.arrays.uses.max() == 3
    for _ in range(2):  # the second time there is nothing left
        settle(core.state)
        assert_equal(ledger(core), at_once)
    assert not core.arrays.uses.any()
