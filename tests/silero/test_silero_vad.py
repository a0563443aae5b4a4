"""Silero VAD on real speech: the wheel's model, PyTorch's floats, and the machine's integers."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from compiler_networks import reference

from spusim import machine
from spusim.arch import load_arch
from spusim.compiler import CompileError, compile_network
from spusim.frontend import quantise_input
from spusim.frontend.chain import float_forward
from spusim.frontend.load import find_network, load_float_network, load_network
from spusim.frontend.topology_file import load_topology
from spusim.golden import run
from spusim.network import Stream

torch = pytest.importorskip("torch")

from benchmarks.silero.compare import NETWORK, VARIANTS, Compared, compare, halves  # noqa: E402
from benchmarks.silero.model import (  # noqa: E402
    JIT,
    WEIGHTS,
    SileroVad,
    probabilities,
    speech_files,
)

pytestmark = [
    pytest.mark.skipif(not WEIGHTS.exists(), reason="no weights; `make silero` fetches them"),
    pytest.mark.skipif(not speech_files(), reason="no speech; `make silero` fetches some"),
]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "silero_vad.md"
NAMES = [variant.name for variant in VARIANTS]


@cache
def streams() -> tuple[Stream, Stream]:
    """Return clips to calibrate on, and others."""
    return halves(speech_files())


@cache
def compared(name: str) -> Compared:
    """Return a variant's run."""
    return compare(VARIANTS[NAMES.index(name)], *streams(), "spu001")


@cache
def first_frames() -> Stream:
    """Return the beginning of the speech."""
    return Stream(streams()[1].frames[:6], (0, 4), ("a", "b"))


def test_the_graph_is_that_of_the_wheels_model() -> None:
    # The TorchScript file holds other weights than the .safetensors one, in the same graph.
    jit = torch.jit.load(str(JIT))
    names = {"stft.forward_basis_buffer": "stft_conv.weight"}
    names |= {
        f"encoder.{n}.reparam_conv.{key}": f"conv{n + 1}.{key}"
        for n in range(4)
        for key in ("weight", "bias")
    }
    names |= {f"decoder.decoder.2.{key}": f"final_conv.{key}" for key in ("weight", "bias")}
    cell = SileroVad().lstm_cell.state_dict()
    names |= {f"decoder.rnn.{key}": f"lstm_cell.{key}" for key in cell}
    stored = jit.state_dict()
    tensors = {mine: stored[f"_model.{theirs}"].numpy() for theirs, mine in names.items()}
    frames = streams()[1].frames[:60]
    jit.reset_states()
    with torch.no_grad():
        samples = torch.tensor(frames, dtype=torch.float32)
        expected = [jit(frame, 16_000).item() for frame in samples]
    assert np.abs(probabilities(tensors, frames) - expected).max() < 1e-5
    assert max(expected) - min(expected) > 0.5


def test_float_layers_are_those_of_torch() -> None:
    from safetensors.numpy import load_file

    path = find_network(NETWORK)
    network = load_float_network(path, load_topology(path), WEIGHTS)
    speech = streams()[1]
    found = float_forward(network, speech.frames, speech.starts)[:, 0]
    expected = probabilities(load_file(WEIGHTS), speech.frames, speech.starts)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_all_parameters_are_used() -> None:
    network = load_network(NETWORK, WEIGHTS, first_frames())
    assert not any("no layer uses" in note for note in network.notes)
    path = find_network(NETWORK)
    layers = load_float_network(path, load_topology(path), WEIGHTS).layers
    fields = ("weight", "bias", "weight_ih", "weight_hh")
    arrays = [getattr(layer, field, None) for layer in layers for field in fields]
    held = sum(array.size for array in arrays if array is not None)
    assert held == 309_633 - 512  # the cell's two biases have become one


def test_rooms_agree() -> None:
    network = load_network(NETWORK, WEIGHTS, first_frames())
    frames = quantise_input(first_frames(), network).frames
    arch = load_arch("spu001")
    program = compile_network(network, arch)
    golden = run(program, frames, (0, 4)).outputs
    np.testing.assert_array_equal(golden, reference(network, arch, frames, (0, 4)))
    np.testing.assert_array_equal(golden, machine.run(program, arch, frames, (0, 4)).outputs)


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_near_torchs(name: str) -> None:
    """Bounds of 0.1 and 0.01.

    An 8-bit weight is off by half a 127th of its row's largest at most, 0.0023 of that (root mean
    square) and 0.009 of a typical weight, a quarter of the largest. Six products one after the
    other make that sqrt(6) * 0.009 = 0.022 of the logit, which is about 6, and a step of the logit
    moves the probability by a quarter of itself at most: 0.033. The bound is three times that. Most
    frames lie where the logistic function is flat, so the mean is a tenth of it or less.
    """
    found = compared(name)
    assert found.differences.max() < 0.1
    assert found.differences.mean() < 0.01
    assert found.flipped <= 0.01 * len(found.floats)
    assert found.floats.max() > 0.9 and found.floats.min() < 0.5


def test_pruned_networks_still_hear_speech() -> None:
    dense = compared(NAMES[0])
    for name in NAMES[1:]:
        pruned = compared(name)
        agreed = np.mean((pruned.simulated > 0.5) == (dense.floats > 0.5))
        assert agreed > 0.95, name
        assert pruned.record["macs"]["weight_nonzero"] < 0.6 * dense.record["macs"]["dense"]
        assert pruned.record["memory"]["used"] < 0.65 * dense.record["memory"]["used"]
        assert pruned.record["energy_pj"]["total"] < dense.record["energy_pj"]["total"]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_these_numbers(name: str) -> None:
    if "librivox" not in str(speech_files()[0]):
        pytest.skip("the page is about the clips of pocketsphinx-testdata")
    found = compared(name)
    rows = re.findall(rf"^\| {re.escape(name)} \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    accuracy, costs = (row.split(" | ") for row in rows[:2])
    assert float(accuracy[0]) == pytest.approx(found.differences.max(), abs=2e-3)
    assert float(accuracy[1]) == pytest.approx(found.differences.mean(), abs=2e-4)
    cycles = found.record["per_frame"]["cycles"]["mean"]
    assert float(costs[0].replace(",", "")) == pytest.approx(cycles, rel=2e-3)


def test_what_does_not_fit_is_told() -> None:
    network = load_network(NETWORK, WEIGHTS, first_frames())
    small = load_arch("spu001", ["core.data_memory.words=2048"])
    with pytest.raises(CompileError, match=r"needs 0\.\d+ MB of 0\.12 MB .*prune|4-bit"):
        compile_network(network, small)
