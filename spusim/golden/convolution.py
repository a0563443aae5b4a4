"""What convolutions and poolings mean: every place of every window gathered, without a kernel."""

from dataclasses import replace

import numpy as np

from spusim.golden.activation import Activation
from spusim.golden.control import ROUNDINGS, Operands
from spusim.golden.engine import named_matrix
from spusim.golden.errors import CodeError, UnknownError
from spusim.golden.state import DecodedMatrix
from spusim.golden.vector import TABLE_BITS, function, scales
from spusim.numerics import STOCHASTIC, Numerics, accumulate_positions, requantise
from spusim.numerics.convolution import missing_modes
from spusim.program import TABLE_NONE, TABLE_RELU, Window

SHIFT, TENSOR = 0, 1  # of `scaling`; else an entry a filter
MAXIMUM = 0  # of `pooling`


def conv(t: Activation, o: Operands) -> None:
    """Set d = f(requantise(bias + the window's convolution of a with M))."""
    m = named_matrix(t, o)
    w = _window(t, o, len(m.weight))
    if m.activation_bits != w.activation_bits:
        raise CodeError(
            f"matrix {m.name} multiplies activations of {m.activation_bits} bits, window {w.name} "
            f"reads {w.activation_bits}; let them agree"
        )
    _check_apart(t, w, o, len(m.weight))
    weight = _weight(m, w)
    x, _ = _gathered(_tensor(t, w, o["a"]), w)
    acc = accumulate_positions(weight, _columns(x, w), m.bias, t.chip.numerics)
    multiplier, shift = _scaling(t, w, len(acc))
    bits = w.output_bits if o["table"] in (TABLE_NONE, TABLE_RELU) else TABLE_BITS
    q = requantise(acc, multiplier, shift, bits, _numerics(t, w))
    _write(t, w, o["d"], function(t, o["table"], q))


def pool(t: Activation, o: Operands) -> None:
    """Set d = requantise(maximum, or sum, of a in the window's places)."""
    w = _window(t, o, None)
    _check_apart(t, w, o, w.channels)
    x, inside = _gathered(_tensor(t, w, o["a"]), w)
    multiplier = np.full(inside.shape[1], w.multiplier, np.int64)
    if w.pooling == MAXIMUM:
        lowest = np.iinfo(np.int64).min
        pooled = np.where(inside[:, None], x, lowest).max(axis=0)
        pooled = np.where(inside.any(axis=0), pooled, 0)
    else:
        pooled = x.sum(axis=0)
        if not w.counted:
            there = np.maximum(inside.sum(axis=0), 1)
            multiplier = (w.multiplier * w.places + there // 2) // there
    _write(t, w, o["d"], requantise(pooled, multiplier, w.shift, w.output_bits, _numerics(t, w)))


def _window(t: Activation, o: Operands, filters: int | None) -> Window:
    """Return the window that `w` names; raises UnknownError, CodeError."""
    numerics = t.chip.numerics
    nullifies = "nullify" in (numerics.overflow, numerics.requantize_overflow)
    partial = bool(numerics.partial_sums.every)
    if lacking := missing_modes(numerics.rounding == STOCHASTIC, nullifies, partial):
        raise CodeError(lacking)
    windows = t.core.image.windows
    if o["w"] >= len(windows):
        raise UnknownError(
            f"window {o['w']} does not exist; core {t.number} has {len(windows)} descriptors"
        )
    window = windows[o["w"]]
    if complaint := window.complaint(window.groups if filters is None else filters):
        raise CodeError(f"window {window.name}: {complaint}")
    return window


def _check_apart(t: Activation, w: Window, o: Operands, channels: int) -> None:
    """Raise CodeError where the result, of so many channels, lies on the operand (T49)."""
    pixels = w.rows * w.shape(w.groups).out_width
    given = _tensor_words(t, w, w.channels, w.height * w.width, w.activation_bits)
    made = _tensor_words(t, w, channels, pixels, w.output_bits)
    if o["a"] < o["d"] + made and o["d"] < o["a"] + given:
        raise CodeError(
            f"writes words {o['d']} to {o['d'] + made - 1}, and reads {o['a']} to "
            f"{o['a'] + given - 1}; a window's result must lie elsewhere than its operand"
        )


def _tensor_words(t: Activation, w: Window, channels: int, pixels: int, bits: int) -> int:
    if w.planar:
        return channels * _words(t, pixels, bits)
    return _words(t, channels * pixels, bits)


def _numerics(t: Activation, w: Window) -> Numerics:
    rounding = ROUNDINGS[w.rounding]
    return replace(t.chip.numerics, rounding=rounding) if rounding else t.chip.numerics


def _scaling(t: Activation, w: Window, filters: int) -> tuple[np.ndarray | int, np.ndarray | int]:
    """Return multiplier and shift, of all filters or each (filters, 1)."""
    if w.scaling == SHIFT:
        return 1, w.shift
    multiplier, shift = scales(t, w.scale, 1 if w.scaling == TENSOR else filters)
    return multiplier[:, None], shift[:, None]


def _tensor(t: Activation, w: Window, address: int) -> np.ndarray:
    """Read the input, (channels, height, width), as the window's layout has it."""
    pixels = w.height * w.width
    if not w.planar:
        flat = t.read(address, pixels * w.channels, w.activation_bits)
        return np.moveaxis(flat.reshape(w.height, w.width, w.channels), 2, 0)
    words = _words(t, pixels, w.activation_bits)
    planes = [
        t.read(address + channel * words, pixels, w.activation_bits)
        for channel in range(w.channels)
    ]
    return np.array(planes).reshape(w.channels, w.height, w.width)


def _write(t: Activation, w: Window, address: int, y: np.ndarray) -> None:
    """Write (channels, positions) in the window's layout."""
    if not w.planar:
        t.write(address, y.T.reshape(-1), w.output_bits)
        return
    words = _words(t, y.shape[1], w.output_bits)
    for number, plane in enumerate(y):
        t.write(address + number * words, plane, w.output_bits)


def _words(t: Activation, elements: int, bits: int) -> int:
    return -(-elements * bits // (8 * t.core.memory.word_bytes))


def _gathered(x: np.ndarray, w: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return activations (places, channels, positions), zero outside, and what is inside."""
    shape = w.shape(w.groups)
    taps = np.array([*shape.offsets()])
    y, column = np.divmod(np.arange(w.rows * shape.out_width), shape.out_width)
    at = [
        (y + w.first_row) * w.stride_y - w.top + taps[:, :1],
        column * w.stride_x - w.left + taps[:, 1:],
    ]
    inside = (at[0] >= 0) & (at[0] < w.height) & (at[1] >= 0) & (at[1] < w.width)
    seen = x[:, np.where(inside, at[0], 0), np.where(inside, at[1], 0)]
    return np.where(inside[:, None], np.moveaxis(seen, 0, 1), 0), inside


def _columns(x: np.ndarray, w: Window) -> np.ndarray:
    """Return what the matrix's columns multiply, (columns, positions), in the order of T35."""
    ordered = x.swapaxes(0, 1) if w.planar else x
    return ordered.reshape(-1, x.shape[2])


def _weight(m: DecodedMatrix, w: Window) -> np.ndarray:
    """Return the weights of all channels (filters, columns), T36; raises CodeError."""
    filters, columns = m.weight.shape
    inputs = w.channels // w.groups
    stored = inputs if m.format == "dense" else w.channels
    if columns != stored * w.places:
        raise CodeError(
            f"matrix {m.name} has {columns} columns; window {w.name} needs {stored * w.places}: "
            f"{w.places} places of {stored} channels"
        )
    shape = (stored, w.places) if w.planar else (w.places, stored)
    axis = 1 if w.planar else 2
    weight = m.weight.reshape(filters, *shape)
    group = np.arange(filters) // (filters // w.groups)
    channel_group = np.arange(w.channels) // inputs
    if m.format == "dense":
        weight = np.take(weight, np.arange(w.channels) % inputs, axis=axis)
    seen = np.expand_dims(group[:, None] == channel_group, 3 - axis)
    if m.format != "dense" and np.any(weight[~np.broadcast_to(seen, weight.shape)]):
        raise CodeError(
            f"matrix {m.name} has weights for channels of other groups than its filters'; "
            "they must be zero (T36)"
        )
    return np.where(seen, weight, 0).reshape(filters, -1)
