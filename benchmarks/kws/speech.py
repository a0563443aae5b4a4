"""Spoken command words: synthesis with espeak-ng, background noise and log-mel features.

Every utterance carries its own random seed, so the features depend neither on the number of
worker processes nor on the order in which they finish.
"""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import subprocess
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
LABELS = (*COMMANDS, "silence", "unknown")
SILENCE, UNKNOWN = LABELS.index("silence"), LABELS.index("unknown")
OTHER_WORDS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "bed", "cat", "dog",
    "house", "tree", "happy", "bird",
)  # fmt: skip
ACCENTS = (
    "en-gb", "en-us", "en-us-nyc", "en-029", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
)  # fmt: skip
TRAINING_SPEAKERS = (
    "m1", "m2", "m4", "m5", "m6", "m8", "f1", "f2", "f4", "croak", "whisper", "klatt",
    "klatt2", "klatt4", "grandma", "grandpa", "aunty", "robosoft", "robosoft7", "kaukovalta",
)  # fmt: skip
HELD_OUT_SPEAKERS = ("m3", "m7", "f3", "f5", "klatt3", "whisperf")

SAMPLE_RATE = 16_000  # Hz
CLIP = SAMPLE_RATE  # samples in a clip: one second
WINDOW, HOP, BANDS = 512, 256, 32  # samples (32 ms), samples (16 ms), mel bands
FRAMES = 1 + (CLIP - WINDOW) // HOP
FLOOR_DB, DB_PER_UNIT = -55.0, 6.0  # a feature is (band level - floor) / DB_PER_UNIT, at least 0
CODE_SCALE = 1 / 16  # a stored code is worth this much
ESPEAK_RATE = 22_050  # Hz

Audio = NDArray[np.float64]
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Utterance:
    """One spoken word (or none, for silence) and the seed of everything random about it.

    Its formants, pitch and speed are scaled together by a random factor within 1 +- warp.
    """

    label: int
    word: str
    voice: str
    warp: float
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Dataset:
    """Feature codes [N, FRAMES, BANDS], labels [N] and voices [N]."""

    codes: Codes
    labels: NDArray[np.uint8]
    voices: NDArray[np.str_]


def plan(
    speakers: tuple[str, ...], takes: int, others: int, warp: float, seed: int
) -> list[Utterance]:
    """Say each command `takes` times and `others` other words in every accent and speaker."""
    rng = np.random.default_rng([seed, 1])
    utterances: list[Utterance] = []
    for accent, speaker in itertools.product(ACCENTS, speakers):
        words = [(label, word) for label, word in enumerate(COMMANDS) for _ in range(takes)]
        words += [(UNKNOWN, str(w)) for w in rng.choice(OTHER_WORDS, others, replace=False)]
        words += [(SILENCE, "")] * takes
        voice = f"{accent}+{speaker}"
        voice_id = int.from_bytes(hashlib.sha256(voice.encode()).digest()[:4], "big")
        utterances += [
            Utterance(label, word, voice, warp, (seed, voice_id, i))
            for i, (label, word) in enumerate(words)
        ]
    return utterances


def speak(utterance: Utterance, rng: np.random.Generator) -> Audio:
    """Return the word [samples] at 16 kHz with silence trimmed, peak 1, at most one second long."""
    speed, pitch, amplitude = rng.integers([115, 25, 60], [215, 76, 141])
    command = ["espeak-ng", "-v", utterance.voice, "-s", str(speed), "-p", str(pitch)]
    command += ["-a", str(amplitude), "--stdout", utterance.word]
    wave = subprocess.run(command, capture_output=True, check=True).stdout
    if int.from_bytes(wave[24:28], "little") != ESPEAK_RATE:
        raise ValueError(f"{utterance.voice}: expected audio at {ESPEAK_RATE} Hz")
    samples = np.frombuffer(wave, dtype="<i2", offset=44).astype(np.float64)
    factor = rng.uniform(1 - utterance.warp, 1 + utterance.warp) if utterance.warp else 1.0
    audio = resample_poly(samples, 320, round(441 * factor))
    audio /= np.abs(audio).max()
    loud = np.flatnonzero(np.abs(audio) > 0.02)
    word: Audio = audio[loud[0] : loud[-1] + 1][:CLIP]
    return word


def coloured_noise(rng: np.random.Generator) -> Audio:
    """Return one second of unit-power noise, power falling as 1/f^0 (white) to 1/f^2 (brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(CLIP))
    frequency = np.maximum(np.fft.rfftfreq(CLIP, 1 / SAMPLE_RATE), 20.0)
    noise: Audio = np.fft.irfft(spectrum * frequency ** (-rng.uniform(0.0, 2.0) / 2), CLIP)
    noise /= np.sqrt(np.mean(noise**2))
    return noise


def record(word_audio: Audio | None, rng: np.random.Generator) -> Audio:
    """Place a word at a random time in a one-second clip, at a random gain, in random noise."""
    noise = coloured_noise(rng)
    if word_audio is None:
        return noise * 10 ** (rng.uniform(-80.0, -30.0) / 20)
    start = rng.integers(0, CLIP - len(word_audio) + 1)
    clip = np.zeros(CLIP)
    clip[start : start + len(word_audio)] = word_audio
    level = np.sqrt(np.mean(word_audio**2))
    clip += noise * level * 10 ** (-rng.uniform(5.0, 35.0) / 20)
    return clip * 10 ** (rng.uniform(-15.0, 0.0) / 20)


@lru_cache(maxsize=1)
def mel_filters() -> Audio:
    """Return triangular mel filters [BANDS, WINDOW // 2 + 1] from 60 Hz to 7600 Hz."""
    mel_low, mel_high = 2595 * np.log10(1 + np.array([60.0, 7600.0]) / 700)
    edges = 700 * (10 ** (np.linspace(mel_low, mel_high, BANDS + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    low, centre, high = (edges[i : i + BANDS, None] for i in range(3))
    rising = (frequency - low) / (centre - low)
    falling = (high - frequency) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def feature_codes(audio: Audio) -> Codes:
    """Turn one second of audio into log-mel feature codes [FRAMES, BANDS], value = code / 16."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, WINDOW)[::HOP]
    window = np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames * window) / (window.sum() / 2)) ** 2
    level_db = 10 * np.log10(power @ mel_filters().T + 1e-12)
    features = (level_db - FLOOR_DB) / DB_PER_UNIT
    codes: Codes = np.clip(np.round(features / CODE_SCALE), 0, 255).astype(np.uint8)
    return codes


def render(utterance: Utterance, copies: int) -> Codes:
    """Say the word once and record it `copies` times: codes [copies, FRAMES, BANDS]."""
    rng = np.random.default_rng(utterance.seed)
    audio = speak(utterance, rng) if utterance.word else None
    return np.stack([feature_codes(record(audio, rng)) for _ in range(copies)])


def synthesise(utterances: list[Utterance], copies: int, name: str) -> Dataset:
    """Render all utterances in two processes, printing progress."""
    blocks: list[Codes] = []
    with multiprocessing.Pool(2) as pool:
        for block in pool.imap(partial(render, copies=copies), utterances, chunksize=16):
            blocks.append(block)
            if len(blocks) % 500 == 0 or len(blocks) == len(utterances):
                print(f"{name}: {len(blocks)} of {len(utterances)} utterances", flush=True)
    labels = np.array([u.label for u in utterances], np.uint8).repeat(copies)
    voices = np.array([u.voice for u in utterances]).repeat(copies)
    return Dataset(np.concatenate(blocks), labels, voices)


def load_or_synthesise(work: Path, name: str, utterances: list[Utterance], copies: int) -> Dataset:
    """Return the named data set, from the work folder if this code has made it before."""
    recipe = Path(__file__).read_bytes() + repr((utterances, copies)).encode()
    path = work / f"{name}_{hashlib.sha256(recipe).hexdigest()[:12]}.npz"
    if not path.exists():
        data = synthesise(utterances, copies, name)
        work.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, codes=data.codes, labels=data.labels, voices=data.voices)
    with np.load(path) as stored:
        return Dataset(stored["codes"], stored["labels"], stored["voices"])
