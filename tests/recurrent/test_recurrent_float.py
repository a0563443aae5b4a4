"""Recurrent layers in floats: PyTorch's numbers, a checkpoint's keys, and what is refused."""

import numpy as np
import pytest
from recurrent_layers import (
    HIDDEN,
    INPUTS,
    LAYERS,
    PROJECTION,
    module,
    network,
    stream,
    tensors,
    torch_outputs,
)

from spusim.frontend.bind import bind
from spusim.frontend.chain import float_forward
from spusim.frontend.errors import TopologyError
from spusim.frontend.load import prune_network
from spusim.frontend.topology import PruneModel, TopologyModel


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", LAYERS)
def test_layer_equals_torch(kind: str, bias: bool) -> None:
    layer, frames = module(kind, bias), stream(3.0)
    found = float_forward(network(kind, layer, bias), frames.frames, frames.starts)
    expected = torch_outputs(layer, frames.frames, frames.starts)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_stack_of_projected_lstms_and_grus_equals_torch() -> None:
    import torch

    torch.manual_seed(2)
    for make, words in (
        (torch.nn.LSTM(INPUTS, HIDDEN, 3, proj_size=PROJECTION), {"projection": PROJECTION}),
        (torch.nn.GRU(INPUTS, HIDDEN, 3), {}),
        (torch.nn.RNN(INPUTS, HIDDEN, 3), {}),
    ):
        layer, frames = make.double(), stream()
        kind = type(layer).__name__.lower()
        found = network(kind if kind != "rnn" else "rnn_tanh", layer, layers=3, **words)
        outputs = float_forward(found, frames.frames, frames.starts)
        expected = torch_outputs(layer, frames.frames, frames.starts)
        np.testing.assert_allclose(outputs, expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
def test_bidirectional_is_refused_with_its_reason(kind: str) -> None:
    import torch

    layer = getattr(torch.nn, kind.split("_")[0].upper())(INPUTS, HIDDEN, bidirectional=True)
    with pytest.raises(TopologyError, match=r"weight_ih_l0_reverse.*last frame.*bidirectional"):
        network(kind, layer)


def test_projection_must_be_said_and_be_smaller() -> None:
    layer = module("lstm_projected")
    with pytest.raises(TopologyError, match=r"weight_hr_l0 of shape \(5, 17\).*`projection: 5`"):
        network("lstm", layer)
    with pytest.raises(TopologyError, match=r"projection \(=17\) must be smaller than hidden"):
        network("lstm", layer, projection=HIDDEN)
    with pytest.raises(TopologyError, match="weight_hr_l0 is missing"):
        network("lstm_projected", module("lstm"), projection=PROJECTION)


def test_cells_have_keys_without_a_layer_number() -> None:
    with pytest.raises(TopologyError, match=r"weight_ih is missing; did you mean .*weight_ih_l0"):
        network("gru_cell", module("gru"))
    with pytest.raises(TopologyError, match=r"bias_hh_l0 is missing"):
        network("gru", module("gru", bias=False))


def test_unused_biases_are_told() -> None:
    found = network("rnn_cell", module("rnn_cell"), bias=False)
    assert any("bias_hh, bias_ih" in note for note in found.notes)


@pytest.mark.parametrize("kind", LAYERS)
def test_all_matrices_are_pruned(kind: str) -> None:
    layer = module(kind)
    found = prune_network(network(kind, layer), PruneModel(structure="pencil:4", density=0.25))
    for key, values in tensors(layer).items():
        if values.ndim < 2:
            continue
        weight = getattr(found.layers[0], key.removesuffix("_l0"))
        pencils = -(-len(values) // 4) * values.shape[1]
        starts = np.add.reduceat(np.abs(weight), np.arange(0, len(weight), 4), axis=0)
        assert np.count_nonzero(starts) == round(0.25 * pencils), key


def test_prefix_and_index_name_the_keys() -> None:
    layer = module("gru")
    state = {key.replace("_l0", "_l4"): v for key, v in tensors(layer, "net.rec.").items()}
    words = {"type": "gru", "name": "cell", "hidden": HIDDEN, "prefix": "net.rec", "index": 4}
    content = {"name": "net", "input": {"size": INPUTS}, "layers": (words,)}
    found = bind(TopologyModel.model_validate(content), state)
    frames = stream()
    np.testing.assert_allclose(
        float_forward(found, frames.frames, frames.starts),
        torch_outputs(layer, frames.frames, frames.starts),
        atol=1e-12,
    )
