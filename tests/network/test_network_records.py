"""Consistency and identity of quantised networks."""

from dataclasses import replace

import numpy as np
import pytest

from spusim.network import (
    Activation,
    Linear,
    Lstm,
    Network,
    NetworkError,
    PoolTime,
    Quantum,
    Requant,
    check_network,
    layer_sizes,
    network_hash,
)

Q = Quantum(16, -12)
ONE = Requant(np.array([1]), np.array([3]))
LSTM = Lstm(
    "lstm", 2, np.ones((8, 5), np.int8), 8, np.zeros(8, np.int64), Q, Q, Quantum(16, -11), ONE
)
LINEAR = Linear("fc", np.ones((4, 2), np.int8), 8, None, Q, Q, ONE)
RELU = Activation("relu", "relu", 4, Q, Q)
POOL = PoolTime("pool", "mean", 4, 2, 9, Q, Quantum(16, -10))
LAYERS = (LSTM, LINEAR, RELU, POOL)
NETWORK = Network("net", LAYERS, 3, Q, ("a", "b", "c", "d"))


def with_layer(index: int, **changes: object) -> Network:
    """Return NETWORK with one layer changed."""
    layers = list(LAYERS)
    layers[index] = replace(layers[index], **changes)
    return replace(NETWORK, layers=tuple(layers))


def test_consistent_network_passes() -> None:
    check_network(NETWORK)
    assert [layer_sizes(layer) for layer in LAYERS] == [(3, 2), (2, 4), (4, 4), (4, 4)]


@pytest.mark.parametrize(
    ("network", "pattern"),
    [
        (replace(NETWORK, layers=()), "no layers"),
        (replace(NETWORK, input_size=4), "lstm takes 3 features, but is given 4"),
        (replace(NETWORK, input=Quantum(8, -12)), "lstm takes Quantum"),
        (replace(NETWORK, labels=("a",)), "1 labels for 4 outputs"),
        (with_layer(0, hidden=3), "takes 2 features"),
        (with_layer(0, weight=np.ones((9, 5), np.int8)), "9 rows for hidden 2"),
        (with_layer(0, bias=np.zeros(4, np.int64)), r"bias of shape \(4,\) for 8 rows"),
        (with_layer(0, bias=np.full(8, 2**31)), "wider than 32 bits"),
        (with_layer(1, weight_bits=5), "5-bit weights"),
        (with_layer(1, weight_bits=4, weight=np.full((4, 2), 8)), "outside 4-bit"),
        (with_layer(1, weight=np.ones((4, 2))), "outside 8-bit integers"),
        (with_layer(1, requant=Requant(np.array([0]), np.array([0]))), "multiplier 1 to"),
        (with_layer(1, requant=Requant(np.array([1]), np.array([63]))), "shift 0 to 62"),
        (with_layer(1, requant=Requant(np.ones(3, int), np.ones(3, int))), "requant shapes"),
        (with_layer(2, function="gelu"), "function gelu"),
        (with_layer(2, output=Quantum(16, -10)), "keep its quantum"),
        (with_layer(3, kind="median"), "kind median"),
        (with_layer(3, shift=1), "output exponent -10; it must be -11"),
        (with_layer(3, frames=0), "frames 0"),
    ],
)
def test_inconsistent_network_is_refused(network: Network, pattern: str) -> None:
    with pytest.raises(NetworkError, match=pattern):
        check_network(network)


def test_hash_is_of_meaning_and_not_of_storage() -> None:
    same = with_layer(1, weight=np.ones((4, 2), np.int64, order="F"))
    assert network_hash(same) == network_hash(NETWORK)
    assert network_hash(replace(NETWORK, notes=("x",))) == network_hash(NETWORK)
    assert len(network_hash(NETWORK)) == 64


@pytest.mark.parametrize(
    "other",
    [
        with_layer(0, cell=Quantum(16, -10)),
        with_layer(1, weight=np.array([[1, 1], [1, 1], [1, 1], [1, 0]], np.int8)),
        with_layer(1, weight=np.ones((2, 4), np.int8)),
        with_layer(1, bias=np.zeros(4, np.int64)),
        with_layer(1, requant=Requant(np.array([3]), np.array([1]))),
        with_layer(2, name="other"),
        replace(NETWORK, labels=()),
        replace(NETWORK, layers=LAYERS[:3]),
    ],
)
def test_hash_sees_every_difference(other: Network) -> None:
    assert network_hash(other) != network_hash(NETWORK)
