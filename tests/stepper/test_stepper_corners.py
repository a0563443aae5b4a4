"""Corners of the stepped engine: windows of any length, all banks taken, 64 PEs, deep queues."""

import random
from dataclasses import replace

import pytest
import tally
from generators import Case, PortSchedule, random_config, random_values, thinned
from stepper import step
from stepper_storage import StepperConfig
from test_stepper_machine import loaded, random_windows, same, stepped

PLAIN = {
    "format": "bitmap", "pes": 4, "lanes": 1, "macs_per_lane": 1, "word_bits": 32,
    "data_word_bits": 32, "index_word_bits": 32, "weight_bits": 8, "activation_bits": 8,
    "group": 1, "extent": 0, "pointer_bits": 0, "preload": True, "private_weight_memory": False,
    "banks": 4, "entries_per_cycle": 1, "scanner_width": 4, "queue_depth": 2, "hazard": "bypass",
    "weights": "skip", "activations": "skip", "accumulator_bits": 32, "bias_bits": 16,
    "ports": "shared",
}  # fmt: skip
# what a machine is beside the plain one; rows, columns, densities of weights and activations
CORNERS = {
    "one PE with one bank": ({"pes": 1, "banks": 1}, 9, 12, 0.5, 0.7),
    "one PE with three banks": ({"pes": 1, "banks": 3, "entries_per_cycle": 4}, 9, 12, 0.5, 0.7),
    "seven PEs": ({"pes": 7, "banks": 14}, 40, 9, 0.4, 0.7),
    "64 PEs": ({"pes": 64, "banks": 64}, 130, 7, 0.6, 0.8),
    "a queue of one": ({"queue_depth": 1}, 24, 15, 0.4, 0.8),
    "a queue of one that a column holds until done": (
        {"queue_depth": 1, "release": "done"}, 24, 15, 0.4, 0.8),
    "a queue of 255": ({"queue_depth": 255}, 12, 300, 0.6, 1.0),
    "a queue deeper than columns are": ({"queue_depth": 1024, "release": "done"}, 24, 15, 0.4, 1.0),
    "columns longer than the queue": ({"queue_depth": 3}, 64, 15, 1.0, 1.0),
    "one row a PE, updated again at once": (
        {"hazard": "stall", "mac_stages": 7, "queue_depth": 8}, 4, 15, 1.0, 1.0),
    "hazards in two formats' words": (
        {"hazard": "stall", "mac_stages": 3, "format": "pencil", "group": 2,
         "entries_per_cycle": 4, "lanes": 4}, 15, 15, 0.6, 1.0),
    "every weight computed": ({"weights": "decompress"}, 24, 9, 0.2, 0.8),
    "empty columns": ({}, 5, 15, 0.05, 1.0),
    "nothing pushed": ({}, 8, 15, 0.5, 0.0),
    "windows read from a bank": (
        {"private_weight_memory": True, "banks": 2, "preload": False, "pointer_bits": 16,
         "scanner_width": 4, "bias_bits": 0}, 12, 15, 0.5, 0.6),
}  # fmt: skip


def case_of(rng: random.Random, corner: str) -> Case:
    settings, rows, columns, weight_density, activation_density = CORNERS[corner]
    drawn = random_config(rng, columns, "shared")
    config: StepperConfig = replace(drawn, **{**PLAIN, **settings})  # type: ignore[arg-type]
    weight = [random_values(rng, 8, columns, weight_density) for _ in range(rows)]
    bias = [rng.randrange(-100, 100) for _ in range(rows)] if config.bias_bits else None
    x = random_values(rng, 8, columns, activation_density)
    return Case(config, thinned(config, weight), x, bias, None, False)


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("taken", ["nothing", "everything", "now and then"])
def test_T19_corners_equal_the_stepper(corner: str, taken: str) -> None:
    rng = random.Random(f"{corner} {taken}")
    for _ in range(4):
        case = case_of(rng, corner)
        banks = frozenset(range(case.config.banks))
        some = tuple(
            frozenset(bank for bank in banks if rng.random() < 0.3)
            for _ in range(rng.randint(5, 9))
        )
        ports = {
            "nothing": PortSchedule((frozenset(),), 0),
            "everything": PortSchedule((banks,), rng.randint(1, 60)),
            "now and then": PortSchedule(some, 10_000),
        }[taken]
        expected = step(**vars(case), port_requests=ports)
        core = loaded(case)
        cycles = stepped(core, case, ports, random_windows(rng))
        same(case, core, cycles, expected)
        tally.compared("single products", expected.cycles)
