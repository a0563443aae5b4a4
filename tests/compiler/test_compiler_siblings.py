"""Products of one operand: merged where weights are skipped, and counted as what they are."""

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of, golden, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim import api
from spusim.api.speedup import dense_arch
from spusim.compiler import compile_network
from spusim.image import load_program, save_program
from spusim.network.records import Head, Join, Network, Product, Quantum, Stream, Tensor
from spusim.program import Program

MATRIX = ("spmv", "dmv")


def siblings(
    seed: int, x: int, h: int, rows: tuple[int, ...], bits: int = 16, density: float = 0.5
) -> Network:
    """Return products of [x; y], of x and of y, of a layer each with its own bias and scale."""
    b = NetworkBuilder(seed, x, bits=bits).linear(h, bits=bits)
    quantum = Quantum(bits, -10)
    joined = Tensor("cell.xy", x + h, quantum)
    b.nodes.append(Join(joined.name, "cell", ("input", b.x.name), joined))
    spans = ((0, x + h), (0, x), (x, h))
    parts = []
    for number, ((first, columns), size) in enumerate(zip(spans, rows, strict=True)):
        weight = b.weight(size, columns, 8, density)
        bias = None if number == 1 else b.rng.integers(-(2**12), 2**12, size)
        output = Tensor(f"cell.{number}", size, quantum)
        head = Head(0, output, b.requant(size, ("tensor", "channel", "shift")[number], 9))
        name = f"cell.p{number}"
        b.nodes.append(Product(name, "cell", joined.name, weight, 8, bias, (head,), (first,)))
        parts.append(output)
    all_of = Tensor("all", sum(rows), quantum)
    b.nodes.append(Join(all_of.name, "cell", tuple(part.name for part in parts), all_of))
    b.x = all_of
    return b.linear(6, bits=bits).build()


def frames(network: Network, count: int = 5) -> np.ndarray:
    """Return random frames of a network's input."""
    half = 2 ** (network.input.quantum.bits - 1)
    values = np.random.default_rng(3).integers(-half, half, (count, network.input.size))
    return values * (values % 3 > 0)


def products(program: Program) -> int:
    """Return the matrices of the cores' layer `cell`."""
    layers = (program.layer_of[m.name] for core in program.cores for m in core.matrices)
    return sum(layer == "cell" for layer in layers)


MODES = {
    "skip": ((), 1),
    "run_length": (("core.sparse.format=run_length",), 1),
    "bitmap": (("core.sparse.format=bitmap",), 1),
    "stored dense": (("core.sparse.format=dense",), 3),
    "decompress": (("core.sparse.weights=decompress",), 3),
    "dense": (("core.sparse.weights=dense",), 3),
}


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES)
def test_results_and_macs_are_the_same_merged_or_not(mode: str, cores: int) -> None:
    changes, count = MODES[mode]
    network = siblings(1, 12, 13, (24, 9, 16))  # whole words of 12: no gaps
    arch = arch_of(f"cores={cores}", *changes)
    program, stream = compile_network(network, arch), frames(network)
    if cores == 1:
        assert products(program) == count
    expected = reference(network, arch, stream, (0, 2))
    np.testing.assert_array_equal(golden(program, stream, (0, 2)).outputs, expected)
    result = api.simulate_program(program, arch, Stream(stream, (0, 2), ("a", "b")))
    np.testing.assert_array_equal(result.outputs, expected)
    if cores == 1:  # several leave gaps between their words, which count as columns
        dense = 24 * 25 + 9 * 12 + 16 * 13
        assert result.layers["cell"]["dense"] == len(stream) * dense
        nonzero = sum(np.count_nonzero(n.weight) for n in network.nodes[2:5])
        assert result.layers["cell"]["weight_nonzero"] == len(stream) * nonzero


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**16), st.integers(1, 20), st.integers(1, 20),
    st.tuples(*[st.integers(1, 20)] * 3), st.integers(1, 4), st.sampled_from([8, 16]),
    st.sampled_from(["pencil", "bitmap", "run_length", "auto"]),
)  # fmt: skip
def test_any_sizes(
    seed: int, x: int, h: int, rows: tuple[int, ...], cores: int, bits: int, form: str
) -> None:
    network = siblings(seed, x, h, rows, bits)
    arch = arch_of(f"cores={cores}", f"core.sparse.format={form}")
    stream = frames(network, 3)
    outputs = golden(compile_network(network, arch), stream, (0,)).outputs
    np.testing.assert_array_equal(outputs, reference(network, arch, stream, (0,)))


def test_merging_saves_cycles_and_inflates_no_speedup() -> None:
    network = siblings(2, 40, 64, (128, 64, 64), density=0.1)
    arch, stream = arch_of("core.accumulators=128"), frames(network)
    result = api.simulate(network, arch, Stream(stream, (0,), ("a",)), baseline=True)
    dense = dense_arch(arch)
    whole = api.simulate(network, dense, Stream(stream, (0,), ("a",)))
    assert whole.macs["dense"] == result.macs["dense"]
    assert result.layers["cell"]["dense_engine_cycles"] == whole.layers["cell"]["engine_cycles"]
    apart = siblings(2, 40, 64, (128, 64, 64), density=0.1)
    names = {node.name: f"alone.{node.name}" for node in apart.nodes if isinstance(node, Product)}
    nodes = tuple(type(n)(**{**vars(n), "layer": names.get(n.name, n.layer)}) for n in apart.nodes)
    alone = api.simulate(
        Network(apart.name, apart.input, apart.states, nodes, apart.output), arch,
        Stream(stream, (0,), ("a",)),
    )  # fmt: skip
    np.testing.assert_array_equal(alone.outputs, result.outputs)
    assert result.cycles < alone.cycles


@pytest.mark.parametrize(("recorded", "timed"), [("skip", "dense"), ("dense", "skip")])
def test_a_recording_serves_merged_and_unmerged_programs(recorded: str, timed: str) -> None:
    network = siblings(4, 10, 12, (16, 8, 8))
    first, second = (arch_of(*MODES[mode][0]) for mode in (recorded, timed))
    stream = Stream(frames(network), (0, 2), ("a", "b"))
    recording = api.record_values(network, first, stream)
    direct = api.simulate(network, second, stream)
    again = api.retime(network, second, recording)
    assert again.cycles == direct.cycles and again.macs == direct.macs
    np.testing.assert_array_equal(again.outputs, direct.outputs)


def test_an_image_keeps_what_is_void(tmp_path) -> None:
    network = siblings(5, 9, 11, (8, 8, 8))
    program = compile_network(network, arch_of())
    save_program(program, tmp_path / "net.spu")
    voids = [m.void for core in load_program(tmp_path / "net.spu").cores for m in core.matrices]
    assert voids == [m.void for core in program.cores for m in core.matrices]
    assert sum(voids) == 8 * 11 + 8 * 9
