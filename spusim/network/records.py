"""A quantised network: a graph of integer operations that every frame goes through once.

Layers (LSTM, GRU, convolutions, ...) are words of the front end; here they have become the few
operations that a machine must do, exactly. A `layer` names where an operation comes from, for
people. Tensors are vectors of integers with a quantum; nodes stand in an order in which every
tensor is made before it is used. `State` is what one frame leaves to the next of its file.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spusim.errors import SpusimError
from spusim.numerics.convolution import Convolution as Geometry


class NetworkError(SpusimError):
    """A network that is inconsistent or cannot be quantised."""


@dataclass(frozen=True)
class Quantum:
    """A number format: value = (integer - zero_point) * 2**exponent, `bits` wide, signed.

    Unsigned codes are signed ones with a zero point: u of 8 bits is u - 128, with -128 for zero.
    Integers of one bit are 1 and -1.
    """

    bits: int
    exponent: int
    zero_point: int = 0

    @property
    def largest(self) -> int:
        """Largest integer."""
        return max(1, (1 << (self.bits - 1)) - 1)

    @property
    def smallest(self) -> int:
        """Smallest integer."""
        return -(1 << (self.bits - 1))


@dataclass(frozen=True)
class Tensor:
    """A vector of `size` integers; names are unique in a network."""

    name: str
    size: int
    quantum: Quantum


@dataclass(frozen=True)
class Requant:
    """acc -> round_shift(acc * multiplier, shift): multipliers (1,) or (rows,) int64 in [1, 2**31).

    A power-of-two scale has multiplier 1. shift (1,) or (rows,) int64, -30 to 62: a negative one
    shifts left, and has multiplier 1.
    """

    multiplier: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Curve:
    """A function of real numbers (relu, sigmoid, tanh, sqrt, ...), by the machine's own tables.

    Tables take 16 bits; size and interpolation are the architecture's. relu needs none.
    """

    function: str


@dataclass(frozen=True)
class Lut:
    """A table of integers: y = entries[saturate(x, address_bits) + 2**(address_bits-1)].

    entries (2**address_bits,) int32, each in 16 bits; no interpolation.
    """

    name: str
    entries: np.ndarray
    address_bits: int


Function = Curve | Lut


@dataclass(frozen=True)
class Head:
    """Rows of a product, from `first` on, as they leave the accumulators.

    output = function(requant(acc)) where there is a function; what goes into a table is 16 bits
    wide (`entry` is its quantum), what goes into relu or leaves as it is has the output's.
    """

    first: int
    output: Tensor
    requant: Requant
    function: Function | None = None
    entry: Quantum | None = None  # quantum of a table's input


@dataclass(frozen=True)
class Product:
    """For every window w, bias + W x[w : w + columns], cut into heads.

    weight (rows, columns) int, bias (rows,) int64 or None. windows: first elements, one for a
    linear layer, one for each output position of a convolution; a head's output holds its rows of
    the first window, then of the second, and so on. Heads take rows without gap or overlap.
    weight_bits: 1 for weights 1 and -1 (0 where pruned), 2 for 1, 0 and -1, 4, 8 or 16; 4 as well
    with a codebook, whose at most 16 entries, the first one 0, the weights are. normalised_bits: 0,
    or the bits to which all of the input is brought by one shift k that every frame finds anew
    (A13); heads then requantise by a shift less k (A14), and there is no bias (A15).
    """

    name: str
    layer: str
    input: str
    weight: np.ndarray
    weight_bits: int
    bias: np.ndarray | None
    heads: tuple[Head, ...]
    windows: tuple[int, ...] = (0,)
    rounding: str | None = None  # of the requantisation; None: the architecture's
    codebook: tuple[int, ...] = ()
    normalised_bits: int = 0


@dataclass(frozen=True)
class Convolution:
    """Bias + the sum of a filter's weights times what lies under it, at every position.

    geometry: docs/timing_convolution.md, T33. Tensors lie position after position (row after row),
    a position's channels together. weight (filters, channels / groups, kernel height, width) int,
    bias (filters,) int64 or None; weight_bits and codebook as a Product's. Products are added in
    the order (ky, kx, channel), after the bias; padding adds zeros. output = requant of that, (1,)
    or (filters,); with relu max(0, .) of it.
    """

    name: str
    layer: str
    a: str
    weight: np.ndarray
    weight_bits: int
    bias: np.ndarray | None
    geometry: Geometry
    output: Tensor
    requant: Requant
    relu: bool = False
    rounding: str | None = None  # of the requantisation; None: the architecture's
    codebook: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pooling:
    """The largest of a channel's elements under a window, or their average; at every position.

    geometry: as a Convolution's, each channel its own group and filter. kind "max": keeps the
    quantum, and leaves out what lies outside the input; "average": requant of the sum, to which
    places outside add zeros. requant: (1,), for an average; multiplier 1 and shift 0 for a maximum.
    Not count_outside: where only n of the p places lie inside, floor((multiplier * p + n // 2) / n)
    takes the multiplier's place (T50).
    """

    name: str
    layer: str
    kind: str
    a: str
    geometry: Geometry
    output: Tensor
    requant: Requant
    count_outside: bool = True
    rounding: str | None = None


@dataclass(frozen=True)
class Combine:
    """output = kind(a >> sa, b >> sb) >> sd, element by element: add, sub, mul, max or min.

    sa and sb floor, and are 0 for mul; sd rounds; negative shifts go left, exactly. The result is
    brought into the output's bits. b may have one element, which then meets every one of a.
    """

    name: str
    layer: str
    kind: str
    a: str
    b: str
    output: Tensor
    sa: int = 0
    sb: int = 0
    sd: int = 0
    rounding: str | None = None


@dataclass(frozen=True)
class Shift:
    """output = a >> sd, rounded, brought into the output's bits; with relu max(0, .) of that."""

    name: str
    layer: str
    a: str
    output: Tensor
    sd: int = 0
    relu: bool = False
    rounding: str | None = None


@dataclass(frozen=True)
class Apply:
    """output = function(a >> sa), by table; the shift floors, its result saturates to 16 bits."""

    name: str
    layer: str
    a: str
    function: Function
    output: Tensor
    sa: int = 0


@dataclass(frozen=True)
class Prune:
    """output = a where it is large, else 0; keeps the quantum.

    kind "threshold": where |a| >= parameter; "top": where |a| is one of the `parameter` largest
    magnitudes of the vector, of equals the first.
    """

    name: str
    layer: str
    kind: str
    a: str
    parameter: int
    output: Tensor


@dataclass(frozen=True)
class Constant:
    """output = values (size,), which never change."""

    name: str
    layer: str
    values: np.ndarray
    output: Tensor


@dataclass(frozen=True)
class Join:
    """output = the inputs, one after the other; all of the output's quantum.

    What only products read may join tensors of different exponents, of the same bits: the columns'
    weights make up for them.
    """

    name: str
    layer: str
    inputs: tuple[str, ...]
    output: Tensor


@dataclass(frozen=True)
class Cut:
    """output = a[first : first + size]; keeps the quantum."""

    name: str
    layer: str
    a: str
    first: int
    output: Tensor


Node = Product | Convolution | Pooling | Combine | Shift | Apply | Prune | Constant | Join | Cut


@dataclass(frozen=True)
class State:
    """A tensor that holds `start` in a file's first frame, and what `next` was in the last after.

    start: one integer for all elements, or (size,).
    """

    tensor: Tensor
    next: str
    start: int | np.ndarray
    layer: str


@dataclass(frozen=True)
class Picture:
    """How an image becomes a frame, of (height, width, channels) elements.

    resize: pixels of its shorter side before it is cropped at the centre; None: it is scaled until
    the crop just fits. mean, std: of each channel, whose values are from 0 to 1.
    """

    channels: int
    height: int
    width: int
    resize: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class Network:
    """A graph of integer operations: `input` is a frame's tensor, `output` names what leaves.

    input_rounding: how real values become integers of the input's quantum, half_even or floor.
    """

    name: str
    input: Tensor
    states: tuple[State, ...]
    nodes: tuple[Node, ...]
    output: str
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what quantising did, for people
    input_rounding: Literal["half_even", "floor"] = "half_even"
    rate_hz: int | None = None  # samples a second of an input that is sound
    picture: Picture | None = None  # of an input that is an image


@dataclass(frozen=True)
class Stream:
    """Frames (frames, features), float or int, of one or more files laid end to end.

    starts: first frame of each file; names: one a file.
    """

    frames: np.ndarray
    starts: tuple[int, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...] = ()  # the true label of each file, where known
    notes: tuple[str, ...] = ()  # what reading did, for people
