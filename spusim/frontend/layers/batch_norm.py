"""Batch norm as it is evaluated: one scale and one offset for each channel."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.layers.affine import scaled_channels
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, WeightedModel
from spusim.network.records import Quantum, Tensor


@dataclass(frozen=True)
class FloatBatchNorm(FloatLayer):
    """y = weight * (x - mean) / sqrt(variance + eps) + bias: (channels,) each; float64."""

    mean: np.ndarray
    variance: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    eps: float
    shape: Shape

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.shape.size, self.shape.size

    @property
    def channels(self) -> int:
        """Channels, each of which has one range over all positions."""
        return self.shape.channels

    @property
    def scale(self) -> np.ndarray:
        """What each channel is multiplied by, (channels,)."""
        return np.asarray(self.weight / np.sqrt(np.abs(self.variance) + self.eps))

    @property
    def offset(self) -> np.ndarray:
        """What is then added to each channel, (channels,)."""
        return np.asarray(self.bias - self.mean * self.scale)

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * channels) -> the same shape."""
        return self._plain.evaluate(values, starts, observe)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add what a scale and an offset become."""
        return self._plain.expand(job, x, output)

    def measured(self, values: np.ndarray) -> "FloatBatchNorm":
        """Return the layer with the mean and variance of frames (frames, positions * channels)."""
        by_channel = values.reshape(-1, self.channels)
        return replace(self, mean=by_channel.mean(axis=0), variance=by_channel.var(axis=0))

    @property
    def _plain(self) -> FloatLayer:
        return scaled_channels(self.name, self.scale, self.offset, self.shape)


class BatchNormModel(WeightedModel):
    """BatchNorm as evaluated: keys PREFIX.running_mean, running_var, weight and bias.

    It goes into the linear layer or convolution before it, where nothing else reads that.
    """

    takes_images: ClassVar[bool] = True
    type: Literal["batch_norm"]
    eps: float = Field(default=1e-5, gt=0, description="added to the variance")
    affine: bool = Field(default=True, description="whether it has weight and bias")

    def bind(self, shape: Shape, keys: Keys) -> FloatBatchNorm:
        """Take all four; without weight and bias these are 1 and 0."""
        channels = shape.channels
        mean = keys.take(f"{self.dot}running_mean", channels)
        variance = keys.take(f"{self.dot}running_var", channels)
        weight, bias = np.ones(channels), np.zeros(channels)
        if self.affine:
            weight = keys.take(f"{self.dot}weight", channels)
            bias = keys.take(f"{self.dot}bias", channels)
        counted = f"{self.dot}num_batches_tracked"
        keys.used |= {counted} & set(keys.tensors)  # of training, and no number of the layer
        return FloatBatchNorm(self.name, mean, variance, weight, bias, self.eps, shape)
