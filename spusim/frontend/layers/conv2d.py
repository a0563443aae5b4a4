"""PyTorch's Conv2d: one convolution of the network, whatever its stride, dilation and groups."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, Size, WeightedModel
from spusim.frontend.layers.window import Pair, WindowFields, padded, taps
from spusim.network.records import Convolution, Quantum, Tensor
from spusim.numerics.convolution import Convolution as Geometry


@dataclass(frozen=True)
class FloatConv2d(FloatLayer):
    """y = bias + weight applied at every position of an image.

    weight (filters, channels / groups, kernel height, kernel width) float32 or 64, bias (filters,)
    float64 or None. always_per_channel: a scale for each filter, whatever the network file says.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    geometry: Geometry
    always_per_channel: bool = False

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        shape = self.geometry
        return (
            shape.channels * shape.height * shape.width,
            shape.filters * shape.positions,
        )

    @property
    def channels(self) -> int:
        """Channels out, each of which has one range over all positions."""
        return self.geometry.filters

    @property
    def takes_sums(self) -> bool:
        """Whether an input may be a sum: its scale divides."""
        return True

    @property
    def matrices(self) -> tuple[str, ...]:
        """Names of its matrices."""
        return ("weight",)

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * channels) -> (frames, positions * filters)."""
        found = convolved(padded(values, self.geometry), self.weight, self.geometry)
        if self.bias is not None:
            found += self.bias
        return found.reshape(len(values), -1)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add the convolution; where x is a sum over frames, its scale divides."""
        name = self.name
        in_scale = 2.0**x.quantum.exponent / job.divisor
        job.divisor = 1
        job.note_clipping(name, "outputs", output, job.ranges[name])
        sums = job.peaks[name].reshape(-1, self.channels).max(axis=0)
        flat = self.weight.reshape(self.channels, -1).astype(np.float64)
        matrix = job.matrix(
            name, flat, self.bias, sums, in_scale, output.exponent, self.always_per_channel
        )
        y = Tensor(name, self.sizes[1], output)
        job.add(
            Convolution(
                name, name, x.name, matrix.weight.reshape(self.weight.shape), matrix.bits,
                matrix.bias, self.geometry, y, matrix.requant, codebook=matrix.codebook,
            )
        )  # fmt: skip
        return y


def convolved(grid: np.ndarray, weight: np.ndarray, shape: Geometry) -> np.ndarray:
    """Convolve a padded grid (frames, height, width, channels) with weight (filters, in, ky, kx).

    Returns (frames * positions, filters).
    """
    filters, inner = weight.shape[:2]
    groups, rows = shape.groups, len(grid) * shape.positions
    if inner == 1 and filters == groups:  # depthwise
        found = np.zeros((rows, filters))
        for ky, kx, seen in taps(grid, shape):
            found += seen.reshape(rows, groups) * weight[:, 0, ky, kx]
        return found
    if groups == 1:
        found = np.zeros((rows, filters))
        for ky, kx, seen in taps(grid, shape):
            found += seen.reshape(rows, inner) @ weight[:, :, ky, kx].T
        return found
    by_group = np.zeros((groups, rows, filters // groups))
    for ky, kx, seen in taps(grid, shape):
        parts = np.moveaxis(seen.reshape(rows, groups, inner), 1, 0)
        by_group += parts @ weight[:, :, ky, kx].reshape(groups, -1, inner).swapaxes(1, 2)
    return np.moveaxis(by_group, 0, 1).reshape(rows, filters)


def channel_scale(name: str, scale: np.ndarray, offset: np.ndarray, shape: Shape) -> FloatConv2d:
    """Return y = scale * x + offset, by channel of an image: a depthwise convolution of 1 x 1."""
    channels = shape.channels
    geometry = Geometry(channels, shape.height, shape.width or 1, channels, groups=channels)
    return FloatScale(name, scale.reshape(-1, 1, 1, 1), offset, geometry, always_per_channel=True)


@dataclass(frozen=True)
class FloatScale(FloatConv2d):
    """A scale and an offset for each channel of an image; never pruned."""

    @property
    def matrices(self) -> tuple[str, ...]:
        """No names: a scale is no matrix."""
        return ()


class Conv2dModel(WindowFields, WeightedModel):
    """A convolution over images: keys PREFIX.weight (outputs, in / groups, kernel), .bias."""

    takes_images: ClassVar[bool] = True
    type: Literal["conv2d"]
    outputs: Size = Field(description="channels out")
    stride: Pair = Field(default=1, description="rows and columns from one window to the next")
    groups: Size = Field(default=1, description="parts of the channels that do not see each other")
    bias: bool = Field(default=True, description="whether it has a bias")

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        geometry = self._geometry(shape)
        return Shape(geometry.positions, self.outputs, geometry.out_width)

    def bind(self, shape: Shape, keys: Keys) -> FloatConv2d:
        """Take the weight (outputs, in / groups, rows, columns) and the bias."""
        geometry = self._geometry(shape)
        weight = keys.take_large(f"{self.dot}weight", *geometry.weight_shape)
        bias = keys.take(f"{self.dot}bias", self.outputs) if self.bias else None
        return FloatConv2d(self.name, weight, bias, geometry)

    def _geometry(self, shape: Shape) -> Geometry:
        return self.geometry(shape, self.outputs, self.stride, self.groups)
