"""The wheel's files, clips of speech, and the float network in PyTorch."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".cache" / "silero"  # of `make silero`
WEIGHTS = FOLDER / "silero_vad" / "data" / "silero_vad_16k.safetensors"
JIT = WEIGHTS.with_name("silero_vad.jit")
_DEBIAN = Path("usr/share/pocketsphinx/test/data")
SPEECH = tuple(
    folder / place
    for folder in (FOLDER / "speech", Path("/"))
    for place in (_DEBIAN / "librivox", Path("usr/share/sounds/alsa"))
)
CONTEXT = 64


def speech_files() -> list[Path]:
    """Return the .wav files of the first folder of speech that there is, by name."""
    for folder in SPEECH:
        if found := sorted(folder.glob("*.wav")):
            return found
    return []


class SileroVad(nn.Module):
    """The network in floats, as the wheel's own model: one frame of 512 samples at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(
        self, x: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Evaluate (1, 64 + 512) samples: probability () and the cell's state."""
        spectrum = self.stft_conv(functional.pad(x, (0, 64), "reflect").unsqueeze(1))
        y = (spectrum[:, :129] ** 2 + spectrum[:, 129:] ** 2).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            y = layer(y).relu()
        state = self.lstm_cell(y.squeeze(-1), state)
        y = self.final_conv(state[0].relu().unsqueeze(-1))
        return y.sigmoid().squeeze(), state


def probabilities(
    tensors: Mapping[str, np.ndarray], frames: np.ndarray, starts: tuple[int, ...] = (0,)
) -> np.ndarray:
    """Return the probability of speech in every frame: frames (frames, 512) -> (frames,)."""
    model = SileroVad().double()
    model.load_state_dict({name: torch.tensor(values).double() for name, values in tensors.items()})
    found, state, kept = [], None, np.zeros(CONTEXT)
    with torch.no_grad():
        for number, frame in enumerate(frames):
            if number in starts:
                state, kept = None, np.zeros(CONTEXT)
            x = torch.tensor(np.concatenate([kept, frame]), dtype=torch.float64)[None]
            y, state = model(x, state)
            found.append(float(y))
            kept = frame[-CONTEXT:]
    return np.array(found)
