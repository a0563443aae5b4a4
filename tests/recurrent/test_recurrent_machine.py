"""Recurrent networks on the machine: golden, machine and reference agree, and what a frame costs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from integer_reference import evaluate
from safetensors.numpy import save_file
from typer.testing import CliRunner

from spusim import api, golden
from spusim.arch import Arch, load_arch
from spusim.cli.app import app
from spusim.compiler import compile_network
from spusim.frontend import load_network, quantise_input
from spusim.network import Network, Stream
from spusim.numerics import Numerics

FEATURES, HIDDEN, OUTPUTS = 10, 24, 4
nn = torch.nn

CELLS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "gru": (lambda: nn.GRU(FEATURES, HIDDEN), "{type: gru, name: cell, hidden: 24}"),
    "rnn": (
        lambda: nn.RNN(FEATURES, HIDDEN, nonlinearity="relu"),
        "{type: rnn, name: cell, hidden: 24, nonlinearity: relu}",
    ),
    "lstm_cell": (
        lambda: nn.LSTMCell(FEATURES, HIDDEN),
        "{type: lstm_cell, name: cell, hidden: 24}",
    ),
    "gru_cell": (
        lambda: nn.GRUCell(FEATURES, HIDDEN, bias=False),
        "{type: gru_cell, name: cell, hidden: 24, bias: false}",
    ),
    "projected": (
        lambda: nn.LSTM(FEATURES, HIDDEN, num_layers=2, proj_size=9),
        "{type: lstm, name: cell, hidden: 24, projection: 9, layers: 2}",
    ),
}
NETWORK = """\
name: net
weights: net.safetensors
input: {{size: 10, bits: {bits}}}
layers:
  - {cell}
  - {{type: linear, name: head, outputs: 4}}
quantise: {{activations: {bits}, calibrate: "frames.npz:frames"}}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a cell with a linear head, its network file and a stream; return the network file."""
    monkeypatch.chdir(tmp_path)

    def write(kind: str, bits: int = 16) -> Path:
        torch.manual_seed(1)
        make, words = CELLS[kind]
        cell = make()
        inner = 9 if kind == "projected" else HIDDEN
        modules = {"cell": cell, "head": nn.Linear(inner, OUTPUTS)}
        state = nn.ModuleDict(modules).state_dict()
        save_file({key: value.numpy() for key, value in state.items()}, "net.safetensors")
        (tmp_path / "net.yaml").write_text(NETWORK.format(cell=words, bits=bits))
        np.savez("frames.npz", frames=np.random.default_rng(2).normal(size=(12, FEATURES)))
        return tmp_path / "net.yaml"

    return write


def numerics(arch: Arch) -> Numerics:
    """Return an architecture's arithmetic."""
    n = arch.numerics
    return Numerics(n.accumulator_bits, n.overflow, n.rounding, n.requantize_overflow)


def assert_all_agree(network: Network, arch: Arch, frames: np.ndarray) -> Any:
    """Run on the reference, golden (races checked) and the machine; return the machine's result."""
    stream = Stream(frames, (0, 7), ("a", "b"))
    codes = quantise_input(stream, network).frames
    expected = evaluate(network, codes, stream.starts, numerics(arch))
    assert np.unique(expected).size > 8
    program = compile_network(network, arch)
    outputs = golden.run(program, codes, stream.starts).outputs
    np.testing.assert_array_equal(outputs, expected)
    result = api.simulate(network, arch, stream)
    np.testing.assert_array_equal(result.outputs, expected)
    return result


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("kind", CELLS)
def test_networks_agree_on_spu001(files: Callable, kind: str, cores: int, bits: int) -> None:
    network = load_network(files(kind, bits))
    frames = np.load("frames.npz")["frames"]
    assert_all_agree(network, load_arch("spu001", [f"cores={cores}"]), frames)


@pytest.mark.parametrize("kind", CELLS)
def test_run_from_the_command_line(files: Callable, kind: str) -> None:
    path = files(kind)
    words = ["run", "net.safetensors", "--network", str(path), "--stream", "frames.npz:frames"]
    done = CliRunner().invoke(app, [*words, "--arch", "spu001", "--json", "-o", "out"])
    assert done.exit_code == 0, done.output
    record, network = json.loads(done.stdout), load_network(path)
    stream = Stream(np.load("frames.npz")["frames"], (0,), ("a",))
    arch = load_arch("spu001")
    expected = evaluate(network, quantise_input(stream, network).frames, (0,), numerics(arch))
    np.testing.assert_array_equal(np.load("out/outputs.npz")["outputs"], expected)
    assert record["cycles"] == api.simulate(network, arch, stream).cycles


@pytest.mark.parametrize("kind", ["gru", "projected"])
def test_a_quantised_file_gives_the_same_network(files: Callable, kind: str) -> None:
    path = files(kind)
    words = ["--network", str(path), "--calibrate", "frames.npz:frames", "-o", "q.safetensors"]
    done = CliRunner().invoke(app, ["quantize", "net.safetensors", *words])
    assert done.exit_code == 0, done.output
    first, again = load_network(path), load_network(path, "q.safetensors")
    arch, frames = load_arch("spu001"), np.load("frames.npz")["frames"]
    one, other = (assert_all_agree(each, arch, frames) for each in (first, again))
    assert one.cycles == other.cycles


# The keyword spotter's layer, dense, on one core: an LSTM's and a GRU's frame without the host's.
SHAPE = {"inputs": 32, "hidden": 192}


def frame_of(make: type[nn.Module], words: str, files: Callable) -> Any:
    """Return the result of eight frames of one layer of SHAPE on one core of spu001."""
    files("gru")
    torch.manual_seed(3)
    layer = make(SHAPE["inputs"], SHAPE["hidden"])
    save_file({f"cell.{k}": v.numpy() for k, v in layer.state_dict().items()}, "net.safetensors")
    text = NETWORK.format(cell=f"{{type: {words}, name: cell, hidden: 192}}", bits=16)
    text = text.replace("size: 10", "size: 32").replace(
        "  - {type: linear, name: head, outputs: 4}\n", ""
    )
    Path("big.yaml").write_text(text)
    np.savez("frames.npz", frames=np.random.default_rng(2).normal(size=(8, SHAPE["inputs"])))
    network = load_network(Path("big.yaml"))
    return api.simulate(
        network,
        load_arch("spu001", ["cores=1"]),
        Stream(np.load("frames.npz")["frames"], (0,), ("a",)),
    )


def test_a_gru_costs_three_quarters_of_an_lstm(files: Callable) -> None:
    lstm, gru = frame_of(nn.LSTM, "lstm", files), frame_of(nn.GRU, "gru", files)
    assert 4 * gru.macs["dense"] == 3 * lstm.macs["dense"] == 8 * 3 * 4 * 192 * (32 + 192)
    engine = [result.layers["cell"]["engine_cycles"] for result in (gru, lstm)]
    assert 0.75 < engine[0] / engine[1] < 0.77  # the load of four blocks of biases, not of three
