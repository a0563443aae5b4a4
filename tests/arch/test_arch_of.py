"""What is computed once for an architecture object, and never for another one."""

import gc

from spusim.arch import Arch, arch_hash, load_arch
from spusim.arch.reuse import OfArch
from spusim.energy import load_technology
from spusim.energy.costs import price


def test_an_object_is_asked_for_once_and_another_one_anew() -> None:
    asked: list[int] = []

    def depth(arch: Arch, *others: object) -> int:
        asked.append(arch.core.queue.depth)
        return arch.core.queue.depth

    known, arch = OfArch(depth), load_arch("tiny")
    first, second = object(), object()
    assert known(arch) == known(arch) == arch.core.queue.depth and len(asked) == 1
    known(arch.model_copy())
    known(arch, first)
    known(arch, first)
    known(arch, second)
    known(arch)
    assert len(asked) == 5
    for number in range(50):  # gone at once, and the next one most likely at its place
        queue = arch.core.queue.model_copy(update={"depth": number + 1})
        core = arch.core.model_copy(update={"queue": queue})
        assert known(arch.model_copy(update={"core": core})) == number + 1
    gc.collect()
    assert len(known._known) == 1


def test_a_precision_that_is_added_counts() -> None:
    arch = load_arch("eie64").model_copy(deep=True)
    before = arch_hash(arch)
    technology = load_technology(arch.technology)
    assert "mac.1x16" not in price(arch, technology).events
    arch.core.precisions["1x16"] = 1
    assert arch_hash(arch) != before
    assert "mac.1x16" in price(arch, technology).events
    other = load_technology("horowitz45")
    assert price(arch, other).events != price(arch, technology).events
