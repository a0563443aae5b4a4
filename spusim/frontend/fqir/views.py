"""Operations that only arrange elements: views of the network, and no instructions."""

import math
from dataclasses import replace

from spusim.frontend.fqir.draft import Call, Draft
from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.fqir.value import Value, axis_of


def copy(draft: Draft, call: Call) -> None:
    """Let another name stand for the same."""
    draft.put(call.output, call.inputs["x"])


def reshape(draft: Draft, call: Call) -> None:
    """Count the same elements otherwise."""
    x, shape = call.inputs["x"], [int(length) for length in call.constants["shape"]]
    if shape.count(-1) == 1:
        known = math.prod(length for length in shape if length != -1)
        shape[shape.index(-1)] = x.size // known if known > 0 else 0
    if math.prod(shape) != x.size or min(shape, default=1) < 1:
        raise PlanError(
            f"{call.told}: cannot give shape {call.constants['shape']} to {x.size} elements"
        )
    if x.stored is not None:
        draft.put(call.output, replace(x, shape=tuple(shape), stored=x.stored.reshape(shape)))
    else:
        draft.put(call.output, replace(x, shape=tuple(shape)))


def chunk(draft: Draft, call: Call) -> None:
    """Cut into parts of equal length, the first ones longer by one where it does not divide."""
    x, count = call.inputs["x"], int(call.constants["chunks"])
    axis = axis_of(x, int(call.constants["dim"]), call.told)
    length, over = divmod(x.shape[axis], max(count, 1))
    if count < 1 or length < 1:
        raise PlanError(
            f"{call.told}: cannot make {count} chunks of {x.shape[axis]} elements; use 1 to "
            f"{x.shape[axis]}"
        )
    _parts(draft, call, axis, [length + (number < over) for number in range(count)])


def split(draft: Draft, call: Call) -> None:
    """Cut into parts of given lengths."""
    x = call.inputs["x"]
    axis = axis_of(x, int(call.constants["dim"]), call.told)
    lengths = [int(length) for length in call.constants["lengths"]]
    if min(lengths, default=0) < 1 or sum(lengths) > x.shape[axis]:
        raise PlanError(
            f"{call.told}: cannot cut lengths {lengths} out of {x.shape[axis]} elements"
        )
    _parts(draft, call, axis, lengths)


def cat(draft: Draft, call: Call) -> None:
    """Put tensors one after the other along a dimension."""
    parts = [call.inputs[f"x{number}"] for number in range(len(call.inputs))]
    axis = axis_of(parts[0], int(call.constants["dim"]), call.told)
    shapes = [(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts]
    if any(len(part.shape) != len(parts[0].shape) for part in parts) or len(set(shapes)) > 1:
        told = ", ".join(str(part.shape) for part in parts)
        raise PlanError(f"{call.told}: takes shapes {told}; they may differ in dim {axis} only")
    rows = [
        _row(draft, call, part, axis, outer)
        for outer in range(math.prod(parts[0].shape[:axis]))
        for part in parts
    ]
    length = sum(part.shape[axis] for part in parts)
    shape = (*parts[0].shape[:axis], length, *parts[0].shape[axis + 1 :])
    draft.put(call.output, replace(draft.join(call.output, call.layer, rows), shape=shape))


def _parts(draft: Draft, call: Call, axis: int, lengths: list[int]) -> None:
    outputs = call.node.outputs
    if len(outputs) != len(lengths):
        raise PlanError(f"{call.told}: makes {len(lengths)} parts for {len(outputs)} outputs")
    x, first = call.inputs["x"], 0
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    for name, length in zip(outputs, lengths, strict=True):
        rows = [
            draft.cut(
                f"{name}.{number}" if outer > 1 else name, call.layer, x,
                (number * x.shape[axis] + first) * inner, length * inner,
            )
            for number in range(outer)
        ]  # fmt: skip
        shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
        draft.put(name, replace(draft.join(name, call.layer, rows), shape=shape))
        first += length


def _row(draft: Draft, call: Call, part: Value, axis: int, outer: int) -> Value:
    """Return the elements of a part that lie together for one index of the dimensions before."""
    size = math.prod(part.shape[axis:])
    return draft.cut(f"{call.output}.{outer}", call.layer, part, outer * size, size)
