"""The short-time Fourier transform, as a convolution with sines and cosines."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import Job, Observer, rows_of
from spusim.frontend.layers.conv1d import FloatConv1d, Pads, window_count
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.magnitude import add_magnitude
from spusim.frontend.layers.model import Shape, Size, WeightedModel
from spusim.frontend.layers.pad import Mode, check_pad
from spusim.frontend.quanta import quantum_for
from spusim.network.records import Head, Quantum, Tensor

SPECTRUM_BITS = 16


def basis_of(n_fft: int, window: np.ndarray) -> np.ndarray:
    """Return the windowed basis (2 * bins, 1, n_fft): cosines, then minus the sines, by bin."""
    bins = np.arange(n_fft // 2 + 1)
    phases = 2 * np.pi * np.outer(bins, np.arange(n_fft)) / n_fft
    return np.asarray((np.concatenate([np.cos(phases), -np.sin(phases)]) * window)[:, None, :])


def _hann(n_fft: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)


def _hamming(n_fft: int) -> np.ndarray:
    return 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)


WINDOWS: dict[str, Callable[[int], np.ndarray]] = {  # periodic, as PyTorch's
    "hann": _hann,
    "hamming": _hamming,
    "none": np.ones,
}


@dataclass(frozen=True)
class FloatStft(FloatConv1d):
    """A spectrum of [re..., im...] channels by position, or its magnitude; never pruned.

    weight (2 * bins, 1, n_fft).
    """

    magnitude: bool = False

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        size, both = super().sizes
        return size, both // 2 if self.magnitude else both

    @property
    def normalises(self) -> bool:
        """Not: its spectrum is calibrated with its magnitude."""
        return False

    @property
    def matrices(self) -> tuple[str, ...]:
        """No names: a basis without some of its numbers is none."""
        return ()

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, samples); `name.spectrum` is observed for a magnitude."""
        spectrum = super().evaluate(values, starts, observe)
        if not self.magnitude:
            return spectrum
        observe(f"{self.name}.spectrum", spectrum)
        parts = spectrum.reshape(len(values), self.count, 2, -1)
        return np.asarray(np.hypot(parts[:, :, 0], parts[:, :, 1]).reshape(len(values), -1))

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add the product, for a magnitude with a head for each part, and the magnitude."""
        if not self.magnitude:
            return super().expand(job, x, output)
        name, observed = self.name, f"{self.name}.spectrum"
        quantum = quantum_for(job.ranges[observed], SPECTRUM_BITS)
        job.note_clipping(name, "outputs", output, job.ranges[name])
        operand, windows = self.operand(job, x)
        matrix = self.matrix(job, x, observed, quantum)
        bins = len(self.weight) // 2
        heads = tuple(
            Head(
                number * bins,
                Tensor(f"{name}.{part}", self.count * bins, quantum),
                rows_of(matrix.requant, slice(number * bins, (number + 1) * bins)),
            )
            for number, part in enumerate(("re", "im"))
        )
        job.product(name, operand, matrix, heads, windows)
        return add_magnitude(job, name, heads[0].output, heads[1].output, output)


class StftModel(WeightedModel):
    """A short-time Fourier transform of samples, by a basis of the checkpoint or a computed one."""

    type: Literal["stft"]
    n_fft: Size = Field(description="samples of a window")
    hop: Size = Field(description="samples from one window to the next")
    window: Literal["hann", "hamming", "none"] = Field(
        default="hann", description="of a computed basis; periodic"
    )
    basis: str | None = Field(
        default=None,
        description="what follows PREFIX. in the key of a stored basis (2 * bins, 1, n_fft): "
        "cosines, then sines; default: computed",
    )
    padding: Pads | tuple[Pads, Pads] = Field(
        default=0, description="samples added on both sides, or [left, right]"
    )
    padding_mode: Mode = Field(default="reflect", description="what the added samples are")
    magnitude: bool = Field(default=True, description="magnitudes; else [re..., im...] channels")

    @property
    def pads(self) -> tuple[int, int]:
        """Samples added left and right."""
        return (self.padding, self.padding) if isinstance(self.padding, int) else self.padding

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output for a frame of samples; raises TopologyError."""
        samples = Shape(shape.size, 1)
        check_pad(samples, self.pads, self.padding_mode)
        count = window_count(samples.positions + sum(self.pads), self.n_fft, self.hop, 1)
        if count < 1:
            raise TopologyError(
                f"has windows of {self.n_fft} samples over "
                f"{samples.positions + sum(self.pads)}; put a context layer before it, or pad"
            )
        bins = self.n_fft // 2 + 1
        return Shape(count, bins if self.magnitude else 2 * bins)

    def bind(self, shape: Shape, keys: Keys) -> FloatStft:
        """Take or compute the basis."""
        if self.basis is None:
            weight = basis_of(self.n_fft, WINDOWS[self.window](self.n_fft))
        else:
            rows = 2 * (self.n_fft // 2 + 1)
            weight = keys.take(f"{self.dot}{self.basis}", rows, 1, self.n_fft)
        samples = Shape(shape.size, 1)
        return FloatStft(
            self.name, weight, None, samples, self.hop, 1, self.pads, self.padding_mode,
            magnitude=self.magnitude,
        )  # fmt: skip
