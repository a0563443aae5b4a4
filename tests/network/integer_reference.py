"""What a quantised Network computes, in plain integers: independent of golden and machine.

Follows `spusim/network/records.py` and the meaning of the instructions a compiler lowers to. Of
spusim's arithmetic it uses the look-up tables only; rounding, overflow, requantisation and
accumulation are written here a second time, as plainly as they go.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spusim.network.records import Activation, Linear, Lstm, Network, PoolTime
from spusim.numerics import Numerics, build_table, lookup

GATE_FRACTION = 15  # gates leave their tables in units of 2**-15


@dataclass(frozen=True)
class TableSettings:
    """How tables are made: `numerics.table_address_bits` and `table_interpolate` of an Arch."""

    address_bits: int = 8
    interpolate: bool = True


@dataclass(frozen=True)
class _Machine:
    """The arithmetic that all layers share."""

    numerics: Numerics
    tables: TableSettings

    def shift(self, value: np.ndarray, amount: int) -> np.ndarray:
        """Shift right with rounding, left where `amount` is negative; exact."""
        return np.array([_rounded(int(v), amount, self.numerics.rounding) for v in value])

    def fit(self, value: np.ndarray, bits: int) -> np.ndarray:
        """Bring results that are written to memory into `bits`."""
        return _fit(value, bits, self.numerics.requantize_overflow)

    def product(self, weight: np.ndarray, x: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
        """bias + W x in the accumulators, which overflow after every accumulation."""
        start = np.zeros(len(weight), np.int64) if bias is None else bias
        bits, mode = self.numerics.accumulator_bits, self.numerics.overflow
        wide = weight.astype(np.int64)
        bound = np.abs(start) + np.abs(wide) @ np.abs(x)
        if bound.max(initial=0) < 2 ** (bits - 1):
            return start + wide @ x
        acc = _fit(start, bits, mode)
        for column in np.flatnonzero(x):
            acc = _fit(acc + wide[:, column] * x[column], bits, mode)
        return acc

    def requantise(self, acc: np.ndarray, requant: Any, bits: int) -> np.ndarray:
        """Multiply by the multiplier, shift, fit."""
        multiplier = np.broadcast_to(requant.multiplier, acc.shape)
        shift = np.broadcast_to(requant.shift, acc.shape)
        rounding = self.numerics.rounding
        scaled = [
            _rounded(int(a) * int(m), int(s), rounding)
            for a, m, s in zip(acc, multiplier, shift, strict=True)
        ]
        return self.fit(np.array(scaled, dtype=object), bits)

    def table(self, function: str, in_exponent: int) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function by table: inputs of 2**in_exponent, outputs of 2**-15, 16 bits."""
        address_bits, interpolate = self.tables.address_bits, self.tables.interpolate
        fraction_bits = 16 - address_bits
        entries = build_table(
            function, address_bits, fraction_bits, in_exponent, 16, -GATE_FRACTION, interpolate
        )
        rounding = self.numerics.rounding
        return lambda x: self.fit(
            lookup(entries, x, address_bits, fraction_bits, interpolate, rounding), 16
        )


def evaluate(
    network: Network,
    frames: np.ndarray,
    starts: Sequence[int],
    numerics: Numerics | None = None,
    tables: TableSettings | None = None,
) -> np.ndarray:
    """Evaluate a network on integer frames (frames, in): outputs (frames, out) int32.

    State is reset at every frame of `starts`.
    """
    machine = _Machine(numerics or Numerics(), tables or TableSettings())
    outputs = []
    for frame, x in enumerate(np.asarray(frames, dtype=np.int64)):
        if frame in starts:
            steps = [_STEPS[type(layer)](machine, layer) for layer in network.layers]
        for step in steps:
            x = step(x)
        outputs.append(x)
    return np.array(outputs, dtype=np.int32)


Step = Callable[[np.ndarray], np.ndarray]


def _linear(machine: _Machine, layer: Linear) -> Step:
    def step(x: np.ndarray) -> np.ndarray:
        acc = machine.product(layer.weight, x, layer.bias)
        return machine.requantise(acc, layer.requant, layer.output.bits)

    return step


def _lstm(machine: _Machine, layer: Lstm) -> Step:
    sigmoid = machine.table("sigmoid", layer.gate.exponent)
    tanh = machine.table("tanh", layer.gate.exponent)
    cell_tanh = machine.table("tanh", layer.cell.exponent)
    hidden = np.zeros(layer.hidden, np.int64)
    cell = np.zeros(layer.hidden, np.int64)

    def step(x: np.ndarray) -> np.ndarray:
        nonlocal hidden, cell
        acc = machine.product(layer.weight, np.concatenate([x, hidden]), layer.bias)
        enter, forget, new, leave = machine.requantise(acc, layer.requant, 16).reshape(4, -1)
        kept = machine.fit(machine.shift(sigmoid(forget) * cell, GATE_FRACTION), 16)
        product = sigmoid(enter) * tanh(new)
        added = machine.fit(machine.shift(product, 2 * GATE_FRACTION + layer.cell.exponent), 16)
        cell = machine.fit(kept + added, 16)
        product = sigmoid(leave) * cell_tanh(cell)
        hidden = machine.fit(
            machine.shift(product, 2 * GATE_FRACTION + layer.input.exponent), layer.input.bits
        )
        return hidden

    return step


def _activation(machine: _Machine, layer: Activation) -> Step:
    if layer.function == "relu":
        return lambda x: np.maximum(x, 0)
    return machine.table(layer.function, layer.input.exponent)


def _pool(machine: _Machine, layer: PoolTime) -> Step:
    state = np.full(layer.size, -32768 if layer.kind == "max" else 0, dtype=np.int64)

    def step(x: np.ndarray) -> np.ndarray:
        nonlocal state
        if layer.kind == "mean":  # the pre-shift floors, whatever the rounding
            state = machine.fit(state + (x >> layer.shift), layer.output.bits)
        else:
            state = np.maximum(state, x) if layer.kind == "max" else x
        return state

    return step


_STEPS: dict[type, Callable[[_Machine, Any], Step]] = {
    Linear: _linear,
    Lstm: _lstm,
    Activation: _activation,
    PoolTime: _pool,
}


def _rounded(value: int, shift: int, rounding: str) -> int:
    """Divide a Python integer by 2**shift with rounding."""
    if shift <= 0:
        return value << -shift
    quotient, rest = divmod(value, 1 << shift)
    half = 1 << (shift - 1)
    up = {
        "floor": False,
        "half_up": rest >= half,
        "half_even": rest > half or (rest == half and quotient % 2 == 1),
    }
    return quotient + up[rounding]


def _fit(values: np.ndarray, bits: int, mode: str) -> np.ndarray:
    half = 1 << (bits - 1)
    if mode == "saturate":
        return np.clip(values, -half, half - 1).astype(np.int64)
    return ((values + half) % (2 * half) - half).astype(np.int64)
