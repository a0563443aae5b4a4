"""What stays from frame to frame: states, and the ring buffers of convolutions over time."""

import math
from dataclasses import dataclass, replace

import numpy as np

from spusim.frontend.fqir.draft import Call, Draft
from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.fqir.value import Value, check_size


def assign(draft: Draft, call: Call) -> None:
    """Let a state stand for its next value, also for what reads it later in the frame."""
    old, new = call.inputs["y"], call.inputs["x"]
    if old.shape != new.shape:
        raise PlanError(
            f"{call.told}: gives shape {new.shape} to {call.node.inputs['y']}, which has "
            f"{old.shape}; they must be equal"
        )
    draft.put(call.node.inputs["y"], new)


def zeros(draft: Draft, call: Call) -> None:
    """Make a vector of zeros; in INIT such vectors are states."""
    shape = zero_shape(call)
    made = draft.constant(np.zeros(int(np.prod(shape)), np.int64), call.layer)
    draft.put(call.output, replace(made, shape=shape))


def temporal_unfold(draft: Draft, call: Call) -> None:
    """Put the last frames of a vector one after the other, the oldest first."""
    c = call.constants
    ring = Ring(int(c["kernel_size"]), int(c["dilation"]))
    length = int(c["buffer_length"])
    if length != ring.length:
        raise PlanError(
            f"{call.told}: buffer_length (={length}) must be {ring.length}: (kernel_size - 1) * "
            "dilation"
        )
    taps = ring.taps(draft, call, call.inputs["x"])
    draft.put(call.output, draft.join(call.output, call.layer, taps))


def zero_shape(call: Call) -> tuple[int, ...]:
    """Return the shape of `zeros`; raises PlanError for an impossible one."""
    shape = call.constants["shape"]
    found = tuple(int(n) for n in (shape if isinstance(shape, list) else [shape]))
    if min(found, default=1) < 0:
        raise PlanError(f"{call.told}: has shape {found}")
    check_size(call.told, math.prod(found))
    return found


@dataclass(frozen=True)
class Ring:
    """A window over time: `kernel` frames, `dilation` apart."""

    kernel: int
    dilation: int

    @property
    def length(self) -> int:
        """Frames that are kept."""
        return (self.kernel - 1) * self.dilation

    def taps(self, draft: Draft, call: Call, x: Value) -> list[Value]:
        """Return the window's frames, oldest first, and let the buffer take in x (size,)."""
        if self.kernel < 1 or self.dilation < 1:
            raise PlanError(f"{call.told}: kernel and dilation must be at least 1")
        flat = replace(x, shape=(x.size,))
        if self.length == 0:
            return [flat]
        buffer = call.inputs.get("buffer")
        size = 0 if buffer is None else buffer.size
        if buffer is None or size != self.length * x.size:
            raise PlanError(
                f"{call.told}: its buffer has {size} elements; {self.length} frames of {x.size} "
                f"take {self.length * x.size}"
            )
        name = call.node.inputs["buffer"]
        both = draft.join(f"{name}.frames", call.layer, [buffer, flat])
        kept = draft.cut(f"{name}.kept", call.layer, both, x.size, size)
        draft.put(name, replace(kept, shape=buffer.shape))
        firsts = range(0, self.length, self.dilation)
        old = [
            draft.cut(f"{name}.tap{number}", call.layer, both, first * x.size, x.size)
            for number, first in enumerate(firsts)
        ]
        return [*old, draft.widened(flat, both.bits, call.layer)]
