"""Weights that are there once: in place where they are one layer's alone, else in copies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.frontend.chain import FloatNetwork
from spusim.frontend.fold import fold_image_norms
from spusim.frontend.layers import FloatBatchNorm, FloatConv2d, FloatNode
from spusim.frontend.layers.model import Shape
from spusim.frontend.profiled import masked
from spusim.frontend.random_weights import _PIECE, _normal
from spusim.numerics.convolution import Convolution


def plain_mask(weight: np.ndarray, mask: np.ndarray, least: float, rows: bool) -> np.ndarray:
    """Return what `masked` is to return, weight by weight."""
    made = np.zeros_like(weight)
    for at in np.ndindex(weight.shape):
        part = (at[0],) if rows else ()
        largest = np.abs(weight[part] * mask[part]).max()
        floor = weight.dtype.type(largest * weight.dtype.type(least)) if largest > 0 else 1.0
        if mask[at]:
            size = max(abs(weight[at]), floor)
            made[at] = -size if weight[at] < 0 else size
    return made


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([np.float32, np.float64]))
def test_masks_in_place_are_masks_weight_by_weight(seed: int, rows: bool, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 1, rng.integers(1, 5, 3)).astype(dtype)
    weight *= rng.choice([0.0, -0.0, 1e-9, 1.0], weight.shape)
    mask = rng.random(weight.shape) < rng.choice([0.0, 0.4, 1.0])
    wanted = plain_mask(weight, mask, 1 / 127, rows)
    for out in (None, np.empty_like(weight), weight):
        found = masked(weight, mask, 1 / 127, rows, out)
        assert found.dtype == dtype and (out is None or found is out)
        assert np.array_equal(found, wanted) and not np.signbit(found[found == 0]).any()


@pytest.mark.parametrize("size", [1, _PIECE - 1, _PIECE, _PIECE + 1, 3 * _PIECE + 5])
def test_what_is_drawn_in_pieces_is_what_is_drawn_at_once(size: int) -> None:
    one, other = np.random.default_rng(4), np.random.default_rng(4)
    found = _normal(one, 0.5, 1.5, (size, 1))
    assert np.array_equal(found, other.normal(0.5, 1.5, (size, 1)).astype(np.float32))
    assert one.random() == other.random()


def network(weights: list[np.ndarray]) -> FloatNetwork:
    """Return convolutions of 4 channels, each with a batch norm behind it."""
    rng, shape = np.random.default_rng(3), Convolution(4, 3, 3, 4)
    layers: list[FloatNode] = []
    for number, weight in enumerate(weights):
        layers.append(FloatConv2d(f"conv{number}", weight, None, shape))
        mean, variance, scale, offset = rng.normal(0, 1, (4, 4))
        norm = FloatBatchNorm(
            f"norm{number}", mean, variance**2, scale, offset, 1e-5, Shape(9, 4, 3)
        )
        layers.append(norm)
    return FloatNetwork("norms", tuple(layers), 36)


def drawn(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (4, 4, 1, 1)).astype(np.float32)


def test_norms_go_into_weights_that_are_given_up_and_into_no_others() -> None:
    own, shared, fixed = drawn(1), drawn(2), drawn(3)
    fixed.flags.writeable = False
    whole = network([own, shared, shared, fixed])
    before = [each.copy() for each in (own, shared, fixed)]
    kept = fold_image_norms(whole)
    assert all(map(np.array_equal, (own, shared, fixed), before))
    given_up = fold_image_norms(whole, given_up=True)
    for one, other in zip(kept.layers, given_up.layers, strict=True):
        assert isinstance(one, FloatConv2d) and isinstance(other, FloatConv2d)
        assert np.array_equal(one.weight, other.weight)
        assert one.weight.dtype == other.weight.dtype == np.float32
    weights = [layer.weight for layer in given_up.layers if isinstance(layer, FloatConv2d)]
    assert weights[0] is own
    assert np.array_equal(shared, before[1]) and np.array_equal(fixed, before[2])


def test_a_layers_own_array_is_not_anothers() -> None:
    one, two = drawn(1), drawn(2)
    found = network([one, two, two[:]]).owner()
    assert found(one) and not found(two) and not found(two[:])
    one.flags.writeable = False
    assert not found(one)
    assert replace(network([drawn(5)]), layers=()).owner()(drawn(5)) is False
