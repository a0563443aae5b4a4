"""Graphs of operations that the soak found something in, and what it was."""

import numpy as np
import pytest
import rooms
import tally
from result_differences import differences
from soak_graphs import graph_case, machine_of
from soak_kinds import KINDS

from spusim import api
from spusim.compiler import CompileError, compile_network
from spusim.network import Constant, Head, Join, Network, Product, Quantum, Requant, Stream, Tensor

assert rooms.TESTS
ONE = Requant(np.ones(1, np.int64), np.zeros(1, np.int64))
FOUND = {
    86: "a vector drew the random bits of elements that another core computed",
    144: "partial sums began at a word that was not a part's",
    493: "the same, with other words",
    579: "copies of constants had what was there before behind them",
    726: "the same, where zeros are skipped",
    762: "what lies in front of a window within a word was taken to follow without gaps",
}


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_stays_mended(seed: int) -> None:
    kind = KINDS["graphs"]
    assert kind.failure(graph_case(seed)) == ""
    assert "graphs of operations" in tally.take()


def product(inputs: int, normalised_bits: int = 0) -> Product:
    weight = np.arange(1, 4 * inputs + 1).reshape(4, inputs) % 7
    heads = (Head(0, Tensor("y", 4, Quantum(32, 0)), ONE),)
    return Product(
        "fc", "fc", "joined", weight, 4, None, heads, normalised_bits=normalised_bits
    )  # fmt: skip


@pytest.mark.parametrize("activations", ["skip", "dense"])
def test_a_constant_that_is_joined_again_and_again_has_zeros_around_it(activations: str) -> None:
    bits = Quantum(8, 0)
    constant = Constant("c", "c", np.array([5]), Tensor("c", 1, bits))
    joined = Join("joined", "fc", ("c", "input", "c", "c"), Tensor("joined", 6, bits))
    network = Network("net", Tensor("input", 3, bits), (), (constant, joined, product(6)), "y")
    frames = Stream(np.array([[1, 0, -2], [0, 0, 3]]), (0,), ("a",))
    arch = machine_of([f"core.sparse.activations={activations}"])
    full = api.simulate(network, arch, frames)
    again = api.retime(network, arch, api.record_values(network, arch, frames))
    assert differences(full, again) == []
    rows, nonzero = 4, 3 * 2 + 2 + 1  # the constant's three places, and the frames' elements
    assert full.macs["activation_nonzero"] == rows * nonzero


def test_parts_within_a_word_are_refused_where_their_positions_count() -> None:
    wide = Quantum(8, 0)
    joined = Join("joined", "fc", ("input", "input"), Tensor("joined", 10, wide))
    nodes = (joined, product(10, normalised_bits=4))
    network = Network("net", Tensor("input", 5, wide), (), nodes, "y")
    compile_network(network, machine_of([]))
    counted = machine_of(["numerics.partial_sums={every: 5, shift: 3, bits: 14}"])
    with pytest.raises(CompileError, match=r"layer fc brings its inputs to 4 bits.*every \(=5\)"):
        compile_network(network, counted)
