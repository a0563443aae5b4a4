"""Quantised layers and the Network they make; integers with a scale, and no float arithmetic."""

from dataclasses import dataclass

import numpy as np

from spusim.errors import SpusimError


class NetworkError(SpusimError):
    """A network that is inconsistent or cannot be quantised."""


@dataclass(frozen=True)
class Quantum:
    """A tensor's number format: value = integer * 2**exponent, `bits` wide, signed."""

    bits: int
    exponent: int

    @property
    def largest(self) -> int:
        """Largest integer."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True)
class Requant:
    """acc -> round_shift(acc * multiplier, shift): multipliers (1,) or (rows,) int64 in [1, 2**31).

    A power-of-two scale has multiplier 1. shift (1,) or (rows,) int64, 0 to 62.
    """

    multiplier: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Linear:
    """y = requant(bias + W x): weight (out, in) int, bias (out,) int64 or None."""

    name: str
    weight: np.ndarray
    weight_bits: int
    bias: np.ndarray | None
    input: Quantum
    output: Quantum
    requant: Requant


@dataclass(frozen=True)
class Lstm:
    """PyTorch's LSTM layer, one step a frame; gate order i, f, g, o.

    weight (4H, in + H): [W_ih | W_hh], applied to [x; h], which share the quantum `input`.
    bias (4H,) int64 = b_ih + b_hh. gate: quantum of pre-activations (table inputs);
    cell: quantum of c; gates' outputs are 16-bit with exponent -15. h leaves in `input`.
    """

    name: str
    hidden: int
    weight: np.ndarray
    weight_bits: int
    bias: np.ndarray | None
    input: Quantum
    gate: Quantum
    cell: Quantum
    requant: Requant

    @property
    def output(self) -> Quantum:
        """Quantum of h."""
        return self.input


@dataclass(frozen=True)
class Activation:
    """y = function(x): relu (same quantum), sigmoid or tanh (by table)."""

    name: str
    function: str
    size: int
    input: Quantum
    output: Quantum


@dataclass(frozen=True)
class PoolTime:
    """Pooling over the frames of a file, running: mean (as a sum; see `frames`), max or last.

    mean: state += x >> shift, saturating; the output is the sum, its quantum
    input.exponent + shift; dividing by `frames` gives the mean.
    """

    name: str
    kind: str
    size: int
    shift: int
    frames: int
    input: Quantum
    output: Quantum


Layer = Linear | Lstm | Activation | PoolTime


@dataclass(frozen=True)
class Network:
    """A chain of quantised layers."""

    name: str
    layers: tuple[Layer, ...]
    input_size: int
    input: Quantum
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what quantising did, for people


@dataclass(frozen=True)
class Stream:
    """Frames (frames, features), float or int, of one or more files laid end to end.

    starts: first frame of each file; names: one a file.
    """

    frames: np.ndarray
    starts: tuple[int, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...] = ()  # the true label of each file, where known
