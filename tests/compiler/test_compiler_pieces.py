"""Where tensors are cut: corresponding elements alike, and nowhere else."""

import pytest
from random_graphs import GraphBuilder

from spusim.compiler.graph import Graph
from spusim.compiler.pieces import _close

KINDS = ("element", "cut", "state", "join")


def closed_one_by_one(graph: Graph, cuts: dict[str, set[int]]) -> dict[str, set[int]]:
    """Carry each cut over each relation until nothing is new: the definition."""
    found = {name: set(cuts.get(name, ())) for name in graph.tensors}
    while True:
        before = {name: set(at) for name, at in found.items()}
        for r in graph.relations:
            inside_a = {at for at in found[r.a] if r.a_first <= at <= r.a_first + r.size}
            inside_b = {at for at in found[r.b] if r.b_first <= at <= r.b_first + r.size}
            found[r.b] |= {at - r.a_first + r.b_first for at in inside_a}
            found[r.a] |= {at - r.b_first + r.a_first for at in inside_b}
        if found == before:
            return found


@pytest.mark.parametrize("seed", range(40))
def test_cuts_are_carried_to_all_corresponding_elements(seed: int) -> None:
    graph = Graph(GraphBuilder(seed).grow(5 + seed % 20).build())
    cuts = {r.a: {r.a_first + seed % (r.size + 1)} for r in graph.relations}
    assert any(cuts.values())
    assert _close(graph, cuts, KINDS) == closed_one_by_one(graph, cuts)
