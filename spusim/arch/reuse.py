"""Results kept for the next architecture on which they would come out the same.

A result is kept with all that computing it has read of the architecture. It stands for every other
one of which those fields are the same: nothing else can have decided anything.
"""

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from operator import is_
from threading import Lock
from typing import Generic, TypeVar

from spusim.arch.reads import Reads
from spusim.arch.spec import Arch

Identity = tuple[Hashable, ...]
Result = TypeVar("Result")
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class _Kept(Generic[Result]):
    identity: Identity
    reads: Reads
    result: Result
    nbytes: int


class Itself(Generic[Thing]):
    """A part of an identity: this object and no other, which is kept with it."""

    __slots__ = ("thing",)

    def __init__(self, thing: Thing):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


class KeptResults(Generic[Result]):
    """Results, the least recently used gone first where there are too many or too large ones."""

    def __init__(self, size: Callable[[Result], int], most: int, most_bytes: int):
        """Begin empty. size: the bytes of a result."""
        self._size, self._most, self._most_bytes = size, most, most_bytes
        self._kept: OrderedDict[int, _Kept[Result]] = OrderedDict()
        self._numbers: dict[Identity, list[int]] = {}  # of those kept, by identity
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
            for number in reversed(self._numbers.get(identity, ())):
                kept = self._kept[number]
                if kept.reads.hold(arch):
                    self._kept.move_to_end(number)
                    return kept
        return None

    def _keep(self, kept: _Kept[Result]) -> None:
        if kept.nbytes > self._most_bytes:
            return
        with self._lock:
            self._number += 1
            self._kept[self._number] = kept
            self._numbers.setdefault(kept.identity, []).append(self._number)
            self._nbytes += kept.nbytes
            while len(self._kept) > self._most or self._nbytes > self._most_bytes:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        number, gone = self._kept.popitem(last=False)
        self._nbytes -= gone.nbytes
        numbers = self._numbers[gone.identity]
        numbers.remove(number)
        if not numbers:
            del self._numbers[gone.identity]


@dataclass(frozen=True)
class _Known(Generic[Result]):
    arch: "weakref.ref[Arch]"
    precisions: tuple[tuple[str, int], ...]
    others: tuple[object, ...]
    result: Result

    def of(self, arch: Arch, precisions: object, others: tuple[object, ...]) -> bool:
        """Tell whether it is what is asked for."""
        same = self.arch() is arch and self.precisions == precisions
        return same and len(others) == len(self.others) and all(map(is_, others, self.others))


class OfArch(Generic[Result]):
    """A function of an architecture, computed once for each object as long as it lives.

    All of an architecture is frozen but the table of its precisions, which is compared. Of other
    arguments the last ones count, and are told apart by what they are, not by what they say.
    """

    def __init__(self, computed: Callable[..., Result]):
        self._computed = computed
        self._known: dict[int, _Known[Result]] = {}

    def __call__(self, arch: Arch, *others: object) -> Result:
        """Return what the function does, which nobody may change."""
        known, precisions = self._known.get(id(arch)), tuple(arch.core.precisions.items())
        if known is not None and known.of(arch, precisions, others):
            return known.result
        result = self._computed(arch, *others)
        here = weakref.ref(arch, self._forget(id(arch)))
        self._known[id(arch)] = _Known(here, precisions, others, result)
        return result

    def _forget(self, place: int) -> "Callable[[weakref.ref[Arch]], None]":
        """Return what is called when an architecture is gone."""

        def forget(arch: "weakref.ref[Arch]") -> None:
            known = self._known.get(place)
            if known is not None and known.arch is arch:  # else another has come to its place
                del self._known[place]

        return forget
