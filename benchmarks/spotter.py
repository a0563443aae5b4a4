"""The keyword spotter, a streaming frame at a time, against the same network in PyTorch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.rows import Row
from benchmarks.stopwatch import interleave
from spusim import golden
from spusim.api import compile_network, load_arch, load_network, load_stream
from spusim.frontend import list_networks, load_state_dict, quantise_input
from spusim.machine.spu import Spu
from spusim.network.records import Stream
from spusim.result import RunResult

FEW = 5  # frames of the short run; the slope between it and the whole stream is a frame's time
ROUNDS = 25
TARGET = 0.2


class TorchSpotter:
    """LSTMCell, two Linear layers and a running sum of logits: one frame after the other."""

    def __init__(self, stream: Stream) -> None:
        weights = list_networks()["kws"].parent / "kws_data" / "kws.safetensors"
        state = {k: torch.from_numpy(np.array(v)) for k, v in load_state_dict(weights).items()}
        hidden = state["lstm.weight_hh_l0"].shape[1]
        self._cell = nn.LSTMCell(state["lstm.weight_ih_l0"].shape[1], hidden)
        self._fc1, self._fc2 = nn.Linear(hidden, 64), nn.Linear(64, 12)
        for prefix, module in (("lstm.", self._cell), ("fc1.", self._fc1), ("fc2.", self._fc2)):
            own = {k: state[prefix + k + "_l0" * (module is self._cell)].float()
                   for k in module.state_dict()}  # fmt: skip
            module.load_state_dict(own)
        self._frames = torch.from_numpy(stream.frames.astype(np.float32))
        self._starts = frozenset(stream.starts)

    @torch.no_grad()
    def run(self, count: int) -> list[int]:
        """Run the first frames; return the class of the largest sum of logits of every file."""
        heard: list[int] = []
        total = torch.zeros(1, self._fc2.out_features)
        for n in range(count):
            if n in self._starts:
                if n:
                    heard.append(int(total.argmax()))
                hidden = cell = torch.zeros(1, self._cell.hidden_size)
                total = torch.zeros(1, self._fc2.out_features)
            hidden, cell = self._cell(self._frames[n : n + 1], (hidden, cell))
            total = total + self._fc2(torch.relu(self._fc1(hidden)))
        return [*heard, int(total.argmax())]


class Contest:
    """Both spotters on the shipped stream."""

    def __init__(self) -> None:
        network, arch = load_network("kws"), load_arch("spu001")
        stream = load_stream("kws", network)
        self._stream = quantise_input(stream, network)
        self._program = compile_network(network, arch)
        self._spu = Spu(self._program, arch)
        self._torch = TorchSpotter(stream)
        self.frames = len(stream.frames)

    def ours(self, count: int) -> RunResult:
        """Run the first `count` frames."""
        starts = [start for start in self._stream.starts if start < count]
        return self._spu.run(self._stream.frames[:count], starts)

    def check(self) -> None:
        """Assert that outputs are golden's, cycles add up, and PyTorch hears the same words."""
        whole, few = self.ours(self.frames), self.ours(FEW)
        meaning = golden.run(self._program, self._stream.frames[:FEW], (0,)).outputs
        assert np.array_equal(few.outputs, meaning)
        assert np.array_equal(whole.outputs[:FEW], few.outputs)
        assert np.array_equal(whole.frame_cycles[:FEW], few.frame_cycles)
        ends = [*self._stream.starts[1:], self.frames]
        heard = [int(np.argmax(whole.outputs[end - 1])) for end in ends]
        assert heard == self._torch.run(self.frames)
        assert whole.counts == self.ours(self.frames).counts

    def contestants(self) -> dict[str, Callable[[], object]]:
        """Return what is timed, by name."""
        return {
            "torch": lambda: self._torch.run(self.frames),
            "torch, few": lambda: self._torch.run(FEW),
            "ours": lambda: self.ours(self.frames),
            "ours, few": lambda: self.ours(FEW),
        }


def measure_spotter() -> list[Row]:
    """Time a streaming frame, values and cycles, over PyTorch's values."""
    torch.set_num_threads(1)
    contest = Contest()
    contest.check()
    times = interleave(contest.contestants(), ROUNDS, 1)
    frames = contest.frames - FEW
    ours = (times["ours"] - times["ours, few"]) / frames
    torch_ = (times["torch"] - times["torch, few"]) / frames
    detail = f"ours {1e6 * ours:.1f} us, PyTorch {1e6 * torch_:.1f} us"
    return [
        Row("keyword spotter frame / PyTorch LSTMCell", ours / torch_, "x", "<=", TARGET, detail)
    ]
