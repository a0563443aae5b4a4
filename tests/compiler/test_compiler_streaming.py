"""Any graph in small memories beside a large one: golden says what the reference says."""

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of, golden, reference
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import ROUNDINGS, GraphBuilder

from spusim.arch import Arch
from spusim.compiler import CompileError, compile_network
from spusim.isa import decode_all, load_isa
from spusim.network.records import (
    Combine,
    Constant,
    Network,
    Prune,
    Quantum,
    Tensor,
)

STARTS = (0, 2)
ROOM = (
    "core.sequencer.descriptors=256",
    "core.table_memory.words=65536",
    "core.precisions={8x16: 1, 8x8: 1, 4x16: 1, 4x8: 1, 16x16: null, 16x8: null}",
    "external_memory={words: 100000, bytes_per_cycle: 3, latency_cycles: 5, data_port: own}",
    "core.index_memory={words: 4096, mode: resident}",
    "core.instruction_memory.words=16384",
)
SAID = ("words of data memory at once", "words of a PE's", "copied element by element",
        "stochastically", "computes nothing")  # fmt: skip


class StreamedBuilder(GraphBuilder):
    """A graph without stochastic rounding, which is not streamed."""

    def pick(self, among):
        """Return one of several."""
        return super().pick(among[:-1] if among is ROUNDINGS else among)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6), st.integers(3, 28), st.sampled_from([(5, 8, 12, 13), (64, 128, 96)]),
    st.integers(8, 70), st.integers(20, 300), st.integers(2, 20),
)  # fmt: skip
def test_random_graphs_in_small_memories(
    seed: int, nodes: int, sizes: tuple[int, ...], words: int, rows: int, channel: int
) -> None:
    """States, joins, cuts and tables stay; vectors are cut where only element-wise nodes read."""
    builder = StreamedBuilder(seed, sizes).grow(nodes)
    network, frames = builder.build(), builder.frames(4)
    arch = arch_of(
        *ROOM, f"core.data_memory.words={words}", f"link.channel_words={channel}",
        f"core.weight_memory={{words: {rows}, word_bits: 64}}",
    )  # fmt: skip
    try:
        program = compile_network(network, arch)
    except CompileError as error:
        assert any(said in str(error) for said in SAID), error
        return
    expected = reference(network, arch, frames, STARTS)
    np.testing.assert_array_equal(golden(program, frames, STARTS).outputs, expected)


class VectorBuilder(StreamedBuilder):
    """A graph of element-wise nodes and constants, all of one size."""

    def __init__(self, seed: int, size: int) -> None:
        super().__init__(seed, (size, size))
        self.input = self.tensor("input", size, self.pick((8, 16)))
        self.known = [self.input]

    def grow(self, count: int) -> "VectorBuilder":
        """Add nodes."""
        kinds = (self.combine, self.combine, self.shift, self.apply, self.threshold, self.alike)
        while len(self.nodes) < count:
            self.pick(kinds)(f"n{len(self.nodes)}")
        return self

    def threshold(self, name: str) -> None:
        """Add a pruning by threshold."""
        a = self.some()
        out = Tensor(name, a.size, a.quantum)
        self.put(Prune(name, "layer", "threshold", a.name, 60, out), out)

    def alike(self, name: str) -> None:
        """Add a constant of one value, which is kept in few words."""
        out = self.tensor(name, self.input.size, self.pick((8, 16)))
        values = np.full(out.size, int(self.rng.integers(-100, 100)))
        self.put(Constant(name, "layer", values, out), out)


def test_vectors_by_parts() -> None:
    """Chains and diamonds of any widths, in memories that hold a fraction of a vector."""
    whole, moved = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        builder = VectorBuilder(seed, int(rng.choice((512, 768, 1000)))).grow(4 + seed % 20)
        network, frames = builder.build(), builder.frames(2)
        words = int(rng.integers(100, 400))
        arch = arch_of(
            *ROOM, f"core.data_memory.words={words}", "numerics.rounding=half_up",
            "core.weight_memory={words: 200, word_bits: 64}", "link.channel_words=4",
        )  # fmt: skip
        try:
            program = compile_network(network, arch)
        except CompileError as error:
            assert any(said in str(error) for said in SAID), error
            continue
        expected = reference(network, arch, frames, STARTS[:1])
        np.testing.assert_array_equal(golden(program, frames, STARTS[:1]).outputs, expected)
        whole += 1
        used = {each.mnemonic for each in decode_all(load_isa(), program.cores[0].code)}
        moved += "xst" in used
    assert whole > 20 and moved > 8, (whole, moved)


def test_one_value_is_stored_once() -> None:
    """A constant of one value takes a few words, and instructions read them again and again."""
    x = Tensor("input", 1024, Quantum(16, -8))
    six, low = Tensor("six", 1024, x.quantum), Tensor("low", 1024, x.quantum)
    nodes = (
        Constant("six", "relu6", np.full(1024, 6 << 8), six),
        Combine("low", "relu6", "min", "input", "six", low),
    )
    network = Network("net", x, (), nodes, "low")
    arch = arch_of(*ROOM, "core.data_memory.words=168", "core.weight_memory={words: 20}")
    program = compile_network(network, arch)
    places = {name: words for name, _, words in program.cores[0].symbols}
    assert places["six (all alike)"] == 8 and "six" not in places
    frames = np.random.default_rng(0).integers(-(2**15), 2**15, (2, 1024))
    np.testing.assert_array_equal(golden(program, frames, (0,)).outputs, np.minimum(frames, 6 << 8))


def dense_layers(*settings: str) -> tuple[Network, np.ndarray, Arch]:
    """Return linear layers of which one alone has more weights than the memory, and frames."""
    builder = NetworkBuilder(5, 96, bits=8, exponent=-4)
    network = builder.linear(128, bits=8).linear(72, bits=8, requant="channel").build()
    arch = arch_of(*ROOM, "core.data_memory.words=400", *settings)
    return network, builder.frames(3), arch


@pytest.mark.parametrize("words", [90, 130, 200])
def test_products_are_cut_where_a_memory_is_less(words: int) -> None:
    """Slices of rows take turns in the two halves, each fetched beside the one before it."""
    network, frames, arch = dense_layers(f"core.weight_memory={{words: {words}}}")
    program = compile_network(network, arch)
    matrices = program.cores[0].matrices
    assert len(matrices) > 2 and all(
        max(map(len, each.packed.slices)) <= words // 2 for each in matrices
    )
    assert sum(each.home is not None for each in matrices) > 1
    expected = reference(network, arch, frames, STARTS)
    np.testing.assert_array_equal(golden(program, frames, STARTS).outputs, expected)


def test_indices_are_cut_by_columns() -> None:
    memories = ("core.weight_memory={words: 4000}", "core.index_memory.words=40")
    network, frames, arch = dense_layers(*memories)
    program = compile_network(network, arch)
    matrices = program.cores[0].matrices
    assert all(max(map(len, each.packed.indices)) <= 20 for each in matrices)
    assert {each.packed.columns for each in matrices} != {96, 128}
    expected = reference(network, arch, frames, STARTS)
    np.testing.assert_array_equal(golden(program, frames, STARTS).outputs, expected)


def test_what_cannot_be_cut_finer_is_refused() -> None:
    network, _, arch = dense_layers("core.weight_memory={words: 20}")
    with pytest.raises(CompileError, match=r"needs \d+ words of a PE's weight memory for fc"):
        compile_network(network, arch)
