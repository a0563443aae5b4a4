"""Sound: every kind of sample, other rates and channels, and what is wrong with a file."""

import re
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from spusim.frontend import StreamError, load_stream
from spusim.frontend.audio import Framing
from spusim.network.records import Network, Quantum, Tensor

RATE = 16_000
SINE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(1000) / RATE)


def network(size: int = 250, rate_hz: int | None = RATE) -> Network:
    """Return a network that only has an input."""
    return Network("net", Tensor("input", size, Quantum(16, -15)), (), (), "input", rate_hz=rate_hz)


def pcm(path: Path, values: np.ndarray, width: int, rate: int = RATE) -> Path:
    """Write samples (samples,) or (samples, channels) as integers of `width` bytes."""
    codes = np.rint(values * 2 ** (8 * width - 1)).astype(np.int64) + 128 * (width == 1)
    with wave.open(str(path), "wb") as file:
        file.setparams((values.shape[1] if values.ndim > 1 else 1, width, rate, 0, "NONE", ""))
        data = codes.astype("<i8").reshape(-1, 1).view(np.uint8)[:, :width]
        file.writeframes(np.ascontiguousarray(data).tobytes())
    return path


def refused(path: Path, *patterns: str, net: Network | None = None) -> None:
    """Check that a file is refused with a message that matches the patterns."""
    with pytest.raises(StreamError) as caught:
        load_stream(str(path), net or network())
    for pattern in patterns:
        assert re.search(pattern, str(caught.value)), str(caught.value)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_integers_of_every_width(tmp_path: Path, width: int) -> None:
    stream = load_stream(str(pcm(tmp_path / "a.wav", SINE, width)), network())
    assert stream.frames.shape == (4, 250) and stream.frames.dtype == np.float64
    assert np.abs(stream.frames.ravel() - SINE).max() <= 2.0 ** -(8 * width)
    assert (stream.names, stream.starts, stream.notes) == (("a",), (0,), ())


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats(tmp_path: Path, kind: type) -> None:
    wavfile.write(tmp_path / "a.wav", RATE, (2 * SINE).astype(kind))
    found = load_stream(str(tmp_path / "a.wav"), network()).frames.ravel()
    np.testing.assert_array_equal(found, (2 * SINE).astype(kind))


def test_channels_are_averaged_and_that_is_said(tmp_path: Path) -> None:
    both = np.stack([SINE, -0.5 * SINE], axis=1)
    stream = load_stream(str(pcm(tmp_path / "a.wav", both, 2)), network())
    np.testing.assert_allclose(stream.frames.ravel(), 0.25 * SINE, atol=2.0**-15)
    assert stream.notes == ("a.wav: mixed 2 channels to one",)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_another_rate_is_resampled_and_that_is_said(tmp_path: Path, rate: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    stream = load_stream(str(pcm(tmp_path / "a.wav", tone, 2, rate)), network())
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    middle = slice(500, -500)  # the filter sees silence beyond the ends
    assert np.abs(stream.frames.ravel() - expected)[middle].max() < 2e-3
    assert stream.notes == (f"a.wav: resampled from {rate} Hz to 16000 Hz",)


def test_a_network_without_a_rate_takes_any(tmp_path: Path) -> None:
    path = pcm(tmp_path / "a.wav", SINE, 2, 11_025)
    stream = load_stream(str(path), network(rate_hz=None))
    np.testing.assert_allclose(stream.frames.ravel(), SINE, atol=2.0**-15)
    assert stream.notes == ("a.wav: taken at its 11025 Hz, for the network names no input.rate",)


def test_the_last_frame_is_filled_up(tmp_path: Path) -> None:
    stream = load_stream(str(pcm(tmp_path / "a.wav", SINE, 2)), network(300))
    assert stream.frames.shape == (4, 300)
    assert not stream.frames[3, 100:].any() and stream.frames[3, 99] != 0
    assert stream.notes == ("a.wav: filled up with 200 zeros to a whole frame",)


def test_a_folder_is_a_stream_of_files(tmp_path: Path) -> None:
    pcm(tmp_path / "b.wav", SINE, 2)
    pcm(tmp_path / "a.wav", np.stack([SINE, SINE], axis=1)[:250], 3)
    np.save(tmp_path / "c.npy", np.zeros((2, 250)))
    stream = load_stream(str(tmp_path), network())
    assert (stream.names, stream.starts) == (("a", "b", "c"), (0, 1, 5))
    assert stream.notes == ("a.wav: mixed 2 channels to one",)


def test_framing_serves_without_a_network(tmp_path: Path) -> None:
    path = pcm(tmp_path / "a.wav", SINE, 2)
    assert load_stream(str(path), framing=Framing(100)).frames.shape == (10, 100)
    with pytest.raises(StreamError, match="frames as wide as a network's input; name the network"):
        load_stream(str(path))


def test_damaged_files(tmp_path: Path) -> None:
    whole = pcm(tmp_path / "whole.wav", SINE, 2).read_bytes()
    bad = tmp_path / "bad.wav"

    def check(data: bytes, *patterns: str) -> None:
        bad.write_bytes(data)
        refused(bad, *patterns)

    check(b"", "is empty")
    check(b"RIFF", "does not begin with a RIFF header")
    check(b"ID3\x04" + whole[4:], "does not begin with a RIFF header")
    check(whole[:600], "chunk 'data' claims 2,000 bytes of 556 left", "download it again")
    check(whole[:36], "no chunk 'data'")
    check(whole[:12] + whole[36:], "no chunk 'fmt '")
    check(whole[:40] + struct.pack("<I", 2**32 - 1) + whole[44:], "claims 4,294,967,295 bytes")
    check(whole[:40] + struct.pack("<I", 0) + whole[44:], "claims|no samples|not a complete")
    check(whole[:24] + struct.pack("<I", 0) + whole[28:], "nSamplesPerSec = 0|0 samples a second")
    check(whole[:24] + struct.pack("<I", 2**31) + whole[28:], "not a complete .wav")
    check(whole[:20] + struct.pack("<H", 85) + whole[22:], "not a complete .wav|Unknown")
    check(whole[:32] + struct.pack("<H", 0) + whole[34:], "not a complete .wav")
    slow = struct.pack("<II", 900, 1800)
    check(whole[:24] + slow + whole[32:], "900 samples a second, not 1000 to 768000")
    pcm(bad, SINE[:0], 2)
    refused(bad, "holds no samples")
    refused(tmp_path / "none.wav", "no such file")


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    values = SINE.astype(np.float32)
    values[7] = np.nan
    wavfile.write(tmp_path / "a.wav", RATE, values)
    refused(tmp_path / "a.wav", "nan at frame 0, feature 7")


def test_resampling_stays_within_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spusim.frontend.audio.MOST_SAMPLES", 1500)
    path = pcm(tmp_path / "a.wav", SINE, 2, 8_000)
    refused(path, "becomes 2,000 samples at 16000 Hz, more than 1,500", "shorter files")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 80), st.integers(0, 255), st.integers(0, 120))
def test_a_damaged_byte_never_breaks_out(place: int, value: int, cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        data = bytearray(pcm(Path(folder) / "a.wav", SINE[:60], 2).read_bytes())
        data[place] = value
        bad = Path(folder) / "bad.wav"
        bad.write_bytes(bytes(data[: len(data) - cut]))
        try:
            stream = load_stream(str(bad), network())
        except StreamError as error:
            assert str(bad) in str(error)
        else:
            assert np.isfinite(stream.frames).all()
