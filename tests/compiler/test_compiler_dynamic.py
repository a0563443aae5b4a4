"""Products whose operand's scale every frame finds anew (A13 to A15), in any graph."""

from dataclasses import replace

import numpy as np
import pytest
from compiler_networks import arch_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import WIDE, GraphBuilder
from test_compiler_graphs import MACHINES, ROOM, assert_agree, frames_of, mnemonics, product, tensor

from spusim.compiler import CompileError, compile_network
from spusim.network import Cut, Join, Network, NetworkError, Product, check_network

# partial sums have a test of their own: products that only copy (top prunings) round there, too
SUMMED = tuple(each for each in MACHINES if not any("partial" in said for said in each))
PARTIAL = tuple(each for each in MACHINES if each not in SUMMED)
COPIED = "must be copied element by element"  # what a 32-bit cut cannot be


class DynamicBuilder(GraphBuilder):
    """A graph of which most products normalise their operand."""

    def some(self, bits=WIDE, size=0):
        """Return a known tensor; what products take may have 32 bits, too."""
        return super().some(WIDE if bits == (8, 16) and size == 0 else bits, size)

    def product(self, name: str) -> None:
        """Add a product, often a normalising one, of windows that may leave elements out."""
        before = len(self.nodes)
        super().product(name)
        if len(self.nodes) == before:
            return
        node = self.nodes[-1]
        source = next(each for each in self.known if each.name == node.input)
        if source.quantum.bits == 32 or self.rng.random() < 0.7:
            bits = self.pick((8, 16))
            self.nodes[-1] = replace(node, bias=None, normalised_bits=bits)


def assert_agrees(builder: DynamicBuilder, chosen: tuple[str, ...]) -> None:
    """Compile and compare all; vary the frames' loudness, since that is what is found."""
    frames = builder.frames(5)
    loudness = np.array([1, 0, 100, 3, 30000])[:, None]
    frames = np.where(loudness, np.sign(frames) * (np.abs(frames) // np.maximum(loudness, 1)), 0)
    try:
        assert_agree(builder.build(), frames, arch_of(*ROOM, *chosen))
    except CompileError as error:
        assert COPIED in str(error), error


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 24), st.sampled_from(SUMMED))
def test_random_graphs(seed: int, nodes: int, chosen: tuple[str, ...]) -> None:
    """Golden, machine and the integer reference agree, whatever is joined, cut, merged or sent."""
    assert_agrees(DynamicBuilder(seed).grow(nodes), chosen)


def dynamic(node: Product, bits: int = 8) -> Product:
    """Return a product that normalises."""
    return replace(node, bias=None, normalised_bits=bits)


def test_a_thread_goes_on_with_static_products() -> None:
    """What comes after a normalising product is requantised without its shift again."""
    x = tensor("input", 12)
    first = dynamic(product("first", x, 8))
    second = product("second", first.heads[0].output, 8, seed=2)
    network = Network("net", x, (), (first, second), "second")
    program = assert_agree(network, frames_of(12) // 30, arch_of(*ROOM))
    names = mnemonics(program)
    assert names.count("vnrm") == 1
    assert names.index("nset") > names.index("vnrm")


@pytest.mark.parametrize("chosen", PARTIAL)
def test_partial_sums_count_in_units_of_the_normalised(chosen) -> None:
    """What is rounded on the way is the sum of what was found, at every loudness."""
    x = tensor("input", 23)
    network = Network("net", x, (), (dynamic(product("y", x, 8)),), "y")
    frames = frames_of(23) // np.array([1, 10, 200, 3, 40])[:, None]
    assert_agree(network, frames, arch_of(*ROOM, *chosen))


def test_static_networks_set_no_run_time_shift() -> None:
    """Programs of before are the programs of now."""
    x = tensor("input", 12)
    program = compile_network(Network("net", x, (), (product("y", x, 8),), "y"), arch_of(*ROOM))
    assert not {"vnrm", "nset"} & {*mnemonics(program)}


def test_the_scale_is_that_of_all_it_reads() -> None:
    """A cut is measured alone, a window within its whole tensor, gaps between pieces not at all."""
    x = tensor("input", 13)
    loud = Cut("loud", "net", "input", 0, tensor("loud", 5))
    both = Join("both", "net", ("quiet", "loud"), tensor("both", 13))
    quiet = Cut("quiet", "net", "input", 5, tensor("quiet", 8))
    products = [
        dynamic(product("a", quiet.output, 3)),
        dynamic(product("b", both.output, 3, windows=(0, 4), columns=6, seed=3)),
    ]
    end = Join("end", "net", ("a", "b"), tensor("end", 9))
    network = Network("net", x, (), (loud, quiet, both, *products, end), "end")
    frames = frames_of(13)
    frames[:, :5] *= 80
    for chosen in MACHINES[:3]:
        assert_agree(network, frames, arch_of(*ROOM, *chosen))


def test_too_many_elements_are_refused() -> None:
    """One instruction measures them all."""
    x = tensor("input", 4096)
    long = Join("long", "net", ("input",) * 16, tensor("long", 2**16))
    node = replace(dynamic(product("y", long.output, 1, columns=4)), layer="wide")
    arch = arch_of(*ROOM, "link.channel_words=4095", "core.data_memory.words=16384")
    with pytest.raises(CompileError, match=r"wide has 65536 inputs.*static scales"):
        compile_network(Network("net", x, (), (long, node), "y"), arch)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"normalised_bits": 2}, r"of 16 bits, to 2; bring"),
        ({"normalised_bits": 8, "bias": np.ones(3, np.int64)}, r"has a bias, whose unit"),
    ],
)
def test_what_has_no_meaning_is_refused(change, said) -> None:
    """Each with a message that says why."""
    x = tensor("input", 4)
    node = replace(product("y", x, 3), **change)
    with pytest.raises(NetworkError, match=said):
        check_network(Network("net", x, (), (node,), "y"))


def test_zero_points_and_mixed_exponents_are_refused() -> None:
    """A scale found at run time is that of one symmetric quantum."""
    x = tensor("input", 4)
    skewed = replace(x, quantum=replace(x.quantum, zero_point=-5))
    with pytest.raises(NetworkError, match="has the zero point -5; quantise it symmetrically"):
        check_network(Network("net", skewed, (), (dynamic(product("y", skewed, 3)),), "y"))
    finer = replace(tensor("finer", 4), quantum=replace(x.quantum, exponent=-9))
    other = replace(
        product("other", x, 4), heads=(replace(product("o", x, 4).heads[0], output=finer),)
    )
    both = Join("both", "net", ("input", "finer"), tensor("both", 8))
    network = Network("net", x, (), (other, both, dynamic(product("y", both.output, 3))), "y")
    with pytest.raises(NetworkError, match="the quantum must stay"):
        check_network(network)
