"""How far integers can be from floats: values with a bound of their error, operation by operation.

Nothing here is measured: the bound follows from the weights' codes, the formats of the tensors,
and the tables' step. Where a bound holds for every value, it holds for every frame of a run.
"""

from dataclasses import dataclass

import numpy as np

from spusim.network import Network, Product, tensor
from spusim.network.records import Quantum

STEP = 2.0**-4  # inputs of 2**-12 share one of 256 table entries by 256
# Interpolating errs by step^2 / 8 times the largest second derivative; an entry, the last one
# above 1 - 2^-15 that 16 bits hold, and the interpolated value are rounded once each.
CURVATURE = {"tanh": 4 / (3 * 3**0.5), "sigmoid": 1 / (6 * 3**0.5)}
SLOPE = {"tanh": 1.0, "sigmoid": 0.25}
FUNCTION = {"tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


@dataclass(frozen=True)
class Near:
    """A float value (n,), and how far its integer tensor can be from it."""

    value: np.ndarray
    error: np.ndarray

    def __add__(self, other: "Near") -> "Near":
        return Near(self.value + other.value, self.error + other.error)

    def __sub__(self, other: "Near") -> "Near":
        return Near(self.value - other.value, self.error + other.error)

    def __mul__(self, other: "Near") -> "Near":
        mixed = np.abs(self.value) * other.error + np.abs(other.value) * self.error
        return Near(self.value * other.value, mixed + self.error * other.error)

    def put(self, quantum: Quantum) -> "Near":
        """Store it: half a unit more, and what saturates beyond the largest integer."""
        limit = quantum.largest * 2.0**quantum.exponent
        return Near(self.value, self.error + rounding(quantum) + beyond(self.value, limit))

    def curve(self, function: str, output: Quantum, step: float = STEP) -> "Near":
        """Look it up: the function is no steeper than SLOPE, and moves by no more than 2."""
        error = np.minimum(SLOPE[function] * self.error, 2.0)
        table = step**2 / 8 * CURVATURE[function] + 4 * rounding(output)
        return Near(FUNCTION[function](self.value), error + table)

    def relu(self) -> "Near":
        """Cut negatives off."""
        return Near(np.maximum(self.value, 0.0), self.error)

    def part(self, first: int, size: int) -> "Near":
        """Return some elements."""
        return Near(self.value[first : first + size], self.error[first : first + size])


def rounding(quantum: Quantum) -> float:
    """Return the largest error of storing a value that fits."""
    return 2.0 ** (quantum.exponent - 1)


def beyond(values: np.ndarray, limit: float) -> np.ndarray:
    """Return by how much values lie outside of +-limit."""
    return np.maximum(np.abs(values) - limit, 0.0)


class Sums:
    """A product as it was quantised beside the float matrix and bias that it stands for."""

    def __init__(
        self, network: Network, name: str, weight: np.ndarray, bias: np.ndarray | None
    ) -> None:
        node = next(n for n in network.nodes if isinstance(n, Product) and n.name == name)
        head = node.heads[0]
        self.output = head.entry or head.output.quantum
        scale = float(head.requant.multiplier[0]) / 2.0 ** float(head.requant.shift[0])
        self.unit = scale * 2.0**self.output.exponent  # of an accumulator
        first, columns = node.windows[0], node.weight.shape[1]
        units = _units(network, node.input)[first : first + columns]
        self.weight, self.held = weight, node.weight * self.unit / units
        self.bias = np.zeros(len(weight)) if bias is None else bias
        self.held_bias = np.zeros(len(weight)) if bias is None else node.bias * self.unit

    def __call__(self, *operands: Near) -> Near:
        """Return the sums: what codes miss of weights meets values, and codes meet errors."""
        value = np.concatenate([x.value for x in operands])
        error = np.concatenate([x.error for x in operands])
        missed = np.abs(self.held - self.weight) @ np.abs(value)
        found = missed + np.abs(self.held) @ error + np.abs(self.held_bias - self.bias)
        return Near(self.weight @ value + self.bias, found).put(self.output)


def _units(network: Network, name: str) -> np.ndarray:
    """Return the real value of a unit of each element of a tensor, joined or not."""
    node = next((n for n in network.nodes if name in (o.name for o in _made(n))), None)
    if node is not None and hasattr(node, "inputs"):
        return np.concatenate([_units(network, each) for each in node.inputs])
    found = tensor(network, name)
    return np.full(found.size, 2.0**found.quantum.exponent)


def _made(node: object) -> tuple:
    return () if isinstance(node, Product) else (node.output,)
