"""A streaming frame through two LSTM layers of 256, against PyTorch's dense cells."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.rows import Row
from benchmarks.stopwatch import interleave
from spusim import golden
from spusim.api import compile_network, load_arch, load_network
from spusim.frontend import quantise_input
from spusim.machine.spu import Spu
from spusim.network.records import Stream
from spusim.result import RunResult

NETWORK = Path(__file__).parent / "networks" / "two_lstms.yaml"
INPUTS, HIDDEN = 64, 256
FRAMES, FEW = 105, 5  # a frame's time is the slope between the two
ROUNDS = 25
TARGET = 0.5


class Contest:
    """The pruned layers on the SPU, and as many dense ones in PyTorch."""

    def __init__(self) -> None:
        frames = np.random.default_rng(1).normal(size=(FRAMES, INPUTS))
        stream = Stream(frames, (0,), ("noise",))
        network, arch = load_network(NETWORK, calibrate=stream), load_arch("spu001")
        self._frames = quantise_input(stream, network).frames
        self._program = compile_network(network, arch)
        self._spu = Spu(self._program, arch)
        self._cells = nn.LSTMCell(INPUTS, HIDDEN), nn.LSTMCell(HIDDEN, HIDDEN)
        self._inputs = torch.from_numpy(frames.astype(np.float32))

    def ours(self, count: int) -> RunResult:
        """Run the first `count` frames, values and cycles."""
        return self._spu.run(self._frames[:count], (0,))

    @torch.no_grad()
    def torch(self, count: int) -> torch.Tensor:
        """Run as many frames through PyTorch's cells."""
        state = [(torch.zeros(1, HIDDEN),) * 2 for _ in self._cells]
        value = torch.zeros(0)
        for n in range(count):
            value = self._inputs[n : n + 1]
            for k, cell in enumerate(self._cells):
                state[k] = cell(value, state[k])
                value = state[k][0]
        return value

    def check(self) -> None:
        """Assert that outputs are golden's, and that a frame's cycles do not depend on others."""
        whole, few = self.ours(FRAMES), self.ours(FEW)
        meaning = golden.run(self._program, self._frames[:FEW], (0,)).outputs
        assert np.array_equal(few.outputs, meaning)
        assert np.array_equal(whole.outputs[:FEW], few.outputs)
        assert np.array_equal(whole.frame_cycles[:FEW], few.frame_cycles)

    def contestants(self) -> dict[str, Callable[[], object]]:
        """Return what is timed, by name."""
        return {
            f"{name} {count}": lambda call=call, count=count: call(count)  # type: ignore[misc]
            for name, call in (("torch", self.torch), ("ours", self.ours))
            for count in (FRAMES, FEW)
        }


def measure_two_lstms() -> list[Row]:
    """Time a streaming frame, values and cycles, over PyTorch's values."""
    torch.set_num_threads(1)
    contest = Contest()
    contest.check()
    times = interleave(contest.contestants(), ROUNDS, 1)
    ours, dense = (
        (times[f"{name} {FRAMES}"] - times[f"{name} {FEW}"]) / (FRAMES - FEW)
        for name in ("ours", "torch")
    )
    detail = f"ours {1e6 * ours:.1f} us, PyTorch {1e6 * dense:.1f} us"
    return [Row("two LSTMs of 256, a frame / PyTorch", ours / dense, "x", "<=", TARGET, detail)]
