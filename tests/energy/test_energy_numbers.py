"""docs/numbers.md and docs/energy.md: what a multiplication of each number format costs."""

from itertools import pairwise
from typing import get_args

import pytest

import spusim
from spusim.arch import load_arch
from spusim.arch.precisions import operand_bits
from spusim.arch.spec import Precision
from spusim.energy import list_technologies, load_technology
from spusim.energy.costs import price

BITMIX = load_arch("bitmix")


@pytest.mark.parametrize("technology", list_technologies())
def test_every_mix_has_its_price(technology: str) -> None:
    events = price(BITMIX, load_technology(technology)).events
    prices = {mix: events[f"mac.{mix}"][1] for mix in get_args(Precision)}
    by_gates = sorted(prices, key=lambda mix: operand_bits(mix)[0] * operand_bits(mix)[1])
    for one, other in pairwise(by_gates):
        gates = [operand_bits(mix)[0] * operand_bits(mix)[1] for mix in (one, other)]
        assert prices[one] == prices[other] if gates[0] == gates[1] else prices[one] < prices[other]
    assert all(value > 0 for value in prices.values())


def test_one_bit_is_the_tables_row() -> None:
    for technology, each in (("cacti22", 0.07527), ("cacti45", 0.2559), ("horowitz45", 0.1031)):
        events = price(BITMIX, load_technology(technology)).events
        assert events["mac.1x1"] == ("mac", pytest.approx(each))


def test_a_codebook_is_multiplied_as_its_entries_and_looked_up() -> None:
    events = price(BITMIX, load_technology("cacti22")).events
    assert events["mac.c16x16"] == events["mac.16x16"]
    assert events["mac.c8x8"] == events["mac.8x8"]
    assert events["codebook.read"] == ("mac", pytest.approx(16 * 0.00919))
    row64 = price(load_arch("row64"), load_technology("cacti22")).events
    assert "codebook.read" not in row64


def test_a_look_up_is_counted_and_paid() -> None:
    book = spusim.random_codebook(16, seed=1)
    weight, frames = spusim.random_layer(32, 1024, 0.4, 0.5, 2, 1, 4, 16, book)
    eie = load_arch("eie64")
    shared = spusim.simulate_layer(weight, frames, eie, 4, 16, codebook=book)
    wide = spusim.simulate_layer(weight, frames, eie, 16, 16)
    assert shared.outputs.tolist() == wide.outputs.tolist()
    assert shared.counts["codebook.read"] == shared.counts["mac.c16x16"] > 0
    assert "codebook.read" not in wide.counts
    looked_up = shared.counts["codebook.read"] * 16 * 0.03125
    assert shared.energy_pj["mac"] - wide.energy_pj["mac"] == pytest.approx(looked_up)
    # four bits and an index of four where there were sixteen
    assert shared.counts["weight_memory.read"] < wide.counts["weight_memory.read"]


def test_the_index_costs_no_cycle() -> None:
    weight, frames = spusim.random_layer(48, 64, 0.3, 0.5, 1, 2, 4, 16)
    eie, book = load_arch("eie64"), tuple(sorted({*range(-8000, 8000, 1000)}, key=abs))
    integers = spusim.simulate_layer(weight, frames, eie, 4, 16)
    shared = spusim.simulate_layer(1000 * weight, frames, eie, 4, 16, codebook=book)
    assert book[0] == 0 and shared.cycles == integers.cycles
