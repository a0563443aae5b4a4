"""PyTorch's modules as a checkpoint's names and shapes show them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_RECURRENT = re.compile(
    r"^(?:(?P<prefix>.*)\.)?(?P<what>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)"
    r"(?:_l(?P<number>\d{1,2}))?(?P<reverse>_reverse)?$"
)
_GATES = {4: "lstm", 3: "gru", 1: "rnn"}  # rows of weight_hh over its columns
_OTHERS = {
    0: "a number, used in a way that is not stored",
    1: "a vector: a scale, an offset or a normalisation, in a place that is not stored",
    3: "a convolution, whose stride, padding and dilation are not stored",
    4: "a convolution of images, which no layer type computes",
}


@dataclass(frozen=True)
class Module:
    """A module whose names and shapes settle what it is, with the keys that they are.

    kind: a layer type of network files. layers: of a stack. hidden: of a recurrent module whose
    outputs are a projection of its state; else the outputs.
    """

    prefix: str
    kind: str
    inputs: int
    outputs: int
    hidden: int
    bias: bool
    layers: int
    keys: tuple[str, ...]

    @property
    def recurrent(self) -> bool:
        """Whether it is a recurrent one."""
        return self.kind != "linear"


@dataclass(frozen=True)
class Unsettled:
    """Keys that are no module whose names and shapes settle what it computes, and why."""

    keys: tuple[str, ...]
    why: str


def modules_of(tensors: dict[str, np.ndarray]) -> list[Module | Unsettled]:
    """Return a checkpoint's modules in the order of their first keys."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for key in tensors:
        match = _RECURRENT.match(key)
        prefix = match["prefix"] if match else key.rpartition(".")[0]
        groups.setdefault((prefix or "", bool(match)), []).append(key)
    found: list[Module | Unsettled] = []
    for (prefix, recurrent), keys in groups.items():
        shapes = {key: tensors[key].shape for key in keys}
        found += _recurrent(prefix, shapes) if recurrent else _others(prefix, shapes)
    return found


def _others(prefix: str, shapes: dict[str, tuple[int, ...]]) -> Iterator[Module | Unsettled]:
    """Yield a linear module, if it is one, and what else stands beside it."""
    dot = f"{prefix}." if prefix else ""
    weight, bias = shapes.get(f"{dot}weight", ()), shapes.get(f"{dot}bias")
    linear = len(weight) == 2 and bias in (None, weight[:1])
    names = {f"{dot}weight", f"{dot}bias"} if linear else set()
    if linear:
        keys = tuple(key for key in shapes if key in names)
        outputs, inputs = weight
        yield Module(prefix, "linear", inputs, outputs, outputs, bias is not None, 1, keys)
    rest = {key: shape for key, shape in shapes.items() if key not in names}
    if rest:
        most = max(len(shape) for shape in rest.values())
        yield Unsettled(tuple(rest), _OTHERS.get(most, "of no layer whose names are known"))


def _recurrent(prefix: str, shapes: dict[str, tuple[int, ...]]) -> Iterator[Module | Unsettled]:
    """Yield a recurrent module or a cell, or why it is none that can be told."""
    parts: dict[tuple[str, str | None], tuple[int, ...]] = {}
    for key, shape in shapes.items():
        match = _RECURRENT.match(key)
        assert match is not None
        if match["reverse"]:
            yield Unsettled(
                tuple(shapes),
                "bidirectional: one half starts from a last frame, which a stream does not have; "
                "train it with bidirectional=False",
            )
            return
        parts[match["what"], match["number"]] = shape
    numbers = sorted({number for _, number in parts if number is not None}, key=int)
    whole = numbers == [str(n) for n in range(len(numbers))] and numbers
    cell = not numbers
    if not cell and (not whole or any(number is None for _, number in parts)):
        yield Unsettled(tuple(shapes), f"layers {', '.join(numbers)} of a stack; 0 to N in a row")
        return
    yield _stack(prefix, shapes, parts, tuple(numbers) or (None,), "_cell" if cell else "")


def _stack(
    prefix: str,
    shapes: dict[str, tuple[int, ...]],
    parts: dict[tuple[str, str | None], tuple[int, ...]],
    numbers: tuple[str | None, ...],
    ending: str,
) -> Module | Unsettled:
    """Return the module that all layers together are, if their shapes agree."""
    hh, ih = (parts.get((what, numbers[0]), ()) for what in ("weight_hh", "weight_ih"))
    hr = parts.get(("weight_hr", numbers[0]))
    if len(hh) != 2 or len(ih) != 2 or 0 in hh:
        return Unsettled(tuple(shapes), "weight_ih or weight_hh is missing or no matrix")
    hidden, outputs = (hr[1] if hr else hh[1]), hh[1]
    gates = hh[0] // hidden
    bias = ("bias_ih", numbers[0]) in parts
    wanted: dict[tuple[str, str | None], tuple[int, ...]] = {}
    for number in numbers:
        below = ih[1] if number == numbers[0] else outputs
        wanted["weight_ih", number] = (gates * hidden, below)
        wanted["weight_hh", number] = (gates * hidden, outputs)
        if hr:
            wanted["weight_hr", number] = (outputs, hidden)
        if bias:
            wanted["bias_ih", number] = wanted["bias_hh", number] = (gates * hidden,)
    kind = _GATES.get(gates, "") if not hr or gates == 4 else ""
    if parts != wanted or not kind:
        return Unsettled(tuple(shapes), "shapes that no LSTM, GRU or RNN has")
    return Module(prefix, kind + ending, ih[1], outputs, hidden, bias, len(numbers), tuple(shapes))
