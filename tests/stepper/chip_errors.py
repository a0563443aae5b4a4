"""What ends a run of the chip's stepper."""


class ChipError(Exception):
    """A program that the rules do not cover, or that breaks one; the message cites it."""


class ChipDeadlock(ChipError):
    """Nothing can happen any more, T32."""
