"""Input streams: files, folders of files, random ones and shipped ones; and fitting them in."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from spusim.errors import nearest
from spusim.formats import unfit
from spusim.frontend import audio, images, noise
from spusim.frontend.arrays import READERS, ArrayFile, read_arrays
from spusim.frontend.audio import Framing
from spusim.frontend.errors import StreamError
from spusim.frontend.noise import noise_stream
from spusim.frontend.random_stream import random_stream
from spusim.frontend.shipped_streams import StreamEntry, stream_registry
from spusim.network.records import Network, Stream

SUFFIXES = (*READERS, audio.SUFFIX, *images.SUFFIXES)


def load_stream(
    spec: str, network: Network | None = None, framing: Framing | None = None
) -> Stream:
    """Return the stream that `spec` names, real values as float64 or integer codes as int32.

    spec: FILE[:key] (.npz, .npy, .safetensors), sound (.wav), an image (.png, .jpg, ...), a folder
    of such files, `random:density=0.5,frames=50,seed=1[,files=1][,fade_db=40]` (integer codes;
    needs `network`), `noise:frames=2,seed=1` (random images), or a shipped name. An array is
    (features,), one frame, (frames, features), one file, or (N, frames, features), N files; without
    a key a file may hold several arrays, one per file of the stream. Integers stay codes unless a
    `scale` in a .safetensors file's metadata gives them a value. With `network` its width is
    checked. Sound is cut into frames, and images become frames, as `framing` says, by default the
    network's. Raises StreamError.
    """
    if network and framing is None:
        framing = Framing(network.input.size, network.rate_hz, network.picture)
    if spec.startswith("random:"):
        return random_stream(spec.removeprefix("random:"), network)
    if spec.startswith(noise.PREFIX):
        return noise_stream(spec.removeprefix(noise.PREFIX), framing.picture if framing else None)
    registry = stream_registry()
    if spec in registry:
        stream = _shipped(spec, registry[spec])
    else:
        path, key = _split(spec)
        if path.is_dir():
            stream = _folder(path, framing)
        else:
            stream = _file(path, key, tuple(registry), framing)
    check_stream(stream, network.input.size if network else None, f"stream {spec}")
    return stream


def check_stream(stream: Stream, features: int | None, what: str = "stream") -> None:
    """Raise StreamError unless a stream is finite, not empty, and `features` wide (None: any)."""
    frames = stream.frames
    if frames.ndim != 2 or 0 in frames.shape:
        raise StreamError(f"{what} has shape {frames.shape}; it needs (frames, features), not 0")
    if features is not None and frames.shape[1] != features:
        raise StreamError(
            f"{what} has {frames.shape[1]} features, the network takes {features}; "
            "bring the features that it was trained on"
        )
    starts = (*stream.starts, len(frames))
    rising = all(start < end for start, end in pairwise(starts))
    if starts[0] != 0 or not rising:
        raise StreamError(f"{what} has a file without frames (starts {stream.starts}); drop it")
    if frames.dtype.kind not in "iuf":
        raise StreamError(f"{what} has type {frames.dtype}; it needs integers or floats")
    bad = np.argwhere(~np.isfinite(frames))
    if len(bad):
        raise StreamError(
            f"{what} is {frames[tuple(bad[0])]} at frame {bad[0][0]}, feature {bad[0][1]}; "
            "values must be finite: repair or drop that file"
        )


def quantise_input(stream: Stream, network: Network) -> Stream:
    """Return a stream as integers of the network's input quantum, (frames, features) int32.

    Floats are rounded as the network says (to nearest, ties to even, or down) and clipped (see
    `clipped_inputs`); integers pass, if they are in range. Raises StreamError.
    """
    check_stream(stream, network.input.size)
    quantum, frames = network.input.quantum, stream.frames
    low, high = quantum.smallest, quantum.largest
    if frames.dtype.kind == "f":
        integers = np.clip(_codes(frames, network), low, high)
        if quantum.bits == 1:
            integers = np.where(frames < 0, -1, 1)
        return replace(stream, frames=integers.astype(np.int32))
    wrong = unfit(frames, quantum.bits)
    if wrong.any():
        raise StreamError(
            f"stream has the code {frames[wrong][0]}, outside the network's {quantum.bits}-bit "
            f"input ({low} {'or' if quantum.bits == 1 else 'to'} {high}); bring codes of its "
            f"quantum 2**{quantum.exponent}, or floats"
        )
    return replace(stream, frames=frames.astype(np.int32))


def clipped_inputs(stream: Stream, network: Network) -> int:
    """Return how many values `quantise_input` clips."""
    if stream.frames.dtype.kind != "f":
        return 0
    codes = _codes(stream.frames, network)
    low, high = network.input.quantum.smallest, network.input.quantum.largest
    return int(np.count_nonzero((codes > high) | (codes < low)))


def _codes(frames: np.ndarray, network: Network) -> np.ndarray:
    """Return the codes of floats, as floats, of any size."""
    quantum = network.input.quantum
    rounding = np.floor if network.input_rounding == "floor" else np.rint
    return np.asarray(rounding(np.ldexp(frames, -quantum.exponent)) + quantum.zero_point)


def _split(spec: str) -> tuple[Path, str | None]:
    """Split FILE:key, where FILE has a stream's suffix."""
    stem, colon, key = spec.rpartition(":")
    if colon and Path(stem).suffix.lower() in READERS:
        return Path(stem), key
    return Path(spec), None


def _shipped(name: str, entry: StreamEntry) -> Stream:
    file = read_arrays(entry.path)
    if entry.scale is not None:
        file = replace(file, scale=entry.scale)
    stream = _joined(entry.path, file, entry.key)
    if entry.labels is None:
        return stream
    if entry.labels == "names":
        labels = tuple(file_name.partition("_")[2] for file_name in stream.names)
        return replace(stream, labels=labels)
    codes = _array(entry.path, file, entry.labels)
    known = file.label_names
    return replace(stream, labels=tuple(known[code] if known else str(code) for code in codes))


def _file(path: Path, key: str | None, shipped: Sequence[str], framing: Framing | None) -> Stream:
    if path.suffix.lower() not in SUFFIXES and not path.exists():
        raise StreamError(
            f"stream {path} is no file, folder or shipped name; {nearest(str(path), shipped)}, "
            "or random:density=0.5,frames=50,seed=1"
        )
    return _read(path, key, framing)


def _read(path: Path, key: str | None, framing: Framing | None) -> Stream:
    if path.suffix.lower() in images.SUFFIXES and path.is_file():
        frames, notes = images.read_image(path, framing.picture if framing else None)
        return Stream(frames, (0,), (path.stem,), notes=notes)
    if path.suffix.lower() != audio.SUFFIX or not path.is_file() or not path.stat().st_size:
        return _joined(path, read_arrays(path, SUFFIXES), key)
    frames, notes = audio.read_wav(path, framing)
    return Stream(frames, (0,), (path.stem,), notes=notes)


def _folder(path: Path, framing: Framing | None) -> Stream:
    """Lay the files of a folder end to end, by ascending name."""
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not found:
        raise StreamError(f"{path}: holds no {', '.join(SUFFIXES)} files; name another folder")
    parts = [_read(file, None, framing) for file in found]
    pieces = [
        (name, part.frames[start:end])
        for part in parts
        for name, start, end in zip(
            part.names, part.starts, (*part.starts[1:], len(part.frames)), strict=True
        )
    ]
    notes = tuple(note for part in parts for note in part.notes)
    return replace(_laid_out(path, pieces), notes=notes)


def _joined(path: Path, file: ArrayFile, key: str | None) -> Stream:
    """Make a stream of one array of a file, or of all where no key says which."""
    if key is not None or len(file.arrays) == 1 or "features" in file.arrays:
        name = key or ("features" if "features" in file.arrays else next(iter(file.arrays)))
        array = _scaled(path, name, _array(path, file, name), file.scale)
        return _laid_out(path, _pieces(path, name, array))
    widths = {array.shape[1:] for array in file.arrays.values() if array.ndim == 2}
    if len(widths) != 1 or any(array.ndim != 2 for array in file.arrays.values()):
        raise StreamError(
            f"{path}: its arrays are not all (frames, features) of one width; choose one with "
            f"{path.name}:KEY, where KEY is one of {', '.join(file.arrays)}"
        )
    pieces = [(name, _scaled(path, name, array, file.scale)) for name, array in file.arrays.items()]
    return _laid_out(path, pieces)


def _array(path: Path, file: ArrayFile, key: str) -> np.ndarray:
    if key not in file.arrays:
        raise StreamError(f"{path}: has no array {key}; {nearest(key, list(file.arrays))}")
    return file.arrays[key]


def _scaled(path: Path, name: str, array: np.ndarray, scale: float | None) -> np.ndarray:
    if array.dtype.kind not in "iuf":
        raise StreamError(f"{path}: {name} has type {array.dtype}; bring integers or floats")
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    if scale is not None:
        return array.astype(np.float64) * scale
    limit = np.iinfo(np.int32)
    if array.size and (array.max() > limit.max or array.min() < limit.min):
        raise StreamError(f"{path}: {name} has codes wider than 32 bits; bring at most 16 bits")
    return array.astype(np.int32)


def _pieces(path: Path, name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    if array.ndim == 1:
        return [(path.stem, array[np.newaxis])]
    if array.ndim == 2:
        return [(path.stem, array)]
    if array.ndim == 3:
        return [(f"{path.stem}[{index}]", part) for index, part in enumerate(array)]
    raise StreamError(
        f"{path}: {name} has shape {array.shape}; it needs (features,) of one frame, "
        "(frames, features) of one file or (files, frames, features)"
    )


def _laid_out(path: Path, pieces: Sequence[tuple[str, np.ndarray]]) -> Stream:
    """Lay named (frames, features) arrays end to end."""
    for name, frames in pieces:
        if 0 in frames.shape:
            raise StreamError(f"{path}: {name} has shape {frames.shape}: no frames; drop it")
        if frames.shape[1] != pieces[0][1].shape[1]:
            raise StreamError(
                f"{path}: {name} has {frames.shape[1]} features and {pieces[0][0]} "
                f"{pieces[0][1].shape[1]}; all files of a stream need one width"
            )
        if (frames.dtype.kind == "f") != (pieces[0][1].dtype.kind == "f"):
            raise StreamError(
                f"{path}: {name} and {pieces[0][0]} mix integer codes and real values; "
                "convert one of them"
            )
    if not pieces:
        raise StreamError(f"{path}: holds no frames; bring at least one file")
    ends = np.cumsum([len(frames) for _, frames in pieces])
    starts = (0, *(int(end) for end in ends[:-1]))
    return Stream(np.concatenate([f for _, f in pieces]), starts, tuple(n for n, _ in pieces))
