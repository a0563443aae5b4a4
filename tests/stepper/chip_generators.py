"""Whole programs that lean on corners, from a seed or, so that failures shrink, from hypothesis."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from random_machines import random_arch
from random_programs import HEAD, random_program

from spusim.arch import Arch, check_arch
from spusim.isa import decode_all, load_isa
from spusim.program import Program

SMALL = 8  # arrays up to this many values are drawn one by one, so that they shrink
FINE = 1 << 12  # steps of a drawn probability


class Drawn:
    """The methods of numpy's Generator that the generators use, drawn by hypothesis."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw

    def _bulk(self) -> np.random.Generator:
        """Return a generator for what is too long to be drawn."""
        return np.random.default_rng(self.draw(st.integers(0, 2**16)))

    def integers(self, low: int, high: int | None = None, size: int | None = None) -> Any:
        """Return integers in [low, high), or [0, low)."""
        low, high = (0, low) if high is None else (low, high)
        if size is None:
            return self.draw(st.integers(int(low), int(high) - 1))
        if size > SMALL:
            return self._bulk().integers(low, high, size)
        return np.array([self.integers(low, high) for _ in range(size)], np.int64)

    def random(self, size: int | None = None) -> Any:
        """Return numbers in [0, 1)."""
        if size is None:
            return self.draw(st.integers(0, FINE - 1)) / FINE
        if size > SMALL:
            return self._bulk().random(size)
        return np.array([self.random() for _ in range(size)])

    def choice(self, values: Sequence[Any], size: int | None = None, replace: bool = True) -> Any:
        """Return elements of a sequence."""
        if size is None:
            return values[self.integers(len(values))]
        if size > SMALL:
            return self._bulk().choice(values, size)
        left, chosen = list(values), []
        for _ in range(size):
            index = self.integers(len(left))
            chosen.append(left[index] if replace else left.pop(index))
        return np.array(chosen)


@dataclass(frozen=True, repr=False)
class Case:
    """What is run on every implementation; its repr is what a shrunk failure shows."""

    program: Program
    arch: Arch
    frames: np.ndarray
    starts: tuple[int, ...]
    input_period: int | None

    def __repr__(self) -> str:
        """Return machine, stream and the cores' instructions."""
        text = f"{self.arch.core!r}\n{self.arch.numerics!r}\n{self.arch.link!r}\n"
        text += f"frames {self.frames.tolist()}, starts {self.starts}, period {self.input_period}"
        for c, image in enumerate(self.program.cores):
            threads = ", ".join(f"{t.name} at {t.entry} x{t.tokens}" for t in image.threads)
            text += f"\ncore {c}: {threads}\n"
            code = enumerate(decode_all(load_isa(), image.code))
            text += "\n".join(f"  {k} {i.mnemonic} {i.operands}" for k, i in code)
        return text


@st.composite
def cases(draw: Callable[[Any], Any]) -> Case:
    """Draw a case."""
    return random_case(Drawn(draw))


def random_case(rng: Any) -> Case:
    """Return a program and a machine, both often with corners; rng: a Generator, or Drawn."""
    arch = random_arch(rng)
    if rng.random() < 0.2:
        arch = with_core(arch, pes=1)
    rewrite = empty_vectors(rng) if rng.random() < 0.3 else str
    program, arch, frames, starts = random_program(rng, arch, rewrite)
    arch = with_corners(rng, program, arch)
    if rng.random() < 0.1:
        frames = np.zeros_like(frames)  # nothing to push but biases
    period = None
    if one_frame_at_a_time(program) and rng.random() < 0.7:
        period = int(rng.choice((1, 2, 50, int(rng.integers(1, 400)))))
    return Case(program, arch, frames, starts, period)


def one_frame_at_a_time(program: Program) -> bool:
    """Whether frames may come early: the only core's head also waits for its last join."""
    return len(program.cores) == 1 and program.cores[0].threads[HEAD].tokens >= 2


def empty_vectors(rng: Any) -> Callable[[str], str]:
    """Return what sets the length of some vector instructions to zero."""
    return lambda text: re.sub(
        r"vset len=\d+", lambda m: "vset len=0" if rng.random() < 0.2 else m[0], text
    )


def with_core(arch: Arch, **changes: Any) -> Arch:
    """Return the machine with other settings of its cores."""
    return arch.model_copy(update={"core": arch.core.model_copy(update=changes)})


def with_corners(rng: Any, program: Program, arch: Arch) -> Arch:
    """Return the machine with some of CORNERS, and either kind of ports."""
    arch = with_core(arch, ports=str(rng.choice(("reserved", "shared"))))
    for corner in CORNERS:
        if rng.random() < 0.25:
            arch = corner(program, arch)
    return check_arch(arch)


def one_lane(program: Program, arch: Arch) -> Arch:
    """One lane a PE, and one of the vector unit."""
    return with_core(arch, lanes=1, vector=arch.core.vector.model_copy(update={"lanes": 1}))


def depth_one(program: Program, arch: Arch) -> Arch:
    """A queue of one column, which frees late."""
    return with_core(arch, queue=arch.core.queue.model_copy(update={"depth": 1}))


def one_activation(program: Program, arch: Arch) -> Arch:
    """A scanner that examines one activation a cycle."""
    return with_core(arch, scanner=arch.core.scanner.model_copy(update={"width": 1}))


def one_context(program: Program, arch: Arch) -> Arch:
    """One thread in flight."""
    return with_core(arch, sequencer=arch.core.sequencer.model_copy(update={"contexts": 1}))


def full_banks(program: Program, arch: Arch) -> Arch:
    """A data memory whose last row of words is the program's last."""
    spec = arch.core.data_memory
    end = max(s.address + len(s.words) for image in program.cores for s in image.segments)
    return with_core(arch, data_memory=spec.model_copy(update={"words": -(-end // spec.banks)}))


def full_channels(program: Program, arch: Arch) -> Arch:
    """Channels that the longest message fills."""
    isa, port = load_isa(), program.input
    words = [-(-port.elements * port.bits // program.word_bits)]
    for image in program.cores:
        code = decode_all(isa, image.code)
        words += [i.operands["words"] for i in code if i.mnemonic == "send"]
    return arch.model_copy(
        update={"link": arch.link.model_copy(update={"channel_words": max(words)})}
    )


def quick_link(program: Program, arch: Arch) -> Arch:
    """Links on which messages of cores and host meet soon and often."""
    update = {"hop_cycles": 1, "host_cycles_per_word": 1}
    return arch.model_copy(update={"link": arch.link.model_copy(update=update)})


CORNERS = (
    one_lane,
    depth_one,
    one_activation,
    one_context,
    full_banks,
    full_channels,
    quick_link,
)
