"""A scale and an offset for each channel."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.conv2d import channel_scale
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, WeightedModel
from spusim.frontend.quanta import quantum_for
from spusim.network.records import Quantum, Tensor

SCALE_BITS = 16
SUM_BITS = 32


@dataclass(frozen=True)
class FloatAffine(FloatLayer):
    """y = scale * x + offset: scale (size,), offset (size,), one for each element; float64."""

    scale: np.ndarray
    offset: np.ndarray

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return len(self.scale), len(self.scale)

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, size) -> the same shape."""
        return np.asarray(values * self.scale + self.offset)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add a product of 32 bits by 16-bit scales, and a sum that is rounded once.

        Scales that are all 1, or offsets that are all 0, need no node.
        """
        name = self.name
        job.note_clipping(name, "outputs", output, job.ranges[name])
        y = Tensor(name, x.size, output)
        if not self.offset.any():
            return self._scaled(job, x, y)
        largest = math.ldexp(x.quantum.largest + 1, x.quantum.exponent) * np.abs(self.scale).max()
        reach = quantum_for(float(largest + np.abs(self.offset).max()), SUM_BITS)
        if not (self.scale == 1.0).all():
            exact = x.quantum.exponent + self._scales.exponent
            inner = Quantum(SUM_BITS, max(exact, reach.exponent))
            x = self._scaled(job, x, Tensor(f"{name}.scaled", x.size, inner))
        # The offset has the same unit, or one in which it fits 32 bits.
        unit = max(x.quantum.exponent, reach.exponent)
        codes = np.rint(np.ldexp(self.offset, -unit))
        offset = job.constant(f"{name}.offset", name, codes, Quantum(SUM_BITS, unit))
        shift = output.exponent - x.quantum.exponent
        return job.combine("add", x, offset, y, name, x.quantum.exponent - unit, shift)

    @property
    def _scales(self) -> Quantum:
        return quantum_for(float(np.abs(self.scale).max()), SCALE_BITS)

    def _scaled(self, job: Job, x: Tensor, y: Tensor) -> Tensor:
        """Multiply x by the scales."""
        scales = self._scales
        codes = np.rint(np.ldexp(self.scale, -scales.exponent))
        scale = job.constant(f"{self.name}.scale", self.name, codes, scales)
        shift = y.quantum.exponent - x.quantum.exponent - scales.exponent
        return job.combine("mul", x, scale, y, self.name, sd=shift)


class AffineModel(WeightedModel):
    """A scale and an offset for each channel: keys PREFIX.weight and .bias (channels,)."""

    takes_images: ClassVar[bool] = True
    type: Literal["affine"]
    bias: bool = Field(default=True, description="whether it has an offset")

    def bind(self, shape: Shape, keys: Keys) -> FloatLayer:
        """Take the scale and the offset."""
        channels = shape.channels
        scale = keys.take(f"{self.dot}weight", channels)
        offset = keys.take(f"{self.dot}bias", channels) if self.bias else np.zeros(channels)
        return scaled_channels(self.name, scale, offset, shape)


def scaled_channels(name: str, scale: np.ndarray, offset: np.ndarray, shape: Shape) -> FloatLayer:
    """Return y = scale * x + offset by channel, (channels,) each, in what suits the shape."""
    if shape.width is not None:
        return channel_scale(name, scale, offset, shape)
    return FloatAffine(name, np.tile(scale, shape.positions), np.tile(offset, shape.positions))
