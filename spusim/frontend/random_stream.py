"""Random input streams of an exact density."""

from dataclasses import dataclass

import numpy as np

from spusim.frontend.errors import StreamError
from spusim.network.records import Network, Stream

_EXAMPLE = "random:density=0.5,frames=50,seed=1"
_FEWEST = {"frames": 1, "seed": 0, "files": 1}
_REALS = ("density", "fade_db")
_MOST_FADE_DB = 90.0  # what 16 bits tell
_MOST_VALUES = 1 << 28  # of a whole stream: 1 GiB of codes


@dataclass(frozen=True)
class RandomOptions:
    """What the text after `random:` may set."""

    density: float = 0.5
    frames: int = 50
    seed: int = 1
    files: int = 1
    fade_db: float = 0.0  # that a file's last frame is quieter than its first


def random_stream(options: str, network: Network | None) -> Stream:
    """Return `files` files of `frames` random frames as integer codes of the network's input.

    Each frame has exactly round(density * size) nonzeros, at places drawn without replacement,
    uniform over the nonzero codes; where they fade, evenly in decibels, a code stays at least 1.
    Raises StreamError.
    """
    chosen = random_options(options)
    if network is None:
        raise StreamError(f"stream random:{options} needs a network for its width; name one")
    size, quantum = network.input.size, network.input.quantum
    generator = np.random.default_rng(chosen.seed)
    if chosen.files * chosen.frames * size > _MOST_VALUES:
        raise StreamError(
            f"random: {chosen.files} files of {chosen.frames} frames of {size} values are more "
            f"than {_MOST_VALUES} values; ask for fewer frames"
        )
    nonzeros = round(chosen.density * size)
    if quantum.bits == 1 and nonzeros < size:
        raise StreamError(
            f"random: density (={chosen.density:g}) of a binary input must be 1: a code of one bit "
            "is 1 or -1, never 0"
        )
    frames = np.zeros((chosen.files * chosen.frames, size), dtype=np.int32)
    for frame in frames:
        places = generator.choice(size, nonzeros, replace=False)
        codes = generator.integers(quantum.smallest, quantum.largest, nonzeros)
        frame[places] = codes + (codes >= 0)  # leaves out zero
    if chosen.fade_db:
        frames = _faded(frames, chosen)
    starts = tuple(range(0, len(frames), chosen.frames))
    return Stream(frames, starts, tuple(f"random[{index}]" for index in range(chosen.files)))


def _faded(frames: np.ndarray, chosen: RandomOptions) -> np.ndarray:
    """Return codes that become quieter from frame to frame of each file, none of them zero."""
    quieter_db = np.linspace(0.0, chosen.fade_db, chosen.frames)
    gains = np.tile(10.0 ** (-quieter_db / 20.0), chosen.files)[:, None]
    magnitudes = np.maximum(np.rint(np.abs(frames) * gains), np.abs(np.sign(frames)))
    return np.asarray(np.sign(frames) * magnitudes, dtype=np.int32)


def random_options(options: str) -> RandomOptions:
    """Read what follows `random:`. Raises StreamError."""
    values: dict[str, float] = {}
    for part in filter(None, options.split(",")):
        key, _, text = part.partition("=")
        if key not in RandomOptions.__dataclass_fields__:
            known = ", ".join(RandomOptions.__dataclass_fields__)
            raise StreamError(f"random: has no option {key}; known: {known}, e.g. {_EXAMPLE}")
        if key in values:
            raise StreamError(f"random: option {key} is given twice; keep one")
        values[key] = _number(key, text)
    return RandomOptions(**values)  # type: ignore[arg-type]


def _number(key: str, text: str) -> float:
    try:
        value = float(text) if key in _REALS else int(text)
    except ValueError:
        raise StreamError(f"random: {key} (={text}) is no number; e.g. {_EXAMPLE}") from None
    if key == "density" and not 0.0 <= value <= 1.0:
        raise StreamError(f"random: density (={text}) must be from 0 to 1")
    if key == "fade_db" and not 0.0 <= value <= _MOST_FADE_DB:
        raise StreamError(f"random: fade_db (={text}) must be from 0 to {_MOST_FADE_DB:g}")
    if key not in _REALS and value < _FEWEST[key]:
        raise StreamError(f"random: {key} (={text}) must be at least {_FEWEST[key]}")
    return value
