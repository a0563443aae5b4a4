"""Time of convolutions: the recurrence by bytes, pixel counts, and engines that cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from spusim.arch import load_arch
from spusim.experiments.resnet50 import resnet50_convolutions
from spusim.formats.layout import Layout
from spusim.kernels.conv_layout import Stall
from spusim.machine.conv_engine import ConvEngine, TileTime
from spusim.machine.conv_plan import engine_for
from spusim.machine.conv_time import (
    RowPlan,
    blocks_of,
    fetched_words,
    plan_pixel,
    plan_row,
    run_pixel,
    run_row,
)
from spusim.machine.errors import MachineError
from spusim.numerics.convolution import Convolution


def bitmap(pes: int) -> Layout:
    return Layout("bitmap", pes, 64, 64, 8)


def random_row(seed: int):  # type: ignore[no-untyped-def]
    """Return a plan in dataflow `row` for an engine of up to 64 PEs, and activations."""
    rng = np.random.default_rng(seed)
    pes = int(rng.choice([1, 5, 32, 64]))
    engine = ConvEngine(
        pes, int(rng.choice([1, 2, 8])), queue_depth=int(rng.choice([1, 2, 4, 16])),
        release=str(rng.choice(["pop", "done"])), scanner_width=int(rng.choice([1, 4, 8])),
        mac_stages=int(rng.integers(1, 4)),
    )  # fmt: skip
    side = int(rng.integers(1, 4))
    shape = Convolution(
        int(rng.integers(1, 20)), 9, 7, int(rng.integers(1, 200)), side, side,
        (int(rng.integers(1, 3)),) * 2, (side // 2,) * 4,
    )  # fmt: skip
    weights = rng.random(shape.weight_shape) < rng.choice([0.05, 0.3, 0.9])
    x = rng.random((shape.channels, 9, 7)) < rng.choice([0.01, 0.4, 1.0])
    plan = plan_row(shape, weights.astype(np.int8), engine, bitmap(pes))
    return plan, x.astype(np.int16)


def assert_same(one: TileTime, other: TileTime) -> None:
    assert one.cycles == other.cycles
    assert one.stalls() == other.stalls()
    assert np.array_equal(one.pushed, other.pushed)
    assert one.examined == other.examined


def any_machine(plan: RowPlan) -> RowPlan:
    """Return the plan without what only some machines may do."""
    return replace(plan, costs=np.zeros(0, np.uint8), even=False)


def test_the_recurrence_by_bytes_equals_the_one_for_all_machines() -> None:
    by_bytes = 0
    for seed in range(120):
        plan, x = random_row(seed)
        by_bytes += bool(plan.costs.size)
        first = seed % plan.shape.positions
        count = max(1, (plan.shape.positions - first) * (seed % 3 + 1) // 3)
        general = run_row(any_machine(plan), x, first, count)
        assert_same(run_row(replace(plan, even=False), x, first, count), general)
    assert 60 < by_bytes < 120  # some backlogs would not fit


@pytest.mark.parametrize(
    ("depth", "release", "even"),
    [(1, "pop", False), (2, "pop", True), (2, "done", False), (3, "done", True)],
)
def test_slices_of_one_cycle_fill_no_queue_but_the_shortest(
    depth: int, release: str, even: bool
) -> None:
    rng = np.random.default_rng(depth)
    for filters, pes in ((5, 5), (64, 64), (100, 130)):  # the last have more than bytes do
        engine = ConvEngine(pes, 2, queue_depth=depth, release=release, scanner_width=4)
        for channels in (1, 3, 70):
            shape = Convolution(channels, 6, 5, filters, 3, 3, padding=(1, 1, 1, 1))
            weights = (rng.random(shape.weight_shape) < 0.3).astype(np.int8)
            plan = plan_row(shape, weights, engine, bitmap(pes))
            assert plan.even == even
            for density in (0.01, 0.5, 1.0):
                x = (rng.random((channels, 6, 5)) < density).astype(np.int8)
                time, general = run_row(plan, x, 3, 20), run_row(any_machine(plan), x, 3, 20)
                assert_same(time, general)
                waits = general.feeder_stalls[Stall.QUEUE_FULL]
                assert waits == 0 if even else waits > 0 or density < 1.0


def test_what_is_pushed_is_what_positions_meet() -> None:
    for seed in range(40):
        plan, x = random_row(seed)
        shape = plan.shape
        first = int(seed * 7 % shape.positions)
        count = max(1, (shape.positions - first) * (seed % 3 + 1) // 3)
        wanted = np.zeros((shape.places, shape.channels), np.int64)
        for position in range(first, first + count):
            y, column = divmod(position, shape.out_width)
            for place, (dy, dx) in enumerate(shape.offsets()):
                iy = y * shape.stride[0] + dy - shape.padding[0]
                ix = column * shape.stride[1] + dx - shape.padding[1]
                if 0 <= iy < shape.height and 0 <= ix < shape.width:
                    wanted[place] += x[:, iy, ix] != 0
        assert np.array_equal(run_row(plan, x, first, count).pushed[:-1], wanted.ravel())


@pytest.mark.parametrize(
    ("name", "dims"),
    [
        ("conv1", (64, 3, 7, 7)),
        ("layer1.0.conv3", (256, 64, 1, 1)),
        ("layer2.0.conv2", (128, 128, 3, 3)),
        ("layer4.1.conv2", (512, 512, 3, 3)),
    ],
)
def test_whole_layers_of_a_resnet50_take_the_same_both_ways(
    name: str, dims: tuple[int, ...]
) -> None:
    shape = resnet50_convolutions({name: dims})[name]
    rng = np.random.default_rng(dims[0])
    engine = engine_for(load_arch("row64"), "8x8", 8, False)
    weights = (rng.random(shape.weight_shape) < 0.2).astype(np.int8)
    x = (rng.random((shape.channels, shape.height, shape.width)) < 0.5).astype(np.int16)
    plan = plan_row(shape, weights, engine, bitmap(64))
    assert plan.even == (shape.filters <= 64)
    assert plan.costs.size
    assert_same(run_row(plan, x), run_row(any_machine(plan), x))


def test_a_backlog_may_fill_its_byte_and_no_more() -> None:
    # 51 entries of one lane: (4 + 1) x 51 = 255 fits, 52 does not
    for filters, fits in ((51, True), (52, False)):
        shape = Convolution(3, 2, 2, filters)
        engine = ConvEngine(1, 1, queue_depth=4, entries_per_cycle=1)
        ones = np.ones(shape.weight_shape, np.int8)
        plan = plan_row(shape, ones, engine, Layout("bitmap", 1, 256, 64, 8))
        assert bool(plan.costs.size) == fits
        x = np.ones((3, 2, 2), np.int8)
        assert_same(run_row(plan, x), run_row(any_machine(plan), x))


def test_T43_blocks_are_even_and_hold_all_groups() -> None:
    engine = ConvEngine(4, 8, accumulators=8 * 10)
    # 100 positions are 13 groups; 3 filters leave room for 3 a block: 5 blocks
    assert blocks_of(100, 3, engine).tolist() == [3, 3, 3, 2, 2]
    assert blocks_of(1, 10, engine).tolist() == [1]


def needed(shape: Convolution, first: int, last: int, engine: ConvEngine) -> int:
    words, times = fetched_words(shape, np.array([first, last]), engine)
    assert words[0] == times.sum()
    return int(words[0])


def test_T45_words_of_strided_and_padded_blocks() -> None:
    engine = ConvEngine(1, 1, word_bits=64, activation_bits=8)  # 8 activations a word
    # 16 wide: two words a row. Stride 2, 1 x 1: every second row, all of its words
    strided = Convolution(1, 16, 16, 1, stride=(2, 2))
    assert needed(strided, 0, 64, engine) == 16
    assert needed(strided, 0, 4, engine) == 1  # pixels 0, 2, 4, 6 of row 0
    padded = Convolution(1, 16, 16, 1, 3, 3, padding=(1, 1, 1, 1))
    assert needed(padded, 0, 16, engine) == 4  # row -1 is outside, rows 0 and 1
    # rows of 5 pixels straddle words: pixels 0 to 9 are words 0 and 1
    assert needed(Convolution(1, 5, 5, 1), 0, 10, engine) == 2


def test_T44_channels_without_weights_are_not_fetched() -> None:
    shape = Convolution(4, 4, 4, 2, 3, 3, padding=(1, 1, 1, 1))
    weights = np.ones(shape.weight_shape, np.int8)
    weights[:, 2] = 0
    engine = ConvEngine(2, 4)
    skipping = run_pixel(plan_pixel(shape, weights, engine, bitmap(2)))
    assert skipping.pushed.tolist() == [1, 1, 0, 1, 0]
    assert skipping.examined == 3 * 2  # 16 pixels are two words
    dense = replace(engine, weights="dense")
    every = run_pixel(plan_pixel(shape, weights, dense, Layout("dense", 2, 64, 64, 8)))
    assert every.pushed.tolist() == [1, 1, 1, 1, 0]
    assert every.cycles - skipping.cycles == 4 * 9  # four groups, nine taps


def test_depthwise_pixels_overlap_as_far_as_queues_are_deep() -> None:
    shape = Convolution(8, 8, 8, 8, 3, 3, padding=(1, 1, 1, 1), groups=8)
    ones = np.ones(shape.weight_shape, np.int8)
    cycles = {}
    for release in ("done", "pop"):
        engine = ConvEngine(8, 8, queue_depth=1, release=release)
        time = run_pixel(plan_pixel(shape, ones, engine, bitmap(8)))
        assert (time.pe_stalls[:, 1] == 9 * 8).all()  # nine weights, eight groups
        assert (time.pe_stalls[:, 2] == 7).all()  # a cycle for each of the others' channels
        cycles[release] = time.cycles
    # one channel after the other, or two at once
    assert 8 * 72 < cycles["done"] < 8 * 90
    assert 4 * 72 < cycles["pop"] < 4 * 90


def test_a_machine_of_more_than_64_pes_is_timed_too() -> None:
    shape = Convolution(16, 5, 5, 130, 3, 3, padding=(1, 1, 1, 1))
    ones = np.ones(shape.weight_shape, np.int8)
    x = np.ones((16, 5, 5), np.int8)
    few, many = (
        run_row(plan_row(shape, ones, ConvEngine(pes, 1), bitmap(pes)), x) for pes in (65, 130)
    )
    assert few.cycles > 1.8 * many.cycles


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"queue_depth": 0}, r"queue_depth \(=0\) must be at least 1"),
        ({"weights": "sparse"}, r"weights \(=sparse\) is unknown; use dense, decompress, skip"),
        ({"activations": "none"}, r"activations \(=none\) is unknown"),
        ({"release": "push"}, r"release \(=push\) is unknown; use pop, done"),
    ],
)
def test_engines_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(MachineError, match=message):
        ConvEngine(**{"pes": 2, "lanes": 2, **settings})


def test_plans_that_do_not_fit_are_refused() -> None:
    shape = Convolution(2, 4, 4, 6)
    ones, engine = np.ones(shape.weight_shape, np.int8), ConvEngine(2, 4, accumulators=11)
    with pytest.raises(MachineError, match=r"needs 12 accumulators \(3 filters at 4 positions\)"):
        plan_pixel(shape, ones, engine, bitmap(2))
    assert plan_row(shape, ones, engine, bitmap(2)).drain.tolist() == [1, 1]
    with pytest.raises(MachineError, match="stored for 3 PEs, the engine has 2"):
        plan_row(shape, ones, engine, bitmap(3))
    with pytest.raises(MachineError, match="do not go with format bitmap"):
        plan_row(shape, ones, replace(engine, weights="dense"), bitmap(2))
    plan = plan_row(shape, ones, engine, bitmap(2))
    with pytest.raises(MachineError, match=r"they must be \(2, 4, 4\)"):
        run_row(plan, np.ones((2, 4, 5), int))
    with pytest.raises(MachineError, match="tile of 0 positions"):
        run_row(plan, np.ones((2, 4, 4), int), 0, 0)
