"""Fast forms of a product's values and time against their plain ones, on loaded cores."""

import numba as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.api import compile_layer, load_arch, random_layer
from spusim.kernels.engine import multiply, run_matvec, settle
from spusim.kernels.layout import M
from spusim.kernels.matvec import add_columns, add_in_pairs
from spusim.kernels.tiles import (
    GROUP,
    MASK,
    TILE,
    compact,
    compact_plainly,
    sum_tile,
    sum_tile_plainly,
)
from spusim.machine.host import pack_frames
from spusim.machine.load import load_core
from spusim.machine.tiles import DENSEST, tiled

SEEDS = st.integers(0, 2**32 - 1)
LEDGER = ("acc", "counters", "bank_busy", "pe_stalls", "scanner_stalls", "matrix_use")


def loaded(seed, *settings_, most_rows=89, bits=8, pencils=False):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    columns, rows = int(rng.integers(1, 160)), int(rng.integers(1, most_rows + 1))
    densities = rng.uniform(0.05, 1, 2).tolist()
    weight, frames = random_layer(columns, rows, *densities, 1, seed, bits, 16)
    if pencils:
        weight[:, rng.random(columns) < 0.7] = 0
    arch = load_arch("spu001", list(settings_))
    program = compile_layer(weight, bits, 16, arch)
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
    x = rng.integers(-(2**15), 2**15, total).astype(np.int32)
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


MANY_PES = ("core.pes=16", "core.data_memory.banks=16", "core.data_memory.words=4096")
FORMS = {"bytes": (M.BYTE_BEATS, MANY_PES), "shorts": (M.SHORT_BEATS, ())}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("release", ["pop", "done"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=SEEDS, depth=st.sampled_from([1, 2, 3, 8]), width=st.sampled_from([1, 3, 4]))
def test_backlogs_in_registers_equal_times_in_words(form, release, seed, depth, width):
    offset, pes = FORMS[form]
    queue = (f"core.queue.depth={depth}", f"core.queue.release={release}")
    settings_ = (*queue, f"core.scanner.width={width}", *pes)
    core = loaded(seed, *settings_)
    assert core.arrays.matrices[0, offset] >= 0
    core.arrays.matrices[0, M.EVEN] = 0
    in_registers = run_matvec(core.state, 0, 0, 0, False), ledger(core)
    core = loaded(seed, *settings_)
    core.arrays.matrices[0, [offset, M.EVEN]] = -1, 0
    in_words = run_matvec(core.state, 0, 0, 0, False), ledger(core)
    assert in_registers[0] == in_words[0]
    assert_equal(in_registers[1], in_words[1])


@pytest.mark.parametrize(("release", "least"), [("pop", 2), ("done", 3)])
@pytest.mark.parametrize("activations", ["skip", "dense"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=SEEDS, more=st.sampled_from([0, 5]), width=st.sampled_from([1, 2, 8]))
def test_even_columns_are_timed_as_queued_ones(release, least, activations, seed, more, width):
    queue = (f"core.queue.depth={least + more}", f"core.queue.release={release}")
    scanner = (f"core.scanner.width={width}", f"core.sparse.activations={activations}")
    settings_ = (*queue, *scanner)
    core = loaded(seed, *settings_, most_rows=64)
    assert core.arrays.matrices[0, M.EVEN]
    evenly = run_matvec(core.state, 0, 0, 0, False), ledger(core)
    core = loaded(seed, *settings_, most_rows=64)
    core.arrays.matrices[0, M.EVEN] = 0
    queued = run_matvec(core.state, 0, 0, 0, False), ledger(core)
    assert evenly[0] == queued[0]
    assert_equal(evenly[1], queued[1])


@pytest.mark.parametrize(
    "setting",
    ["core.queue.depth=1", "core.scanner.width=3", "core.hazard=stall", "core.ports=shared"],
)
def test_columns_whose_queues_may_fill_are_not_even(setting):
    assert loaded(1, most_rows=64).arrays.matrices[0, M.EVEN]
    assert not loaded(1, setting, most_rows=64).arrays.matrices[0, M.EVEN]
    assert not loaded(3, "core.decoder.entries_per_cycle=1").arrays.matrices[0, M.EVEN]


def test_a_queue_too_deep_for_a_register_is_timed_in_words():
    assert loaded(1, "core.queue.depth=255", *MANY_PES).arrays.matrices[0, M.BYTE_BEATS] == -1
    assert loaded(1, "core.queue.depth=255").arrays.matrices[0, M.SHORT_BEATS] >= 0
    assert loaded(1, "core.queue.depth=65535").arrays.matrices[0, M.SHORT_BEATS] == -1


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


@nb.njit
def _compact(x, mask):
    out, plain = np.full(2 * MASK, 7, np.int16), np.full(2 * MASK, 7, np.int16)
    n = compact(x, np.int64(3), mask, out, np.int64(5))
    same = compact_plainly(x, np.int64(3), mask, plain, np.int64(5)) == n
    return n, same, out, plain


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SEEDS)
def test_activations_of_a_tile_are_brought_together_as_plainly(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-(2**15), 2**15, MASK + 3).astype(np.int16)
    wanted = rng.random(MASK) < rng.random()
    mask = np.packbits(wanted, bitorder="little").view("<u4")[0]
    n, same, out, plain = _compact(x, np.uint32(mask))
    assert same
    assert out[5 : 5 + n].tolist() == plain[5 : 5 + n].tolist() == x[3:][wanted].tolist()
    assert (out[:5] == 7).all()


@nb.njit
def _sums(weights, x, columns, start, rows):
    sums, plain = np.full(TILE + 4, 7, np.int64), np.full(TILE + 4, 7, np.int64)
    sum_tile(weights, np.int64(32), x, np.int64(5), columns, start, sums, np.int64(2), rows)
    sum_tile_plainly(
        weights, np.int64(32), x, np.int64(5), columns, start, plain, np.int64(2), rows
    )
    own = start.copy()
    sum_tile(weights, np.int64(32), x, np.int64(5), columns, own, own, np.int64(2), rows)
    return sums, plain, own


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    SEEDS,
    st.sampled_from([np.int8, np.int16]),
    st.sampled_from([0, 8, 16, 24, 80]),
    st.sampled_from([1, 7, 8, 9, TILE, 40]),
)
def test_sums_of_a_tile_are_the_plain_ones(seed, kind, columns, rows):
    rng = np.random.default_rng(seed)
    limits = np.iinfo(kind)
    weights = rng.integers(limits.min, limits.max + 1, 32 + TILE * columns).astype(kind)
    x = rng.integers(-(2**15), 2**15, columns + 5).astype(np.int16)
    if rng.random() < 0.2:
        weights[:], x[:] = limits.min, -(2**15)  # whose pairs leave 32 bits
    start = rng.integers(-(2**31), 2**31, TILE + 4)
    sums, plain, own = _sums(weights, x, columns, start, rows)
    pairs = weights[32:].astype(np.int64).reshape(-1, TILE, 2)
    exact = np.einsum("prk,pk->r", pairs, x[5:].astype(np.int64).reshape(-1, 2))
    end = 2 + min(rows, TILE)  # beyond which nothing is written
    wanted = (start[2:-2] + exact).astype(np.int32)[: end - 2].tolist()
    assert sums.tolist() == plain.tolist() == [7, 7, *wanted, *[7] * (TILE + 4 - end)]
    assert own.tolist() == [*start[:2], *wanted, *start[end:]]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from([8, 16]), st.booleans())
def test_products_by_tiles_equal_those_by_columns(seed, bits, accumulate):
    def core():  # type: ignore[no-untyped-def]
        made = loaded(seed, "core.precisions.16x16=1", bits=bits, pencils=True)
        made.arrays.acc[:] = np.random.default_rng(seed).integers(-(2**20), 2**20)
        return made

    tiles, columns = core(), core()
    assert (tiles.arrays.matrices[0, M.TILES] >= 0) == bool(tiles.arrays.matrices[0, M.TILED])
    columns.arrays.matrices[0, M.TILES] = -1
    tiles.arrays.matrices[0, M.TILED] = 0  # so that few nonzero activations are not left to columns
    for made in (tiles, columns):
        run_matvec(made.state, 0, 0, 0, accumulate)
    assert_equal(ledger(tiles), ledger(columns))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SEEDS)
def test_tiles_hold_every_weight_once(seed):
    rng = np.random.default_rng(seed)
    columns, rows = rng.integers(1, 130, 2).tolist()
    weights = rng.integers(-3, 4, (columns, rows)).astype(np.int8)
    weights[rng.random(columns) < rng.random()] = 0
    packed, masks = tiled(weights)
    used = np.unpackbits(masks[:, :-1].astype("<u4").view(np.uint8), axis=1, bitorder="little")
    dense = weights.any(axis=1).mean() > DENSEST
    if not packed.size:
        assert dense or not weights.any()
        return
    found = np.zeros((columns, len(masks) * TILE), np.int8)
    pairs = packed.reshape(-1, TILE, 2).transpose(0, 2, 1).reshape(-1, TILE)
    at = 0
    for tile, (here, filled) in enumerate(zip(used, masks[:, -1], strict=True)):
        kept = np.flatnonzero(here)
        assert filled % GROUP == 0 and len(kept) <= filled < len(kept) + GROUP
        found[kept, tile * TILE : (tile + 1) * TILE] = pairs[at : at + len(kept)]
        assert not pairs[at + len(kept) : at + filled].any()
        at += filled
    assert np.array_equal(found[:, :rows], weights) and not found[:, rows:].any()


@settings(max_examples=10, deadline=None, derandomize=True)
@given(SEEDS)
def test_an_operand_elsewhere_is_loaded_anew(seed):
    places = [0, 1, 1, 0, 3]
    together, apart = loaded(seed), [loaded(seed) for _ in places]
    for core in (together, *apart):
        core.arrays.memory[: 8 * 200] = np.resize(core.arrays.memory[:16], 8 * 200)
    for src, core in zip(places, apart, strict=True):
        alone = run_matvec(core.state, 0, src, 0, src % 2)
        assert run_matvec(together.state, 0, src, 0, src % 2) == alone
    sums = {name: sum(getattr(core.arrays, name) for core in apart) for name in LEDGER[1:]}
    assert_equal(ledger(together), {**sums, "acc": together.arrays.acc})


def test_an_operand_that_has_moved_is_loaded_from_where_it_is():
    def after(*sources):  # type: ignore[no-untyped-def]
        core = loaded(3)
        operand = core.arrays.memory[:512].copy()
        for src in sources:
            core.arrays.memory[8 * src : 8 * src + 512] = operand
            run_matvec(core.state, 0, src, 0, False)
        return ledger(core)

    both, first, second = after(0, 67), after(0), after(67)
    assert first["bank_busy"].tolist() != second["bank_busy"].tolist()
    for name in ("bank_busy", "counters", "pe_stalls", "scanner_stalls"):
        assert np.array_equal(both[name], first[name] + second[name]), name
