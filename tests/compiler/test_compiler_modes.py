"""Arithmetic modes of whole networks: golden, machine and the integer reference agree, whatever
the placement, and what cannot be is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of, golden, reference
from hypothesis import given, settings
from hypothesis import strategies as st
from mode_networks import ModeNetwork

from spusim import machine
from spusim.compiler import CompileError, compile_network
from spusim.compiler.code import Op, with_modes
from spusim.compiler.modes import stream_of
from spusim.isa import decode_all, load_isa
from spusim.network import (
    Combine,
    Curve,
    Head,
    Network,
    NetworkError,
    Product,
    Quantum,
    Requant,
    Shift,
    Tensor,
    check_network,
)

ROOM = (
    "core.table_memory.words=65536",
    "link.channel_words=1000",
    "core.precisions={8x16: 1, 8x8: 1, 16x16: null, 16x8: null, 4x8: null, 4x16: null}",
)
MACHINES = (
    (),
    ("cores=2",),
    ("cores=3", "core.accumulators=8"),
    ("core.scanner.buffer_words=3",),
    ("core.data_memory.word_bits=128", "cores=2", "core.ports=shared"),
    ("core.sparse.activations=dense", "core.hazard=stall"),
    ("core.sparse.activations=gate", "core.sparse.weights=decompress"),
    ("core.sparse.format=bitmap", "cores=4"),
)
ROUNDINGS = ("floor", "half_up", "half_even", "stochastic")
OVERFLOWS = ("saturate", "wrap", "nullify")
MODES = st.tuples(
    st.sampled_from(("floor", "half_up", "half_even", "stochastic")).map(
        "numerics.rounding={}".format
    ),
    st.sampled_from(("saturate", "wrap", "nullify")).map("numerics.overflow={}".format),
    st.sampled_from(("saturate", "wrap", "nullify")).map("numerics.requantize_overflow={}".format),
    st.sampled_from((25, 27, 32, 48)).map("numerics.accumulator_bits={}".format),
    st.sampled_from((0, 0, 1, 3, 4, 7)).map(
        "numerics.partial_sums={{every: {}, shift: 5, bits: 14}}".format
    ),
    st.integers(0, 2**32 - 1).map("numerics.seed={}".format),
)
STARTS = (0, 3)
ONE = Requant(np.ones(1, np.int64), np.zeros(1, np.int64))
Q = Quantum(16, -8)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from(MACHINES), MODES)
def test_networks_with_zero_points(seed: int, chosen: tuple[str, ...], modes: tuple) -> None:
    made = ModeNetwork(seed)
    network, frames = made.network, made.frames(5)
    check_network(network)
    arch = arch_of(*ROOM, *chosen, *modes)
    expected = reference(network, arch, frames, STARTS)
    program = compile_network(network, arch)
    np.testing.assert_array_equal(golden(program, frames, STARTS).outputs, expected)
    np.testing.assert_array_equal(machine.run(program, arch, frames, STARTS).outputs, expected)


@pytest.mark.parametrize(
    "mode",
    [
        ("numerics.rounding=stochastic", "numerics.seed=3"),
        ("numerics.partial_sums={every: 3, shift: 4, bits: 14}",),
    ],
)
def test_outputs_do_not_depend_on_placement(mode: tuple[str, ...]) -> None:
    """Cores, tiles of rows and columns, word sizes, formats, ports and skipping change no bit."""
    builder = NetworkBuilder(11, 13).lstm(12).linear(17, requant="channel").activation("relu")
    network = builder.linear(9, requant="tensor").build()
    frames = builder.frames(6, density=0.6)
    plain = reference(network, arch_of(), frames, STARTS)
    found = []
    for chosen in MACHINES:
        arch = arch_of(*ROOM, *chosen, *mode)
        run = machine.run(compile_network(network, arch), arch, frames, STARTS)
        found.append(run.outputs)
    assert all((outputs == found[0]).all() for outputs in found)
    assert (found[0] != plain).any()  # and yet the mode does something


def test_random_bits_follow_the_seed_and_begin_anew_with_each_file() -> None:
    builder = NetworkBuilder(4, 6).linear(40, requant="tensor")
    network = builder.build()
    frame = builder.frames(1, density=1.0)
    frames = np.repeat(frame, 4, axis=0)

    def run(seed: int) -> np.ndarray:
        arch = arch_of("numerics.rounding=stochastic", f"numerics.seed={seed}")
        return machine.run(compile_network(network, arch), arch, frames, (0, 2)).outputs

    first = run(1)
    assert (first[0] == first[2]).all() and (first[1] == first[3]).all()  # by frame of the file
    assert (first[0] != first[1]).any() and (first != run(2)).any()


def test_default_modes_take_no_instruction() -> None:
    network = NetworkBuilder(1, 8).linear(5).activation("relu").linear(4).build()
    names = mnemonics(network, ())
    assert not names & {"zset", "pset", "rset"}
    assert "rset" in mnemonics(network, ("numerics.rounding=stochastic",))
    assert "pset" not in mnemonics(network, ("numerics.partial_sums={every: 4}",))  # one at 0
    tiled = ("numerics.partial_sums={every: 4}", "core.scanner.buffer_words=1")
    assert "pset" in mnemonics(network, tiled)


def mnemonics(network: Network, sets: tuple[str, ...]) -> set[str]:
    """Return the instructions that a network's program has."""
    program = compile_network(network, arch_of(*sets))
    return {i.mnemonic for image in program.cores for i in decode_all(load_isa(), image.code)}


def test_modes_are_set_when_they_change_and_random_bits_always() -> None:
    def op(**modes: dict[str, int]) -> Op:
        return Op("spmv", "", modes=modes)

    same = {"zset": {"operand": 3}}
    drawn = {"rset": {"stream": 1, "first": 2}}
    ops = [op(zset={"operand": 0}), op(**same), op(**same), op(zset={"result": 4}), op(**drawn),
           op(**drawn), op(pset={"position": 0})]  # fmt: skip
    placed = [(o.mnemonic, dict(o.operands)) for o in with_modes(ops) if o.mnemonic != "spmv"]
    assert placed == [
        ("zset", {"operand": 3, "result": 0}),
        ("zset", {"operand": 3, "result": 4}),
        ("rset", {"stream": 1, "first": 2}),
        ("rset", {"stream": 1, "first": 2}),
    ]


def test_streams_are_of_24_bits_and_differ() -> None:
    streams = {stream_of(f"layer{k}") for k in range(1000)}
    assert len(streams) > 990 and max(streams) < 2**24
    assert stream_of("123456789") == 0xF43926  # of CRC-32's check value, 0xCBF43926


# --- what is refused


def simple(quantum: Quantum, output: Quantum = Q) -> tuple[Tensor, Product, Tensor]:
    """Return an input, and a product with its output."""
    x, y = Tensor("input", 4, Q), Tensor("y", 4, quantum)
    return x, Product("p", "fc", "input", np.eye(4, dtype=int), 8, None, (Head(0, y, ONE),)), y


@pytest.mark.parametrize(
    "node",
    [
        lambda y: Shift("n", "l", "y", Tensor("n", 4, Q)),
        lambda y: Combine("n", "l", "add", "y", "y", Tensor("n", 4, Q)),
        lambda y: Combine("n", "l", "mul", "input", "input", Tensor("n", 4, y.quantum)),
    ],
)
def test_elementwise_nodes_know_no_zero_points(node) -> None:
    x, p, y = simple(Quantum(16, -8, 5))
    output = Product(
        "q", "fc", "y", np.eye(4, dtype=int), 8, None, (Head(0, Tensor("q", 4, Q), ONE),)
    )
    network = Network("net", x, (), (p, node(y), output), "q")
    with pytest.raises(NetworkError, match=r"on \w+, which has the zero point 5"):
        check_network(network)


def test_outputs_are_symmetric() -> None:
    x, p, _ = simple(Quantum(16, -8, 5))
    with pytest.raises(NetworkError, match="its output y has the zero point 5"):
        check_network(Network("net", x, (), (p,), "y"))


@pytest.mark.parametrize(("bits", "zero"), [(8, 128), (8, -129), (16, 2**15), (32, 2**15)])
def test_zero_points_are_integers_of_their_tensor(bits: int, zero: int) -> None:
    x, p, _ = simple(Q)
    x = replace(x, quantum=Quantum(bits, -8, zero))
    with pytest.raises(NetworkError, match=re.escape(f"tensor input has the zero point {zero}")):
        check_network(Network("net", x, (), (p,), "y"))


def test_a_table_is_entered_without_zero_point() -> None:
    x, p, y = simple(Q)
    head = Head(0, y, ONE, Curve("tanh"), Quantum(16, -12, 1))
    with pytest.raises(NetworkError, match="enters its table with the zero point 1"):
        check_network(Network("net", x, (), (replace(p, heads=(head,)),), "y"))


def test_an_operand_less_its_zero_point_needs_an_accumulator_one_bit_wider() -> None:
    x, p, _ = simple(Q)
    x = replace(x, quantum=Quantum(16, -8, 7))
    network = Network("net", x, (), (p,), "y")
    precisions = "core.precisions={8x16: 1, 8x8: 1, 16x16: null, 16x8: null}"
    compile_network(network, arch_of(precisions, "numerics.accumulator_bits=25"))
    with pytest.raises(CompileError, match=r"zero point, 25 bits, and .* is 24; set it to 25"):
        compile_network(network, arch_of(precisions, "numerics.accumulator_bits=24"))
