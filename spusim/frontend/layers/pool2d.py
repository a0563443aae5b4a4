"""Pooling over images: the largest or the average of what lies under a window."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape
from spusim.frontend.layers.window import (
    Pair,
    WindowFields,
    check_image,
    padded,
    pair,
    sides,
    taps,
)
from spusim.network.records import Pooling, Quantum, Requant, Tensor
from spusim.numerics import quantise_multiplier
from spusim.numerics.convolution import Convolution as Geometry

MULTIPLIER_BITS = 31


@dataclass(frozen=True)
class FloatPool2d(FloatLayer):
    """The largest (kind "max") or average of each channel under every window.

    counts_padding: whether an average counts places outside, as zeros.
    """

    kind: str
    geometry: Geometry
    counts_padding: bool = True

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        shape = self.geometry
        return shape.channels * shape.height * shape.width, shape.channels * shape.positions

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum."""
        return self.kind == "max"

    @property
    def takes_sums(self) -> bool:
        """Whether an input may be a sum: the largest sum is that of the largest mean."""
        return self.keeps

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * channels)."""
        outside = -np.inf if self.kind == "max" else 0.0
        seen = [part for _, _, part in taps(padded(values, self.geometry, outside), self.geometry)]
        found = np.array(seen[0])
        for part in seen[1:]:
            (np.maximum if self.kind == "max" else np.add)(found, part, out=found)
        found = found.reshape(len(values), -1)
        return np.asarray(found if self.kind == "max" else found / self._counts)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add one pooling."""
        name, shape = self.name, self.geometry
        y = Tensor(name, self.sizes[1], output)
        multiplier, shift, counts = 1, 0, True
        if self.kind == "average":
            job.note_clipping(name, "outputs", output, job.ranges[name])
            ratio = 2.0 ** (x.quantum.exponent - output.exponent) / shape.places
            multiplier, shift = quantise_multiplier(ratio)
            counts = bool((self._counts == shape.places).all())
            if not counts:  # room for the multiplier of a window with one place inside
                fewer = (multiplier * shape.places).bit_length() - MULTIPLIER_BITS
                multiplier, shift = multiplier >> max(0, fewer), shift - max(0, fewer)
        requant = Requant(np.array([multiplier], np.int64), np.array([shift], np.int64))
        job.add(Pooling(name, name, self.kind, x.name, shape, y, requant, counts))
        return y

    @property
    def _counts(self) -> np.ndarray:
        """Places that an average divides by, (positions * channels,)."""
        shape = self.geometry
        if self.counts_padding:
            return np.full(self.sizes[1], float(shape.places))
        inside = padded(np.ones((1, self.sizes[0])), shape)
        return np.asarray(sum(part for _, _, part in taps(inside, shape))).reshape(-1)


class Pool2dModel(WindowFields, LayerModel):
    """The largest or the average of windows over an image, by channel."""

    takes_images: ClassVar[bool] = True
    type: Literal["max_pool2d", "avg_pool2d"]
    stride: Pair | None = Field(
        default=None, description="rows and columns from one window to the next; default: kernel"
    )
    ceil: bool = Field(
        default=False, description="windows that begin inside may end outside (PyTorch's ceil_mode)"
    )
    count_padding: bool = Field(
        default=True, description="an average counts padding (PyTorch's count_include_pad)"
    )

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        geometry = self._geometry(shape)
        return Shape(geometry.positions, shape.channels, geometry.out_width)

    def bind(self, shape: Shape, keys: Keys) -> FloatPool2d:
        """Return the pooling of an image."""
        kind = "max" if self.type == "max_pool2d" else "average"
        return FloatPool2d(self.name, kind, self._geometry(shape), self.count_padding)

    def _geometry(self, shape: Shape) -> Geometry:
        check_image(shape)
        kernel, (top, left, bottom, right) = pair(self.kernel), sides(self.padding)
        if 2 * max(top, bottom) > kernel[0] or 2 * max(left, right) > kernel[1]:
            raise TopologyError(
                f"pads (={self.padding}) more than half of its windows (={self.kernel}), of which "
                "some would hold nothing; pad less"
            )
        if self.ceil and self.type == "avg_pool2d":
            raise TopologyError("an average takes no ceil: true; drop it, or pad at the end")
        stride = kernel if self.stride is None else pair(self.stride)
        extra = self._overhang(shape, stride) if self.ceil else (0, 0)
        geometry = self.geometry(shape, shape.channels, stride, shape.channels, extra)
        if not _all_hold(geometry):
            raise TopologyError(
                f"has windows (={self.kernel}, dilation {self.dilation}) between whose places an "
                f"image of {geometry.height} x {geometry.width} is lost: some would hold nothing; "
                "dilate less, or pad less"
            )
        return geometry

    def _overhang(self, shape: Shape, stride: tuple[int, int]) -> tuple[int, int]:
        """Return the rows and columns that one more window needs, where it begins inside."""
        top, left, bottom, right = sides(self.padding)
        (high, wide), (down, across) = pair(self.kernel), pair(self.dilation)
        return (
            _missing(shape.height, top, bottom, high, down, stride[0]),
            _missing(shape.width or 1, left, right, wide, across, stride[1]),
        )


def _all_hold(shape: Geometry) -> bool:
    """Whether every window has a place inside the image."""
    return all(
        any(0 <= at * shape.stride[axis] + offset[axis] - shape.padding[axis] < side
            for offset in shape.offsets())
        for axis, (side, positions) in enumerate(
            ((shape.height, shape.out_height), (shape.width, shape.out_width))
        )
        for at in range(positions)
    )  # fmt: skip


def _missing(size: int, before: int, after: int, kernel: int, dilation: int, stride: int) -> int:
    reach = dilation * (kernel - 1) + 1
    over = (size + before + after - reach) % stride
    begins = size + before + after - reach - over + stride  # of the next window
    return stride - over if over and begins < size + before else 0


class GlobalPoolModel(LayerModel):
    """The average (or largest) of all positions of an image, by channel: 1 x 1 is left."""

    takes_images: ClassVar[bool] = True
    type: Literal["global_pool"]
    kind: Literal["average", "max"] = Field(default="average", description="what is left")

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        check_image(shape)
        return Shape(1, shape.channels, 1)

    def bind(self, shape: Shape, keys: Keys) -> FloatPool2d:
        """Return the pooling of a whole image."""
        height, width = shape.height, shape.width or 1
        channels = shape.channels
        geometry = Geometry(channels, height, width, channels, height, width, groups=channels)
        return FloatPool2d(self.name, self.kind, geometry)
