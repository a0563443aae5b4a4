"""Random images with the spectrum of natural ones: what a network without images is shown.

Amplitudes fall with 1 / frequency, as those of photographs do (Field 1987), so that neighbouring
pixels are alike, and a network's first layers answer as they do to images.
"""

from dataclasses import dataclass

import numpy as np

from spusim.frontend.errors import StreamError
from spusim.frontend.images import normalised
from spusim.network.records import Picture, Stream

PREFIX = "noise:"
_EXAMPLE = "noise:frames=2,seed=1"
_MOST_VALUES = 1 << 26
_MIDDLE, _SPREAD = 0.45, 0.25  # of pixels from 0 to 1, near those of ImageNet's
_SHARED = 0.9  # of the channels' variance: photographs are nearly grey


@dataclass(frozen=True)
class NoiseOptions:
    """What the text after `noise:` may set."""

    frames: int = 1
    seed: int = 1


def noise_stream(options: str, picture: Picture | None) -> Stream:
    """Return random images as a network takes them, each a file of one frame, float64.

    Raises StreamError for options that are none, or a network whose input is no image.
    """
    chosen = _options(options)
    if picture is None:
        raise StreamError(
            f"stream noise:{options} needs a network whose input is an image (channels, height and "
            "width); use random:density=0.5,frames=50,seed=1"
        )
    size = picture.channels * picture.height * picture.width
    if chosen.frames * size > _MOST_VALUES:
        raise StreamError(
            f"noise: {chosen.frames} images of {size} values are more than {_MOST_VALUES} values; "
            "ask for fewer frames"
        )
    rng = np.random.default_rng(chosen.seed)
    frames = np.concatenate([_image(picture, rng).reshape(1, -1) for _ in range(chosen.frames)])
    names = tuple(f"noise[{number}]" for number in range(chosen.frames))
    return Stream(frames, tuple(range(chosen.frames)), names)


def _image(picture: Picture, rng: np.random.Generator) -> np.ndarray:
    """Return an image (height, width, channels): a field in common, and one for each channel."""
    shared = _field(picture, rng)
    planes = [
        np.sqrt(_SHARED) * shared + np.sqrt(1 - _SHARED) * _field(picture, rng)
        for _ in range(picture.channels)
    ]
    pixels = np.clip(_MIDDLE + _SPREAD * np.stack(planes, axis=2), 0.0, 1.0)
    return normalised(pixels, picture)


def _field(picture: Picture, rng: np.random.Generator) -> np.ndarray:
    """Return a field (height, width) of mean 0 and variance 1, with amplitudes of 1 / frequency."""
    shape = picture.height, picture.width
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # no mean
    spectrum = np.fft.fft2(rng.standard_normal(shape)) / frequency
    field = np.fft.ifft2(spectrum).real
    return np.asarray(field / max(field.std(), 1e-12))


def _options(text: str) -> NoiseOptions:
    values: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        key, _, number = part.partition("=")
        if key not in NoiseOptions.__dataclass_fields__ or key in values:
            known = ", ".join(NoiseOptions.__dataclass_fields__)
            raise StreamError(f"noise: {part} is no option, or given twice; known: {known}, "
                              f"e.g. {_EXAMPLE}")  # fmt: skip
        least = 1 if key == "frames" else 0
        if not number.isdecimal() or int(number) < least:
            raise StreamError(f"noise: {key} (={number}) must be a whole number from {least} up")
        values[key] = int(number)
    return NoiseOptions(**values)
