"""Topologies from names and shapes: what they settle, and the questions where they do not."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spusim.frontend import TopologyError, float_forward
from spusim.frontend.bind import bind
from spusim.frontend.infer import settled_text, starter_of
from spusim.frontend.topology import TopologyModel
from spusim.frontend.topology_file import parse_topology

FRAMES = np.random.default_rng(1).normal(size=(7, 5))


def tensors(**modules: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return the state dict of modules by name; the name `_` is the whole network's."""
    return {
        f"{name}.{key}".removeprefix("_."): value.numpy()
        for name, module in modules.items()
        for key, value in module.double().state_dict().items()
    }


def parsed(text: str) -> TopologyModel:
    """Return a network file's model."""
    return parse_topology(text, Path("inferred.yaml"))


def settled(state: dict[str, np.ndarray]) -> TopologyModel:
    """Return the topology that a state dict settles."""
    return parsed(settled_text(state, "dir/net.v1.pt")[0])


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["_", "rnn"])
def test_stacks_are_settled(kind: type, layers: int, bias: bool, name: str) -> None:
    torch.manual_seed(layers)
    module = kind(5, 4, layers, bias=bias, batch_first=True)
    state = tensors(**{name: module})
    found = float_forward(bind(settled(state), state), FRAMES, (0,))
    with torch.no_grad():
        expected = module(torch.tensor(FRAMES)[None])[0][0]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_lstms_and_a_head_are_ordered_by_their_sizes() -> None:
    torch.manual_seed(2)
    first, second = torch.nn.LSTM(5, 6, proj_size=4), torch.nn.LSTM(4, 3, 2)
    head = torch.nn.Linear(3, 2)
    # as safetensors sorts them: the order in the file is not that of the network
    state = dict(sorted(tensors(z_first=first, b_second=second, a_head=head).items()))
    text, note = settled_text(state, "net.pt")
    assert "z_first (lstm 5 to 4), b_second (lstm 4 to 3, 2 layers), a_head (linear 3 to 2)" in note
    found = float_forward(bind(parsed(text), state), FRAMES, (0,))
    with torch.no_grad():
        expected = head(second(first(torch.tensor(FRAMES))[0])[0])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_linear_layer_alone_is_settled() -> None:
    state = tensors(**{"net.encoder.fc": torch.nn.Linear(5, 2)})
    (layer,) = settled(state).layers
    assert (layer.name, layer.prefix, layer.outputs) == ("fc", "net.encoder.fc", 2)
    assert settled(state).name == "net"


UNSETTLED = [
    (
        {"0": torch.nn.Linear(5, 4), "2": torch.nn.Linear(4, 2)},
        "what stands between 0.weight and 2.weight: an activation, or nothing",
    ),
    (
        {"a": torch.nn.Linear(5, 4), "lstm": torch.nn.LSTM(4, 2)},
        "what stands between a.weight and lstm: an activation, or nothing",
    ),
    (
        {"a": torch.nn.LSTM(5, 5), "b": torch.nn.LSTM(5, 5)},
        "their order: a, b or b, a; the sizes fit both",
    ),
    (
        {"a": torch.nn.LSTM(5, 4), "b": torch.nn.LSTM(5, 3)},
        "no order fits, in which each takes what the one before gives: a 5 to 4, b 5 to 3",
    ),
    ({"rnn": torch.nn.RNN(5, 4)}, "rnn: an RNN's nonlinearity, tanh or relu"),
    ({"cell": torch.nn.LSTMCell(5, 4)}, "cell: a cell, and what its loop does beside it"),
    (
        {"lstm": torch.nn.LSTM(5, 4), "fc": torch.nn.Linear(4, 9, bias=False)},
        "fc.weight: a linear layer without bias, or an embedding's table",
    ),
    (
        {"lstm": torch.nn.LSTM(5, 4), "norm": torch.nn.LayerNorm(4)},
        "norm.weight, norm.bias: a vector: a scale, an offset or a normalisation",
    ),
    (
        {"conv": torch.nn.Conv1d(5, 4, 3), "fc": torch.nn.Linear(4, 2)},
        "conv.weight, conv.bias: a convolution, whose stride, padding and dilation are not stored",
    ),
    (
        {"lstm": torch.nn.LSTM(5, 4, bidirectional=True)},
        "bidirectional: one half starts from a last frame",
    ),
    ({"conv": torch.nn.Conv2d(3, 3, 3)}, "no LSTM, GRU or linear layer is among its tensors"),
]


@pytest.mark.parametrize(("modules", "question"), UNSETTLED)
def test_what_is_not_settled_is_named_and_gets_a_starter(
    modules: dict[str, torch.nn.Module], question: str
) -> None:
    state = tensors(**modules)
    with pytest.raises(TopologyError) as caught:
        settled_text(state, "net.pt")
    message = str(caught.value)
    assert question in message, message
    assert "`spusim inspect net.pt --starter net.yaml` writes one" in message
    starter = starter_of(state, "net.pt")
    assert any(question in each for each in starter.questions)
    assert all(f"# - {each}\n" in starter.text for each in starter.questions)
    if "layers:\n  []" not in starter.text:
        assert parsed(starter.text).name == "net"


def test_a_completed_starter_is_the_network(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    state = tensors(_=net)
    text = starter_of(state, tmp_path / "a" / "net.pt", tmp_path / "b").text
    assert "weights: ../a/net.pt" in text or "weights: '../a/net.pt'" in text
    completed = text.replace("  # - {type: relu", "  - {type: relu")
    found = float_forward(bind(parsed(completed), state), FRAMES, (0,))
    with torch.no_grad():
        np.testing.assert_allclose(found, net(torch.tensor(FRAMES)), atol=1e-12)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("weight_hh_l0"),
        lambda state: state.pop("bias_hh_l1"),
        lambda state: state.update(weight_ih_l1=np.ones((16, 5))),
        lambda state: state.update(weight_hh_l0=np.ones((20, 4))),
        lambda state: state.update(weight_ih_l3=np.ones((16, 4))),
        lambda state: state.update(weight_hh_l0=np.ones(16)),
    ],
)
def test_stacks_whose_shapes_disagree_are_not_settled(spoil) -> None:
    state = tensors(_=torch.nn.LSTM(5, 4, 2))
    spoil(state)
    with pytest.raises(TopologyError, match="do not settle"):
        settled_text(state, "net.pt")
