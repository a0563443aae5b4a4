"""Graphs, and checkpoints without a network file, through the command line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from error_bound import output_bound

from spusim.experiments.inputs import Origin, network_source_hash
from spusim.frontend.load import load_float_network
from spusim.frontend.quantise import calibrate, quantise
from spusim.frontend.quantum import plan_quanta
from spusim.frontend.topology_file import load_topology
from spusim.network import Stream

UNET = """\
name: unet
input: {size: 8}
layers:
  - {type: linear, name: enc1, outputs: 6}
  - {type: relu, name: act1}
  - {type: linear, name: enc2, outputs: 4}
  - {type: relu, name: act2}
  - {type: linear, name: dec2, outputs: 6}
  - {type: relu, name: up}
  - {type: concat, name: skip, inputs: [up, act1]}
  - {type: linear, name: dec1, outputs: 8}
"""
RESIDUAL = """\
name: residual
input: {size: 8}
layers:
  - {type: linear, name: a, outputs: 12}
  - {type: relu, name: relu}
  - {type: linear, name: b, outputs: 8}
  - {type: add, name: sum, inputs: [b, input]}
  - {type: linear, name: gate, outputs: 8, input: input}
  - {type: sigmoid, name: mask}
  - {type: multiply, name: out, inputs: [mask, sum]}
"""
ENCODER = """\
name: encoder
input: {size: 8}
layers:
  - {type: lstm, name: lstm, hidden: 6, layers: 3}
  - {type: linear, name: linear, outputs: 5}
  - {type: relu, name: relu}
  - {type: l2_norm, name: norm}
"""


class Unet(torch.nn.Module):
    """A skip over the bottom of a U."""

    def __init__(self) -> None:
        super().__init__()
        self.enc1, self.enc2 = torch.nn.Linear(8, 6), torch.nn.Linear(6, 4)
        self.dec2, self.dec1 = torch.nn.Linear(4, 6), torch.nn.Linear(12, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.enc1(x))
        up = torch.relu(self.dec2(torch.relu(self.enc2(first))))
        return self.dec1(torch.cat([up, first], -1))


class Residual(torch.nn.Module):
    """A residual block under a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = torch.nn.Linear(8, 12), torch.nn.Linear(12, 8)
        self.gate = torch.nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.gate(x)) * (self.b(torch.relu(self.a(x))) + x)


class Encoder(torch.nn.Module):
    """A speaker encoder, small, with what only its training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(8, 6, 3, batch_first=True)
        self.linear = torch.nn.Linear(6, 5)
        self.similarity_weight = torch.nn.Parameter(torch.tensor([10.0]))


@pytest.fixture
def frames(folder: Path) -> np.ndarray:
    """Frames, in x.npy of the working folder."""
    values = np.random.default_rng(7).normal(size=(6, 8))
    np.save("x.npy", values)
    return values


@pytest.mark.parametrize(("text", "kind"), [(UNET, Unet), (RESIDUAL, Residual)])
def test_graphs_run_from_files(folder, spusim, frames, text: str, kind: type) -> None:
    torch.manual_seed(5)
    net = kind()
    torch.save(net.state_dict(), "net.pt")
    Path("net.yaml").write_text(text)
    words = ("run", "net.pt", "--network", "net.yaml", "--stream", "x.npy", "--no-baseline")
    done = spusim(*words, "--json", "-o", "out")
    assert done.exit_code == 0, done.stderr
    outputs = np.load("out/outputs.npz")["outputs"]
    with torch.no_grad():
        expected = net(torch.tensor(frames, dtype=torch.float32)).numpy()
    unit, bound = output_unit_and_bound(frames)
    assert (np.abs(outputs * unit - expected) <= bound + 1e-5).all()  # torch's single precision
    assert bound.max() < 0.2 * np.abs(expected).max()


def output_unit_and_bound(frames: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the real value of an integer of net.yaml's output, and the outputs' largest errors."""
    path, stream = Path("net.yaml"), Stream(frames, (0,), ("x",))
    floats = load_float_network(path, load_topology(path), "net.pt")
    peaks = calibrate(floats, stream)
    plan = plan_quanta(floats, {name: float(peak.max()) for name, peak in peaks.items()}, 16, 16)
    _, bound = output_bound(floats, quantise(floats, peaks), plan, stream)
    return 2.0 ** plan.quanta[floats.output].exponent, bound


def test_a_training_checkpoint_is_inspected_started_and_run(folder, spusim, frames) -> None:
    torch.manual_seed(6)
    net = Encoder()
    adam = torch.optim.Adam(net.parameters()).state_dict()
    content = {"step": 9, "model_state": net.state_dict(), "optimizer_state": adam}
    torch.save(content, "encoder.pt")
    words = ("encoder.pt", "--stream", "x.npy", "--no-baseline")
    refused = spusim("run", *words)
    assert refused.exit_code == 1
    assert "similarity_weight: a vector" in refused.stderr
    assert "spusim inspect encoder.pt --starter net.yaml" in refused.stderr
    done = spusim("inspect", "encoder.pt", "--starter", "net.yaml")
    assert done.exit_code == 0, done.stderr
    assert "lstm.weight_ih_l2" in done.stdout
    assert "not settled: similarity_weight: a vector" in done.stdout
    assert "written: net.yaml" in done.stdout
    text = Path("net.yaml").read_text()
    assert "{type: lstm, name: lstm, hidden: 6, layers: 3}" in text
    again = spusim("inspect", "encoder.pt", "--starter", "net.yaml")
    assert again.exit_code == 1 and "net.yaml: exists" in again.stderr
    Path("full.yaml").write_text(ENCODER)
    done = spusim("run", *words, "--network", "full.yaml")
    assert done.exit_code == 0, done.stderr
    assert "warning: encoder.pt has keys that no layer uses: similarity_weight" in done.stdout
    assert all(f"lstm_l{number}" in done.stdout for number in range(3))
    json_words = ("--network", "full.yaml", "--json", "-o", "out")
    assert spusim("run", *words, *json_words).exit_code == 0
    outputs = np.load("out/outputs.npz")["outputs"].astype(float)
    with torch.no_grad():
        hidden, _ = net.lstm(torch.tensor(frames, dtype=torch.float32)[None])
        whole = torch.relu(net.linear(hidden[0]))
        expected = (whole / whole.norm(dim=1, keepdim=True)).numpy()
    cosine = (outputs * expected).sum(1) / np.linalg.norm(outputs, axis=1)
    assert cosine.min() > 0.99


def test_a_settled_checkpoint_needs_no_network(folder, spusim, frames) -> None:
    torch.manual_seed(8)
    torch.save(torch.nn.LSTM(8, 5, 2).state_dict(), "lstm.pt")
    words = ("lstm.pt", "--arch", "spu001", "--stream", "x.npy", "--no-baseline")
    text = spusim("run", *words).stdout
    assert "topology inferred from names and shapes: lstm (lstm 8 to 5, 2 layers)" in " ".join(
        text.split()
    )
    found = json.loads(spusim("run", *words, "--json").stdout)
    assert spusim("inspect", "lstm.pt", "--starter", "net.yaml").exit_code == 0
    named = json.loads(spusim("run", *words, "--network", "net.yaml", "--json").stdout)
    for key in ("cycles", "outputs_sha256"):
        assert found[key] == named[key]
    pruned = json.loads(spusim("run", *words, "--json", "--set", "prune.density=0.2").stdout)
    assert pruned["macs"]["weight_nonzero"] < found["macs"]["weight_nonzero"] / 3
    done = spusim("quantize", "lstm.pt", "--calibrate", "x.npy", "-o", "q.safetensors")
    assert done.exit_code == 0, done.stderr
    integers = json.loads(spusim("run", "q.safetensors", *words[1:], "--json").stdout)
    assert integers["outputs_sha256"] == found["outputs_sha256"]


def test_an_inferred_network_has_a_source_hash(folder) -> None:
    torch.manual_seed(8)
    torch.save(torch.nn.LSTM(8, 5).state_dict(), "lstm.pt")
    origin = Origin(None, "lstm.pt")
    pruned = replace(origin, settings=("prune.density=0.5",))
    assert network_source_hash(origin) == network_source_hash(origin) != network_source_hash(pruned)


def test_a_starter_is_a_yaml_file_that_can_be_written(folder, spusim, frames) -> None:
    torch.save(torch.nn.LSTM(8, 5).state_dict(), "lstm.pt")
    for name, why in [("net.txt", "ends in .yaml"), ("none/net.yaml", "there is no folder")]:
        done = spusim("inspect", "lstm.pt", "--starter", name)
        assert done.exit_code == 1 and why in done.stderr
