"""How far a quantised network may be from its float network: rounding errors, added up.

Worst cases, layer by layer, for networks calibrated on the very frames they are run on: then no
calibrated tensor saturates, but for what goes into tables. Written from the documents of the
quantiser and the number formats, not from its code; arithmetic rounds half up, with accumulators
wide enough.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spusim.frontend.chain import FloatNetwork, float_forward
from spusim.frontend.layers import (
    FloatActivation,
    FloatConcat,
    FloatElementwise,
    FloatLinear,
    FloatLstm,
    FloatPool,
    FloatSlice,
)
from spusim.frontend.quantum import Plan
from spusim.network import Network, Product, Quantum, Stream, tensor
from spusim.numerics import build_table, lookup

SLOPES = {"sigmoid": 0.25, "tanh": 1.0}
FUNCTIONS = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}
MULTIPLIER = 2.0**-29  # relative error of a requantisation's multiplier


@dataclass
class Bounds:
    """Errors that each tensor may have (frames, size), beside its real values."""

    network: Network
    plan: Plan
    starts: tuple[int, ...]
    real: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]

    def unit(self, name: str) -> float:
        """Return the real value of a tensor's integer 1."""
        return 2.0 ** self.plan.quanta[name].exponent / self.plan.divisors.get(name, 1)

    def read(self, number: int) -> list["Read"]:
        """Return what a layer reads, conversions made."""
        for made in self.plan.conversions[number]:
            x, error = self.real[made.source], self.errors[made.source]
            # a sum is divided by a reciprocal of 15 bits
            lost = np.abs(x) * 2.0**-14 if made.divisor > 1 else 0.0
            self.real[made.name] = x
            self.errors[made.name] = error + lost + 2.0**made.quantum.exponent / 2
        return [
            Read(self.real[n], self.errors[n], self.plan.quanta[n], self.unit(n))
            for n in self.plan.reads[number]
        ]

    def matrix(
        self, layer: str, weight: np.ndarray, x: "Read", unit: float, finer: np.ndarray | float = 1
    ) -> np.ndarray:
        """Return the errors (frames, rows) of a product's sums as requantised to `unit`.

        finer: of each column, how much finer than x's unit its elements are, and so how much
        coarser its weights.
        """
        node = next(n for n in self.network.nodes if isinstance(n, Product) and n.layer == layer)
        ratios = [
            np.broadcast_to(h.requant.multiplier / 2.0**h.requant.shift, h.output.size)
            for h in node.heads
        ]
        step = np.concatenate(ratios) * unit / x.unit  # real value of a weight's integer 1
        magnitude = np.abs(x.real) + x.error
        weights = (magnitude * finer).sum(axis=1)[:, None] * step
        largest = magnitude @ np.abs(weight).T + weights + self.bias(node, step * x.unit)
        rounded = weights / 2 + step * x.unit / 2  # weights, bias
        return x.error @ np.abs(weight).T + rounded + largest * MULTIPLIER + unit / 2

    def bias(self, node: Product, units: np.ndarray) -> np.ndarray:
        """Return the magnitude of a product's bias."""
        return np.zeros(1) if node.bias is None else np.abs(node.bias * units)


@dataclass(frozen=True)
class Read:
    """A tensor that a layer reads: real values and errors (frames, size), and its format."""

    real: np.ndarray
    error: np.ndarray
    quantum: Quantum
    unit: float


def output_bound(
    floats: FloatNetwork, network: Network, plan: Plan, stream: Stream
) -> tuple[np.ndarray, np.ndarray]:
    """Return a float network's outputs on a stream, and the largest error that each may have."""
    real: dict[str, np.ndarray] = {}
    float_forward(floats, stream.frames, stream.starts, real.__setitem__)
    bounds = Bounds(network, plan, stream.starts, real, {})
    bounds.errors["input"] = np.full(real["input"].shape, bounds.unit("input") / 2)
    for number, layer in enumerate(floats.layers):
        bounds.errors[layer.name] = _LAYERS[type(layer)](bounds, layer, bounds.read(number))
    return real[floats.output], bounds.errors[floats.output]


def _table(function: str, quantum: Quantum, x: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return the errors after a table entered in `quantum`: slope, entries, and clipped ends."""
    codes = np.arange(-(2**15), 2**15)
    entries = build_table(function, 8, 8, quantum.exponent, 16, -15, True)
    exact = FUNCTIONS[function](codes * 2.0**quantum.exponent)
    worst = np.abs(lookup(entries, codes, 8, 8, True, "half_up") * 2.0**-15 - exact).max()
    limit = quantum.largest * 2.0**quantum.exponent
    tail = np.abs(FUNCTIONS[function](x) - FUNCTIONS[function](np.clip(x, -limit, limit)))
    return SLOPES[function] * errors + worst + tail


def _times(a: np.ndarray, ea: np.ndarray, b: np.ndarray, eb: np.ndarray) -> np.ndarray:
    return np.abs(a) * eb + np.abs(b) * ea + ea * eb


def _linear(bounds: Bounds, layer: FloatLinear, inputs: list[Read]) -> np.ndarray:
    return bounds.matrix(layer.name, layer.weight, inputs[0], bounds.unit(layer.name))


def _activation(bounds: Bounds, layer: FloatActivation, inputs: list[Read]) -> np.ndarray:
    (x,) = inputs
    if layer.function == "relu":
        return x.error
    return _table(layer.function, x.quantum, x.real, x.error)


def _lstm(bounds: Bounds, layer: FloatLstm, inputs: list[Read]) -> np.ndarray:
    """Follow the recurrence; the errors of a state are those of the frame before."""
    (x,), size, out = inputs, layer.sizes[1], bounds.unit(layer.name)
    cell_quantum = tensor(bounds.network, f"{layer.name}.c").quantum
    gate = Quantum(16, -12)
    pre, cells = bounds.real[f"{layer.name}.gate"], bounds.real[f"{layer.name}.cell"]
    hidden, weight = bounds.real[layer.name], np.hstack([layer.weight_ih, layer.weight_hh])
    finer = np.repeat([1.0, x.unit / out], [x.real.shape[1], size])
    entry = Quantum(16, min(cell_quantum.exponent, -11))
    found = np.zeros(hidden.shape)
    for frame in range(len(hidden)):
        here, before = slice(frame, frame + 1), slice(frame - 1, frame)
        h, eh, c = hidden[before], found[before], cells[before]
        if frame in bounds.starts:
            h = eh = c = ec = np.zeros((1, size))
        both = Read(np.hstack([x.real[here], h]), np.hstack([x.error[here], eh]), x.quantum, x.unit)
        error = bounds.matrix(layer.name, weight, both, 2.0**gate.exponent, finer)
        kinds = zip(GATES, pre[here].reshape(4, size), error.reshape(4, size), strict=True)
        i, f, g, o = ((FUNCTIONS[k](v), _table(k, gate, v, e)) for k, v, e in kinds)
        ec = _times(*f, c, ec) + _times(*i, *g) + 2.0**cell_quantum.exponent
        shown = np.tanh(cells[here]), _table("tanh", entry, cells[here], ec)
        found[here] = _times(*o, *shown) + out / 2
    return found


GATES = ("sigmoid", "sigmoid", "tanh", "sigmoid")


def _pool(bounds: Bounds, layer: FloatPool, inputs: list[Read]) -> np.ndarray:
    (x,), unit = inputs, bounds.unit(layer.name)
    parts = np.split(x.error, bounds.starts[1:])
    if layer.kind == "mean":  # each frame's share is floored to the sum's unit
        return np.concatenate([np.cumsum(e / layer.frames + unit, axis=0) for e in parts])
    if layer.kind == "max":
        return np.concatenate([np.maximum.accumulate(e, axis=0) for e in parts])
    return x.error


def _elementwise(bounds: Bounds, layer: FloatElementwise, inputs: list[Read]) -> np.ndarray:
    unit = bounds.unit(layer.name)
    first, *others = inputs
    if layer.kind == "mul":
        (other,) = others
        return _times(first.real, first.error, other.real, other.error) + unit / 2
    # where exponents are more than 12 apart, the finer operand is floored to the coarser / 2**12
    lost = max(x.unit for x in inputs) * 2.0**-12 * len(others)
    errors = [np.broadcast_to(x.error, (len(x.error), layer.gives)) for x in inputs]
    error = np.sum(errors, axis=0) if layer.kind in ("add", "sub") else np.max(errors, axis=0)
    return error + lost + unit / 2


def _concat(bounds: Bounds, layer: FloatConcat, inputs: list[Read]) -> np.ndarray:
    return layer.forward(tuple(x.error for x in inputs), bounds.starts, _ignore)


def _slice(bounds: Bounds, layer: FloatSlice, inputs: list[Read]) -> np.ndarray:
    return layer.evaluate(inputs[0].error, bounds.starts, _ignore)


def _ignore(name: str, values: np.ndarray) -> None:
    """Observe nothing."""


_LAYERS: dict[type, Callable[..., np.ndarray]] = {
    FloatLinear: _linear,
    FloatActivation: _activation,
    FloatLstm: _lstm,
    FloatPool: _pool,
    FloatElementwise: _elementwise,
    FloatConcat: _concat,
    FloatSlice: _slice,
}
