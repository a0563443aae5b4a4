"""Products that only copy, and prunings to the top: one instruction compares all, or none does."""

from dataclasses import replace

import numpy as np
import pytest
from compiler_networks import arch_of, golden, reference
from random_graphs import GraphBuilder

from spusim import machine
from spusim.compiler import compile_network
from spusim.compiler.copying import CopyingProduct
from spusim.compiler.network import plan_network
from spusim.isa import decode_all, load_isa
from spusim.network import (
    Combine,
    Cut,
    Head,
    Join,
    Network,
    Node,
    Product,
    Prune,
    Quantum,
    Requant,
    Tensor,
    check_network,
)

STARTS = (0, 2)
PARTIAL = "numerics.partial_sums={every: 5, shift: 3, bits: 14}"


def tensor(name: str, size: int) -> Tensor:
    """Return a tensor of 16 bits."""
    return Tensor(name, size, Quantum(16, -8))


def product(name: str, source: str, rows: int, columns: int) -> Product:
    """Return a product of all of its operand."""
    weight = np.random.default_rng(rows).integers(-20, 20, (rows, columns))
    shift = Requant(np.ones(1, np.int64), np.array([4]))
    head = Head(0, tensor(name, rows), shift)
    return Product(name, name, source, weight, 8, None, (head,))


def top(source: str, size: int, keep: int = 3) -> Prune:
    """Return a pruning to the top."""
    return Prune("few", "few", "top", source, keep, tensor("few", size))


def shared_rows() -> list[Node]:
    """The strongest of what several cores make."""
    return [product("y", "input", 24, 11), top("y", 24)]


def cut_rows() -> list[Node]:
    """The strongest of a part that begins within what a core makes."""
    part = Cut("c", "cut", "y", 1, tensor("part", 22))
    last = Combine("last", "last", "add", "few", "part", tensor("z", 22))
    return [product("y", "input", 24, 11), part, top("part", 22, 7), last]


def joined() -> list[Node]:
    """The strongest of two tensors."""
    makers = [product(name, "input", 8 + k, 11) for k, name in enumerate("ab")]
    return [*makers, Join("j", "join", ("a", "b"), tensor("ab", 17)), top("ab", 17)]


def partly_read() -> list[Node]:
    """The strongest of all, of which the last elements are never looked at."""
    part = Cut("c", "cut", "few", 0, tensor("part", 8))
    last = Combine("last", "last", "add", "part", "part", tensor("z", 8))
    return [product("y", "input", 24, 11), top("y", 24), part, last]


def scalar() -> list[Node]:
    """One element meets all others; the sum that repeats it is at a boundary."""
    one = Cut("c", "cut", "y", 4, tensor("one", 1))
    last = Combine("last", "last", "sub", "y", "one", tensor("z", 24))
    return [product("y", "input", 24, 11), one, last]


CASES = {case.__name__: case for case in (shared_rows, cut_rows, joined, partly_read, scalar)}


def network_of(nodes: list[Node]) -> Network:
    """Return a network whose output the last node makes."""
    last = nodes[-1]
    assert isinstance(last, Prune | Combine)
    network = Network("net", tensor("input", 11), (), tuple(nodes), last.output.name)
    check_network(network)
    return network


def frames_of(count: int = 5) -> np.ndarray:
    """Return frames; what is odd does not survive a boundary."""
    return np.random.default_rng(7).integers(-400, 400, (count, 11))


@pytest.mark.parametrize("sums", [(), (PARTIAL,), ("numerics.partial_sums={every: 1, shift: 7}",)])
@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_copies_change_nothing(case: str, cores: int, sums: tuple[str, ...]) -> None:
    network, frames = network_of(CASES[case]()), frames_of()
    arch = arch_of(f"cores={cores}", *sums)
    program = compile_network(network, arch)
    expected = reference(network, arch, frames, STARTS)
    assert np.ptp(expected) > 50
    np.testing.assert_array_equal(golden(program, frames, STARTS).outputs, expected)
    np.testing.assert_array_equal(machine.run(program, arch, frames, STARTS).outputs, expected)


@pytest.mark.parametrize("case", ["shared_rows", "cut_rows", "joined", "partly_read"])
def test_one_core_compares_all_elements(case: str) -> None:
    """Each `vtop` counts all of its operand, and only one core has one."""
    network = network_of(CASES[case]())
    arch = arch_of("cores=3")
    tops, size = [], next(n.output.size for n in network.nodes if isinstance(n, Prune))
    for image in compile_network(network, arch).cores:
        length = 0
        for each in decode_all(load_isa(), image.code):
            length = each.operands["len"] if each.mnemonic == "vset" else length
            tops += [length] * (each.mnemonic == "vtop")
    assert tops == [size]


def test_what_copies_begins_in_front_of_position_zero() -> None:
    """A7: minus its columns; the network's own product begins at 0."""
    arch = arch_of(PARTIAL)
    code = decode_all(load_isa(), compile_network(network_of(scalar()), arch).cores[0].code)
    assert [i.operands["position"] for i in code if i.mnemonic == "pset"] == [-1]
    assert not [i for i in decode_all(
        load_isa(), compile_network(network_of(scalar()), arch_of()).cores[0].code
    ) if i.mnemonic == "pset"]  # fmt: skip


def test_nodes_and_tensors_have_names_of_their_own() -> None:
    """A pruning's tensor may have the name of another node, and so the copy must not take it."""
    *makers, join, prune = joined()
    other = Combine("few", "sum", "add", "ab", "ab", tensor("twice", 17))
    last = Combine("last", "last", "add", "few", "twice", tensor("z", 17))
    network = network_of([*makers, join, other, replace(prune, name="pruned"), last])
    arch = arch_of("cores=2")
    nodes = plan_network(network, arch).graph.network.nodes
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names)
    assert sum(isinstance(node, CopyingProduct) for node in nodes) == 2
    expected = reference(network, arch, frames_of(), STARTS)
    found = golden(compile_network(network, arch), frames_of(), STARTS).outputs
    np.testing.assert_array_equal(found, expected)


def test_a_top_whose_operand_two_cores_make() -> None:
    """A graph that once was pruned core by core: what joined a cut hid that they share it."""
    builder = GraphBuilder(28).grow(31)
    network, frames = builder.build(), builder.frames(5)
    room = "core.precisions={8x16: 1, 8x8: 1, 4x16: 1, 4x8: 1, 16x16: null, 16x8: null}"
    for sums in ((), (PARTIAL,)):
        arch = arch_of(room, "core.table_memory.words=65536", "cores=2", *sums)
        expected = reference(network, arch, frames, STARTS)
        found = golden(compile_network(network, arch), frames, STARTS).outputs
        np.testing.assert_array_equal(found, expected)
