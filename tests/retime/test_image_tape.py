"""The tape of convolutions: windows that are parts of an operand, and what it refuses."""

import numpy as np
import pytest

from spusim.kernels.layout import Tape
from spusim.machine import RecordingError
from spusim.machine.image_tape import ImageTape
from spusim.machine.recording import joined
from spusim.program import Operand

# 4 rows of 3 pixels with 2 channels; two instructions, of rows 0 to 2 and 2 to 3
TILED = Operand("conv", 24, (0, 12), ())
WHOLE = Operand("conv", 24, (0,), ())
SHAPES = ((2, 3, 3), (2, 2, 3))
ALL = np.ones((4, 3), bool)  # pixels that a kernel meets


def images(seed: int, frames: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (frames, 2, 4, 3)) * rng.integers(-5, 6, (frames, 2, 4, 3))


def test_what_tiles_recorded_is_replayed_whole_and_in_tiles() -> None:
    x = images(1, 2)
    tape = ImageTape(Tape.RECORD)
    for image in x:
        tape.record(0, image[:, :3], ALL[:3])
        tape.record(0, image[:, 2:], ALL[2:])
    kept = tape.recorded(0, TILED, 2)
    assert kept.known.all()
    whole, tiles = ImageTape(Tape.REPLAY, (kept,)), ImageTape(Tape.REPLAY, (kept,))
    for image in x:
        assert np.array_equal(whole.replay(0, WHOLE, (2, 4, 3), ALL).flags(), image != 0)
        first, second = image[:, :3] != 0, image[:, 2:] != 0
        assert np.array_equal(tiles.replay(0, TILED, SHAPES[0], ALL[:3]).flags(), first)
        assert np.array_equal(tiles.replay(0, TILED, SHAPES[1], ALL[2:]).flags(), second)
    with pytest.raises(RecordingError, match=r"has 2 frames of 24 .* reads 24 in frame 2"):
        whole.replay(0, WHOLE, (2, 4, 3), ALL)


def test_pixels_that_no_kernel_meets_are_neither_recorded_nor_asked_for() -> None:
    """Two cores with a part of the rows each, and anything in the other's."""
    image, other = images(3, 2)
    met = [np.zeros((4, 3), bool) for _ in range(2)]
    met[0][:2], met[1][3] = True, True
    parts = []
    for number, rows in enumerate((slice(0, 2), slice(3, 4))):
        tape, held = ImageTape(Tape.RECORD), other.copy()
        held[:, rows] = image[:, rows]
        tape.record(0, held, met[number])
        parts.append(tape.recorded(0, WHOLE, 1))
    kept, read = joined(*parts), met[0] | met[1]
    assert kept.known.reshape(4, 3, 2).all(axis=2).tolist() == read.tolist()
    found = ImageTape(Tape.REPLAY, (kept,)).replay(0, WHOLE, (2, 4, 3), read)
    assert np.array_equal(found.flags(), (image != 0) & read)
    with pytest.raises(RecordingError, match="reads activations that the recording lacks"):
        ImageTape(Tape.REPLAY, (kept,)).replay(0, WHOLE, (2, 4, 3), ALL)


def test_what_was_not_recorded_is_not_replayed() -> None:
    tape = ImageTape(Tape.RECORD)
    first, _ = images(2, 2)
    tape.record(0, first[:, :3], ALL[:3])
    with pytest.raises(RecordingError, match="computed 1 times in 1 frames of 2 windows"):
        tape.recorded(0, TILED, 1)
    with pytest.raises(RecordingError, match="24 activations, an instruction 9 x 2 from 0 on"):
        tape.recorded(0, WHOLE, 1)
    tape.record(0, first[:, :1], ALL[:1])  # rows 0 to 2 and, again, row 2
    part = ImageTape(Tape.REPLAY, (tape.recorded(0, TILED, 1),))
    with pytest.raises(RecordingError, match="reads activations that the recording lacks"):
        part.replay(0, WHOLE, (2, 4, 3), ALL)
    with pytest.raises(RecordingError, match="an instruction 12 x 2 from 0 on"):
        ImageTape(Tape.REPLAY, (tape.recorded(0, TILED, 1),)).replay(
            0, Operand("conv", 20, (0,), ()), (2, 4, 3), ALL
        )


def test_nothing_recorded_replays_as_zeros() -> None:
    tape = ImageTape(Tape.REPLAY, (None,))
    assert not tape.replay(0, WHOLE, (2, 4, 3), ALL).flags().any()
