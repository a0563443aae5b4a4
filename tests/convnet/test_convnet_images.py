"""Image files and random images as frames."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spusim.frontend import StreamError, load_stream
from spusim.frontend.audio import Framing
from spusim.network.records import Picture


def framing(channels: int = 3, height: int = 4, width: int = 6, **how: object) -> Framing:
    """Return how images become frames."""
    picture = Picture(channels, height, width, **how)  # type: ignore[arg-type]
    return Framing(channels * height * width, None, picture)


def saved(path: Path, values: np.ndarray, mode: str | None = None) -> Path:
    """Write an image of 8-bit values, (rows, columns[, channels])."""
    image = Image.fromarray(values.astype(np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


RNG = np.random.default_rng(4)
PIXELS = RNG.integers(0, 256, (4, 6, 3))


def test_an_image_that_fits_is_its_pixels(tmp_path: Path) -> None:
    how = framing(mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    stream = load_stream(str(saved(tmp_path / "a.png", PIXELS)), framing=how)
    expected = (PIXELS / 255 - [0.5, 0.25, 0.0]) / [0.5, 1.0, 2.0]
    np.testing.assert_allclose(stream.frames, expected.reshape(1, -1), rtol=0, atol=1e-12)
    assert (stream.names, stream.notes) == (("a",), ())


def test_an_image_is_resized_then_cropped_at_the_centre(tmp_path: Path) -> None:
    columns = np.repeat(np.arange(0, 240, 10)[None, :, None], 12, 0).repeat(3, 2)  # 12 x 24
    path = str(saved(tmp_path / "wide.png", columns))
    found = load_stream(path, framing=framing(height=12, width=12)).frames.reshape(12, 12, 3)
    np.testing.assert_allclose(found[0, :, 0] * 255, np.arange(60, 180, 10), atol=1e-9)
    halved = load_stream(path, framing=framing(height=4, width=4, resize=6)).frames
    middle = halved.reshape(4, 4, 3)[1, :, 0] * 255
    np.testing.assert_allclose(middle, [85, 105, 125, 145], atol=1.5)  # columns 4 to 7 of 12
    grown = load_stream(path, framing=framing(height=30, width=30)).frames
    assert grown.shape == (1, 30 * 30 * 3) and np.ptp(grown) > 0.2


def test_pixels_made_up_or_left_out_are_told(tmp_path: Path) -> None:
    wide = str(saved(tmp_path / "wide.png", np.zeros((6, 50, 3))))
    notes = load_stream(wide, framing=framing(height=12, width=12)).notes
    assert notes == ("wide.png: 50 x 6 pixels, enlarged 2x and cropped to 12%",)
    # half of an image may go without a word: so photographs are cropped
    square = str(saved(tmp_path / "square.png", np.zeros((20, 20, 3))))
    assert load_stream(square, framing=framing(height=8, width=16)).notes == ()
    assert load_stream(square, framing=framing(height=4, width=16)).notes[0].endswith("to 25%")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
def test_other_modes_are_converted_and_said(tmp_path: Path, mode: str) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    path = saved(tmp_path / f"a{suffix}", PIXELS, mode)
    stream = load_stream(str(path), framing=framing())
    assert stream.notes == (f"{path.name}: converted from mode {mode} to RGB",)
    assert stream.frames.min() >= 0.0 and stream.frames.max() <= 1.0
    grey = load_stream(str(path), framing=framing(1))
    assert grey.frames.shape == (1, 24)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    values = (PIXELS[:, :, 0] * 257).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    stream = load_stream(str(tmp_path / "deep.png"), framing=framing(1))
    np.testing.assert_allclose(stream.frames[0] * 255, PIXELS[:, :, 0].ravel(), atol=1e-9)
    assert stream.notes == ("deep.png: brought to 8 bits a channel",)


def test_a_folder_is_a_file_each(tmp_path: Path) -> None:
    saved(tmp_path / "b.png", PIXELS)
    saved(tmp_path / "a.jpg", PIXELS)
    stream = load_stream(str(tmp_path), framing=framing())
    assert (stream.names, stream.starts) == (("a", "b"), (0, 1))


def refused(path: Path, pattern: str, how: Framing | None) -> None:
    """Check that an image is refused with a message that names it."""
    with pytest.raises(StreamError) as caught:
        load_stream(str(path), framing=how)
    assert re.search(pattern, str(caught.value)) and str(path) in str(caught.value)


def test_broken_images_are_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.png", RNG.integers(0, 256, (64, 64, 3))).read_bytes()
    for name, content in (
        ("cut.png", whole[: len(whole) // 2]),
        ("text.jpg", b"no image"),
        ("empty.png", b""),
        ("flipped.png", whole[:40] + bytes(200) + whole[240:]),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "not a complete image .*; save or download it again", framing())


def test_images_need_a_network_that_takes_them(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", PIXELS)
    refused(path, "says nothing of rows and columns; give its input", Framing(72))
    refused(path, "says nothing of rows and columns", None)
    refused(path, "takes 5 channels; images have 1 or 3", framing(5))


def test_noise_has_the_spectrum_of_photographs() -> None:
    how = framing(height=64, width=64, mean=(0.45,) * 3, std=(0.25,) * 3)
    stream = load_stream("noise:frames=3,seed=2", framing=how)
    again = load_stream("noise:frames=3,seed=2", framing=how)
    assert np.array_equal(stream.frames, again.frames)
    assert stream.starts == (0, 1, 2)
    other = load_stream("noise:frames=1,seed=3", framing=how)
    assert not np.array_equal(stream.frames[:1], other.frames)
    images = stream.frames.reshape(3, 64, 64, 3)
    assert abs(images.mean()) < 0.3 and 0.7 < images.std() < 1.2
    neighbours = np.corrcoef(images[0, :, :-1, 0].ravel(), images[0, :, 1:, 0].ravel())[0, 1]
    apart = np.corrcoef(images[0, :, :-16, 0].ravel(), images[0, :, 16:, 0].ravel())[0, 1]
    assert neighbours > 0.7 > apart + 0.3


@pytest.mark.parametrize(
    ("spec", "pattern"),
    [
        ("noise:frames=0", r"frames \(=0\) must be a whole number from 1 up"),
        ("noise:seed=-1", r"seed \(=-1\) must be a whole number from 0 up"),
        ("noise:density=0.5", "density=0.5 is no option"),
        ("noise:seed=1,seed=2", "given twice"),
        ("noise:frames=99999999", "more than 67108864 values"),
    ],
)
def test_noise_that_is_none_is_refused(spec: str, pattern: str) -> None:
    with pytest.raises(StreamError, match=pattern):
        load_stream(spec, framing=framing())


def test_noise_needs_an_image() -> None:
    with pytest.raises(StreamError, match="needs a network whose input is an image"):
        load_stream("noise:frames=1", framing=Framing(12))
