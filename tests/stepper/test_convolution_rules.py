"""One worked example for each rule of convolutions: what every unit does in every cycle.

A word is a letter for the feeder, one for each PE, then the queues' lengths at the cycle's start:
L load, B busy, E empty, S starved, A accumulators, I imbalance, D drain, F queue full, W waits
for PEs. One PE with one lane, a queue of 8, M = 1 unless a test says otherwise.
"""

from dataclasses import replace

from convolution_agreement import machine_time, machine_values, random_conv
from convolution_case import ConvCase, blocks, fetched_words
from convolution_stepper import ConvResult, step
from stepper_storage import StepperConfig

MACHINE = StepperConfig(
    format="bitmap", private_weight_memory=True, queue_depth=8, word_bits=64, data_word_bits=64
)


def machine(**changes: object) -> StepperConfig:
    return replace(MACHINE, **changes)  # type: ignore[arg-type]


def checked(case: ConvCase) -> ConvResult:
    """Step a case; the machine must agree."""
    result, timed = step(case), machine_time(case)
    assert timed.cycles == result.cycles
    assert {unit: {k: v for k, v in causes.items() if v} for unit, causes in timed.stalls().items()
            } == result.stalls  # fmt: skip
    assert machine_values(case) == result.values
    return result


def one_channel(row: list[int], weight: int = 2, **changes: object) -> ConvCase:
    """A 1 x 1 convolution of one channel and filter over a row of pixels."""
    sizes = {"channels": 1, "height": 1, "width": len(row), "filters": 1, "machine": MACHINE}
    return ConvCase(**{**sizes, "weight": [[[[weight]]]], "x": [[row]], **changes})


def test_T37_positions_follow_without_draining() -> None:
    result = checked(one_channel([3, 4, 5]))
    # pushed in cycles 0, 1, 2, popped in 1, 2, 3; M = 1 and a drain of one accumulator: two cycles
    assert result.states == ["BS 0", "BB 1", "BB 1", "WB 1", "DD 0", "DD 0"]
    assert result.values == {(0, 0): 6, (0, 1): 8, (0, 2): 10}


def test_T38_load_comes_first() -> None:
    result = checked(one_channel([3], load=2))
    assert result.states == ["LL 0", "LL 0", "BS 0", "WB 1", "DD 0", "DD 0"]


def test_T39_a_third_position_waits_for_its_buffer() -> None:
    # three filters and one lane: a buffer drains in 3 cycles; each position has one entry a PE,
    # since two of the filters are zero
    case = replace(one_channel([1, 1, 1, 1]), filters=3, weight=[[[[2]]], [[[0]]], [[[0]]]])
    result = checked(case)
    # pops of first slices: 1 and 2 (both buffers free). From cycle 2 on buffer 0 drains, in
    # 2 to 4: position 2 is popped in 5; then buffer 1 in 5 to 7: position 3 in 8
    assert [word.split()[0][1] for word in result.states] == list("SBBAABAABDDDDD")
    # F = 9; position 2's buffer drains from the pop of 3 on, in 8 to 10: E = 11, then 3 cycles more
    assert result.cycles == 14


def test_T40_last_pass_drains_after_the_pipeline() -> None:
    result = checked(one_channel([1], machine=machine(mac_stages=4)))
    # F = 2, then M = 4, then one accumulator
    assert result.cycles == 7


def test_T41_windows_begin_anew_at_every_place() -> None:
    # two places of three channels, windows of two: four windows; nonzero: channel 2 of place 0
    # (window 1) and channel 0 of place 1 (window 2)
    case = ConvCase(
        3, 1, 2, 1, weight=[[[[1, 1]]] * 3], x=[[[0, 5]], [[0, 0]], [[4, 0]]], kernel=(1, 2),
        machine=machine(scanner_width=2),
    )  # fmt: skip
    result = checked(case)
    # windows in 0 to 3; pushes in 1 and 2, pops in 2 and 3
    assert result.states == ["BS 0", "BS 0", "BB 1", "BB 1", "DD 0", "DD 0"]
    assert result.values == {(0, 0): 9}


def test_T41_places_outside_take_no_time_and_are_never_pushed() -> None:
    # 1 x 3 with padding 1 on one pixel: only the middle place is inside
    case = one_channel([7], weight=0, kernel=(1, 3), padding=(0, 1, 0, 1))
    case = replace(case, weight=[[[[1, 2, 3]]]], machine=machine(activations="dense"))
    result = checked(case)
    assert result.states == ["BS 0", "WB 1", "DD 0", "DD 0"]
    assert result.values == {(0, 0): 14}


def test_T41_a_position_without_pushes_sends_an_empty_entry() -> None:
    result = checked(one_channel([0, 6]))
    assert result.states == ["BS 0", "BE 1", "WB 1", "DD 0", "DD 0"]
    # a position outside altogether takes a cycle as well: padding 1 on both sides of a pixel
    outside = checked(one_channel([6], padding=(0, 1, 0, 1)))
    assert outside.states == ["BS 0", "BE 1", "BB 1", "WE 1", "DD 0", "DD 0"]


def test_T36_a_filter_stores_nothing_of_other_groups() -> None:
    # two groups of one channel and filter, stored dense: each PE has an entry in one of the columns
    case = ConvCase(
        2, 1, 1, 2, weight=[[[[2]]], [[[3]]]], x=[[[5]], [[7]]], groups=2,
        machine=machine(pes=2, format="dense", weights="dense"),
    )  # fmt: skip
    result = checked(case)
    assert result.stalls["pe0"] == {"starved": 1, "busy": 1, "empty_column": 1, "drain": 2}
    assert result.values == {(0, 0): 10, (1, 0): 21}


def pixels(row: list[int], **changes: object) -> ConvCase:
    return one_channel(row, dataflow="pixel", **changes)


def test_T43_groups_fill_with_several_rows() -> None:
    case = replace(pixels([1]), width=3, height=3, x=[[[1] * 3] * 3], machine=machine(lanes=4))
    cut = blocks(replace(case, accumulators=8), 1)
    assert cut == [[[0, 1, 2, 3], [4, 5, 6, 7]], [[8]]]


def test_T45_fetching_and_T46_a_beat_a_group() -> None:
    # nine pixels are two words of eight, fetched one a cycle; three groups of three lanes
    case = pixels([1, 0, 2, 3, 4, 5, 6, 7, 8], machine=machine(lanes=3))
    assert fetched_words(case, blocks(case, 1)[0]) == 2
    result = checked(case)
    # M = 1, then three accumulators of the lane drain
    assert result.states == ["BS 0", "BS 0", "WB 1", "WB 0", "WB 0"] + ["DD 0"] * 4
    assert result.values[0, 1] == 0
    assert result.values[0, 8] == 16
    faster = checked(replace(case, feeder_words=2))
    assert faster.cycles == result.cycles - 1


def test_T44_channels_without_weights_are_not_pushed() -> None:
    case = ConvCase(
        3, 1, 1, 1, weight=[[[[2]], [[0]], [[4]]]], x=[[[1]], [[1]], [[1]]], dataflow="pixel",
        machine=MACHINE,
    )  # fmt: skip
    assert checked(case).states == ["BS 0", "BB 1", "WB 1", "DD 0", "DD 0"]
    computed = checked(replace(case, machine=machine(weights="decompress")))
    assert computed.states == ["BS 0", "BB 1", "BB 1", "WB 1", "DD 0", "DD 0"]
    nothing = checked(replace(case, weight=[[[[0]], [[0]], [[0]]]], bias=[9]))
    assert nothing.states == ["BS 0", "WE 1", "DD 0", "DD 0"]
    assert nothing.values == {(0, 0): 9}


def test_T46_the_slowest_pe_holds_the_feeder_and_the_others_starve() -> None:
    # PE 0 has two weights in a channel, PE 1 one, or none; queues of one, freed when done
    weight = [[[[1]]] * 3, [[[1]], [[0]], [[1]]], [[[1]]] * 3]  # filters 0 and 2 are PE 0's
    case = ConvCase(
        3, 1, 1, 3, weight=weight, x=[[[1]]] * 3, dataflow="pixel",
        machine=machine(pes=2, queue_depth=1, release="done"),
    )  # fmt: skip
    result = checked(case)
    # push 0, pop 1, done 3: the slot is free from 4 on: push 4, pop 5, done 7, push 8, pop 9,
    # done 11; the feeder has found its next slice in 1 and 5 and waits
    assert [word.split()[0] for word in result.states] == [
        "BSS", "FBB", "FBS", "FSS", "BSS", "FBE", "FBS", "FSS", "BSS", "WBB", "WBI",
        "DDD", "DDD", "DDD",
    ]  # fmt: skip


def test_T35_pixel_adds_by_channel_and_row_by_place() -> None:
    sizes = {
        "channels": 2, "height": 1, "width": 2, "filters": 1, "kernel": (1, 2),
        "weight": [[[[100, 100]], [[-100, 0]]]], "x": [[[1, 1]], [[1, 1]]],
        "machine": machine(accumulator_bits=8),
    }  # fmt: skip
    assert checked(ConvCase(**sizes)).values == {(0, 0): 100}
    assert checked(ConvCase(**sizes, dataflow="pixel")).values == {(0, 0): 27}


def test_generated_cases_reach_every_cause_and_wait() -> None:
    reached: dict[str, set[str]] = {"row": set(), "pixel": set()}
    for dataflow, found in reached.items():
        for seed in range(60):
            for unit, causes in step(random_conv(seed, dataflow)).stalls.items():
                found |= {f"{unit[:2]}.{cause}" for cause in causes}
    both = {f"pe.{c}" for c in ("load", "busy", "starved", "accumulators", "imbalance", "drain")}
    both |= {f"fe.{cause}" for cause in ("load", "busy", "queue_full", "pe_wait", "drain")}
    assert reached["row"] == both | {"pe.empty_column"}
    assert reached["pixel"] == both | {"pe.empty_slice"}
