"""Words that are free again are given to others, and nothing comes out differently."""

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of, golden
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import GraphBuilder

from spusim import machine
from spusim.compiler import CompileError, compile_network, explain
from spusim.compiler.first_fit import Span, end_of, first_fit
from spusim.machine.memory import memory_use
from spusim.network.records import Network
from spusim.program import Program

STARTS = (0, 3)
ROOM = (
    "core.sequencer.descriptors=256",
    "core.table_memory.words=65536",
    "link.channel_words=1000",
    "core.precisions={8x16: 1, 8x8: 1, 4x16: 1, 4x8: 1, 16x16: null, 16x8: null}",
)
MACHINES = (
    (),
    ("cores=2",),
    ("cores=3", "core.data_memory.word_bits=128"),
    ("core.accumulators=8", "cores=2"),
    ("core.scanner.buffer_words=3", "core.data_memory.word_bits=32"),
    ("numerics.requantize_overflow=wrap", "numerics.rounding=floor"),
    ("numerics.rounding=stochastic", "numerics.seed=7", "cores=3"),
)


def vector_words(program: Program, behind: bool = True) -> list[int]:
    """Return the words that each core's vectors and scales take; behind: matrices follow them."""
    ends = []
    for image in program.cores:
        symbols = image.symbols[: len(image.symbols) - behind * len(image.matrices)]
        ends.append(max((address + words for _, address, words in symbols), default=0))
    return ends


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from(MACHINES))
def test_sharing_changes_no_output(seed: int, nodes: int, chosen: tuple[str, ...]) -> None:
    """States, exchanges, joins, cuts: what is still needed is never written over."""
    builder = GraphBuilder(seed).grow(nodes)
    network, frames = builder.build(), builder.frames(5)
    arch = arch_of(*ROOM, *chosen)
    try:
        apart = compile_network(network, arch)
    except CompileError as error:
        assert "must be copied element by element" in str(error)
        return
    shared = compile_network(network, arch, share_words=True)
    assert all(now <= then for now, then in zip(*map(vector_words, (shared, apart)), strict=True))
    expected = golden(apart, frames, STARTS).outputs
    np.testing.assert_array_equal(golden(shared, frames, STARTS).outputs, expected)
    found = machine.run(shared, arch, frames, STARTS)
    np.testing.assert_array_equal(found.outputs, expected)


def most_at_once(spans: list[Span]) -> int:
    """Return the words of the spans that are there together when that is most."""
    times = {span.first for span in spans}
    return max(
        (sum(s.words for s in spans if s.first <= time <= s.last) for time in times), default=0
    )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 12), st.integers(0, 6)),
        min_size=1,
        max_size=14,
    )
)
def test_first_fit_keeps_apart_what_meets(drawn: list[tuple[int, int, int]]) -> None:
    spans = [Span(words, first, first + longer) for words, first, longer in drawn]
    places = first_fit(spans)
    for n, (one, at) in enumerate(zip(spans, places, strict=True)):
        for other, there in zip(spans[:n], places[:n], strict=True):
            together = at < there + other.words and there < at + one.words
            meet = one.first <= other.last and other.first <= one.last
            assert not (together and meet)
    taken = end_of(spans, places)
    assert most_at_once(spans) <= taken <= sum(span.words for span in spans)


def chain() -> Network:
    """Linear layers one after the other, functions between them."""
    builder = NetworkBuilder(3, 40)
    for _ in range(4):
        builder.linear(40).activation("relu").activation("tanh")
    return builder.linear(8).build()


def test_what_fits_is_left_as_it_is() -> None:
    """Sharing begins where memory ends; a chain needs a layer's operand and its result."""
    roomy = arch_of("core.weight_memory={words: 4096, word_bits: 64}")
    (words,) = vector_words(compile_network(chain(), roomy), False)
    assert words == 10 + 4 * 20 + 2  # relus are fused: two tensors a layer, and the last
    half = -(-words // 2)
    exact = arch_of(f"core.data_memory.words={half}", "core.weight_memory={words: 4096}")
    assert vector_words(compile_network(chain(), exact), False) == [words]
    less = arch_of(f"core.data_memory.words={half - 1}", "core.weight_memory={words: 4096}")
    assert vector_words(compile_network(chain(), less), False) == [20]


def test_elementwise_results_take_their_operands_words() -> None:
    """tanh is read by the next layer only, and relu by tanh only: two vectors at a time."""
    program = compile_network(chain(), arch_of(), share_words=True)
    places = {name: (first, words) for name, first, words in program.cores[0].symbols}
    assert places["relu1"] == places["tanh2"]
    assert places["tanh2"] != places["relu4"]


def test_too_little_even_when_shared() -> None:
    """The numbers are those of shared words."""
    arch = arch_of("core.data_memory.words=9", "core.weight_memory={words: 4096}")
    with pytest.raises(CompileError, match=r"needs 20 words of data memory .*has 18"):
        compile_network(chain(), arch)


def test_weights_behind_vectors_gain_the_room() -> None:
    """Where data banks hold the weights, vectors share words before weights are refused."""
    apart = compile_network(chain(), arch_of())
    rows = apart.cores[0].matrices[-1].base + 8
    arch = arch_of(f"core.data_memory.words={rows - 30}")
    program = compile_network(chain(), arch)
    assert vector_words(program) == [20] and vector_words(apart) == [92]
    frames = np.random.default_rng(0).integers(-2000, 2000, (3, 40))
    np.testing.assert_array_equal(
        golden(program, frames, (0,)).outputs, golden(apart, frames, (0,)).outputs
    )


def test_shared_words_are_explained_and_counted_once() -> None:
    arch = arch_of("core.weight_memory={words: 4096}")
    program = compile_network(chain(), arch, share_words=True)
    text = " ".join(explain(program, arch).split())
    assert "total 20 160 0.1 % (92 words if none were shared)" in text
    assert "relu1 10 10 5-9 80 0.1 % tanh2, tanh8, relu7, fc12" in text
    use = memory_use(program, arch)
    assert sum(use[f"core0.data_memory.bank{bank}"].used_words for bank in range(2)) == 20
