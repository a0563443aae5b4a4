"""The float LSTM, which decides every quantum: PyTorch's equations, to the bit."""

import numpy as np
import pytest

from spusim.frontend.layers.base import sigmoid
from spusim.frontend.layers.lstm import FloatLstm


def plain(layer, values, starts):
    """Return gates, cells and outputs as the equations say, a gate at a time."""
    gates = values @ layer.weight_ih.T + layer.bias
    cells, outputs = [], []
    for frame in range(len(values)):
        if frame in starts:
            cell, hidden = np.zeros(layer.cells), np.zeros(layer.sizes[1])
        gates[frame] += layer.weight_hh @ hidden
        enter, forget, new, leave = np.split(gates[frame], 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        if layer.weight_hr is not None:
            hidden = layer.weight_hr @ hidden
        cells.append(cell)
        outputs.append(hidden)
    return gates, np.array(cells), np.array(outputs)


@pytest.mark.parametrize("size", [1, 3, 8, 13])
@pytest.mark.parametrize("projected", [False, True])
def test_gates_cells_and_outputs_are_the_equations_to_the_bit(size, projected):
    rng = np.random.default_rng(size)
    wide = 2 if projected else size
    layer = FloatLstm(
        "lstm",
        weight_ih=rng.normal(size=(4 * size, 5)),
        weight_hh=rng.normal(size=(4 * size, wide)),
        bias=rng.normal(size=4 * size),
        weight_hr=rng.normal(size=(wide, size)) if projected else None,
    )
    # values from zero to where every gate is at an end, and a second file
    values = rng.normal(size=(40, 5)) * np.repeat(10.0 ** np.arange(-18, 2, 2), 4)[:, None]
    seen = {}
    outputs = layer.evaluate(values, (0, 17), seen.__setitem__)
    gates, cells, wanted = plain(layer, values, (0, 17))
    assert (outputs == wanted).all()
    assert (seen["lstm.gate"] == gates).all() and (seen["lstm.cell"] == cells).all()
