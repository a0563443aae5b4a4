"""Two LSTM layers of 256, a streaming frame at a time, against LSTMCells with the same weights."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.frames import ROUNDS, frame_row
from benchmarks.rows import Row
from spusim import golden
from spusim.api import compile_network, load_arch, load_network
from spusim.frontend import quantise_input
from spusim.machine.spu import Spu
from spusim.network.records import Network, Stream
from spusim.result import RunResult

SIZE, DENSITY, PENCIL, SEED, FRAMES = 256, 0.15, 8, 1, 200
TARGET = 0.5
NAMES = ("lstm1", "lstm2")
CHECKED = 20  # frames of which golden says the values
CLOSE = 0.99  # correlation of quantised outputs with PyTorch's
NETWORK = f"""\
name: lstm_pair
weights: weights.safetensors
input: {{size: {SIZE}, bits: 16}}
layers:
  - {{type: lstm, name: lstm1, hidden: {SIZE}}}
  - {{type: lstm, name: lstm2, hidden: {SIZE}}}
quantise: {{weights: 8, activations: 16, calibrate: frames.npy}}
"""


class Contest:
    """Both layers on random frames; weights pruned by pencils of 8 to 15 %."""

    frames = FRAMES

    def __init__(self) -> None:
        torch.manual_seed(SEED)
        self._cells = [nn.LSTMCell(SIZE, SIZE) for _ in NAMES]
        for cell in self._cells:
            prune_pencils(cell.weight_ih)
            prune_pencils(cell.weight_hh)
        frames = np.random.default_rng(SEED).normal(size=(FRAMES, SIZE)).astype(np.float32)
        self._frames = torch.from_numpy(frames)
        network, arch = self._network(frames), load_arch("spu001")
        self._integers = quantise_input(Stream(frames, (0,), ("noise",)), network).frames
        self._program = compile_network(network, arch)
        self._spu = Spu(self._program, arch)

    def _network(self, frames: np.ndarray) -> Network:
        state = {
            f"{name}.{key}_l0": value.detach().clone()
            for name, cell in zip(NAMES, self._cells, strict=True)
            for key, value in cell.state_dict().items()
        }
        with tempfile.TemporaryDirectory() as folder:
            save_file(state, Path(folder) / "weights.safetensors")
            np.save(Path(folder) / "frames.npy", frames)
            file = Path(folder) / "lstm_pair.yaml"
            file.write_text(NETWORK)
            return load_network(file)

    def ours(self, count: int) -> RunResult:
        """Run the first `count` frames."""
        return self._spu.run(self._integers[:count], [0])

    @torch.no_grad()
    def theirs(self, count: int) -> list[torch.Tensor]:
        """Run the first `count` frames in PyTorch; return the last layer's outputs."""
        states = [(torch.zeros(1, SIZE), torch.zeros(1, SIZE)) for _ in NAMES]
        outputs = []
        for n in range(count):
            x = self._frames[n : n + 1]
            for k, cell in enumerate(self._cells):
                states[k] = cell(x, states[k])
                x = states[k][0]
            outputs.append(x)
        return outputs

    def check(self) -> None:
        """Assert that outputs are golden's, and PyTorch's but for quantising."""
        outputs = self.ours(FRAMES).outputs
        meaning = golden.run(self._program, self._integers[:CHECKED], (0,)).outputs
        assert np.array_equal(outputs[:CHECKED], meaning)
        floats = torch.cat(self.theirs(FRAMES)).numpy()
        assert np.corrcoef(outputs.ravel(), floats.ravel())[0, 1] > CLOSE


@torch.no_grad()
def prune_pencils(weight: torch.Tensor) -> None:
    """Zero all but the largest pencils of a matrix (rows, columns), in place."""
    pencils = weight.view(-1, PENCIL, weight.shape[1])
    norms = pencils.abs().sum(dim=1, keepdim=True)
    pencils *= norms >= torch.quantile(norms, 1 - DENSITY)


def measure_lstm_pair(rounds: int = ROUNDS) -> list[Row]:
    """Time a streaming frame, values and cycles, over PyTorch's values."""
    torch.set_num_threads(1)
    name = "two LSTM layers of 256, a frame / PyTorch LSTMCell"
    return [frame_row(Contest(), name, TARGET, rounds=rounds)]
