"""Pruning: exact counts, the strongest kept, ties settled, bad requests refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.frontend import PruneError, prune_matrices, prune_matrix
from spusim.frontend.structures import parse_structure

MATRICES = st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(0, 2**32 - 1))


def random_matrix(rows: int, columns: int, seed: int) -> np.ndarray:
    """Nonzero everywhere, so that zeros come from pruning."""
    return np.random.default_rng(seed).uniform(0.1, 1.0, (rows, columns))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(MATRICES, st.floats(0, 1), st.sampled_from([1, 2, 4, 8]))
def test_exact_number_of_strongest_pencils(shape: tuple, density: float, group: int) -> None:
    weight = random_matrix(*shape)
    structure = "element" if group == 1 else f"pencil:{group}"
    pruned = prune_matrix(weight, density, structure)
    kept, dropped = [], []
    for column in range(weight.shape[1]):
        for top in range(0, len(weight), group):
            pencil = pruned[top : top + group, column]
            norm = np.sqrt(np.sum(weight[top : top + group, column] ** 2))
            assert np.all(pencil == 0) or np.array_equal(pencil, weight[top : top + group, column])
            (kept if np.any(pencil) else dropped).append(norm)
    assert len(kept) == round(density * (len(kept) + len(dropped)))
    assert not kept or not dropped or min(kept) >= max(dropped) - 1e-12


def test_ties_keep_the_first_in_row_major_order() -> None:
    expected = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(prune_matrix(np.ones((2, 3)), 4 / 6), expected)


def test_global_scope_prunes_by_one_threshold() -> None:
    weights = {"strong": np.full((4, 4), 2.0), "weak": np.full((4, 4), 1.0)}
    pruned = prune_matrices(weights, 0.75, scope="global")
    assert np.count_nonzero(pruned["strong"]) == 16
    assert np.count_nonzero(pruned["weak"]) == 8
    by_layer = prune_matrices(weights, 0.75)
    assert [np.count_nonzero(weight) for weight in by_layer.values()] == [12, 12]


def test_densities_of_single_layers() -> None:
    weights = {"a": np.ones((4, 4)), "b": np.ones((4, 4))}
    pruned = prune_matrices(weights, 0.5, densities={"b": 0.25})
    assert [np.count_nonzero(weight) for weight in pruned.values()] == [8, 4]


def test_input_is_left_alone_and_type_kept() -> None:
    weight = np.ones((4, 4), dtype=np.float16)
    assert prune_matrix(weight, 0.0).dtype == np.float16
    assert weight.all()


@pytest.mark.parametrize("density", [-0.01, 1.01, float("nan")])
def test_density_outside_zero_to_one(density: float) -> None:
    with pytest.raises(PruneError, match=r"density of weight \(=.*from 0 to 1"):
        prune_matrix(np.ones((2, 2)), density)


@pytest.mark.parametrize(
    "structure",
    ["rows", "pencil", "pencil:0", "pencil:x", "pencil:-4", "block:4", "block:0x4", "n_of_m:2"],
)
def test_unknown_structure(structure: str) -> None:
    with pytest.raises(PruneError, match="pencil:8"):
        parse_structure(structure)


def test_unknown_scope_and_vector() -> None:
    with pytest.raises(PruneError, match="layer or global"):
        prune_matrices({"a": np.ones((2, 2))}, 0.5, scope="chip")
    with pytest.raises(PruneError, match=r"shape \(2,\)"):
        prune_matrix(np.ones(2), 0.5)
