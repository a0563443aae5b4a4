"""Windows over images: what convolutions and poolings say of theirs in a network file."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.model import Model, Shape, Size
from spusim.numerics import NumericsError
from spusim.numerics.convolution import Convolution

Pad = Annotated[int, Field(ge=0, le=65_536)]
Pair = Size | tuple[Size, Size]
Sides = Pad | tuple[Pad, Pad] | tuple[Pad, Pad, Pad, Pad]


class WindowFields(Model):
    """Keys that all windows have."""

    kernel: Pair = Field(description="rows and columns of a window, [rows, columns] or one number")
    padding: Sides = Field(
        default=0,
        description="rows and columns added: one number, [above and below, left and right], or "
        "[top, left, bottom, right]",
    )
    dilation: Pair = Field(default=1, description="places from one tap to the next")

    def geometry(
        self,
        shape: Shape,
        filters: int,
        stride: Pair,
        groups: int,
        extra: tuple[int, int] = (0, 0),
    ) -> Convolution:
        """Return the windows' geometry over an image; raises TopologyError where there is none.

        extra: rows and columns added below and at the right besides.
        """
        check_image(shape)
        top, left, bottom, right = sides(self.padding)
        try:
            return Convolution(
                shape.channels, shape.height, shape.width or 1, filters, *pair(self.kernel),
                pair(stride), (top, left, bottom + extra[0], right + extra[1]),
                pair(self.dilation), groups,
            )  # fmt: skip
        except NumericsError as error:
            raise TopologyError(str(error)) from None


def check_image(shape: Shape) -> None:
    """Raise TopologyError for what is no image."""
    if shape.width is None:
        raise TopologyError(
            "takes an image, with rows and columns; give the network's input channels, height and "
            "width, or put a reshape layer with a width before it"
        )


def pair(value: Pair) -> tuple[int, int]:
    """Return what is said for rows and columns."""
    return (value, value) if isinstance(value, int) else value


def sides(padding: Sides) -> tuple[int, int, int, int]:
    """Return what is added above, left, below and right."""
    if isinstance(padding, int):
        return padding, padding, padding, padding
    if len(padding) == 2:
        return padding[0], padding[1], padding[0], padding[1]
    return padding


def taps(grid: np.ndarray, shape: Convolution) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield each tap (ky, kx) with what it sees of a padded grid (frames, height, width, channels).

    What it sees is (frames, out height, out width, channels), a view.
    """
    down, across = shape.stride
    high, wide = down * (shape.out_height - 1) + 1, across * (shape.out_width - 1) + 1
    for number, (y, x) in enumerate(shape.offsets()):
        ky, kx = divmod(number, shape.kernel_width)
        yield ky, kx, grid[:, y : y + high : down, x : x + wide : across]


def padded(values: np.ndarray, shape: Convolution, outside: float = 0.0) -> np.ndarray:
    """Return frames (frames, positions * channels) as (frames, height, width, channels), padded."""
    grid = values.reshape(len(values), shape.height, shape.width, shape.channels)
    top, left, bottom, right = shape.padding
    if not any(shape.padding):
        return grid
    widths = ((0, 0), (top, bottom), (left, right), (0, 0))
    return np.pad(grid, widths, constant_values=outside)
