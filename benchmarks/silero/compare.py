"""Silero VAD, dense and pruned: what the machine computes, what it costs, what PyTorch says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from benchmarks.silero.model import FOLDER, WEIGHTS, probabilities
from benchmarks.silero.refit import refit
from spusim.api import load_arch, load_network, load_stream, simulate
from spusim.experiments.record import result_record
from spusim.frontend.audio import Framing
from spusim.frontend.load import find_network, load_float_network
from spusim.frontend.topology_file import load_topology
from spusim.network import Stream

NETWORK = "silero_vad"
FRAMING = Framing(512, 16_000)
OUTPUT_EXPONENT = -15
THRESHOLD = 0.5


@dataclass(frozen=True)
class Variant:
    """A way of pruning, and of storing what is left: settings of network and architecture."""

    name: str
    slug: str
    prune: tuple[str, ...] = ()
    arch: tuple[str, ...] = ()


VARIANTS = (
    Variant("dense", "dense"),
    Variant(
        "80 % pruned, pencils of 8",
        "pencils",
        ("prune.structure=pencil:8", "prune.density=0.2"),
    ),
    Variant(
        "80 % pruned, elements",
        "elements",
        ("prune.structure=element", "prune.density=0.2"),
        ("core.sparse.format=bitmap",),
    ),
)


@dataclass(frozen=True)
class Compared:
    """Probabilities of a variant's frames: PyTorch's and the simulator's; and the run's record."""

    variant: Variant
    floats: np.ndarray
    simulated: np.ndarray
    record: dict

    @property
    def differences(self) -> np.ndarray:
        """How far the simulated probabilities are off, with the same weights."""
        return np.abs(self.simulated - self.floats)

    @property
    def flipped(self) -> int:
        """Frames on the other side of the threshold."""
        return int(np.count_nonzero((self.simulated > THRESHOLD) != (self.floats > THRESHOLD)))


def compare(
    variant: Variant,
    calibration: Stream,
    speech: Stream,
    arch: str,
    settings: tuple[str, ...] = (),
) -> Compared:
    """Run a variant, fitted and calibrated on other clips than those that it is run on."""
    checkpoint = checkpoint_of(variant, calibration)
    network = load_network(NETWORK, checkpoint, calibration)
    result = simulate(network, load_arch(arch, [*settings, *variant.arch]), speech, baseline=True)
    simulated = np.ldexp(result.outputs[:, 0].astype(np.float64), OUTPUT_EXPONENT)
    floats = probabilities(load_file(checkpoint), speech.frames, speech.starts)
    return Compared(variant, floats, simulated, result_record(result))


def checkpoint_of(variant: Variant, calibration: Stream) -> Path:
    """Return a variant's weights: the wheel's, or what pruning leaves of them, fitted to speech."""
    if not variant.prune:
        return WEIGHTS
    path = find_network(NETWORK)
    network = load_float_network(path, load_topology(path, variant.prune), WEIGHTS)
    dense = load_file(WEIGHTS)
    pruned = dict(dense)
    for layer in network.layers:
        for key in layer.matrices:
            pruned[f"{layer.name}.{key}"] = getattr(layer, key)
    fitted = refit(dense, pruned, calibration)
    written = FOLDER / f"silero_vad_{variant.slug}.safetensors"
    save_file({name: values.astype(np.float32) for name, values in fitted.items()}, written)
    return written


def clips(files: list[Path]) -> Stream:
    """Return clips as a stream of one file each."""
    parts = [load_stream(str(file), framing=FRAMING) for file in files]
    ends = np.cumsum([len(part.frames) for part in parts])
    starts = (0, *(int(end) for end in ends[:-1]))
    return Stream(np.concatenate([p.frames for p in parts]), starts, tuple(f.stem for f in files))


def halves(files: list[Path]) -> tuple[Stream, Stream]:
    """Return every second clip, to calibrate on, and the others; a single clip is both."""
    return clips(files[1::2] or files), clips(files[::2])
