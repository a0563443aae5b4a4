"""Consistency and identity of quantised networks."""

from dataclasses import replace

import numpy as np
import pytest

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
    NetworkError,
    Product,
    Prune,
    Quantum,
    Requant,
    Shift,
    State,
    Tensor,
    check_network,
    inputs_of,
    network_hash,
    outputs_of,
    tensor,
    tensors_of,
)

Q = Quantum(16, -12)
ONE = Requant(np.array([1]), np.array([3]))
LUT = Lut("cube", np.arange(-4, 4) ** 3, 3)


def of(name: str, size: int, quantum: Quantum = Q) -> Tensor:
    """Return a tensor."""
    return Tensor(name, size, quantum)


HEADS = (
    Head(0, of("low", 4), ONE, Curve("relu")),
    Head(2, of("high", 4), ONE, Curve("tanh"), Quantum(16, -10)),
)
NODES = (
    Join("join", "conv", ("input", "old"), of("both", 6)),
    Product(
        "fc", "conv", "both", np.ones((4, 5), np.int8), 8, np.zeros(4, np.int64), HEADS, (0, 1)
    ),
    Combine("sum", "sum", "add", "low", "high", of("sum", 4), sb=2, sd=-1, rounding="floor"),
    Shift("relu", "sum", "sum", of("relu", 4), 1, relu=True),
    Apply("lut", "sum", "relu", LUT, of("lut", 4), sa=4),
    Prune("few", "sum", "top", "lut", 2, of("few", 4)),
    Prune("large", "sum", "threshold", "few", 9, of("large", 4)),
    Cut("cut", "sum", "large", 1, of("one", 1)),
    Combine("scaled", "sum", "mul", "lut", "one", of("scaled", 4)),
    Constant("two", "sum", np.array([2, -2]), of("two", 2)),
    Join("out", "sum", ("scaled", "two"), of("out", 6)),
)
STATES = (
    State(of("old", 3), "new", np.array([1, 2, 3]), "conv"),
    State(of("unused", 4), "sum", -5, "sum"),
)
NEW = Cut("new", "conv", "both", 3, of("new", 3))
NETWORK = Network("net", of("input", 3), STATES, (*NODES, NEW), "out", tuple("abcdef"))
INDEX = {node.name: number for number, node in enumerate(NETWORK.nodes)}


def changed(node: str, /, **changes: object) -> Network:
    """Return NETWORK with one node changed."""
    nodes = list(NETWORK.nodes)
    nodes[INDEX[node]] = replace(nodes[INDEX[node]], **changes)
    return replace(NETWORK, nodes=tuple(nodes))


def with_head(number: int, **changes: object) -> Network:
    """Return NETWORK with one head of its product changed."""
    heads = list(HEADS)
    heads[number] = replace(heads[number], **changes)
    return changed("fc", heads=tuple(heads))


def with_state(**changes: object) -> Network:
    """Return NETWORK with its first state changed."""
    return replace(NETWORK, states=(replace(STATES[0], **changes), STATES[1]))


def requant(multiplier: int, shift: int) -> Requant:
    """Return a requantisation of all rows."""
    return Requant(np.array([multiplier]), np.array([shift]))


def test_consistent_network_passes() -> None:
    check_network(NETWORK)
    assert [inputs_of(node) for node in NODES[:3]] == [("input", "old"), ("both",), ("low", "high")]
    assert [t.name for t in outputs_of(NODES[1])] == ["low", "high"]
    assert [t.name for t in tensors_of(NETWORK)][:5] == ["input", "old", "unused", "both", "low"]
    assert tensor(NETWORK, "one").size == 1
    check_network(with_head(0, requant=requant(1, -30)))
    check_network(changed("fc", bias=None))
    check_network(Network("wire", of("input", 3), (), (), "input"))


@pytest.mark.parametrize(
    ("network", "pattern"),
    [
        # names and order
        (changed("sum", name="relu"), "several nodes called relu"),
        (changed("relu", output=of("sum", 4)), "several tensors called sum"),
        (changed("fc", input="boht"), r"node fc takes boht, which no node makes; there is input"),
        (changed("join", inputs=("sum", "old")), "join takes sum before it is made.*a state"),
        (changed("sum", a="sum"), "sum takes sum before it is made"),
        (replace(NETWORK, output="nowhere"), "its output takes nowhere"),
        (replace(NETWORK, labels=("a",)), "1 labels for 6 outputs"),
        (replace(NETWORK, input=of("input", 0)), "input has 0 elements"),
        (changed("two", output=of("two", 2, Quantum(12, 0))), "two has elements of 12 bits"),
        # states
        (with_state(next="never"), "state old is never set: .* never"),
        (with_state(next="sum"), "old has 3 elements .*, its next value sum 4 elements"),
        (with_state(start=np.zeros(2, int)), r"starts with shape \(2,\); use \(\) or \(3,\)"),
        (with_state(start=2**15), "old starts with values outside integers of 16 bits"),
        # products
        (changed("fc", weight_bits=5), "5-bit weights"),
        (changed("fc", weight_bits=4, weight=np.full((4, 5), 8)), "outside 4-bit"),
        (changed("fc", weight=np.ones((4, 5))), "outside 8-bit integers"),
        (changed("fc", weight=np.ones(4, np.int8)), r"weight of shape \(4,\)"),
        (changed("fc", weight=np.ones((5, 5), np.int8), bias=None), "heads for 4 of its 5 rows"),
        (changed("fc", bias=np.zeros(3, np.int64)), r"bias of shape \(3,\) for 4 rows"),
        (changed("fc", bias=np.full(4, 2**47)), "wider than 48 bits"),
        (changed("fc", windows=()), "no windows"),
        (changed("fc", windows=(0, 2)), "window from 2 to 6, beyond both's 6 elements"),
        (changed("fc", windows=(-1, 0)), "window from -1 to 3"),
        (changed("fc", rounding="up"), "rounds by up; use floor, half_up, half_even"),
        (with_head(1, first=1), "head high begins with row 1 .* after 2 rows"),
        (with_head(1, first=3), "head high begins with row 3"),
        (with_head(0, output=of("low", 3)), "gives 3 elements in 2 windows"),
        (with_head(0, requant=requant(0, 0)), "multiplier 1 to"),
        (with_head(0, requant=requant(1, 63)), "shift 0 to 62"),
        (with_head(0, requant=requant(1, -31)), "shift 0 to 62"),
        (with_head(0, requant=requant(3, -1)), r"\(-30 with multiplier 1\)"),
        (with_head(0, requant=Requant(np.ones(3, int), np.ones(3, int))), "requant shapes"),
        (with_head(0, entry=Q), "table input quantum"),
        (with_head(1, entry=None), "table without quantum"),
        (with_head(1, entry=Quantum(8, 0)), "enters its table with 8 bits"),
        (with_head(1, function=Curve("gelu")), "function gelu"),
        (with_head(1, function=replace(LUT, address_bits=4)), "entries for 4 address bits"),
        (with_head(1, function=replace(LUT, address_bits=17)), "entries for 17 address bits"),
        (with_head(1, function=replace(LUT, entries=LUT.entries << 10)), "outside 16 bits"),
        # the others
        (changed("sum", kind="div"), "kind div; use add"),
        (changed("sum", b="input"), "makes 4 elements of 4 and 3"),
        (changed("sum", output=of("sum", 3)), "makes 3 elements of 4"),
        (changed("sum", kind="mul"), "multiplies shifted operands"),
        (changed("sum", sa=63), "shifts by"),
        (changed("relu", sd=-31), "relu shifts by"),
        (changed("relu", output=of("relu", 5)), "makes 5 elements of 4"),
        (changed("lut", function=Curve("relu")), "relu, which is no table"),
        (changed("lut", sa=63), "lut shifts by"),
        (changed("two", values=np.zeros(3, int)), r"has values \(3,\) for 2"),
        (changed("two", values=np.array([0, 2**15])), "two is with values outside"),
        (changed("join", inputs=()), "joins nothing"),
        (changed("join", inputs=("input",)), "joins 3 elements to 6"),
        (changed("join", output=of("both", 6, Quantum(16, 0))), "the quantum must stay"),
        (changed("few", kind="best"), "few has kind best; use threshold, top"),
        (changed("few", parameter=2**16), "few prunes by top 65536; use 0 to 65535"),
        (changed("large", parameter=-1), "large prunes by threshold -1; use 0 to 16777215"),
        (changed("large", output=of("large", 3)), "large makes 3 elements of 4"),
        (changed("cut", first=4), "cuts 4 to 4 out of large's 4 elements"),
        (changed("cut", output=of("one", 1, Quantum(16, 0))), "the quantum must stay"),
    ],
)
def test_inconsistent_network_is_refused(network: Network, pattern: str) -> None:
    with pytest.raises(NetworkError, match=pattern):
        check_network(network)


def test_hash_is_of_meaning_and_not_of_storage() -> None:
    same = changed("fc", weight=np.ones((4, 5), np.int64, order="F"))
    assert network_hash(same) == network_hash(NETWORK)
    assert network_hash(replace(NETWORK, notes=("x",))) == network_hash(NETWORK)
    assert len(network_hash(NETWORK)) == 64


@pytest.mark.parametrize(
    "other",
    [
        changed("fc", weight=np.array([[1, 1, 1, 1, 1]] * 3 + [[1, 1, 1, 1, 0]], np.int8)),
        changed("fc", weight=np.ones((5, 4), np.int8)),
        changed("fc", bias=None),
        changed("fc", windows=(1, 0)),
        changed("fc", rounding="floor"),
        with_head(0, requant=requant(3, 1)),
        with_head(0, function=None),
        with_head(1, entry=Quantum(16, -9)),
        changed("sum", sb=1),
        changed("lut", function=replace(LUT, entries=LUT.entries + 1)),
        with_state(start=0),
        with_state(next="old"),
        replace(NETWORK, labels=()),
        replace(NETWORK, output="sum"),
        replace(NETWORK, nodes=NETWORK.nodes[:-1]),
    ],
)
def test_hash_sees_every_difference(other: Network) -> None:
    assert network_hash(other) != network_hash(NETWORK)
