"""Sound files (.wav) as frames of samples."""

import struct
import warnings
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np

from spusim.frontend.errors import StreamError
from spusim.network.records import Picture

SUFFIX = ".wav"
RATES = (1_000, 768_000)  # samples a second that a file may claim
MOST_SAMPLES = 1 << 28  # of a file once resampled: 2 GiB

# numpy's type of the samples -> (zero, full scale)
_SCALES = {
    "uint8": (128.0, 2.0**7),
    "int16": (0.0, 2.0**15),
    "int32": (0.0, 2.0**31),  # also 24 bits, which the reader puts in the upper bytes
    "float32": (0.0, 1.0),
    "float64": (0.0, 1.0),
}


@dataclass(frozen=True)
class Framing:
    """How a network takes sound and images.

    samples of a frame of sound, and samples a second (None: any); picture: None if it takes none.
    """

    samples: int
    rate_hz: int | None = None
    picture: Picture | None = None


def read_wav(path: Path, framing: Framing | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a file's samples, full scale at +-1, as frames (frames, samples) float64, and notes.

    Integers of 8, 16, 24 and 32 bits and floats are read. Channels are averaged, another rate is
    resampled by a polyphase filter, the last frame is filled up with zeros; notes say so. Raises
    StreamError.
    """
    if framing is None:
        raise StreamError(
            f"{path}: sound is cut into frames as wide as a network's input; name the network with "
            "it"
        )
    rate_hz, samples = _samples(path)
    notes: list[str] = []
    if samples.ndim == 2:
        notes.append(f"{path.name}: mixed {samples.shape[1]} channels to one")
        samples = samples.mean(axis=1)
    if framing.rate_hz is None:
        notes.append(f"{path.name}: taken at its {rate_hz} Hz, for the network names no input.rate")
    elif rate_hz != framing.rate_hz:
        notes.append(f"{path.name}: resampled from {rate_hz} Hz to {framing.rate_hz} Hz")
        samples = _resampled(path, samples, rate_hz, framing.rate_hz)
    missing = -len(samples) % framing.samples
    if missing:
        notes.append(f"{path.name}: filled up with {missing} zeros to a whole frame")
    return np.pad(samples, (0, missing)).reshape(-1, framing.samples), tuple(notes)


def _samples(path: Path) -> tuple[int, np.ndarray]:
    """Return the rate and real samples (samples,) or (samples, channels)."""
    from scipy.io import wavfile  # only sound takes scipy, which is slow to import

    _check_chunks(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks it does not need
            rate_hz, samples = wavfile.read(path)
    except (ValueError, ArithmeticError, LookupError, NameError, OSError, struct.error) as error:
        raise _damaged(path, str(error)) from error
    if samples.dtype.name not in _SCALES:
        raise StreamError(
            f"{path}: has samples of type {samples.dtype}; save it as 16-bit integers or floats"
        )
    if not RATES[0] <= rate_hz <= RATES[1]:
        raise _damaged(path, f"{rate_hz} samples a second, not {RATES[0]} to {RATES[1]}")
    if samples.size == 0:
        raise StreamError(f"{path}: holds no samples; record it again, or drop it")
    zero, full = _SCALES[samples.dtype.name]
    return int(rate_hz), (samples.astype(np.float64) - zero) / full


def _check_chunks(path: Path) -> None:
    """Raise StreamError unless every chunk is as long as it claims, which a reader sets aside."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] not in (b"RIFF", b"RIFX") or head[8:] != b"WAVE":
            raise _damaged(path, "it does not begin with a RIFF header of kind WAVE")
        order = ">" if head[:4] == b"RIFX" else "<"
        found = set()
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack(f"{order}4sI", chunk)
            found.add(name)
            if file.tell() + length > size:
                text = name.decode("ascii", "replace")
                raise _damaged(
                    path, f"chunk {text!r} claims {length:,} bytes of {size - file.tell():,} left"
                )
            file.seek(length + length % 2, 1)
    missing = {b"fmt ", b"data"} - found
    if missing:
        raise _damaged(path, f"it has no chunk {', '.join(repr(m.decode()) for m in missing)}")


def _resampled(path: Path, samples: np.ndarray, rate_hz: int, wanted_hz: int) -> np.ndarray:
    """Return samples at another rate: ceil(samples * wanted / rate) of them."""
    from scipy.signal import resample_poly

    common = gcd(rate_hz, wanted_hz)
    up, down = wanted_hz // common, rate_hz // common
    if len(samples) * up // down > MOST_SAMPLES:
        raise StreamError(
            f"{path}: becomes {len(samples) * up // down:,} samples at {wanted_hz} Hz, more than "
            f"{MOST_SAMPLES:,}; cut it into shorter files"
        )
    return np.asarray(resample_poly(samples, up, down))


def _damaged(path: Path, why: str) -> StreamError:
    return StreamError(f"{path}: not a complete .wav file ({why}); save or download it again")
