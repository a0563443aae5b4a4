"""What a recording is of: hashes of weights, frames and arithmetic, and their comparison."""

import hashlib
from typing import Any

import numpy as np

from spusim.arch import Arch
from spusim.arch.reuse import OfArch
from spusim.machine import Recording, RecordingError
from spusim.network.records import Stream
from spusim.numerics.contents import KeptByContent

# of weights and frames of lone layers, which every point of a sweep brings along
HASHES: KeptByContent[str] = KeptByContent(128 << 20)


def check_arithmetic(recording: Recording, arch: Arch) -> None:
    """Raise RecordingError if a recording is of another arithmetic than an architecture's."""
    check_recording(recording, "numerics", recording.numerics, numerics_hash(arch))


def check_recording(recording: Recording, what: str, recorded: str, asked: str) -> None:
    """Raise RecordingError if a recording is of something else than what is asked for."""
    if recorded != asked:
        raise RecordingError(
            f"recording of {recording.name}: its {what} has hash {recorded[:12]}, the one asked "
            f"for {asked[:12]}; record again with this {what}"
        )


def numerics_hash(arch: Arch) -> str:
    """Return the hash of an architecture's arithmetic, on which a recording's values depend."""
    return _NUMERICS_HASH(arch)


def _hash_numerics(arch: Arch) -> str:
    return hashlib.sha256(arch.numerics.model_dump_json().encode()).hexdigest()


_NUMERICS_HASH = OfArch(_hash_numerics)


def stream_hash(stream: Stream) -> str:
    """Return the hash of an integer stream's frames and where its files begin."""
    starts = np.array(stream.starts, np.int64)
    return hashlib.sha256((array_hash(stream.frames) + array_hash(starts)).encode()).hexdigest()


def layer_hash(
    weight: np.ndarray, weight_bits: int, activation_bits: int, codebook: tuple[int, ...]
) -> str:
    """Return the hash of a layer's weights, of any shape, and what they are stored as."""
    hashed = HASHES.of_array(weight, lambda: array_hash(weight))
    told = f"{weight_bits}x{activation_bits}:{hashed}"
    told += f":{codebook}" if codebook else ""
    return hashlib.sha256(told.encode()).hexdigest()


def array_hash(array: np.ndarray) -> str:
    """Return the SHA-256 of an integer array's shape and values, whatever their width."""
    narrow = next(t for t in ("<i1", "<i2", "<i4", "<i8") if _fits(array, np.dtype(t)))
    digest = hashlib.sha256(f"{array.shape}{narrow}".encode())
    digest.update(np.ascontiguousarray(array, narrow).data)
    return digest.hexdigest()


def _fits(array: np.ndarray, dtype: np.dtype[Any]) -> bool:
    info = np.iinfo(dtype)
    return not array.size or bool(array.min() >= info.min and array.max() <= info.max)
