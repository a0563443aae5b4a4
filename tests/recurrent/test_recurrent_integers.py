"""A layer's nodes compute what plain rational arithmetic says, to the last bit."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import plain_cells
import pytest
from integer_reference import evaluate
from recurrent_layers import LAYERS, module, network, stream

from spusim.frontend import quantise_input
from spusim.frontend.layers import FloatGru, FloatLstm, FloatRnn
from spusim.frontend.quantise import quantise
from spusim.network import Network, NetworkError, Product, Quantum, check_network, tensor
from spusim.network.records import Apply, Combine, Curve, Join, Shift, Tensor
from spusim.numerics import Numerics

EXACT = Numerics(48)


def plain(found: Network, layer, codes: np.ndarray, starts: tuple[int, ...]) -> np.ndarray:
    """Return the outputs that plain arithmetic gives, as integers."""
    read = next(node for node in found.nodes if isinstance(node, Join)).inputs[0]
    x, h = tensor(found, read).quantum, tensor(found, "cell").quantum
    step = plain_cells.unit(found.input.quantum.exponent)
    rows = []
    for part in np.split(codes, starts[1:]):
        frames = [[plain_cells.put(int(v) * step, x) for v in frame] for frame in part]
        weights = vars(layer)
        if isinstance(layer, FloatLstm):
            cell = tensor(found, "cell.c").quantum
            rows += plain_cells.lstm(weights, x.exponent, h, cell, frames)
        elif isinstance(layer, FloatGru):
            piece = tensor(found, "cell.n_x").quantum
            rows += plain_cells.gru(weights, x.exponent, h, piece, frames)
        else:
            assert isinstance(layer, FloatRnn)
            rows += plain_cells.rnn(weights, x.exponent, h, layer.nonlinearity, frames)
    unit = plain_cells.unit(h.exponent)
    assert all(isinstance(v, Fraction) and v % unit == 0 for row in rows for v in row)
    return np.array([[int(v / unit) for v in row] for row in rows])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("absmax", "bits", "input_bits"), [
    (1.0, 16, 16), (100.0, 16, 16), (0.01, 16, 16), (1.0, 8, 8), (40.0, 8, 8), (2.0, 8, 16),
    (2.0, 16, 8),
])  # fmt: skip
@pytest.mark.parametrize("kind", LAYERS)
def test_nodes_equal_plain_arithmetic(
    kind: str, absmax: float, bits: int, input_bits: int, bias: bool
) -> None:
    chain, frames = network(kind, module(kind, bias), bias), stream(absmax, frames=24)
    found = quantise(chain, frames, activation_bits=bits, input_bits=input_bits)
    assert found.input.quantum.bits == input_bits
    assert tensor(found, "cell").quantum.bits == tensor(found, "cell.h").quantum.bits == bits
    codes = quantise_input(frames, found).frames
    outputs = evaluate(found, codes, frames.starts, EXACT)
    expected = plain(found, chain.layers[0], codes, frames.starts)
    assert np.unique(expected).size > 12
    np.testing.assert_array_equal(outputs, expected)


WORK = {  # products; heads and other vector instructions
    "lstm": (1, 4 + 5),
    "lstm_projected": (2, 5 + 5),
    "gru": (3, 4 + 6),
    "rnn_tanh": (1, 1),
    "rnn_relu": (1, 1),
}


@pytest.mark.parametrize("kind", WORK)
def test_no_more_nodes_than_needed(kind: str) -> None:
    found = quantise(network(kind, module(kind)), stream())
    products = [node for node in found.nodes if isinstance(node, Product)]
    passes = sum(len(node.heads) for node in products)
    passes += sum(isinstance(node, Combine | Shift | Apply) for node in found.nodes)
    assert (len(products), passes) == WORK[kind]


def test_a_gru_multiplies_no_zero_blocks() -> None:
    found = quantise(network("gru", module("gru")), stream())
    shapes = {n.name: (n.weight.shape, n.windows) for n in found.nodes if isinstance(n, Product)}
    assert shapes == {
        "cell": ((34, 23), (0,)),
        "cell.n_x": ((17, 6), (0,)),
        "cell.n_h": ((17, 17), (6,)),
    }


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
def test_a_moderate_input_shares_its_quantum_with_the_state(kind: str) -> None:
    found = quantise(network(kind, module(kind)), stream(4.0))
    assert tensor(found, "cell").quantum == found.input.quantum == Quantum(16, -12)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
def test_a_state_is_never_finer_than_a_value_of_one_asks_for(kind: str) -> None:
    found = quantise(network(kind, module(kind)), stream(0.001))
    assert found.input.quantum.exponent < -20
    assert tensor(found, "cell").quantum == Quantum(16, -15)


@pytest.mark.parametrize("kind", ["lstm", "lstm_projected", "gru", "rnn_tanh"])
def test_a_large_input_leaves_the_state_its_bits(kind: str) -> None:
    """Sharing 2**0 with 8-bit inputs up to 100 would leave the state one value."""
    chain, frames = network(kind, module(kind)), stream(100.0)
    found = quantise(chain, frames, activation_bits=8, input_bits=8)
    assert found.input.quantum == Quantum(8, 0)
    assert tensor(found, "cell").quantum.exponent <= -4
    (note,) = [note for note in found.notes if "meet in one accumulator" in note]
    assert "of 8 bits and costs weight_hh" in note and "16-bit weights" in note
    wide = quantise(chain, frames, activation_bits=8, input_bits=8, weight_bits=16)
    assert tensor(wide, "cell").quantum.exponent <= -6
    assert not any("meet in one accumulator" in note for note in wide.notes)


def test_clipping_is_noted_for_every_table() -> None:
    chain = network("gru", module("gru"))
    notes = quantise(chain, stream(300.0)).notes
    assert any("cell: gate pre-activations reach" in note for note in notes)
    assert any("cell: tanh's operands reach" in note for note in notes)


def test_only_products_may_read_what_joins_exponents() -> None:
    found = quantise(network("lstm", module("lstm")), stream(100.0), activation_bits=8)
    joined = tensor(found, "cell.xh")
    assert len({tensor(found, name).quantum for name in found.nodes[1].inputs}) == 2
    check_network(found)
    copy = Shift("copy", "cell", "cell.xh", Tensor("copy", joined.size, joined.quantum))
    table = Apply(
        "table", "cell", "cell.xh", Curve("tanh"), Tensor("table", joined.size, joined.quantum)
    )
    for node in (copy, table):
        with pytest.raises(NetworkError, match=r"cell.xh makes .* the quantum must stay"):
            check_network(replace(found, nodes=(*found.nodes, node)))
    with pytest.raises(NetworkError, match="the quantum must stay"):
        check_network(replace(found, output="cell.xh"))
