"""Results kept for the next architecture on which they would come out the same.

A result is kept with all that computing it has read of the architecture. It stands for every other
one of which those fields are the same: nothing else can have decided anything.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from spusim.arch.reads import Reads
from spusim.arch.spec import Arch

Identity = tuple[Hashable, ...]
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Kept(Generic[Result]):
    identity: Identity
    reads: Reads
    result: Result
    nbytes: int


class Itself:
    """A part of an identity: this object and no other, which is kept with it."""

    __slots__ = ("_thing",)

    def __init__(self, thing: object):
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and other._thing is self._thing

    def __hash__(self) -> int:
        return id(self._thing)


class KeptResults(Generic[Result]):
    """Results, the least recently used gone first where there are too many or too large ones."""

    def __init__(self, size: Callable[[Result], int], most: int, most_bytes: int):
        """Begin empty. size: the bytes of a result."""
        self._size, self._most, self._most_bytes = size, most, most_bytes
        self._kept: OrderedDict[int, _Kept[Result]] = OrderedDict()
        self._lock, self._number, self._nbytes = Lock(), 0, 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, identity: Identity, arch: Arch, computed: Callable[[Arch], Result]) -> Result:
        """Return what `computed(arch)` would, from those kept if it is there; errors are not kept.

        identity: all besides the architecture that the result depends on. Nobody may change what
        is returned.
        """
        kept = self._found(identity, arch)
        if kept is None:
            reads = Reads()
            result = computed(reads.watch(arch))
            kept = _Kept(identity, reads, result, self._size(result))
            self._keep(kept)
        return kept.result

    def _found(self, identity: Identity, arch: Arch) -> _Kept[Result] | None:
        with self._lock:
            for number, kept in reversed(self._kept.items()):
                if kept.identity == identity and kept.reads.hold(arch):
                    self._kept.move_to_end(number)
                    return kept
        return None

    def _keep(self, kept: _Kept[Result]) -> None:
        if kept.nbytes > self._most_bytes:
            return
        with self._lock:
            self._number += 1
            self._kept[self._number] = kept
            self._nbytes += kept.nbytes
            while len(self._kept) > self._most or self._nbytes > self._most_bytes:
                self._nbytes -= self._kept.popitem(last=False)[1].nbytes
