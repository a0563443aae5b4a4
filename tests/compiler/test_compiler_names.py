"""A network's own names never meet those of the tensors that the compiler adds."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from compiler_networks import arch_of, golden, reference

from spusim import machine
from spusim.compiler import compile_network
from spusim.compiler.network import plan_network
from spusim.network import Combine, Cut, Join, Network, Prune, Quantum, State, Tensor, check_network
from spusim.network.graph import tensors_of

STARTS = (0, 2)


def tensor(name: str, size: int) -> Tensor:
    """Return a tensor of 16 bits."""
    return Tensor(name, size, Quantum(16, -8))


def swap() -> Network:
    """Two states change places, so that next values are copied first."""
    states = (State(tensor("a", 8), "b", 1, "swap"), State(tensor("b", 8), "a", 2, "swap"))
    both = Join("both", "both", ("a", "b"), tensor("both", 16))
    last = Combine("last", "last", "add", "both", "both", tensor("y", 16))
    return Network("net", tensor("input", 8), states, (both, last), "y")


def scalar() -> Network:
    """One element meets all others, so that a product repeats it."""
    first = Cut("first", "first", "input", 0, tensor("one", 1))
    nodes = (
        first,
        Combine("m", "m", "mul", "input", "one", tensor("x", 8), sd=8),
        Combine("last", "last", "sub", "x", "input", tensor("y", 8)),
    )
    return Network("net", tensor("input", 8), (), nodes, "y")


def joined_cuts(pieces: int = 3) -> Network:
    """Parts of the frame in another order, which begin within words."""
    cuts = [
        Cut(f"c{n}", "cut", "input", 3 * n + 1, tensor(f"c{n}", 3)) for n in reversed(range(pieces))
    ]
    join = Join("all", "all", tuple(c.name for c in cuts), tensor("all", 3 * pieces))
    last = Combine("last", "last", "add", "all", "all", tensor("y", 3 * pieces))
    return Network("net", tensor("input", 3 * pieces + 2), (), (*cuts, join, last), "y")


def strongest() -> Network:
    """The strongest of elements that do not lie together."""
    cuts = joined_cuts()
    top = Prune("few", "few", "top", "all", 2, tensor("few", 9))
    last = Combine("last", "last", "add", "few", "all", tensor("y", 9))
    return replace(cuts, nodes=(*cuts.nodes[:-1], top, last))


def many_outputs() -> Network:
    """More outputs than ports: the frame's parts, joined the other way round."""
    cuts = [Cut(f"c{n}", "cut", "input", 8 * n, tensor(f"c{n}", 4)) for n in reversed(range(40))]
    join = Join("y", "y", tuple(c.name for c in cuts), tensor("y", 160))
    return Network("net", tensor("input", 320), (), (*cuts, join), "y")


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return a record with names exchanged wherever they stand."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, tuple):
        return tuple(renamed(each, names) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: renamed(getattr(value, f.name), names)
                                 for f in fields(value)})  # fmt: skip
    return value


CASES = {
    "swap": (swap, ".next", "both"),
    "scalar": (scalar, ".spread", "x"),
    "joined_cuts": (joined_cuts, "input.copy", "all"),
    "strongest": (strongest, ".whole", "all"),
    "many_outputs": (many_outputs, "output.copy", "c0"),
}


@pytest.mark.parametrize("case", CASES)
def test_names_of_added_tensors_are_free(case: str) -> None:
    """A tensor that is called as the compiler would call its own is not taken for that."""
    make, ending, own = CASES[case]
    network, arch = make(), arch_of("cores=2", "link.channel_words=200")
    before = {each.name for each in tensors_of(network)}
    after = {each.name for each in tensors_of(plan_network(network, arch).graph.network)}
    added = sorted(name for name in after - before if name.endswith(ending))
    assert added
    for name in added:
        named = renamed(network, {own: name})
        check_network(named)
        frames = np.random.default_rng(7).integers(-400, 400, (5, network.input.size))
        program, expected = compile_network(named, arch), reference(named, arch, frames, STARTS)
        np.testing.assert_array_equal(golden(program, frames, STARTS).outputs, expected)
        np.testing.assert_array_equal(machine.run(program, arch, frames, STARTS).outputs, expected)
