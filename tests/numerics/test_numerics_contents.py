"""Results kept by the contents of arrays: computed once, and anew for whatever has changed."""

import gc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from spusim.numerics.contents import KeptByContent, same_bytes


class Counted:
    """Sums of arrays, and how often one was computed."""

    def __init__(self, most_bytes: int = 1 << 20) -> None:
        self.kept: KeptByContent[int] = KeptByContent(most_bytes)
        self.times = 0

    def of(self, array: np.ndarray, key: object = None) -> int:
        return self.kept.of_array(array, lambda: self._sum(array), key)  # type: ignore[arg-type]

    def _sum(self, *arrays: np.ndarray) -> int:
        self.times += 1
        return sum(int(array.sum()) for array in arrays)


def test_an_array_that_nobody_wrote_to_is_computed_once() -> None:
    counted, array = Counted(), np.arange(60).reshape(3, 4, 5)[:, ::2]
    assert [counted.of(array) for _ in range(3)] == [int(array.sum())] * 3
    assert counted.times == 1
    assert counted.of(array, "other") == int(array.sum()) and counted.times == 2


WRITES: dict[str, Callable[[np.ndarray], None]] = {
    "first": lambda a: a.put(0, 7),
    "last": lambda a: a.put(-1, 7),
    "back": lambda a: a.sort(),
    "type": lambda a: setattr(a, "dtype", np.dtype(f"u{a.itemsize}")),
    "shape": lambda a: setattr(a, "shape", (2, 33)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64])
def test_what_was_written_to_is_computed_anew(write: str, dtype: type) -> None:
    counted, array = Counted(), np.arange(66)[::-1].astype(dtype)
    array[5] = -1
    counted.of(array)
    WRITES[write](array)
    assert counted.of(array) == int(array.sum())
    assert counted.times == 2


def test_an_array_at_the_place_of_one_that_is_gone_is_another() -> None:
    counted = Counted()
    for value in range(200):  # freed, and most likely found again at the same address
        array = np.full(50, value)
        assert counted.of(array) == 50 * value
        del array
    gc.collect()
    assert counted.times == 200 and len(counted.kept) == 0


def test_the_least_recently_used_goes_first() -> None:
    counted = Counted(3 * 800)
    arrays = [np.full(100, value) for value in range(4)]
    for number in (0, 1, 2, 0, 3):  # the fourth takes the place of the second
        counted.of(arrays[number])
    assert counted.times == 4 and len(counted.kept) == 3
    counted.of(arrays[0])
    assert counted.times == 4
    counted.of(arrays[1])
    assert counted.times == 5
    large = np.zeros(1000)
    assert [counted.of(large), counted.of(large)] == [0, 0]
    assert counted.times == 7 and len(counted.kept) == 0  # one that does not fit is not kept


@dataclass(frozen=True)
class Owner:
    first: np.ndarray
    second: np.ndarray


def test_an_owner_is_known_by_all_its_arrays() -> None:
    counted = Counted()

    def of(owner: Owner, known: bool = True) -> int:
        parts = owner.first, owner.second
        return counted.kept.of_owner(
            owner, lambda: parts if known else None, lambda: counted._sum(*parts)
        )

    owner = Owner(np.arange(5), np.arange(7))
    assert [of(owner), of(owner)] == [31, 31] and counted.times == 1
    owner.second[3] = 30
    assert of(owner) == 58 and counted.times == 2
    assert of(Owner(owner.first, owner.second)) == 58 and counted.times == 3
    odd = Owner(np.arange(2), np.arange(2))
    assert [of(odd, False), of(odd, False)] == [2, 2] and counted.times == 5


def test_bytes_are_compared_and_not_values() -> None:
    zero = np.array([0.0, 1.0])
    assert same_bytes(zero, zero.copy())
    assert not same_bytes(zero, np.array([-0.0, 1.0]))  # which computes otherwise
    assert not same_bytes(zero, zero.astype(np.float32))
    assert same_bytes(np.array([np.nan]), np.array([np.nan]))
    assert same_bytes(np.zeros((0, 3)), np.zeros((0, 3)))
    assert not same_bytes(np.zeros((0, 3)), np.zeros((3, 0)))
