"""What golden refuses: every way in which a program can have no meaning."""

from spusim.errors import SpusimError


class GoldenError(SpusimError):
    """A program, or its stream, that has no meaning."""


class RaceError(GoldenError):
    """Two conflicting accesses, or tokens, whose order depends on time."""


class DeadlockError(GoldenError):
    """Nothing can happen any more, and outputs or threads are unfinished."""


class RunawayError(GoldenError):
    """Threads arm each other for ever, and the file never ends."""


class DoubleArmingError(GoldenError):
    """A thread armed again while an arming is already waiting (T21)."""


class MessageError(GoldenError):
    """A message of another length than its receiver takes (T30)."""


class FrameError(GoldenError):
    """Frames of another width, or with values that do not fit the input port."""


class AccessError(GoldenError):
    """An access beyond the data memory or the accumulator file."""


class UnknownError(GoldenError):
    """A core, thread, channel, matrix or table that the program does not have."""


class CodeError(GoldenError):
    """Instructions that cannot be executed as they stand."""


class OutputError(GoldenError):
    """An output port that is not served exactly once a frame."""
