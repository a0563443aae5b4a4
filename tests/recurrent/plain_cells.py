"""Recurrent layers in plain rational arithmetic: what their integers must be, frame by frame.

Written from PyTorch's formulas and the docstrings' formats, without a graph: values are fractions,
and `put` rounds one (half up) into a format wherever a tensor is stored.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import floor

import numpy as np
from integer_reference import Machine, TableSettings

from spusim.frontend.weights import quantise_matrix
from spusim.network.records import Curve, Quantum
from spusim.numerics import Numerics

GATE, ONE = Quantum(16, -12), Quantum(16, -15)
MACHINE = Machine(Numerics(48), TableSettings())
Values = list[Fraction]


def unit(exponent: int) -> Fraction:
    """Return 2**exponent."""
    return Fraction(2) ** exponent


def put(value: Fraction, quantum: Quantum) -> Fraction:
    """Store a value: round half up, saturate."""
    code = floor(value / unit(quantum.exponent) + Fraction(1, 2))
    code = min(max(code, -quantum.largest - 1), quantum.largest)
    return code * unit(quantum.exponent)


def curve(function: str, values: Values, output: Quantum = ONE) -> Values:
    """Apply the machine's table of a function to values in GATE's format."""
    codes = [int(v / unit(GATE.exponent)) for v in values]
    found = MACHINE.function(codes, Curve(function), GATE, output)
    return [code * unit(output.exponent) for code in found]


class Affine:
    """bias + sum of W v over blocks: one scale of 8-bit codes for all, as fine as the largest."""

    def __init__(
        self, blocks: Sequence[tuple[np.ndarray, int]], bias: np.ndarray | None, output: Quantum
    ) -> None:
        # In accumulator units a code of W means W's scale times its operand's unit.
        scaled = np.concatenate([weight * 2.0**exponent for weight, exponent in blocks], axis=1)
        self.matrix = quantise_matrix(scaled, bias, 8, False, 1.0, 2.0**output.exponent)
        self.exponents = [e for weight, e in blocks for _ in range(weight.shape[1])]
        self.output = output

    def __call__(self, *operands: Values) -> Values:
        """Return the sums of one frame, requantised."""
        flat = [v for operand in operands for v in operand]
        codes = [int(v / unit(e)) for v, e in zip(flat, self.exponents, strict=True)]
        (multiplier,), (shift,) = self.matrix.requant.multiplier, self.matrix.requant.shift
        scale = int(multiplier) * unit(-int(shift))
        found = []
        for row, weights in enumerate(self.matrix.weight.tolist()):
            acc = 0 if self.matrix.bias is None else int(self.matrix.bias[row])
            acc += sum(w * code for w, code in zip(weights, codes, strict=True))
            found.append(put(acc * scale * unit(self.output.exponent), self.output))
        return found


def lstm(weights: dict, x: int, h: Quantum, cell: Quantum, frames: list[Values]) -> list[Values]:
    """Return h of every frame; x: the input's exponent; `weight_hr` among weights projects."""
    gates = Affine(
        [(weights["weight_ih"], x), (weights["weight_hh"], h.exponent)], weights["bias"], GATE
    )
    inner = Quantum(h.bits, 1 - h.bits)
    project = None
    if weights.get("weight_hr") is not None:
        project = Affine([(weights["weight_hr"], inner.exponent)], None, h)
    size = len(weights["weight_ih"]) // 4
    hidden, c = [Fraction(0)] * weights["weight_hh"].shape[1], [Fraction(0)] * size
    found = []
    for frame in frames:
        sums = gates(frame, hidden)
        i, f, g, o = (sums[k * size : (k + 1) * size] for k in range(4))
        i, f, o = (curve("sigmoid", gate) for gate in (i, f, o))
        g = curve("tanh", g)
        kept = [put(a * b, cell) for a, b in zip(f, c, strict=True)]
        added = [put(a * b, cell) for a, b in zip(i, g, strict=True)]
        c = [put(a + b, cell) for a, b in zip(kept, added, strict=True)]
        entry = Quantum(16, cell.exponent)
        codes = [int(v / unit(entry.exponent)) for v in c]
        shown = MACHINE.function(codes, Curve("tanh"), entry, ONE)
        whole = [a * b * unit(ONE.exponent) for a, b in zip(o, shown, strict=True)]
        if project is None:
            hidden = [put(v, h) for v in whole]
        else:
            hidden = project([put(v, inner) for v in whole])
        found.append(hidden)
    return found


def rnn(weights: dict, x: int, h: Quantum, function: str, frames: list[Values]) -> list[Values]:
    """Return h of every frame."""
    entry = h if function == "relu" else GATE
    sums = Affine(
        [(weights["weight_ih"], x), (weights["weight_hh"], h.exponent)], weights["bias"], entry
    )
    hidden = [Fraction(0)] * len(weights["weight_hh"])
    found = []
    for frame in frames:
        before = sums(frame, hidden)
        if function == "relu":
            hidden = [max(v, Fraction(0)) for v in before]
        else:
            hidden = curve("tanh", before, h)
        found.append(hidden)
    return found


def gru(weights: dict, x: int, h: Quantum, part: Quantum, frames: list[Values]) -> list[Values]:
    """Return h of every frame; part: the format of both parts of n."""
    size = weights["weight_hh"].shape[1]
    w_x, w_h, b_x, b_h = (weights[k] for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    top, low = slice(2 * size), slice(2 * size, None)
    none = b_x is None
    both = None if none else b_x[top] + b_h[top]
    gates = Affine([(w_x[top], x), (w_h[top], h.exponent)], both, GATE)
    new_x = Affine([(w_x[low], x)], None if none else b_x[low], part)
    new_h = Affine([(w_h[low], h.exponent)], None if none else b_h[low], part)
    difference = Quantum(16, -14)
    hidden, found = [Fraction(0)] * size, []
    for frame in frames:
        sums = curve("sigmoid", gates(frame, hidden))
        reset, update = sums[:size], sums[size:]
        from_h = [put(r * v, part) for r, v in zip(reset, new_h(hidden), strict=True)]
        total = [put(a + b, GATE) for a, b in zip(new_x(frame), from_h, strict=True)]
        new = curve("tanh", total)
        away = [put(n - v, difference) for n, v in zip(new, hidden, strict=True)]
        held = [put(z * v, difference) for z, v in zip(update, away, strict=True)]
        hidden = [put(n - v, h) for n, v in zip(new, held, strict=True)]
        found.append(hidden)
    return found
