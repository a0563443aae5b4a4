"""200 frames of a quantised layer stay within what its formats, codes and tables allow.

The bound is carried from frame to frame (`error_bounds`), so the state's error feeds itself as it
does in the machine. It grows without end where the recurrence amplifies every error, which no
trained network does for long: weights of h are quartered here, so that sums of their magnitudes,
and with them the worst case, stay small. `--junit-xml` records each case's SQNR beside the bound's.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from error_bounds import STEP, Near, Sums
from integer_reference import evaluate
from recurrent_layers import LAYERS, module, network, stream

from spusim.frontend import quantise_input
from spusim.frontend.chain import float_forward
from spusim.frontend.layers import FloatGru, FloatLstm, FloatRnn
from spusim.frontend.quantise import quantise
from spusim.network import Network, tensor
from spusim.network.records import Quantum
from spusim.numerics import Numerics

ONE = Quantum(16, -15)
DIFFERENCE = Quantum(16, -14)


def still(size: int) -> Near:
    """Return a state as a file begins."""
    return Near(np.zeros(size), np.zeros(size))


def lstm(found: Network, layer: FloatLstm, frames: list[Near]) -> Iterator[Near]:
    """Yield h of every frame of a file."""
    weight = np.concatenate([layer.weight_ih, layer.weight_hh], axis=1)
    gates, size = Sums(found, "cell", weight, layer.bias), layer.cells
    cell, h = tensor(found, "cell.c").quantum, tensor(found, "cell").quantum
    hidden, c = still(layer.sizes[1]), still(size)
    for frame in frames:
        sums = gates(frame, hidden)
        i, f, g, o = (
            sums.part(k * size, size).curve(function, ONE)
            for k, function in enumerate(("sigmoid", "sigmoid", "tanh", "sigmoid"))
        )
        c = ((f * c).put(cell) + (i * g).put(cell)).put(cell)
        step = STEP * 2.0 ** (cell.exponent + 12)
        whole = o * c.curve("tanh", ONE, step)
        if layer.weight_hr is None:
            hidden = whole.put(h)
        else:
            inner = tensor(found, "cell.whole").quantum
            hidden = Sums(found, "cell.projection", layer.weight_hr, None)(whole.put(inner))
        yield hidden


def gru(found: Network, layer: FloatGru, frames: list[Near]) -> Iterator[Near]:
    """Yield h of every frame of a file."""
    size = layer.sizes[1]
    top, low = slice(2 * size), slice(2 * size, None)
    w_x, w_h, b_x, b_h = layer.weight_ih, layer.weight_hh, layer.bias_ih, layer.bias_hh
    gates = Sums(found, "cell", np.concatenate([w_x[top], w_h[top]], axis=1), b_x[top] + b_h[top])
    new_x, new_h = (
        Sums(found, f"cell.n_{which}", w[low], b[low])
        for which, w, b in (("x", w_x, b_x), ("h", w_h, b_h))
    )
    h, entry = tensor(found, "cell").quantum, tensor(found, "cell.n_in").quantum
    hidden = still(size)
    for frame in frames:
        sums = gates(frame, hidden).curve("sigmoid", ONE)
        reset, update = sums.part(0, size), sums.part(size, size)
        new = (new_x(frame) + (reset * new_h(hidden)).put(new_h.output)).put(entry)
        new = new.curve("tanh", ONE)
        # h = n - z (n - h): errors of n and h meet 1 - z and z, not both of them whole
        kept = (update * (new - hidden).put(DIFFERENCE)).put(DIFFERENCE)
        straight = np.abs(1 - update.value) * new.error + update.value * hidden.error
        stored = (1 + np.abs(update.value)) * 2.0 ** (DIFFERENCE.exponent - 1)
        turned = update.error * (np.abs(new.value - hidden.value) + new.error + hidden.error)
        hidden = Near((new - kept).value, straight + stored + turned).put(h)
        yield hidden


def rnn(found: Network, layer: FloatRnn, frames: list[Near]) -> Iterator[Near]:
    """Yield h of every frame of a file."""
    weight = np.concatenate([layer.weight_ih, layer.weight_hh], axis=1)
    sums, h = Sums(found, "cell", weight, layer.bias), tensor(found, "cell").quantum
    hidden = still(layer.sizes[1])
    for frame in frames:
        before = sums(frame, hidden)
        hidden = before.relu() if layer.nonlinearity == "relu" else before.curve("tanh", h)
        yield hidden


BOUNDS = {FloatLstm: lstm, FloatGru: gru, FloatRnn: rnn}


def decibels(signal: np.ndarray, error: np.ndarray) -> float:
    """Return a ratio of powers."""
    return float(10 * np.log10((signal**2).mean() / (error**2).mean()))


@pytest.mark.parametrize(("bits", "absmax"), [(16, 1.0), (16, 4.0), (8, 1.0), (8, 4.0)])
@pytest.mark.parametrize("kind", LAYERS)
def test_errors_stay_within_their_bound(
    kind: str, bits: int, absmax: float, record_property
) -> None:
    layer, frames = module(kind), stream(absmax)
    with torch.no_grad():
        for name, values in layer.named_parameters():
            values *= 0.25 if "weight_hh" in name else 1.0
    chain = network(kind, layer)
    found = quantise(chain, frames, activation_bits=bits, input_bits=bits)
    codes = quantise_input(frames, found).frames
    exact = float_forward(chain, frames.frames, frames.starts)
    outputs = evaluate(found, codes, frames.starts, Numerics(48))
    errors = outputs * 2.0 ** tensor(found, "cell").quantum.exponent - exact
    x = found.input.quantum
    one = chain.layers[0]
    bound = []
    for part in np.split(frames.frames, frames.starts[1:]):
        nears = [Near(row, np.zeros(len(row))).put(x) for row in part]
        bound += [near.error for near in BOUNDS[type(one)](found, one, nears)]
    bounds = np.array(bound)
    assert (np.abs(errors) <= bounds).all()
    record_property("sqnr_db", round(decibels(exact, errors), 1))
    record_property("bound_db", round(decibels(exact, bounds), 1))
    # Some error comes near: the bound is of the errors' size, not of the values'.
    assert (np.abs(errors) / bounds).max() > 0.1
