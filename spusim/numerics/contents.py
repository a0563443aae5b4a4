"""Results kept for arrays that are known again by what is in them.

To compare an array with a copy of it costs a thirtieth of hashing it, and proves as much: that
nothing was written to it since.
"""

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Generic, TypeVar

import numpy as np

Result = TypeVar("Result")
Key = tuple[int, Hashable]


@dataclass(frozen=True)
class _Kept(Generic[Result]):
    owner: "weakref.ref[object]"
    parts: tuple[np.ndarray, ...]  # besides the owner, which must not be kept alive
    copies: tuple[np.ndarray, ...]
    result: Result

    @property
    def nbytes(self) -> int:
        """Bytes of the copies."""
        return sum(copy.nbytes for copy in self.copies)


class KeptByContent(Generic[Result]):
    """Results by the object whose arrays they were computed from, as long as it lives.

    The least recently used go first where copies of the arrays would take more than most_bytes.
    """

    def __init__(self, most_bytes: int):
        self._most_bytes, self._nbytes, self._lock = most_bytes, 0, RLock()
        self._kept: OrderedDict[Key, _Kept[Result]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of_array(
        self, array: np.ndarray, computed: Callable[[], Result], key: Hashable = None
    ) -> Result:
        """Return what `computed()` would, computed before if the array holds what it held then.

        key: all else that the result depends on. Nobody may change what is returned.
        """
        return self._get(array, key, tuple, computed)

    def of_owner(
        self, owner: object, parts: Callable[[], Sequence[np.ndarray] | None],
        computed: Callable[[], Result], key: Hashable = None,
    ) -> Result:  # fmt: skip
        """Return it for an object that never changes but for what is written to its arrays.

        parts: gives these arrays, asked for only when the object is new; None where more of it
        may change, so that nothing is kept.
        """
        return self._get(owner, key, parts, computed)

    def _get(
        self, owner: object, key: Hashable, parts: Callable[[], Sequence[np.ndarray] | None],
        computed: Callable[[], Result],
    ) -> Result:  # fmt: skip
        place = (id(owner), key)
        kept = self._kept.get(place)
        if kept is not None and kept.owner() is owner and _unchanged(owner, kept):
            with self._lock:
                if place in self._kept:
                    self._kept.move_to_end(place)
            return kept.result
        others = parts()
        if others is None:
            return computed()
        others = tuple(others)
        copies = tuple(np.array(array, order="C") for array in _contents(owner, others))
        result = computed()
        self._keep(place, _Kept(weakref.ref(owner, self._forget(place)), others, copies, result))
        return result

    def _keep(self, place: Key, kept: _Kept[Result]) -> None:
        with self._lock:
            self._drop(place)
            self._kept[place] = kept
            self._nbytes += kept.nbytes
            while self._nbytes > self._most_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, place: Key) -> None:
        gone = self._kept.pop(place, None)
        self._nbytes -= gone.nbytes if gone else 0

    def _forget(self, place: Key) -> Callable[["weakref.ref[object]"], None]:
        """Return what is called when an owner is gone."""

        def forget(owner: "weakref.ref[object]") -> None:
            with self._lock:
                kept = self._kept.get(place)
                if kept is not None and kept.owner is owner:  # else another came to its place
                    self._drop(place)

        return forget


def _contents(owner: object, parts: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return (owner, *parts) if isinstance(owner, np.ndarray) else parts


def _unchanged(owner: object, kept: _Kept[Result]) -> bool:
    contents = _contents(owner, kept.parts)
    return all(map(same_bytes, contents, kept.copies))


def same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether arrays of any type agree in type, shape and every byte; b is C-contiguous."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    kind = np.uint64 if a.nbytes % 8 == 0 else np.uint8
    flat, other = (np.ascontiguousarray(part).reshape(-1).view(kind) for part in (a, b))
    return bool((flat == other).all())
