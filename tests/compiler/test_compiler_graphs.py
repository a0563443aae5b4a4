"""Any graph of nodes: golden, machine and the integer reference agree."""

from dataclasses import replace

import numpy as np
import pytest
from compiler_networks import TABLE_OUTPUT, NetworkBuilder, arch_of, golden, reference
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import GraphBuilder

from spusim import machine
from spusim.arch import Arch
from spusim.compiler import CompileError, compile_network
from spusim.isa import decode_all, load_isa
from spusim.network import (
    Apply,
    Combine,
    Constant,
    Curve,
    Cut,
    Head,
    Join,
    Lut,
    Network,
    Product,
    Quantum,
    Requant,
    Shift,
    State,
    Tensor,
    check_network,
)
from spusim.program import Program

Q = Quantum(16, -8)
ONE = Requant(np.ones(1, np.int64), np.zeros(1, np.int64))
STARTS = (0, 2)
ROOM = (
    "core.table_memory.words=65536",
    "link.channel_words=1000",
    "core.precisions={8x16: 1, 8x8: 1, 4x16: 1, 4x8: 1, 16x16: null, 16x8: null}",
)
MACHINES = (
    (),
    ("cores=2",),
    ("cores=3",),
    ("core.accumulators=8", "cores=2"),
    ("core.scanner.buffer_words=3",),
    ("numerics.requantize_overflow=wrap", "numerics.rounding=floor"),
    ("core.data_memory.word_bits=128", "cores=2"),
    ("core.data_memory.word_bits=32",),
    ("core.sparse.format=bitmap", "numerics.accumulator_bits=24", "cores=2"),
    ("core.sparse.weights=dense", "cores=4"),
    ("numerics.rounding=stochastic", "numerics.seed=7", "cores=3"),
    ("numerics.requantize_overflow=nullify",),
    ("numerics.overflow=nullify", "numerics.accumulator_bits=24"),
    ("numerics.partial_sums={every: 5, shift: 3, bits: 14}", "cores=2"),
    ("numerics.partial_sums={every: 2, bits: 20, rounding: floor}", "core.scanner.buffer_words=3"),
)


def assert_agree(network: Network, frames: np.ndarray, arch: Arch) -> Program:
    """Compile, and compare golden (races checked) and machine with the reference."""
    check_network(network)
    program = compile_network(network, arch)
    expected = reference(network, arch, frames, STARTS)
    np.testing.assert_array_equal(golden(program, frames, STARTS).outputs, expected)
    np.testing.assert_array_equal(machine.run(program, arch, frames, STARTS).outputs, expected)
    return program


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 28), st.sampled_from(MACHINES))
def test_random_graphs(seed: int, nodes: int, chosen: tuple[str, ...]) -> None:
    """Joins and cuts anywhere, old states, many readers, windows, tables, left shifts."""
    builder = GraphBuilder(seed).grow(nodes)
    network, frames = builder.build(), builder.frames(5)
    try:
        assert_agree(network, frames, arch_of(*ROOM, *chosen))
    except CompileError as error:  # the one thing that no instruction and no product can do
        assert "must be copied element by element" in str(error) and "32-bit" in str(error)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_can_nearly_all_be_compiled(seed: int) -> None:
    """The refusal above is rare; each of these compiles, and says something."""
    builder = GraphBuilder(seed).grow(3 + seed % 25)
    arch = arch_of(*ROOM, *MACHINES[seed % len(MACHINES)])
    assert_agree(builder.build(), builder.frames(5), arch)


def tensor(name: str, size: int, bits: int = 16) -> Tensor:
    """Return a tensor."""
    return Tensor(name, size, Quantum(bits, -8))


def product(name: str, x: Tensor, rows: int, windows: tuple[int, ...] = (0,), columns: int = 0,
            seed: int = 1) -> Product:  # fmt: skip
    """Return a product with one head, named after it."""
    weight = np.random.default_rng(seed).integers(-20, 20, (rows, columns or x.size))
    shift = Requant(np.ones(1, np.int64), np.array([4]))
    head = Head(0, Tensor(name, rows * len(windows), Q), shift)
    return Product(name, name, x.name, weight, 8, None, (head,), windows)


def frames_of(size: int, count: int = 5) -> np.ndarray:
    """Return frames."""
    return np.random.default_rng(7).integers(-400, 400, (count, size))


def mnemonics(program: Program, core: int = 0) -> list[str]:
    """Return a core's instructions."""
    return [i.mnemonic for i in decode_all(load_isa(), program.cores[core].code)]


def ring(size: int, depth: int, kernel_first: bool) -> Network:
    """A causal convolution over time: the last `depth` frames, of which one is new."""
    x = tensor("input", size)
    old = tensor("old", size * (depth - 1))
    both = tensor("both", size * depth)
    order = (old.name, x.name)
    nodes = [
        Join("both", "conv", order, both),
        Cut("kept", "conv", "both", size, tensor("kept", old.size)),
        product("y", both, 12),
    ]
    if kernel_first:
        nodes[1], nodes[2] = nodes[2], nodes[1]
    return Network("net", x, (State(old, "kept", 0, "conv"),), tuple(nodes), "y")


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize(("size", "depth"), [(8, 3), (13, 4), (5, 2)])
def test_ring_buffers_move_once(size: int, depth: int, cores: int) -> None:
    """x is received where it is read, and the buffer is shifted by one move of all frames."""
    network = ring(size, depth, size == 8)
    program = assert_agree(network, frames_of(size), arch_of(f"cores={cores}"))
    moves = mnemonics(program).count("vmov")
    assert moves == (1 if size % 4 == 0 else depth - 1)  # frames that end within a word move alone


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_windows_share_one_matrix(cores: int) -> None:
    """A convolution's positions that begin words use the matrix that is stored once."""
    x = tensor("input", 40)
    nodes = (product("y", x, 12, (0, 8, 16, 24), 16), product("z", tensor("y", 48), 5))
    network = Network("net", x, (), nodes, "z")
    program = assert_agree(network, frames_of(40), arch_of(f"cores={cores}"))
    assert [m.name for m in program.cores[0].matrices] == ["y", "z"]
    assert mnemonics(program).count("spmv") == 5


def test_windows_within_words_have_a_matrix_for_each_offset() -> None:
    """Places 0, 5, 8 and 13 begin words, or one element into them."""
    x = tensor("input", 24)
    network = Network("net", x, (), (product("y", x, 6, (0, 5, 8, 13), 9),), "y")
    program = assert_agree(network, frames_of(24), arch_of())
    shapes = {m.name: m.packed.columns for m in program.cores[0].matrices}
    assert shapes == {"y.w0": 9, "y.w1": 10}


def test_gates_cut_out_of_one_product_stay_on_their_core() -> None:
    """Cuts tile a product's rows: each is shared out for itself, so that nothing is exchanged."""
    x, rows = tensor("input", 8), tensor("gates", 48)
    cuts = [Cut(f"g{k}", "cell", "gates", 24 * k, tensor(f"g{k}", 24)) for k in range(2)]
    out = tensor("out", 24)
    nodes = (product("gates", x, 48), *cuts, Combine("m", "cell", "mul", "g0", "g1", out, sd=6))
    assert rows.size == 48
    program = assert_agree(Network("net", x, (), nodes, "out"), frames_of(8), arch_of("cores=2"))
    assert "recv" not in mnemonics(program)[3:] or mnemonics(program).count("recv") == 1
    assert [(p.core, p.offset, p.elements) for p in program.outputs] == [(0, 0, 12), (1, 12, 12)]


def test_functions_are_fused_where_nothing_else_reads() -> None:
    """A relu after a product costs no instruction, unless somebody wants what it takes."""
    x, y, z = tensor("input", 8), tensor("y", 8), tensor("z", 8)
    relu = Shift("relu", "relu", "y", z, relu=True)
    alone = Network("net", x, (), (product("y", x, 8), relu), "z")
    assert "vrelu" not in mnemonics(assert_agree(alone, frames_of(8), arch_of()))
    both = Combine("sum", "sum", "add", "y", "z", tensor("s", 8))
    shared = replace(alone, nodes=(*alone.nodes, both), output="s")
    assert y.size == 8 and "vrelu" in mnemonics(assert_agree(shared, frames_of(8), arch_of()))
    narrower = replace(relu, output=tensor("z", 8, 8))
    cut = replace(alone, nodes=(alone.nodes[0], narrower))
    assert "vrelu" in mnemonics(assert_agree(cut, frames_of(8), arch_of()))


def test_states_are_made_in_their_place_unless_read_later() -> None:
    """An accumulator of frames needs no copy; with a reader of the old value it needs one."""
    x, s, new = tensor("input", 8), tensor("s", 8), tensor("new", 8)
    add = Combine("add", "sum", "add", "s", "input", new)
    state = State(s, "new", 3, "sum")
    alone = Network("net", x, (state,), (add,), "new")
    assert "vmov" not in mnemonics(assert_agree(alone, frames_of(8), arch_of()))
    late = Combine("late", "sum", "sub", "new", "s", tensor("d", 8))
    program = assert_agree(replace(alone, nodes=(add, late), output="d"), frames_of(8), arch_of())
    assert mnemonics(program).count("vmov") == 1


@pytest.mark.parametrize("cores", [1, 2])
def test_states_that_change_places(cores: int) -> None:
    """Two states swap, a third rotates, and a fourth delays: none reads what is overwritten."""
    x = tensor("input", 8)
    a, b, c, d = (tensor(name, 8) for name in "abcd")
    turned = tensor("turned", 8)
    nodes = (
        Cut("head", "turn", "c", 0, tensor("head", 3)),
        Cut("tail", "turn", "c", 3, tensor("tail", 5)),
        Join("turned", "turn", ("tail", "head"), turned),
        Join("all", "all", ("a", "b", "c", "d"), tensor("all", 32)),
    )
    start = np.arange(8)
    states = (
        State(a, "b", 1, "swap"),
        State(b, "a", 2, "swap"),
        State(c, "turned", start, "turn"),
        State(d, "input", 0, "delay"),
    )
    assert_agree(Network("net", x, states, nodes, "all"), frames_of(8), arch_of(f"cores={cores}"))


@pytest.mark.parametrize("extra", [(), ("core.accumulators=4",), ("cores=2",)])
def test_a_plain_recurrent_layer_in_tiles(extra: tuple[str, ...]) -> None:
    """h = W [x; h]: a tile of rows must not overwrite what the next one reads."""
    x, h, both = tensor("input", 8), tensor("h", 24), tensor("both", 32)
    nodes = (Join("both", "rnn", ("input", "h"), both), product("new", both, 24))
    network = Network("net", x, (State(h, "new", 5, "rnn"),), nodes, "new")
    assert_agree(network, frames_of(8), arch_of(*extra))


def test_tables_of_integers_are_stored_once() -> None:
    """Equal entries share a table, and saturate beyond it."""
    x = tensor("input", 8)
    entries = np.arange(-8, 8, dtype=np.int32) ** 3
    lut = Lut("cube", entries, 4)
    nodes = (
        Apply("a", "cube", "input", lut, tensor("a", 8), sa=3),
        Apply("b", "cube", "a", replace(lut, name="again"), tensor("b", 8), sa=4),
    )
    program = assert_agree(Network("net", x, (), nodes, "b"), frames_of(8), arch_of())
    assert [table.name for table in program.cores[0].tables] == ["cube"]


def test_own_rounding_is_in_the_instruction() -> None:
    """Where a node rounds as the architecture does not, its vset says so; else it does not."""
    x = tensor("input", 8)
    shift = Shift("s", "s", "input", tensor("s", 8), 3, rounding="floor")
    network = Network("net", x, (), (shift,), "s")
    frames = frames_of(8)
    found = []
    for rounding in ("floor", "half_up", "half_even"):
        program = assert_agree(network, frames, arch_of(f"numerics.rounding={rounding}"))
        vsets = [i for i in decode_all(load_isa(), program.cores[0].code) if i.mnemonic == "vset"]
        found.append([i.operands["rounding"] for i in vsets])
    assert found == [[0], [1], [1]]


def test_constants_are_there_from_the_start() -> None:
    """No instruction makes them, and they lie in a product's operand where it joins them."""
    x = tensor("input", 5)
    one = Constant("one", "one", np.array([256, -3, 7]), tensor("one", 3))
    join = Join("j", "j", ("input", "one"), tensor("j", 8))
    network = Network("net", x, (), (one, join, product("y", tensor("j", 8), 8)), "y")
    program = assert_agree(network, frames_of(5), arch_of())
    assert "vmov" not in mnemonics(program)


def test_what_32_bits_cannot_do_is_said() -> None:
    """A scalar of 32 bits that meets a vector would need a product that no lane computes."""
    x = tensor("input", 8)
    nodes = (
        Shift("w", "w", "input", tensor("w", 8, 32)),
        Cut("c", "w", "w", 3, tensor("c", 1, 32)),
        Combine("y", "mean", "sub", "w", "c", tensor("y", 8, 32)),
    )
    message = "w.* must be copied element by element.*none for 32-bit activations.*8, 16 bits"
    with pytest.raises(CompileError, match=message.replace("w.*", "c.*", 1)):
        compile_network(Network("net", x, (), nodes, "y"), arch_of())


def test_a_bias_that_is_wider_than_stored_is_refused() -> None:
    """32-bit accumulators store 32 bits of a bias; wider ones 48."""
    x = tensor("input", 4)
    wide = replace(product("y", x, 4), bias=np.array([2**40, 0, 0, 0]))
    network = Network("net", x, (), (wide,), "y")
    with pytest.raises(
        CompileError, match=r"wider than the 32 bits stored .* rescale it, or set numerics.acc"
    ):
        compile_network(network, arch_of())
    assert_agree(network, frames_of(4), arch_of("numerics.accumulator_bits=48"))


def test_deep_graphs_and_many_cores() -> None:
    """A residual network of 20 products, every other sum read twice."""
    x = tensor("input", 12)
    nodes, last = [], x
    for number in range(20):
        made = product(f"p{number}", last, 12, seed=number)
        total = tensor(f"t{number}", 12)
        nodes += [made, Combine(f"t{number}", "sum", "add", last.name, f"p{number}", total, sd=1)]
        last = total
    network = Network("net", x, (), tuple(nodes), last.name)
    for cores in (1, 3):
        assert_agree(network, frames_of(12), arch_of(f"cores={cores}"))


def test_builder_and_front_end_speak_alike() -> None:
    """The chain builder's LSTM reads one operand of two vectors, and its gates are tables."""
    network = NetworkBuilder(1, 5).lstm(6).build()
    (node,) = (n for n in network.nodes if isinstance(n, Product))
    assert [head.function for head in node.heads][2] == Curve("tanh")
    assert all(head.output.quantum == TABLE_OUTPUT for head in node.heads)
