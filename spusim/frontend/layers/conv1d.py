"""PyTorch's Conv1d: one product, with a window over the input for each position of the output.

A tensor lies position after position, so without dilation a window is consecutive elements. With
dilation positions are put in another order first, all of one phase together, so that windows are
consecutive again: copying an element takes the vector unit an eighth of a cycle, and a zero column
in the weight takes the engine a whole one.

`together` puts several output positions into one product, whose windows then overlap less: an input
that n of them see is scanned once and not n times. Where the weights of a column are few against
the PEs (pruned, or few rows), scanning is what takes time; the price is n times the storage.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers import positions
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.context import FloatContext
from spusim.frontend.layers.depthwise import add_depthwise
from spusim.frontend.layers.dynamic import add_bias, add_sums, sum_quantum
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, Size, WeightedModel
from spusim.frontend.layers.pad import Mode, check_pad
from spusim.frontend.weights import QuantisedMatrix
from spusim.network.records import Head, Quantum, Requant, Tensor

Pads = Annotated[int, Field(ge=0, le=1_048_576)]


@dataclass(frozen=True)
class Windows:
    """Where an output position finds its taps.

    order: input positions (None: zeros) as they are to lie; firsts: place of each window's first
    tap in that order; step: places from one tap to the next.
    """

    order: list[int | None]
    firsts: tuple[int, ...]
    step: int


@dataclass(frozen=True)
class FloatConv1d(FloatLayer):
    """y[p] = bias + sum over t of W[:, :, t] x[stride p + dilation t], of a padded x.

    weight (out, in / groups, taps), bias (out,) or None: float64. shape: of the input. gain (out,)
    or None: above 0, multiplies the sum before the bias; a norm's that was folded in.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    shape: Shape
    stride: int = 1
    dilation: int = 1
    pads: tuple[int, int] = (0, 0)
    mode: str = "zeros"
    together: int = 1
    vector: bool = False  # on the vector unit: a channel out for each channel in
    gain: np.ndarray | None = None

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.shape.size, self.count * len(self.weight)

    @property
    def takes_sums(self) -> bool:
        """Whether an input may be a sum: its scale divides."""
        return True

    @property
    def normalises(self) -> bool:
        """Whether its operand's scale may be found at run time: the engine's may."""
        return not self.vector

    @property
    def matrices(self) -> tuple[str, ...]:
        """Names of its matrices."""
        return ("weight",)

    @property
    def count(self) -> int:
        """Positions of the output."""
        taps = self.weight.shape[2]
        return window_count(self.shape.positions + sum(self.pads), taps, self.stride, self.dilation)

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * in) -> (frames, count * out)."""
        grid = values.reshape(len(values), self.shape.positions, self.shape.channels)
        grid = positions.pad(grid, *self.pads, self.mode)
        found = convolved(grid, self.weight, self.stride, self.dilation, self.count) * self._gain
        if self.bias is not None:
            found = found + self.bias
        return found.reshape(len(values), -1)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add the views that windows need, and the product."""
        job.note_clipping(self.name, "outputs", output, job.ranges[self.name])
        y = Tensor(self.name, self.sizes[1], output)
        if self.vector:
            weight = self.weight[:, 0] * np.reshape(self._gain, (-1, 1)) / job.divisor
            job.divisor = 1
            return add_depthwise(job, x, y, weight, self.bias, self._taps())
        operand, windows = self.operand(job, x)
        if job.normalised_bits:
            return self._normalising(job, operand, windows[:: self.together], y)
        matrix = self._stacked(self.matrix(job, x, self.name, output))
        heads = (Head(0, y, matrix.requant),)
        job.product(self.name, operand, matrix, heads, windows[:: self.together])
        return y

    def _stacked(self, matrix: QuantisedMatrix) -> QuantisedMatrix:
        return stacked(matrix, self.together, self.stride * self.shape.channels)

    def _normalising(
        self, job: Job, operand: Tensor, windows: tuple[int, ...], y: Tensor
    ) -> Tensor:
        in_scale = self._gain * 2.0**operand.quantum.exponent / job.divisor
        job.divisor = 1
        sums = Tensor(f"{self.name}.sums", y.size, sum_quantum(job, (y.quantum,), self.bias))
        weight = spread(self.weight, self.shape.channels, self.windows.step)
        add_sums(job, sums, self.name, operand, weight, in_scale, windows, self._stacked)
        bias = None if self.bias is None else np.tile(self.bias, self.count)
        return add_bias(job, sums, bias, y, self.name)

    def operand(self, job: Job, x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Add what the product reads; return it with the windows' first elements."""
        plan, channels = self.windows, self.shape.channels
        found = positions.pick(job, f"{self.name}.seen", self.name, x, channels, plan.order)
        return found, tuple(first * channels for first in plan.firsts)

    def matrix(self, job: Job, x: Tensor, observed: str, output: Quantum) -> QuantisedMatrix:
        """Quantise the weight as the product has it; `observed` names the sums' peaks."""
        in_scale = self._gain * 2.0**x.quantum.exponent / job.divisor
        job.divisor = 1
        sums = job.peaks[observed].reshape(self.count, -1).max(axis=0)
        weight = spread(self.weight, self.shape.channels, self.windows.step)
        return job.matrix(self.name, weight, self.bias, sums, in_scale, output.exponent)

    @property
    def _gain(self) -> float | np.ndarray:
        return 1.0 if self.gain is None else self.gain

    def _taps(self) -> list[list[int | None]]:
        """Return the positions that each tap sees, for all windows."""
        seen = positions.padded(self.shape.positions, *self.pads, self.mode)
        taps = range(self.weight.shape[2])
        return [
            [seen[number * self.stride + tap * self.dilation] for number in range(self.count)]
            for tap in taps
        ]

    @property
    def windows(self) -> Windows:
        """Where the windows lie."""
        seen = positions.padded(self.shape.positions, *self.pads, self.mode)
        firsts = [number * self.stride for number in range(self.count)]
        dilation = self.dilation
        if dilation == 1 or self.shape.channels < positions.CUT_CHANNELS:
            return Windows(seen, tuple(firsts), dilation)
        places: list[int] = []
        for phase in sorted({first % dilation for first in firsts}):
            places += range(phase, len(seen), dilation)
        where = {place: number for number, place in enumerate(places)}
        return Windows([seen[p] for p in places], tuple(where[first] for first in firsts), 1)


@dataclass(frozen=True)
class FloatCausalConv1d(FloatConv1d):
    """A Conv1d over the frames of a file: positions before a frame's are those of earlier ones.

    shape: of the ring buffer's output, which the convolution then sees.
    """

    ring: FloatContext | None = None

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        assert self.ring is not None
        return self.ring.sizes[0], super().sizes[1]

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * in) -> (frames, count * out)."""
        assert self.ring is not None
        seen = self.ring.evaluate(values, starts, observe)
        return super().evaluate(seen, starts, observe)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add the ring buffer, then the convolution."""
        assert self.ring is not None
        return super().expand(job, self.ring.expand(job, x, x.quantum), output)


def window_count(seen: int, taps: int, stride: int, dilation: int) -> int:
    """Return the windows over `seen` positions; below 1 where not even one fits."""
    return (seen - dilation * (taps - 1) - 1) // stride + 1


def convolved(
    grid: np.ndarray, weight: np.ndarray, stride: int, dilation: int, count: int
) -> np.ndarray:
    """Convolve grid (frames, positions, in) with weight (out, in / groups, taps).

    Returns (frames, count, out).
    """
    frames, _, channels = grid.shape
    out, inner, taps = weight.shape
    groups = channels // inner
    found = np.zeros((groups, frames * count, out // groups))
    for tap in range(taps):
        first = tap * dilation
        seen = grid[:, first : first + stride * (count - 1) + 1 : stride]
        by_group = np.moveaxis(seen.reshape(frames * count, groups, inner), 1, 0)
        found += by_group @ weight[:, :, tap].reshape(groups, -1, inner).swapaxes(1, 2)
    return np.moveaxis(found, 0, 1).reshape(frames, count, out)


def spread(weight: np.ndarray, channels: int, step: int) -> np.ndarray:
    """Return weight (out, in / groups, taps) as (out, window elements), zero where it has none."""
    out, inner, taps = weight.shape
    groups = channels // inner
    whole = np.zeros((out, step * (taps - 1) + 1, channels), weight.dtype)
    for group in range(groups):
        rows = slice(group * out // groups, (group + 1) * out // groups)
        columns = slice(group * inner, (group + 1) * inner)
        whole[rows, ::step, columns] = weight[rows].transpose(0, 2, 1)
    return whole.reshape(out, -1)


def stacked(matrix: QuantisedMatrix, count: int, step: int) -> QuantisedMatrix:
    """Return a matrix with its rows `count` times, each time `step` columns further right."""
    rows, columns = matrix.weight.shape
    whole = np.zeros((count * rows, (count - 1) * step + columns), matrix.weight.dtype)
    for number in range(count):
        first = number * step
        whole[number * rows : (number + 1) * rows, first : first + columns] = matrix.weight
    bias = None if matrix.bias is None else np.tile(matrix.bias, count)
    pair = matrix.requant.multiplier, matrix.requant.shift
    requant = Requant(*(each if len(each) == 1 else np.tile(each, count) for each in pair))
    return replace(matrix, weight=whole, bias=bias, requant=requant)


class Conv1dModel(WeightedModel):
    """A convolution over positions: keys PREFIX.weight (outputs, in / groups, kernel), .bias."""

    type: Literal["conv1d"]
    outputs: Size = Field(description="channels out")
    kernel: Size = Field(default=1, description="taps")
    stride: Size = Field(default=1, description="positions from one window to the next")
    padding: Pads | tuple[Pads, Pads] = Field(
        default=0, description="positions added on both sides, or [left, right]"
    )
    padding_mode: Mode = Field(default="zeros", description="what the added positions hold")
    dilation: Size = Field(default=1, description="positions from one tap to the next")
    groups: Size = Field(default=1, description="parts of the channels that do not see each other")
    bias: bool = Field(default=True, description="whether it has a bias")
    together: Size = Field(
        default=1, description="output positions that one product computes, each with its weights"
    )
    unit: Literal["engine", "vector"] | None = Field(
        default=None,
        description="who computes it; default: the vector unit where it is depthwise (outputs and "
        "groups are the channels) with 8 channels or more, else the engine",
    )
    causal: bool = Field(
        default=False, description="goes on over the frames of a file; takes no padding"
    )
    history: Pads | None = Field(
        default=None,
        description="positions kept of earlier frames (causal); default: dilation * (kernel - 1)",
    )

    @property
    def pads(self) -> tuple[int, int]:
        """Positions added left and right."""
        return (self.padding, self.padding) if isinstance(self.padding, int) else self.padding

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        self._check_channels(shape)
        if self.history is not None and not self.causal:
            raise TopologyError(
                f"history (={self.history}) is for causal: true; add that, or drop history"
            )
        check_pad(shape, self.pads, self.padding_mode)
        seen = shape.positions + sum(self.pads) + (self._kept if self.causal else 0)
        count = window_count(seen, self.kernel, self.stride, self.dilation)
        if count < 1:
            raise TopologyError(
                f"has windows of {self.dilation * (self.kernel - 1) + 1} "
                f"positions over {seen}; pad the input or take a smaller kernel"
            )
        if count % self.together or (self.together > 1 and self.dilation > 1):
            raise TopologyError(
                f"together (={self.together}) must divide the {count} positions of the output, and "
                f"be 1 with dilation (={self.dilation}); take a divisor"
            )
        if self.causal:
            self._check_causal(shape, count)
        return Shape(count, self.outputs)

    def bind(self, shape: Shape, keys: Keys) -> FloatConv1d:
        """Take the weight (outputs, in / groups, kernel) and the bias."""
        inner = shape.channels // self.groups
        weight = keys.take(f"{self.dot}weight", self.outputs, inner, self.kernel)
        bias = keys.take(f"{self.dot}bias", self.outputs) if self.bias else None
        vector = self._on_vector_unit(shape)
        how = (self.stride, self.dilation, self.pads, self.padding_mode, self.together, vector)
        if not self.causal or not self._kept:
            return FloatConv1d(self.name, weight, bias, shape, *how)
        ring = FloatContext(f"{self.name}.ring", shape, self._kept)
        seen = Shape(shape.positions + self._kept, shape.channels)
        return FloatCausalConv1d(self.name, weight, bias, seen, *how, ring=ring)

    @property
    def _kept(self) -> int:
        span = self.dilation * (self.kernel - 1)
        return span if self.history is None else self.history

    def _depthwise(self, shape: Shape) -> bool:
        return self.outputs == self.groups == shape.channels

    def _on_vector_unit(self, shape: Shape) -> bool:
        if self.unit is None:
            wide = shape.channels >= positions.CUT_CHANNELS
            return wide and self.together == 1 and self._depthwise(shape)
        return self.unit == "vector"

    def _check_channels(self, shape: Shape) -> None:
        if self.unit == "vector" and (self.together > 1 or not self._depthwise(shape)):
            raise TopologyError(
                f"unit: vector is for depthwise convolutions, with groups (={self.groups}) and "
                f"outputs (={self.outputs}) as many as channels, and together 1; take the engine"
            )
        for what, size in (("outputs", self.outputs), ("channels of its input", shape.channels)):
            if size % self.groups:
                raise TopologyError(
                    f"groups (={self.groups}) must divide its {what} (={size}); "
                    "take a divisor of both"
                )

    def _check_causal(self, shape: Shape, count: int) -> None:
        if sum(self.pads):
            raise TopologyError(
                f"is causal, so that earlier frames take the place of padding "
                f"(={self.padding}); drop padding, or set history"
            )
        if shape.positions % self.stride or count != shape.positions // self.stride:
            raise TopologyError(
                f"makes {count} positions of a frame of {shape.positions} with "
                f"stride {self.stride} and {self._kept} positions kept; a causal one must make "
                "positions / stride: change the frame, the stride or history"
            )
