"""Image files as frames: resized, cropped at the centre, normalised."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spusim.frontend.errors import StreamError
from spusim.network.records import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MODES = {1: "L", 3: "RGB"}  # by channels
_SHALLOW, _DEEP = 255.0, 65535.0  # full scale of 8 and 16 bits
_MOST = 0.5  # of an image: less than that left in the crop is told


def read_image(path: Path, picture: Picture | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return an image as a frame (1, height * width * channels) float64, and notes.

    It is turned upright as its EXIF data say, brought into the mode that the network takes, resized
    (bilinear) and cropped as `picture` says; (value / 255 - mean) / std. Raises StreamError.
    """
    if picture is None:
        raise StreamError(
            f"{path}: is an image, and the network's input says nothing of rows and columns; give "
            "its input channels, height and width, or bring a stream of features"
        )
    if picture.channels not in MODES:
        raise StreamError(
            f"{path}: is an image, and the network takes {picture.channels} channels; images have "
            f"{' or '.join(map(str, MODES))}: bring an array (.npy, .npz)"
        )
    image, notes = _opened(path, MODES[picture.channels])
    image, told = _cropped(image, picture, path.name)
    values = np.asarray(image, dtype=np.float64).reshape(-1, picture.channels) / _SHALLOW
    return normalised(values, picture).reshape(1, -1), (*notes, *told)


def normalised(values: np.ndarray, picture: Picture) -> np.ndarray:
    """Return values (..., channels) from 0 to 1 as the network takes them."""
    mean = picture.mean or (0.0,) * picture.channels
    std = picture.std or (1.0,) * picture.channels
    return np.asarray((values - np.array(mean)) / np.array(std))


def _opened(path: Path, mode: str) -> "tuple[Image, tuple[str, ...]]":
    """Return the upright image in a mode, and notes on what was changed for it."""
    from PIL import Image, ImageOps, UnidentifiedImageError  # few runs see images

    damaged = (
        UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError
    )  # fmt: skip
    try:
        with Image.open(path) as file:
            file.load()
            found: Image.Image = ImageOps.exif_transpose(file)
    except damaged as error:
        raise StreamError(
            f"{path}: not a complete image ({error}); save or download it again"
        ) from error
    notes = []
    if found.mode.startswith(("I", "F")):
        levels = np.asarray(found, dtype=np.float64)
        full = _DEEP if levels.max(initial=0.0) > _SHALLOW else _SHALLOW
        codes = np.clip(np.rint(levels / full * _SHALLOW), 0, _SHALLOW)
        found = Image.fromarray(codes.astype(np.uint8))
        notes.append(f"{path.name}: brought to 8 bits a channel")
    if found.mode != mode:
        notes.append(f"{path.name}: converted from mode {found.mode} to {mode}")
        found = found.convert("RGBA").convert(mode) if found.mode == "P" else found.convert(mode)
    return found, tuple(notes)


def _cropped(image: "Image", picture: Picture, name: str) -> "tuple[Image, tuple[str, ...]]":
    """Resize until the shorter side has the wanted pixels, and the crop fits; then crop.

    Returns a note too, where pixels had to be made up or most of them were left out.
    """
    width, height = image.size
    scale = max(picture.height / height, picture.width / width)
    if picture.resize is not None:
        scale = max(scale, picture.resize / min(width, height))
    size = max(picture.width, int(width * scale)), max(picture.height, int(height * scale))
    if size != image.size:
        from PIL.Image import Resampling

        image = image.resize(size, Resampling.BILINEAR)
    left, top = round((size[0] - picture.width) / 2), round((size[1] - picture.height) / 2)
    kept = picture.width * picture.height / (size[0] * size[1])
    what = [f"enlarged {scale:.3g}x"] * (scale > 1) + [f"cropped to {kept:.0%}"] * (kept < _MOST)
    notes = (f"{name}: {width} x {height} pixels, {' and '.join(what)}",) if what else ()
    return image.crop((left, top, left + picture.width, top + picture.height)), notes
