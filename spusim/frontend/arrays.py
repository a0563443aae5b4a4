"""Named arrays from .npy, .npz and .safetensors files, for streams; nothing is unpickled."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np

from spusim.frontend.errors import CheckpointError, StreamError
from spusim.frontend.safetensor_file import read_metadata, read_safetensors

T = TypeVar("T")


@dataclass(frozen=True)
class ArrayFile:
    """A file's arrays by ascending name, and what its metadata says of them.

    scale: real value of a code of the integer arrays, or None. label_names: what integer labels
    stand for.
    """

    arrays: dict[str, np.ndarray]
    scale: float | None = None
    label_names: tuple[str, ...] = ()


def read_arrays(path: Path) -> ArrayFile:
    """Read all arrays of a file. Raises StreamError."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise StreamError(f"{path}: suffix is not a stream's; bring one of {', '.join(READERS)}")
    if not path.is_file():
        raise StreamError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise StreamError(f"{path}: is empty (0 bytes); save or download it again")
    return reader(path)


def _npy(path: Path) -> ArrayFile:
    return ArrayFile({path.stem: _loaded(path, lambda: np.load(path, allow_pickle=False))})


def _npz(path: Path) -> ArrayFile:
    def load() -> dict[str, np.ndarray]:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in sorted(archive.files)}

    return ArrayFile(_loaded(path, load))


def _loaded(path: Path, load: Callable[[], T]) -> T:
    try:
        return load()
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        if "allow_pickle" in str(error) or "pickled" in str(error):
            raise StreamError(
                f"{path}: holds pickled objects, which could run code and are not loaded; "
                "save plain arrays of numbers"
            ) from error
        raise StreamError(
            f"{path}: not a complete {path.suffix} file ({error}); save or download it again"
        ) from error


def _safetensors(path: Path) -> ArrayFile:
    try:
        arrays, _ = read_safetensors(path)
    except CheckpointError as error:
        raise StreamError(str(error)) from error
    metadata = read_metadata(path)
    try:
        scale = float(Fraction(metadata["scale"])) if "scale" in metadata else None
        labels = tuple(str(label) for label in json.loads(metadata.get("labels", "[]")))
    except (ValueError, ZeroDivisionError, TypeError) as error:
        raise StreamError(
            f"{path}: metadata scale (={metadata.get('scale')}) and labels "
            f"(={metadata.get('labels')}) must be a fraction and a JSON list; correct them"
        ) from error
    return ArrayFile(arrays, scale, labels)


READERS: dict[str, Callable[[Path], ArrayFile]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".safetensors": _safetensors,
}
