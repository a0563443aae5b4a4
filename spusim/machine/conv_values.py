"""A convolution's values: planned once from the weights, then computed for activations."""

from dataclasses import dataclass, replace

import numpy as np

from spusim.kernels.conv_layout import G
from spusim.kernels.conv_values import (
    SLACK,
    convolve,
    convolve_stepwise,
    fill_planes,
    list_weights,
)
from spusim.kernels.lanes import WIDE
from spusim.machine.errors import MachineError
from spusim.numerics.convolution import ORDERS, Convolution

_SHORT = np.iinfo(np.int16)
_WORD_BITS = 32  # of the fast path's accumulators


@dataclass(frozen=True)
class ValuePlan:
    """The nonzero weights as offsets into padded planes, filter after filter."""

    shape: Convolution
    sizes: np.ndarray  # (G.COUNT,) int64
    phases: np.ndarray  # (n, 2) int64: phases of the stride that have a plane
    rows: int  # of a plane
    pitch: int
    pointers: np.ndarray  # (filters + 1,) int64; a zero weight pads every list to an even length
    offsets: np.ndarray  # int32
    weights: np.ndarray  # int16
    bias: np.ndarray  # (filters,) int64
    weight_sums: np.ndarray  # (filters,) int64: sum of |w|

    @property
    def buffer_size(self) -> int:
        """Activations that the planes hold, with what the last tile may read behind them."""
        return self.shape.channels * len(self.phases) * self.rows * self.pitch + SLACK

    def of(self, shape: Convolution) -> "ValuePlan":
        """Return the plan for a shape that differs in what is around its output's positions."""
        return replace(self, shape=shape, sizes=sizes_of(shape))

    def place(self, position: int) -> int:
        """Return where an output position lies at the planes' pitch."""
        y, x = divmod(position, self.shape.out_width)
        return y * self.pitch + x


def sizes_of(shape: Convolution) -> np.ndarray:
    """Return the sizes that kernels take, (G.COUNT,) int64."""
    sizes = np.zeros(G.COUNT, np.int64)
    sizes[[G.CHANNELS, G.HEIGHT, G.WIDTH]] = shape.channels, shape.height, shape.width
    sizes[[G.KERNEL_HEIGHT, G.KERNEL_WIDTH]] = shape.kernel_height, shape.kernel_width
    sizes[[G.STRIDE_Y, G.STRIDE_X]] = shape.stride
    sizes[[G.TOP, G.LEFT]] = shape.padding[:2]
    sizes[[G.DILATION_Y, G.DILATION_X]] = shape.dilation
    sizes[G.OUT_WIDTH] = shape.out_width
    return sizes


def checked_weights(shape: Convolution, weights: np.ndarray) -> np.ndarray:
    """Return weights (filters, channels of a group, R, S) as int16. Raises MachineError."""
    if weights.shape != shape.weight_shape:
        raise MachineError(
            f"convolution: weights have shape {weights.shape}, its sizes ask for "
            f"{shape.weight_shape} (filters, channels of a group, rows, columns)"
        )
    if weights.dtype.kind not in "iu":
        raise MachineError(f"convolution: weights are {weights.dtype}; quantise them to integers")
    if weights.size and (weights.min() < _SHORT.min or weights.max() > _SHORT.max):
        raise MachineError(
            f"convolution: weights reach from {weights.min()} to {weights.max()}; at most 16 bits "
            "are computed"
        )
    return weights.astype(np.int16, copy=False)


def plan_values(
    shape: Convolution,
    weights: np.ndarray,
    bias: np.ndarray | None = None,
    order: str = "spatial",
) -> ValuePlan:
    """Plan a convolution's values (T33, T35).

    weights (filters, channels of a group, R, S) of up to 16 bits; bias (filters,) integers; order
    `spatial` (ky, kx, channel) or `channel` (channel, ky, kx). Raises MachineError.
    """
    weights = checked_weights(shape, weights)
    if order not in ORDERS:
        raise MachineError(f"convolution: order (={order}) is unknown; use {' or '.join(ORDERS)}")
    biases = np.zeros(shape.filters, np.int64) if bias is None else np.asarray(bias, np.int64)
    if biases.shape != (shape.filters,):
        raise MachineError(
            f"convolution: bias has shape {biases.shape}; it needs one for each of "
            f"{shape.filters} filters"
        )
    phases, rows, pitch, by_place = _planes(shape)
    plane = len(phases) * rows * pitch
    if shape.channels * plane > np.iinfo(np.int32).max:
        raise MachineError("convolution: the padded input exceeds 2**31 activations; cut it up")
    lengths = np.count_nonzero(weights.reshape(shape.filters, -1), axis=1)
    pointers = np.concatenate([[0], np.cumsum(lengths + lengths % 2)])
    offsets, values = np.zeros(pointers[-1], np.int32), np.zeros(pointers[-1], np.int16)
    sums = np.empty(shape.filters, np.int64)
    list_weights(
        np.ascontiguousarray(weights), order == "spatial", shape.filters // shape.groups, plane,
        by_place, pointers, offsets, values, sums,
    )  # fmt: skip
    return ValuePlan(
        shape, sizes_of(shape), phases, rows, pitch, pointers, offsets, values, biases, sums
    )


def _planes(shape: Convolution) -> tuple[np.ndarray, int, int, np.ndarray]:
    """Return phases, rows and pitch of planes, and each place's offset in a channel's planes."""
    (sy, sx), places = shape.stride, list(shape.offsets())
    phases = sorted({(dy % sy, dx % sx) for dy, dx in places})
    rows = shape.out_height + max(dy // sy for dy, _ in places)
    pitch = shape.out_width + max(dx // sx for _, dx in places)
    by_place = [
        (phases.index((dy % sy, dx % sx)) * rows + dy // sy) * pitch + dx // sx for dy, dx in places
    ]
    return np.array(phases, np.int64), rows, pitch, np.array(by_place, np.int64)


def run_values(
    plan: ValuePlan, x: np.ndarray, bits: int = _WORD_BITS, wrap: bool = False
) -> np.ndarray:
    """Return all accumulators, (filters, out_height, out_width); maybe a view with gaps.

    x (channels, height, width) integers, zero meaning zero; accumulators of 8 to 48 bits that
    saturate or wrap around after every accumulation. The result is int32, or int64 where a
    partial sum may leave 32 bits. Raises MachineError.
    """
    shape = plan.shape
    sums = _sums(plan, x, bits, wrap, 0, shape.positions)
    rows = sums[:, : shape.out_height * plan.pitch]
    whole: np.ndarray = rows.reshape(shape.filters, shape.out_height, plan.pitch)
    return whole[:, :, : shape.out_width]


def run_tile_values(
    plan: ValuePlan, x: np.ndarray, first: int, count: int, bits: int = _WORD_BITS,
    wrap: bool = False,
) -> np.ndarray:  # fmt: skip
    """Return the accumulators of a tile (T34), (filters, count), otherwise as `run_values`."""
    check_tile(plan.shape, first, count)
    sums = _sums(plan, x, bits, wrap, first, count)
    y, column = np.divmod(np.arange(first, first + count), plan.shape.out_width)
    return np.ascontiguousarray(sums[:, y * plan.pitch + column - plan.place(first)])


def _sums(
    plan: ValuePlan, x: np.ndarray, bits: int, wrap: bool, first: int, count: int
) -> np.ndarray:
    """Return accumulators at the planes' pitch, (filters, places or more)."""
    _check_run(plan.shape, x, bits)
    peak = int(max(-int(x.min()), int(x.max())))
    start, stop = plan.place(first), plan.place(first + count - 1) + 1
    room = max(stop - start + WIDE, plan.shape.out_height * plan.pitch)
    short = peak <= _SHORT.max
    buffer = np.empty(plan.buffer_size, np.int16 if short else np.int64)
    fill_planes(np.ascontiguousarray(x), plan.sizes, plan.phases, plan.rows, plan.pitch, buffer)
    lists = plan.pointers, plan.offsets, plan.weights
    if not (short and _exact(plan, peak, bits, wrap)):
        wide = np.empty((plan.shape.filters, room), np.int64)
        convolve_stepwise(buffer, *lists, plan.bias, start, stop, wide, bits, wrap)
        return wide
    sums = np.empty((plan.shape.filters, room), np.int32)
    convolve(buffer, *lists, plan.bias.astype(np.int32), start, stop, sums)
    return _wrapped(sums, bits) if wrap and bits < _WORD_BITS else sums


def _check_run(shape: Convolution, x: np.ndarray, bits: int) -> None:
    if x.shape != (shape.channels, shape.height, shape.width) or x.dtype.kind not in "iu":
        raise MachineError(
            f"convolution: activations are {x.dtype} {x.shape}; they must be integers "
            f"{(shape.channels, shape.height, shape.width)}"
        )
    if not 8 <= bits <= 48:
        raise MachineError(f"convolution: accumulators of {bits} bits; they have 8 to 48")


def check_tile(shape: Convolution, first: int, count: int) -> None:
    """Raise MachineError for a tile that has no positions, or others than the output has."""
    if first < 0 or count < 1 or first + count > shape.positions:
        raise MachineError(
            f"convolution: tile of {count} positions from {first}; the output has positions 0 to "
            f"{shape.positions - 1}"
        )


def _exact(plan: ValuePlan, peak: int, bits: int, wrap: bool) -> bool:
    """Whether arithmetic modulo 2**32 gives the accumulators."""
    if wrap and bits <= _WORD_BITS:
        return True
    bound = int((np.abs(plan.bias) + plan.weight_sums * peak).max(initial=0))
    return bound < 1 << (min(bits, _WORD_BITS) - 1)


def _wrapped(sums: np.ndarray, bits: int) -> np.ndarray:
    low = np.int32(1 << (bits - 1))
    folded: np.ndarray = ((sums + low) & np.int32((1 << bits) - 1)) - low
    return folded
