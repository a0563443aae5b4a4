"""Noisy speech for `tinylstm_se`: spectra of words that held-out voices say.

    python benchmarks/kws/noisy_words.py configs/networks/tinylstm_se_data/noisy_words.safetensors

A feature is the logarithm of the power in one of 128 bands of 62.5 Hz (32 ms window, 16 ms hop),
less the mean and over the standard deviation of all, in int8 codes of 1/32: -4 to 4.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from speech import HOP, SAMPLE_RATE, WINDOW, Audio, Utterance, coloured_noise, speak
from storage import write
from torch import from_numpy

WORDS = (("yes", "m3"), ("house", "f3"), ("seven", "m7"), ("tree", "f5"))
BANDS, CODE_SCALE = 128, 1 / 32
SNR_DB = (0.0, 10.0)
SEED = 1


def noisy(word: str, speaker: str, number: int) -> Audio:
    """Return a second of a word in coloured noise, drawn from the word's own seed."""
    rng = np.random.default_rng([SEED, number])
    audio = speak(Utterance(number, word, f"en-gb+{speaker}", 0.0, (SEED, number)), rng)
    clip = coloured_noise(rng) * np.sqrt(np.mean(audio**2)) * 10 ** (-rng.uniform(*SNR_DB) / 20)
    start = rng.integers(0, len(clip) - len(audio) + 1)
    clip[start : start + len(audio)] += audio
    return clip


def band_levels(audio: Audio) -> NDArray[np.float64]:
    """Return the logarithms of the bands' power, (frames, BANDS); the bin at 0 Hz is left out."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames))[:, 1:] ** 2
    return np.asarray(np.log(power.reshape(len(frames), BANDS, -1).sum(axis=2) + 1e-12))


def main() -> None:
    """Write the stream's file."""
    clips = [band_levels(noisy(word, voice, k)) for k, (word, voice) in enumerate(WORDS)]
    mean, deviation = np.mean(clips), np.std(clips)
    codes = {
        f"{k:02}_{word}": from_numpy(
            np.clip(np.rint((clip - mean) / deviation / CODE_SCALE), -127, 127).astype(np.int8)
        )
        for k, ((word, _), clip) in enumerate(zip(WORDS, clips, strict=True))
    }
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    about = f"log power of {BANDS} bands, window {WINDOW}, hop {HOP}, {SAMPLE_RATE} Hz, normalised"
    write(path, codes, {"created_by": "benchmarks/kws/noisy_words.py", "input": about})


if __name__ == "__main__":
    main()
