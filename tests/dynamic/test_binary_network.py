"""A network of one-bit weights and activations, from its file to the machine (N3, N7, N8, N11)."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import spusim
from spusim import golden
from spusim.frontend import quantise_input
from spusim.frontend.errors import StreamError
from spusim.frontend.load import load_network
from spusim.network import NetworkError, Stream

SIZES = (96, 40, 24, 10)
NETWORK = """\
name: signs
weights: signs.safetensors
input: {size: 96, bits: 1}
layers:
  - {type: linear, name: fc1, outputs: 40, bias: false}
  - {type: linear, name: fc2, outputs: 24, bias: false}
  - {type: linear, name: fc3, outputs: 10, bias: false}
quantise: {weights: binary, activations: 1, calibrate: frames.npy}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with three layers of random weights and frames of signs, and be there."""
    rng = np.random.default_rng(8)
    shapes = enumerate(zip(SIZES[1:], SIZES[:-1], strict=True), 1)
    tensors = {f"fc{n}.weight": rng.normal(size=shape).astype(np.float32) for n, shape in shapes}
    save_file(tensors, tmp_path / "signs.safetensors")
    (tmp_path / "signs.yaml").write_text(NETWORK)
    np.save(tmp_path / "frames.npy", rng.choice((-1.0, 1.0), (12, 96)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def popcounts(weight: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return 2 popcount(xnor) - n for every row (N12), by counting bits of Python integers."""
    rows = [int("".join("1" if w > 0 else "0" for w in row), 2) for row in weight]
    x, n = int("".join(map(str, bits)), 2), len(bits)
    full = (1 << n) - 1
    return np.array([2 * (~(row ^ x) & full).bit_count() - n for row in rows])


def test_exclusive_nors_and_counts_from_a_file_to_the_outputs(folder: Path) -> None:
    """Signs in, sums of exclusive-nors, signs out; every one as a count of bits has it."""
    weights = load_file("signs.safetensors")
    frames = np.load("frames.npy")
    network = load_network("signs.yaml")
    assert {node.weight_bits for node in network.nodes} == {1}
    expected = []
    for frame in frames:
        bits = (frame > 0).astype(int)
        for layer in ("fc1", "fc2", "fc3"):
            bits = (popcounts(weights[f"{layer}.weight"], bits) >= 0).astype(int)
        expected.append(2 * bits - 1)
    stream = quantise_input(Stream(frames, (0,), ("signs",)), network)
    arch = spusim.load_arch("bitmix")
    result = spusim.simulate(network, arch, stream)
    np.testing.assert_array_equal(result.outputs, expected)
    assert result.counts["mac.1x1"] == 12 * sum(a * b for a, b in pairwise(SIZES))
    program = spusim.compile_network(network, arch)
    np.testing.assert_array_equal(golden.run(program, stream.frames, (0,)).outputs, expected)


def test_what_one_bit_cannot_say_is_refused_with_a_remedy(folder: Path) -> None:
    """A zero in a frame, a state that begins at zero, a machine without such lanes."""
    network = load_network("signs.yaml")
    codes = np.load("frames.npy").astype(int)
    codes[3, 4] = 0
    with pytest.raises(StreamError, match=r"has the code 0, outside .* 1-bit input \(-1 or 1\)"):
        quantise_input(Stream(codes, (0,), ("signs",)), network)
    with pytest.raises(spusim.SpusimError, match=r"needs 1x1.*take --arch bitmix"):
        spusim.compile_network(network, spusim.load_arch("spu001"))
    settings = ["quantise.activations=1", "quantise.weights=binary"]
    with pytest.raises(NetworkError, match=r"layer lstm keeps lstm.h.*quantise.activations=4"):
        load_network("kws", settings=settings)
    remedy = ["quantise.activations=4", "quantise.weights=binary"]
    assert load_network("kws", settings=remedy).states
