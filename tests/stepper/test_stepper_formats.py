"""The stepper's own slices against those that spusim.formats packs: two readings of T1 to T5."""

import random
from dataclasses import replace

import numpy as np
import pytest
from generators import arch_of, packed, random_case
from stepper_storage import NO_ROW, build_slice, column_places, index_words, owned_rows

from spusim.arch.rules import check_arch
from spusim.formats import column_counts
from spusim.kernels.schedule import entry_slots
from spusim.machine.matrix import FORMAT_CODES

SEEDS = range(120)


@pytest.mark.parametrize("pointer_bits", [0, 8, 13])
def test_T4_slices_take_the_words_that_are_packed(pointer_bits: int) -> None:
    for seed in SEEDS:
        case = random_case(random.Random(seed))
        if case.config.format == "run_length" and pointer_bits == 0:
            continue
        case = replace(case, config=replace(case.config, pointer_bits=pointer_bits))
        image = packed(case)
        for pe in range(case.config.pes):
            part = build_slice(case.config, case.weight, len(case.x), pe)
            assert part.bias_words == image.bias_words[pe]
            assert part.bias_words + part.entry_words == len(image.slices[pe])
            words = index_words(case.config, len(part.rows), len(case.x))
            assert words == len(image.indices[pe])


def test_T5_columns_cost_what_is_counted() -> None:
    for seed in SEEDS:
        case = random_case(random.Random(seed))
        config = replace(case.config, weights="skip")
        counts = column_counts(packed(case), config.entries_per_beat)
        assert counts.slice_rows.sum() == len(case.weight)
        for pe in range(config.pes):
            part = build_slice(config, case.weight, len(case.x), pe)
            assert counts.slice_rows[pe] == len(part.rows)
            for j, column in enumerate(part.columns):
                assert column.has_entries == (counts.entries[j, pe] > 0)
                assert max(1, counts.beats[j, pe]) == len(column.beats)
                read = sum(beat.word is not None for beat in column.beats)
                assert counts.words[j, pe] == read


def test_T13_places_update_the_rows_that_are_stored() -> None:
    """The rows that hazards look at: each place's, in every format; -1 where no row fills it."""
    for seed in range(400):
        case = random_case(random.Random(seed))
        config, weight = case.config, case.weight
        offsets, rows = [], []
        for j in range(len(case.x)):
            for pe in range(config.pes):
                own = owned_rows(len(weight), config.pes, config.group, pe)
                first = j // config.index_span * config.index_span
                shared = range(first, min(first + config.index_span, len(case.x)))
                stripe = [[weight[row][other] for row in own] for other in shared]
                offsets.append(len(rows))
                places = column_places(config, own, stripe[j - first], stripe)
                rows += [-1 if row is NO_ROW else own.index(row) for row, _ in places]
        slots = np.full(len(rows), -2, np.int32)
        entry_slots(
            np.array(weight), FORMAT_CODES[config.format], config.group, config.extent,
            config.index_bits, config.pes, np.array(offsets), slots,
        )  # fmt: skip
        assert slots.tolist() == rows, seed


def test_architectures_of_cases_are_accepted_and_give_the_same_beats() -> None:
    for seed in SEEDS:
        case = random_case(random.Random(seed))
        core = check_arch(arch_of(case)).core
        (macs,) = core.precisions.values()
        assert min(core.decoder.entries_per_cycle, core.lanes * macs) == (
            case.config.entries_per_beat
        )
