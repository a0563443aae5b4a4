"""Streams: every way to bring one, every way to be refused, and fitting them to the input."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from spusim.frontend import StreamError, clipped_inputs, load_stream, quantise_input
from spusim.network.records import Network, Quantum, Stream, Tensor

FRAMES = np.random.default_rng(2).normal(size=(6, 4))


def network(size: int = 4, bits: int = 16, exponent: int = -12) -> Network:
    """Return a network of one relu, for its input."""
    quantum = Quantum(bits, exponent)
    return Network("net", Tensor("input", size, quantum), (), (), "input")


def refused(spec: object, *patterns: str, net: Network | None = None) -> None:
    """Check that a stream is refused with a message that matches the patterns."""
    with pytest.raises(StreamError) as caught:
        load_stream(str(spec), net)
    for pattern in patterns:
        assert re.search(pattern, str(caught.value)), str(caught.value)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with one stream file of every kind."""
    np.save(tmp_path / "a.npy", FRAMES)
    np.savez(tmp_path / "b.npz", x=FRAMES, y=np.stack([FRAMES, -FRAMES]))
    codes = (FRAMES * 10).astype(np.int16)
    save_file({"x": FRAMES.astype(np.float32), "codes": codes}, tmp_path / "c.safetensors")
    metadata = {"scale": "1/16"}
    save_file({"codes": codes}, tmp_path / "d.safetensors", metadata)
    return tmp_path


@pytest.mark.parametrize("spec", ["a.npy", "b.npz:x", "c.safetensors:x"])
def test_one_file(files: Path, spec: str) -> None:
    stream = load_stream(f"{files}/{spec}", network())
    np.testing.assert_allclose(stream.frames, FRAMES, rtol=1e-6)
    assert stream.frames.dtype == np.float64
    assert (stream.starts, stream.names) == ((0,), (spec[0],))


def test_three_dimensions_are_files(files: Path) -> None:
    stream = load_stream(f"{files}/b.npz:y")
    np.testing.assert_array_equal(stream.frames, np.concatenate([FRAMES, -FRAMES]))
    assert (stream.starts, stream.names) == ((0, 6), ("b[0]", "b[1]"))


def test_integers_stay_codes_unless_metadata_scales_them(files: Path) -> None:
    stream = load_stream(f"{files}/c.safetensors:codes")
    assert stream.frames.dtype == np.int32
    scaled = load_stream(f"{files}/d.safetensors")
    np.testing.assert_array_equal(scaled.frames, stream.frames / 16)


def test_arrays_of_one_width_are_files_by_name(tmp_path: Path) -> None:
    save_file({"b": FRAMES[:2].copy(), "a": FRAMES[2:].copy()}, tmp_path / "clips.safetensors")
    stream = load_stream(str(tmp_path / "clips.safetensors"))
    assert (stream.names, stream.starts) == (("a", "b"), (0, 4))
    np.testing.assert_array_equal(stream.frames, np.roll(FRAMES, -2, axis=0))


def test_folder_is_laid_out_by_name(files: Path) -> None:
    (files / "b.npz").unlink()
    (files / "c.safetensors").unlink()
    (files / "d.safetensors").unlink()
    (files / "notes.txt").write_text("not a stream")
    np.save(files / "0.npy", np.stack([FRAMES, FRAMES]))
    stream = load_stream(str(files))
    assert (stream.names, stream.starts) == (("0[0]", "0[1]", "a"), (0, 6, 12))


def test_one_dimension_is_one_frame(files: Path) -> None:
    np.save(files / "one.npy", FRAMES[0])
    stream = load_stream(str(files / "one.npy"))
    assert (stream.frames.tolist(), stream.starts) == ([FRAMES[0].tolist()], (0,))


@pytest.mark.parametrize(
    ("arrays", "patterns"),
    [
        ({"x": np.array(5)}, [r"x has shape \(\)"]),
        ({"x": np.zeros((2, 2, 2, 2))}, [r"x has shape \(2, 2, 2, 2\)"]),
        ({"x": np.zeros((0, 4))}, [r"bad has shape \(0, 4\): no frames"]),
        ({"x": np.zeros((0, 3, 4))}, ["no frames"]),
        ({"x": np.array([["a"]])}, [r"type <U1"]),
        ({"x": np.array([[1j]])}, ["type complex128"]),
        ({"x": np.array([[None]])}, ["pickled objects", "plain arrays"]),
        ({"x": np.array([[2**40]])}, ["wider than 32 bits"]),
        ({"x": np.array([[0.0, np.nan]])}, ["nan at frame 0, feature 1"]),
        ({"x": np.array([[0.0], [np.inf]])}, ["inf at frame 1, feature 0"]),
        ({"x": np.zeros((2, 3)), "y": np.zeros((2, 4))}, ["KEY is one of x, y"]),
        ({"x": np.zeros((2, 3)), "y": np.zeros((2, 3), int)}, ["mix integer codes"]),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict, patterns: list[str]) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    refused(tmp_path / "bad.npz", *patterns)


def test_bad_files(files: Path) -> None:
    refused(files / "none.npy", "no such file")
    refused(f"{files}/b.npz:z", "has no array z; known: x, y")
    (files / "e.npy").touch()
    refused(files / "e.npy", "empty")
    for name in ("a.npy", "b.npz", "c.safetensors"):
        cut = files / f"cut_{name}"
        cut.write_bytes((files / name).read_bytes()[:60])
        refused(cut, "not a complete")
    (files / "a.mp3").write_bytes(b"ID3")
    refused(files / "a.mp3", "suffix is not a stream's")
    (files / "folder").mkdir()
    refused(files / "folder", "holds no .npz")
    refused("kwz", "no file, folder or shipped name; did you mean kws")
    save_file({"x": FRAMES}, files / "f.safetensors", {"scale": "big"})
    refused(files / "f.safetensors", r"scale \(=big\)")


def test_width_names_both_numbers(files: Path) -> None:
    refused(files / "a.npy", "has 4 features, the network takes 5", net=network(5))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.floats(0, 1), st.integers(1, 9), st.integers(1, 3), st.integers(0, 9), st.integers(1, 40))
def test_random_stream(density: float, frames: int, files: int, seed: int, size: int) -> None:
    net = network(size, bits=8)
    spec = f"random:density={density},frames={frames},seed={seed},files={files}"
    stream = load_stream(spec, net)
    assert stream.frames.shape == (files * frames, size)
    assert stream.starts == tuple(range(0, files * frames, frames))
    assert set(np.count_nonzero(stream.frames, axis=1)) == {round(density * size)}
    assert stream.frames.min() >= -128 and stream.frames.max() <= 127
    np.testing.assert_array_equal(stream.frames, load_stream(spec, net).frames)


def test_random_codes_are_all_nonzero_codes_alike() -> None:
    codes = load_stream("random:density=1,frames=4000,seed=3", network(8, bits=8)).frames
    values, counts = np.unique(codes, return_counts=True)
    assert list(values) == [*range(-128, 0), *range(1, 128)]
    mean = 4000 * 8 / 255
    assert np.abs(counts - mean).max() < 5 * np.sqrt(mean)


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ("densty=0.5", "no option densty; known: density, frames"),
        ("density=2", "from 0 to 1"),
        ("density=nan", "from 0 to 1"),
        ("density=x", "no number"),
        ("frames=0", "at least 1"),
        ("frames=1.5", "no number"),
        ("seed=-1", "at least 0"),
        ("seed=1,seed=2", "twice"),
    ],
)
def test_bad_random_options(options: str, pattern: str) -> None:
    refused(f"random:{options}", pattern, net=network())


def test_random_needs_a_network() -> None:
    refused("random:frames=1", "needs a network")


def test_shipped_streams() -> None:
    clips = load_stream("kws")
    words = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
    assert clips.labels == words
    assert clips.frames.shape == (610, 32)
    assert clips.frames.max() < 16.0
    held = load_stream("kws_heldout")
    assert len(held.labels) == len(held.names) == len(held.starts) == 156
    assert held.labels.count("silence") == held.labels.count("go") == 13
    np.testing.assert_array_equal(held.frames * 16, np.rint(held.frames * 16))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from([8, 16]), st.integers(-14, 2), st.integers(0, 1000))
def test_quantised_input_is_within_half_a_unit(bits: int, exponent: int, seed: int) -> None:
    net = network(5, bits, exponent)
    unit, largest = 2.0**exponent, 2 ** (bits - 1)
    values = np.random.default_rng(seed).uniform(-1.2, 1.2, (7, 5)) * largest * unit
    stream = Stream(values, (0, 3), ("a", "b"))
    found = quantise_input(stream, net)
    clipped = np.clip(values, -largest * unit, (largest - 1) * unit)
    assert np.abs(found.frames * unit - clipped).max() <= unit / 2
    outside = np.rint(values / unit)
    expected = np.count_nonzero((outside < -largest) | (outside > largest - 1))
    assert clipped_inputs(stream, net) == expected
    assert (found.starts, found.names, found.frames.dtype) == ((0, 3), ("a", "b"), np.int32)


def test_integer_input_passes_when_in_range() -> None:
    codes = np.array([[-128, 127, 0, 1]], dtype=np.int64)
    stream = Stream(codes, (0,), ("a",))
    np.testing.assert_array_equal(quantise_input(stream, network(4, 8)).frames, codes)
    assert clipped_inputs(stream, network(4, 8)) == 0
    for worst in (128, -129):
        outside = Stream(np.array([[0, 0, 0, worst]]), (0,), ("a",))
        with pytest.raises(StreamError, match=f"code {worst}, outside .* 8-bit"):
            quantise_input(outside, network(4, 8))


@pytest.mark.parametrize(
    ("frames", "starts", "pattern"),
    [
        (np.zeros((0, 4)), (), r"shape \(0, 4\)"),
        (np.zeros((2, 3)), (0,), "has 3 features, the network takes 4"),
        (np.array([[0, 0, 0, np.nan]]), (0,), "nan at frame 0, feature 3"),
        (np.zeros((2, 4)), (0, 2), "file without frames"),
        (np.zeros((2, 4)), (1,), "file without frames"),
        (np.zeros((2, 4), bool), (0,), "type bool"),
    ],
)
def test_bad_input(frames: np.ndarray, starts: tuple, pattern: str) -> None:
    with pytest.raises(StreamError, match=pattern):
        quantise_input(Stream(frames, starts, ("a",) * len(starts)), network())


def test_random_stream_of_too_many_values_is_refused() -> None:
    with pytest.raises(StreamError, match="fewer frames"):
        load_stream("random:frames=1000000000000000000000", network())
