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


def by_hand(weight: np.ndarray, structure: str) -> list[tuple]:
    """Return index expressions of all groups of a weight, in row-major order of their first."""
    out, columns = len(weight), weight.shape[1]
    kind, _, size = structure.partition(":")
    if kind == "block":
        rows, width = map(int, size.split("x"))
        return [
            (slice(top, top + rows), slice(left, left + width))
            for top in range(0, out, rows)
            for left in range(0, columns, width)
        ]
    return {
        "row": [(row,) for row in range(out)],
        "filter": [(row,) for row in range(out)],
        "column": [(slice(None), column) for column in range(columns)],
        "channel": [(slice(None), column) for column in range(columns)],
        "kernel": [(row, column) for row in range(out) for column in range(columns)],
    }[kind]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(["block:2x3", "block:4x4", "row", "filter", "column", "channel", "kernel"]),
    MATRICES,
    st.floats(0, 1),
    st.sampled_from(["l1", "l2"]),
)
def test_structures_keep_the_strongest_groups(
    structure: str, shape: tuple, density: float, norm: str
) -> None:
    weight = random_matrix(*shape)
    if structure in ("channel", "kernel"):
        weight = np.stack([weight, 0.5 * weight, weight**2], axis=2)
    pruned = prune_matrices({"w": weight}, density, structure, norm=norm)["w"]
    groups = by_hand(weight, structure)
    order = 1 if norm == "l1" else 2
    norms = [np.linalg.norm(weight[group].ravel(), order) for group in groups]
    wanted = np.zeros_like(weight)
    strongest = sorted(range(len(groups)), key=lambda i: (-round(norms[i], 12), i))
    for index in strongest[: round(density * len(groups))]:
        wanted[groups[index]] = weight[groups[index]]
    np.testing.assert_array_equal(pruned, wanted)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(MATRICES, st.integers(1, 6), st.integers(0, 5))
def test_n_of_m(shape: tuple, m: int, fewer: int) -> None:
    weight, n = random_matrix(*shape), max(1, m - fewer)
    down = prune_matrices({"w": weight.T.copy()}, 1.0, f"{n}:{m}")["w"]
    pruned = prune_matrices({"w": weight}, 1.0, f"n_of_m:{n}:{m}:inputs")["w"]
    np.testing.assert_array_equal(down.T, pruned)
    for row, kept in zip(weight, pruned, strict=True):
        for left in range(0, len(row), m):
            part = np.sort(row[left : left + m])[::-1][:n]
            np.testing.assert_array_equal(np.sort(kept[left : left + m])[::-1][: len(part)], part)
            assert np.count_nonzero(kept[left : left + m]) == len(part)


def test_a_column_of_a_convolution_is_one_tap_of_one_input() -> None:
    weight = np.arange(1.0, 25.0).reshape(2, 3, 4)
    column = prune_matrices({"w": weight}, 1 / 12, "column")["w"]
    assert column[:, 2, 3].all() and np.count_nonzero(column) == 2
    channel = prune_matrices({"w": weight}, 1 / 3, "channel")["w"]
    assert channel[:, 2].all() and np.count_nonzero(channel) == 8


@pytest.mark.parametrize("structure", ["kernel", "channel"])
def test_matrices_have_no_kernels(structure: str) -> None:
    with pytest.raises(
        PruneError, match=rf"fc.weight has shape \(2, 2\), and only a .* {structure}"
    ):
        prune_matrices({"fc.weight": np.ones((2, 2))}, 0.5, structure)


def test_n_above_m_and_unknown_norm() -> None:
    with pytest.raises(PruneError, match="keeps 3 of 2"):
        parse_structure("n_of_m:3:2")
    with pytest.raises(PruneError, match="l1 or l2"):
        prune_matrices({"w": np.ones((2, 2))}, 0.5, norm="l3")


def test_l1_and_l2_differ() -> None:
    weight = np.array([[3.0, 3.0], [5.0, 0.0]])
    by = {n: prune_matrices({"w": weight}, 0.5, "row", norm=n)["w"] for n in ("l1", "l2")}
    np.testing.assert_array_equal(by["l1"], [[3, 3], [0, 0]])
    np.testing.assert_array_equal(by["l2"], [[0, 0], [5, 0]])
