"""What convolutions sum up in tables equals what is counted one by one."""

import itertools

import numpy as np
import pytest

from spusim.machine.conv_window import (
    Tensor,
    activations_inside,
    activations_met,
    tile_of,
)
from spusim.program import Window


def random_window(seed: int) -> Window:
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    high, wide = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    window = Window(
        "w", int(rng.integers(1, 5)), height, width, 1, high, wide, *rng.integers(1, 3, 2).tolist(),
        *rng.integers(1, 3, 2).tolist(), *rng.integers(1, 4, 4).tolist(), layout=int(seed % 2),
    )  # fmt: skip
    return window


def tiles(window: Window) -> list[Window]:
    """Return the window with every run of its rows."""
    found = []
    for first, rows in itertools.product(range(4), range(1, 4)):
        tile = Window(**{**vars(window), "first_row": first, "rows": rows})
        if not tile.complaint(1):
            found.append(tile)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_activations_met_and_inside_are_those_under_every_place(seed: int) -> None:
    window = random_window(seed)
    rng = np.random.default_rng(seed)
    for tile in tiles(window):
        shape = tile.shape(1)
        x = rng.integers(0, 2, (tile.channels, tile.height, tile.width), np.int8)
        met = np.zeros((tile.channels, shape.places), np.int64)
        inside = np.zeros_like(met)
        first, count = tile_of(tile, shape)
        for position in range(first, first + count):
            y, column = divmod(position, shape.out_width)
            for place, (ky, kx) in enumerate(shape.offsets()):
                row = y * tile.stride_y + ky - tile.top
                at = column * tile.stride_x + kx - tile.left
                if 0 <= row < tile.height and 0 <= at < tile.width:
                    met[:, place] += x[:, row, at]
                    inside[:, place] += 1
        ordered = [part if tile.planar else part.T for part in (met, inside)]
        assert np.array_equal(activations_met(tile, shape, x), ordered[0].ravel())
        assert np.array_equal(activations_inside(tile, shape), ordered[1].ravel())


@pytest.mark.parametrize("seed", range(60))
def test_accesses_of_planes_are_those_of_their_words(seed: int) -> None:
    rng = np.random.default_rng(seed)
    banks = int(rng.choice([1, 2, 3, 8, 64]))
    tensor = Tensor(
        int(rng.integers(0, 200)), int(rng.integers(1, 9)), int(rng.integers(1, 300)), 8, True, 64
    )
    times = rng.integers(0, 5, tensor.plane_words)
    planes = np.flatnonzero(rng.random(tensor.channels) < 0.7)
    whole = np.zeros((tensor.channels, tensor.plane_words), np.int64)
    whole[planes] = times
    found = tensor.plane_accesses(planes, times, banks)
    assert found.dtype == np.int64
    assert np.array_equal(found, tensor.accesses(whole, banks))
