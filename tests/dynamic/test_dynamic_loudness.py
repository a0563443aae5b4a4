"""The point of scales found at run time: noise follows the signal down, 40 dB and further."""

import numpy as np
import pytest
from integer_reference import evaluate

import spusim
from spusim.experiments.fidelity import float_outputs, signal_to_noise_db
from spusim.frontend import quantise_input
from spusim.frontend.bounds import bounds
from spusim.frontend.chain import FloatNetwork, float_forward
from spusim.frontend.errors import StreamError
from spusim.frontend.layers import FloatActivation, FloatLinear
from spusim.frontend.load import open_topology
from spusim.frontend.quantise import quantise
from spusim.frontend.streams import load_stream
from spusim.network import Network, Stream, tensor

LAYERS = ("a", "b")
FRAMES = 40


def network() -> FloatNetwork:
    """Return two linear layers without biases, so that the output falls with the input."""
    rng = np.random.default_rng(11)
    first, second = rng.normal(size=(48, 64)) / 8, rng.normal(size=(20, 48)) / 7
    layers = (
        FloatLinear("a", first, None), FloatActivation("r", "relu", 48),
        FloatLinear("b", second, None),
    )  # fmt: skip
    return FloatNetwork("net", layers, 64)


def fading(fade_db: float = 40.0) -> Stream:
    """Return frames of which the last is so much quieter than the first."""
    values = np.random.default_rng(12).normal(size=(FRAMES, 64))
    values *= 10.0 ** (-np.linspace(0, fade_db, FRAMES) / 20)[:, None]
    return Stream(values / np.abs(values).max(), (0,), ("fading",))


def by_frame(found: Network, stream: Stream) -> np.ndarray:
    """Return the signal-to-noise ratio of every frame, in dB."""
    exact = float_forward(network(), stream.frames, stream.starts)
    codes = evaluate(found, quantise_input(stream, found).frames, stream.starts)
    real = codes * 2.0 ** tensor(found, found.output).quantum.exponent
    noise = ((exact - real) ** 2).sum(axis=1)
    return 10 * np.log10((exact**2).sum(axis=1) / np.maximum(noise, 1e-30))


def test_static_int8_loses_what_the_signal_loses_and_dynamic_does_not() -> None:
    """Calibrated on the very stream: int8 falls by 35 dB and more, int8 found anew by 3 at most."""
    floats, stream = network(), fading()
    static = by_frame(quantise(floats, stream, activation_bits=8, input_bits=8), stream)
    names = frozenset(LAYERS)
    moving = by_frame(quantise(floats, stream, activation_bits=8, dynamic=names), stream)
    loud, quiet = slice(0, 5), slice(-5, None)
    assert static[loud].mean() - static[quiet].mean() > 28
    assert moving[loud].mean() - moving[quiet].mean() < 3
    assert moving[quiet].mean() > static[quiet].mean() + 25
    assert abs(moving[loud].mean() - static[loud].mean()) < 4


def test_without_a_calibration_a_frame_may_be_any_loudness() -> None:
    """Bounds and 32 bits between layers: 30 dB at 0 dB and at -60 dB; louder than a calibration."""
    floats, names = network(), frozenset(LAYERS)
    found = quantise(floats, bounds(floats, 1.01), activation_bits=8, dynamic=names, wide_bits=32)
    assert by_frame(found, fading(40.0)).min() > 28
    assert by_frame(found, fading(60.0)).min() > 25  # where the frame itself has 6 bits left
    quiet = Stream(fading(0.0).frames / 100, (0,), ("quiet",))
    calibrated = quantise(floats, quiet, activation_bits=8, dynamic=names)
    assert by_frame(calibrated, fading(0.0)).max() < 3  # clipped: a calibration must be loud enough


def test_an_lstm_network_keeps_its_noise_while_the_stream_fades() -> None:
    """As `spusim sweep number_formats` has it, part scales: int8 loses 4 dB, found anew 2."""
    noise = {}
    for scales in ("static", "dynamic"):
        settings = [
            "quantise.per_channel=true", f"quantise.scales={scales}", "quantise.activations=4",
        ]  # fmt: skip
        net = spusim.load_network("tinylstm_se", settings=settings)
        stream = load_stream("random:density=1,frames=20,files=1,fade_db=40", net)
        arch = spusim.load_arch("bitmix", ["core.sparse.format=auto"])
        result = spusim.simulate(net, arch, stream)
        path, topology, _ = open_topology("tinylstm_se", None, settings)
        wanted = float_outputs(path, topology, None, net, stream)
        noise[scales] = signal_to_noise_db(wanted, result.outputs)
    assert noise["dynamic"] > noise["static"] + 5


def test_streams_that_fade() -> None:
    """Evenly in decibels, each file anew, and no nonzero code becomes zero."""
    net = spusim.load_network("tinylstm_se")
    plain = load_stream("random:density=0.5,frames=21,files=2,seed=3", net).frames
    faded = load_stream("random:density=0.5,frames=21,files=2,seed=3,fade_db=40", net).frames
    np.testing.assert_array_equal(np.sign(plain), np.sign(faded))
    np.testing.assert_array_equal(plain[[0, 21]], faded[[0, 21]])
    for file in (0, 21):
        large = np.abs(plain[file + 10]) > 2000
        ratio = faded[file + 10][large] / plain[file + 10][large]
        assert ratio == pytest.approx(0.1, rel=1e-2)
        assert np.abs(faded[file + 20]).max() <= np.abs(plain[file + 20]).max() / 100 + 1
    with pytest.raises(StreamError, match=r"fade_db \(=91\) must be from 0 to 90"):
        load_stream("random:density=0.5,fade_db=91", net)
