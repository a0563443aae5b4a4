"""Compiled networks compute, on golden, exactly what the integer reference says."""

from collections.abc import Callable

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of, golden, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.arch import load_arch
from spusim.compiler import compile_network

STARTS = (0, 2)
FRAMES = 5


def chain(b: NetworkBuilder) -> NetworkBuilder:
    """Every kind of requantisation, and fused tables."""
    b = b.linear(37).activation("relu").linear(20, requant="channel", biased=False)
    return b.activation("sigmoid").linear(7, requant="tensor")


def keyword_spotter(b: NetworkBuilder) -> NetworkBuilder:
    """The network of the keyword spotter, small."""
    return b.lstm(21).linear(16).activation("relu").linear(12).pool("mean")


def lstm_last(b: NetworkBuilder) -> NetworkBuilder:
    """Hidden state that is only wanted in the next frame, and by the host."""
    return b.lstm(24, requant="channel")


def lstm_pair(b: NetworkBuilder) -> NetworkBuilder:
    """Hidden state that is wanted twice, in two operands."""
    return b.lstm(17, requant="tensor").lstm(30).pool("max")


def lstm_and_relu(b: NetworkBuilder) -> NetworkBuilder:
    """Hidden state and output that are different messages."""
    return b.linear(9).lstm(17).activation("relu").linear(5)


def narrow_and_wide(b: NetworkBuilder) -> NetworkBuilder:
    """Stages that leave some of the cores without work."""
    return b.linear(3).linear(40).lstm(5).linear(30).linear(2).lstm(30)


def pools(b: NetworkBuilder) -> NetworkBuilder:
    """Elementwise layers first, in between and last."""
    b = b.pool("mean").activation("tanh").pool("last").linear(33).pool("max")
    return b.linear(11).activation("relu").activation("tanh").pool("last")


def elementwise_only(b: NetworkBuilder) -> NetworkBuilder:
    """No matrix at all."""
    return b.activation("relu").pool("max")


CHAINS = [
    chain,
    keyword_spotter,
    lstm_last,
    lstm_pair,
    lstm_and_relu,
    narrow_and_wide,
    pools,
    elementwise_only,
]


def assert_exact(builder: NetworkBuilder, *arch_settings: str) -> None:
    """Compile, run on golden with its race check, and compare with the reference."""
    network, frames = builder.build(), builder.frames(FRAMES)
    arch = arch_of(*arch_settings)
    result = golden(compile_network(network, arch), frames, STARTS)
    expected = reference(network, arch, frames, STARTS)
    assert np.unique(expected).size > 3, "a network that says nothing proves nothing"
    np.testing.assert_array_equal(result.outputs, expected)


@pytest.mark.parametrize("cores", [1, 2, 3, 5])
@pytest.mark.parametrize("layers", CHAINS)
def test_outputs_are_the_reference(
    layers: Callable[[NetworkBuilder], NetworkBuilder], cores: int
) -> None:
    """Chains of all layers, split over cores, agree bit by bit."""
    assert_exact(layers(NetworkBuilder(1, 13)), f"cores={cores}")


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("form", ["dense", "bitmap", "run_length", "pencil", "auto"])
def test_formats(form: str, cores: int) -> None:
    """The format of storage changes no result."""
    builder = keyword_spotter(NetworkBuilder(2, 10))
    assert_exact(builder, f"core.sparse.format={form}", f"cores={cores}")


@pytest.mark.parametrize("mode", ["dense", "decompress"])
def test_weight_modes(mode: str) -> None:
    """Dense and decompressed weights give the same results."""
    assert_exact(chain(NetworkBuilder(3, 9)), f"core.sparse.weights={mode}", "cores=2")


@pytest.mark.parametrize("cores", [1, 2])
def test_8_bit_activations_and_4_bit_weights(cores: int) -> None:
    """Eight elements a word shift every boundary between parts."""
    builder = NetworkBuilder(4, 18, bits=8, exponent=-5).lstm(19)
    builder.linear(30, bits=8, weight_bits=4, exponent=-5).activation("relu")
    assert_exact(builder.linear(11, weight_bits=4), f"cores={cores}")


@pytest.mark.parametrize("word_bits", [32, 128])
@pytest.mark.parametrize("cores", [1, 2])
def test_word_widths(word_bits: int, cores: int) -> None:
    """Scale entries of two words, or two to a word, are found where they are."""
    memories = (f"core.{m}_memory.word_bits={word_bits}" for m in ("data", "index"))
    assert_exact(chain(NetworkBuilder(5, 11)), *memories, f"cores={cores}")


@pytest.mark.parametrize(
    "numerics",
    [
        ("numerics.rounding=floor",),
        ("numerics.rounding=half_even", "numerics.table_interpolate=false"),
        ("numerics.table_address_bits=6", "numerics.requantize_overflow=wrap"),
        ("numerics.accumulator_bits=48",),
    ],
)
def test_arithmetic_of_the_architecture(numerics: tuple[str, ...]) -> None:
    """Rounding, overflow, tables and wide biases are the architecture's."""
    assert_exact(keyword_spotter(NetworkBuilder(6, 10)), *numerics)


@pytest.mark.parametrize("base", ["spu001", "spu001_dense", "row64", "eie64"])
def test_presets(base: str) -> None:
    """The keyword spotter's shape runs on shipped architectures."""
    builder = NetworkBuilder(7, 10, bits=16)
    network = builder.lstm(24).linear(16).activation("relu").linear(12).pool("mean").build()
    arch, frames = load_arch(base), builder.frames(3)
    outputs = golden(compile_network(network, arch), frames, [0]).outputs
    np.testing.assert_array_equal(outputs, reference(network, arch, frames, [0]))


LAYERS = st.sampled_from(
    ["linear", "lstm", "relu", "sigmoid", "tanh", "mean", "max", "last", "channel"]
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(LAYERS, st.integers(1, 24)), min_size=1, max_size=5),
    st.integers(1, 4),
    st.integers(0, 2**16),
)
def test_any_chain(layers: list[tuple[str, int]], cores: int, seed: int) -> None:
    """Whatever the chain and the sizes, golden finds no race and no difference."""
    builder = NetworkBuilder(seed, 1 + seed % 12)
    for kind, size in layers:
        if kind == "linear" or kind == "channel":
            builder.linear(size, requant="shift" if kind == "linear" else kind)
        elif kind == "lstm":
            builder.lstm(size)
        elif kind in ("mean", "max", "last"):
            builder.pool(kind)
        else:
            builder.activation(kind)
    network, frames = builder.build(), builder.frames(3)
    arch = arch_of(f"cores={cores}")
    outputs = golden(compile_network(network, arch), frames, [0, 2]).outputs
    np.testing.assert_array_equal(outputs, reference(network, arch, frames, [0, 2]))


def test_same_network_same_program() -> None:
    """Two compilations give the same bytes everywhere."""
    network, arch = keyword_spotter(NetworkBuilder(8, 10)).build(), arch_of("cores=2")
    first, second = compile_network(network, arch), compile_network(network, arch)
    assert first.hashes == second.hashes
    for one, other in zip(first.cores, second.cores, strict=True):
        assert one.code.tobytes() == other.code.tobytes()
        assert one.symbols == other.symbols and one.comments == other.comments
        for a, b in zip(one.matrices, other.matrices, strict=True):
            assert (a.name, a.base) == (b.name, b.base)
            pairs = zip(a.packed.slices, b.packed.slices, strict=True)
            assert all(x.tobytes() == y.tobytes() for x, y in pairs)


def test_program_says_what_it_is() -> None:
    """Ports, names, hashes and the output's exponent come from network and architecture."""
    network, arch = keyword_spotter(NetworkBuilder(9, 10)).build(), arch_of("cores=2")
    program = compile_network(network, arch)
    assert [(p.core, p.channel, p.offset, p.elements) for p in program.outputs] == [
        (0, 0, 0, 8),
        (1, 1, 8, 4),
    ]
    assert program.input.cores == (0, 1) and program.input.elements == 10
    assert program.init_threads == ((0, 0), (1, 0))
    assert program.output_exponent == -8
    assert set(program.hashes) == {"network", "arch"}
    assert program.layer_of == {"lstm0": "lstm0", "fc1": "fc1", "fc3": "fc3"}
    assert [t.name for t in program.cores[0].threads] == ["init", "frame", "fc1", "fc3", "barrier"]
    assert all(set(image.comments) == set(range(len(image.code))) for image in program.cores)


def test_one_core_exchanges_nothing() -> None:
    """On one core a frame is one thread, with no message but the host's."""
    program = compile_network(keyword_spotter(NetworkBuilder(9, 10)).build(), arch_of())
    assert [t.name for t in program.cores[0].threads] == ["init", "frame"]
    assert [t.tokens for t in program.cores[0].threads] == [1, 2]


def test_gates_share_one_scale_entry() -> None:
    """A multiplier of the whole tensor is stored once, whatever the number of gates."""
    program = compile_network(NetworkBuilder(1, 8).lstm(8, requant="tensor").build(), arch_of())
    assert [segment.name for segment in program.cores[0].segments] == ["lstm0.scale"]


@pytest.mark.parametrize("cores", [2, 3])
def test_pencils_that_are_no_power_of_two(cores: int) -> None:
    """Parts start at whole pencils and at whole words: multiples of 12 for pencils of 6 rows."""
    builder = keyword_spotter(NetworkBuilder(10, 10)).linear(30).linear(20)
    assert_exact(builder, "core.sparse.pencil=6", f"cores={cores}")
