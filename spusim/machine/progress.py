"""Telling whoever listens which layer a machine has come to.

Only instructions that are handed to the machine are told, convolutions and poolings: all others of
a frame take less time than a reader's eye.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# layer, number of its instruction from 1, how many instructions of the kind the program has
Listener = Callable[[str, int, int], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have a listener told of every layer that a machine begins in this context."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(layer: str, number: int, total: int) -> None:
    """Tell whoever listens, if anybody does."""
    if listener := _LISTENER.get():
        listener(layer, number, total)
