"""Networks in memories that hold them narrowly: refused with numbers, or run to the end, all of it.

Also the dense twin of what fits is timed, though its vectors and matrices need more memory.
"""

import re

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of, golden, reference
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import GraphBuilder

import spusim
from spusim.api.speedup import dense_arch, roomy_arch
from spusim.arch import Arch
from spusim.compiler import CompileError, compile_network
from spusim.machine import unskipped_cycles
from spusim.network.records import Network, Stream

STARTS = (0, 2)
REFUSED = re.compile(
    r"needs [\d.]+ .*(memory|data memory for vectors).*; |does not fit|takes \d+ words of a channel"
    r"|needs [\d.]+ [KM]B of [\d.]+ [KM]B (data|weight) memory: |copied element by element"
)
PRECISIONS = (
    "core.precisions={8x16: 1, 8x8: 1, 4x16: 1, 4x8: 1, 16x16: null, 16x8: null}"  # of the graphs
)


def layers(seed: int) -> tuple[Network, np.ndarray]:
    """Return a chain of layers, most of them with a scale for every channel, and frames."""
    rng = np.random.default_rng(seed)
    builder = NetworkBuilder(seed, int(rng.integers(1, 30)), int(rng.choice((8, 16))))
    for _ in range(rng.integers(1, 6)):
        kind, requant = rng.integers(4), str(rng.choice(("shift", "tensor", "channel", "channel")))
        if kind < 2:
            builder.linear(int(rng.integers(1, 40)), requant=requant)
        elif kind == 2:
            builder.lstm(int(rng.integers(1, 12)), requant)
        else:
            builder.pool(str(rng.choice(("mean", "max"))))
    return builder.build(), builder.frames(4)


def graph(seed: int) -> tuple[Network, np.ndarray]:
    """Return a random graph of operations, and frames."""
    builder = GraphBuilder(seed).grow(1 + seed % 19)
    return builder.build(), builder.frames(4)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    st.sampled_from([layers, layers, graph]), st.integers(0, 10**6), st.integers(3, 60),
    st.sampled_from([2, 4]), st.integers(1, 3), st.sampled_from([8, 64]),
    st.sampled_from(["pencil", "auto", "bitmap", "run_length"]), st.sampled_from([64, 128]),
    st.sampled_from(["null", "{words: 60, word_bits: 64}"]),
)  # fmt: skip
def test_what_compiles_runs(
    drawn, seed, words, banks, cores, accumulators, form, word_bits, weight_memory
) -> None:
    network, frames = drawn(seed)
    arch = arch_of(
        PRECISIONS, f"core.data_memory.words={words}", f"core.data_memory.banks={banks}",
        f"core.data_memory.word_bits={word_bits}", f"cores={cores}",
        f"core.accumulators={accumulators}", f"core.sparse.format={form}",
        f"core.weight_memory={weight_memory}", "core.index_memory.words=512",
    )  # fmt: skip
    try:
        program = compile_network(network, arch)
    except CompileError as error:
        assert REFUSED.search(str(error)), error
        return
    expected = reference(network, arch, frames, STARTS)
    np.testing.assert_array_equal(golden(program, frames, STARTS).outputs, expected)
    stream = Stream(frames, STARTS, ("a", "b"))
    result = spusim.simulate(network, arch, stream, baseline=True)
    np.testing.assert_array_equal(result.outputs, expected)
    assert result.speedup["achieved"] > 0


def narrowest(network: Network) -> Arch:
    """Return the machine with the least data memory that still holds a network."""
    for words in range(4, 400):
        arch = arch_of(f"core.data_memory.words={words}", "core.weight_memory={words: 4096}")
        try:
            compile_network(network, arch)
        except CompileError:
            continue
        return arch
    pytest.fail("400 words a bank hold it")


def test_the_dense_twin_of_what_fits_exactly_is_timed() -> None:
    """Its vectors have words of their own, beyond the end of the memory that holds the run."""
    builder = NetworkBuilder(3, 24)
    for rows in (40, 36, 40, 28):
        builder.linear(rows, requant="channel")
    network, frames = builder.build(), builder.frames(3)
    arch = narrowest(network)
    twin = compile_network(network, dense_arch(arch), check_capacity=False)
    there = arch.core.data_memory.banks * arch.core.data_memory.words
    assert any(s.address + len(s.words) > there for s in twin.cores[0].segments)
    result = spusim.simulate(network, arch, Stream(frames, (0,), ("a",)), baseline=True)
    large = arch_of("core.data_memory.words=2048", "core.weight_memory={words: 4096}")
    dense = unskipped_cycles(twin, dense_arch(large), (0,), len(frames))
    assert result.speedup["achieved"] == dense.cycles / result.cycles


def test_memory_that_is_enough_stays_as_it_is() -> None:
    network = NetworkBuilder(3, 24).linear(40).build()
    arch = arch_of("core.data_memory.words=2048")
    assert roomy_arch(arch, compile_network(network, arch)) == arch
