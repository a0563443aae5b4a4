"""The float reference against torch."""

import numpy as np
import pytest
import torch

from spusim.frontend.bind import bind
from spusim.frontend.chain import float_forward
from spusim.frontend.topology import TopologyModel
from spusim.network.records import NetworkError

STARTS = (0, 7, 8)
FRAMES = np.random.default_rng(5).normal(size=(20, 6))


class Net(torch.nn.Module):
    """Two LSTMs of a stack, then linear layers with every function between them."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(6, 9, num_layers=2, bias=bias, batch_first=True)
        self.fc1 = torch.nn.Linear(9, 8, bias=bias)
        self.fc2 = torch.nn.Linear(8, 7)
        self.fc3 = torch.nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.fc1(self.lstm(x)[0]))
        return self.fc3(torch.tanh(torch.sigmoid(self.fc2(hidden))))


def topology(bias: bool, last: list[dict]) -> TopologyModel:
    """Return the network file that describes Net."""
    layers = [
        {"type": "lstm", "name": "lstm", "hidden": 9, "bias": bias},
        {"type": "lstm", "name": "upper", "prefix": "lstm", "index": 1, "hidden": 9, "bias": bias},
        {"type": "linear", "name": "fc1", "outputs": 8, "bias": bias},
        {"type": "relu", "name": "relu"},
        {"type": "linear", "name": "fc2", "outputs": 7},
        {"type": "sigmoid", "name": "sigmoid"},
        {"type": "tanh", "name": "tanh"},
        {"type": "linear", "name": "fc3", "outputs": 3},
        *last,
    ]
    content = {"name": "net", "input": {"size": 6}, "layers": tuple(layers)}
    return TopologyModel.model_validate(content)


def by_file(net: torch.nn.Module) -> list[np.ndarray]:
    """Evaluate each file with torch, from its own zero state."""
    parts = np.split(FRAMES, STARTS[1:])
    with torch.no_grad():
        return [net(torch.tensor(part)[None])[0].numpy() for part in parts]


@pytest.mark.parametrize("bias", [True, False])
def test_chain_equals_torch(bias: bool) -> None:
    torch.manual_seed(3)
    net = Net(bias).double()
    state = {key: value.numpy() for key, value in net.state_dict().items()}
    layers = bind(topology(bias, []), state).layers
    found = float_forward(layers, FRAMES, STARTS)
    np.testing.assert_allclose(found, np.concatenate(by_file(net)), atol=1e-12)
    single = {key: value.astype(np.float32) for key, value in state.items()}
    found = float_forward(bind(topology(bias, []), single).layers, FRAMES, STARTS)
    np.testing.assert_allclose(found, np.concatenate(by_file(net)), atol=1e-5)


@pytest.mark.parametrize(
    ("pool", "reduce"),
    [
        ({"type": "mean_time", "frames": 12}, lambda part: part.sum(axis=0) / 12),
        ({"type": "max_time"}, lambda part: part.max(axis=0)),
        ({"type": "last_time"}, lambda part: part[-1]),
    ],
)
def test_pools_restart_with_each_file(pool: dict, reduce) -> None:
    torch.manual_seed(4)
    net = Net(True).double()
    state = {key: value.numpy() for key, value in net.state_dict().items()}
    layers = bind(topology(True, [{"name": "pool", **pool}]), state).layers
    found = float_forward(layers, FRAMES, STARTS)
    for end, part in zip((6, 7, 19), by_file(net), strict=True):
        np.testing.assert_allclose(found[end], reduce(part), atol=1e-12)


def test_observer_sees_every_tensor() -> None:
    state = {key: value.numpy() for key, value in Net(True).double().state_dict().items()}
    shapes = {}
    layers = bind(topology(True, []), state).layers
    float_forward(layers, FRAMES, STARTS, lambda name, x: shapes.update({name: x.shape}))
    assert shapes["input"] == (20, 6)
    assert shapes["lstm.gate"] == (20, 36)
    assert shapes["upper.cell"] == shapes["upper"] == (20, 9)
    assert shapes["fc3"] == (20, 3)


def test_width_that_does_not_fit() -> None:
    state = {key: value.numpy() for key, value in Net(True).state_dict().items()}
    with pytest.raises(NetworkError, match="lstm takes 6 features, but is given 5"):
        float_forward(bind(topology(True, []), state).layers, FRAMES[:, :5], STARTS)
