"""The table of parameter sets covers what the RTL is parameterised by."""

from itertools import combinations, product

import pytest
from parameter_sets import CHOICES, SETS, ParameterSet
from test_rtl_programs import PROGRAMS_A_SET

VALUES = {
    **CHOICES,
    "pes": (1, 2, 3, 4),
    "lanes": (1, 2, 4, 8),
    "macs_per_lane": (1, 2),
    "entries_per_cycle": (1, 2, 3, 8),
    "entries_per_beat": (1, 2, 3, 4, 8),
    "queue_depth": (1, 2, 3, 8),
    "scanner_width": (1, 2, 3, 4, 8, 20),
    "weight_bits": (4, 8, 16),
    "activation_bits": (8, 16),
    "word_bits": (32, 64),
    "index_word_bits": (32, 64),
    "data_word_bits": (32, 64),
    "accumulator_bits": (12, 16, 24, 32, 48),
    "mac_stages": (1, 2, 3, 7),
    "private_weight_memory": (False, True),
    "preload": (False, True),
    "banks": (1, 2, 3, 4, 6, 8, 9, 12),
    "group": (1, 2, 3, 4, 8),
    "index_bits": (1, 2, 4),
    "pointer_bits": (0, 10, 16, 32),
    "bias_bits": (0, 8, 16, 32),
}

PAIRED = (
    "format", "release", "weights", "activations", "overflow", "hazard", "ports",
    "private_weight_memory",
)  # fmt: skip


def impossible(one: tuple[str, object], other: tuple[str, object]) -> bool:
    """Tell which pairs no machine has: T4 and T6."""
    pair = dict((one, other))
    if pair.get("weights") == "dense":
        return pair.get("format", "dense") != "dense"
    return pair == {"format": "run_length", "private_weight_memory": False}


@pytest.mark.parametrize("name", VALUES)
def test_table_has_every_value(name: str) -> None:
    assert set(VALUES[name]) <= {getattr(each.config, name) for each in SETS}


@pytest.mark.parametrize(("one", "other"), list(combinations(PAIRED, 2)))
def test_table_has_every_pair_of_modes(one: str, other: str) -> None:
    wanted = {
        pair
        for pair in product(VALUES[one], VALUES[other])
        if not impossible((one, pair[0]), (other, pair[1]))
    }
    assert wanted <= {(getattr(s.config, one), getattr(s.config, other)) for s in SETS}


def test_sets_are_distinct_and_many() -> None:
    assert len({(s.config, s.row_bits) for s in SETS}) == len(SETS) >= 24
    assert len(SETS) * PROGRAMS_A_SET >= 2000


def test_a_slice_longer_than_an_index_word_is_among_them() -> None:
    assert any(
        s.config.format == "bitmap" and 2**s.row_bits > s.config.index_word_bits for s in SETS
    )


def test_parameters_name_the_choices_as_the_engine_does() -> None:
    parameters = ParameterSet(0, SETS[0].config, 5).verilog_parameters()
    assert parameters["FORMAT"] == 3  # pencil
    assert parameters["HAZARD_STALL"] == 1
    assert parameters["SATURATE"] == 1
    assert parameters["SHARED_PORTS"] == 0
    assert "OPERAND_ADDRESS" not in parameters
