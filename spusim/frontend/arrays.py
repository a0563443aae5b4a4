"""Named arrays from .npy, .npz and .safetensors files, for streams; nothing is unpickled."""

import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from spusim.frontend.errors import CheckpointError, StreamError
from spusim.frontend.safetensor_file import read_safetensors
from spusim.frontend.stored import check_bytes

T = TypeVar("T")

_NPY_HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class ArrayFile:
    """A file's arrays by ascending name, and what its metadata says of them.

    scale: real value of a code of the integer arrays, or None. label_names: what integer labels
    stand for.
    """

    arrays: dict[str, np.ndarray]
    scale: float | None = None
    label_names: tuple[str, ...] = ()


def read_arrays(path: Path, suffixes: tuple[str, ...] = ()) -> ArrayFile:
    """Read all arrays of a file; `suffixes` are a stream's, of any kind. Raises StreamError."""
    suffix = path.suffix.lower()
    if suffix not in (*READERS, *suffixes):
        known = ", ".join(suffixes or READERS)
        raise StreamError(f"{path}: suffix is not a stream's; bring one of {known}")
    if not path.is_file():
        raise StreamError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise StreamError(f"{path}: is empty (0 bytes); save or download it again")
    return READERS[suffix](path)


def _npy(path: Path) -> ArrayFile:
    def load() -> np.ndarray:
        with path.open("rb") as file:
            _check_claim(path, path.name, file, path.stat().st_size)
        return np.asarray(np.load(path, allow_pickle=False))

    return ArrayFile({path.stem: _loaded(path, load)})


def _npz(path: Path) -> ArrayFile:
    def load() -> dict[str, np.ndarray]:
        with zipfile.ZipFile(path) as entries:
            check_bytes(path, "its arrays unpack to", sum(e.file_size for e in entries.infolist()))
            for entry in entries.infolist():
                with entries.open(entry) as file:
                    _check_claim(path, entry.filename, file, entry.file_size)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in sorted(archive.files)}

    return ArrayFile(_loaded(path, load))


def _check_claim(path: Path, name: str, file: IO[bytes], size: int) -> None:
    """Raise StreamError if an .npy claims more than it holds, which numpy would set aside."""
    version = np.lib.format.read_magic(file)
    read = _NPY_HEADERS.get(version)
    if read is None:
        raise ValueError(f"{name} has version {version} of the format")
    shape, _, dtype = read(file)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > size and not dtype.hasobject:
        raise StreamError(
            f"{path}: {name} claims {claimed:,} bytes and holds {size:,}; save or download it again"
        )


def _loaded(path: Path, load: Callable[[], T]) -> T:
    try:
        return load()
    except CheckpointError as error:
        raise StreamError(str(error)) from error
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
        stored = read_safetensors(path)
    except CheckpointError as error:
        raise StreamError(str(error)) from error
    arrays, metadata = dict(stored.tensors), stored.metadata
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
