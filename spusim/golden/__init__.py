"""golden: what each instruction means, one short function per instruction, and no time."""

from spusim.golden.errors import (
    AccessError,
    CodeError,
    DeadlockError,
    DoubleArmingError,
    FrameError,
    GoldenError,
    MessageError,
    OutputError,
    RaceError,
    RunawayError,
    UnknownError,
)
from spusim.golden.meaning import MEANING
from spusim.golden.run import GoldenResult, run

__all__ = [
    "MEANING",
    "AccessError",
    "CodeError",
    "DeadlockError",
    "DoubleArmingError",
    "FrameError",
    "GoldenError",
    "GoldenResult",
    "MessageError",
    "OutputError",
    "RaceError",
    "RunawayError",
    "UnknownError",
    "run",
]
