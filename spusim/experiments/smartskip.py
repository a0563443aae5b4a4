"""SmartSkip, DeGirum's FPGA prototype: our `pixel` engine beside its published speedups.

One engine for everything. Free were three of its numbers, and they were fitted on the figure and
on ResNet-50 at 70 %: PEs, queue depth and words fetched a cycle. docs/smartskip_fit.md tells how,
and which other choices were made with all published figures in view.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spusim.experiments.resnet50 import resnet50_convolutions
from spusim.formats.layout import Layout
from spusim.frontend.profile_masks import draw_mask
from spusim.frontend.sparsity_profile import ProfileLayer, SparsityProfile, read_profile
from spusim.machine.conv_engine import ConvEngine, TileTime
from spusim.machine.conv_time import plan_pixel, plan_row, run_pixel, run_row
from spusim.numerics.convolution import Convolution
from spusim.resources import shipped

ENGINE = ConvEngine(
    pes=64, lanes=16, accumulators=1024, queue_depth=3, release="done", feeder_words=2,
    entries_per_cycle=16, activations="gate",
)  # fmt: skip
FITTED = ("pes", "queue_depth", "feeder_words")
CURVE_KERNEL, CURVE_SIZE = 3, 14  # the figure names no image; that of ResNet's 256-channel layers
CURVE_CHANNELS = 256
FIGURE, GAINS = "smartskip_conv3x3_256.csv", "smartskip_resnet50_gains.csv"


@dataclass(frozen=True)
class CurvePoint:
    """A point of the figure; `ours` is the mean over seeds."""

    reduction: float
    published: float
    ours: float

    @property
    def error(self) -> float:
        """Relative to what is published."""
        return self.ours / self.published - 1


@dataclass(frozen=True)
class LayerGain:
    """A layer's cycles on the machine that skips nothing, and on this one."""

    name: str
    shape: Convolution
    nonzeros: int
    dense: TileTime
    sparse: TileTime

    @property
    def gain(self) -> float:
        """Achieved."""
        return self.dense.cycles / self.sparse.cycles

    @property
    def ideal(self) -> float:
        """Weights over nonzero weights."""
        return int(np.prod(self.shape.weight_shape)) / self.nonzeros


@dataclass(frozen=True)
class NetworkGain:
    """A pruned network's gain beside the published one."""

    profile: str
    published: float
    published_ideal: float
    layers: tuple[LayerGain, ...]

    @property
    def ours(self) -> float:
        """Cycles of all layers, dense over sparse."""
        dense = sum(layer.dense.cycles for layer in self.layers)
        return dense / sum(layer.sparse.cycles for layer in self.layers)

    @property
    def error(self) -> float:
        """Relative to what is published."""
        return self.ours / self.published - 1


def published_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a shipped table of published figures, remarks left out."""
    lines = (shipped("configs") / "published" / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def profile_path(name: str) -> Path:
    """Return where a shipped profile lies."""
    return shipped("configs") / "published" / f"{name}.csv"


def layer_time(shape: Convolution, weights: np.ndarray, engine: ConvEngine) -> TileTime:
    """Time a whole layer; weights of which only the zeros matter.

    A layer of one position gives its lanes filters (T48).
    """
    layout = Layout("dense" if engine.weights == "dense" else "bitmap", engine.pes, 64, 64, 8)
    if shape.positions == 1:
        plan = plan_row(shape, weights, engine, layout)
        return run_row(plan, np.ones((shape.channels, shape.height, shape.width), np.int16))
    return run_pixel(plan_pixel(shape, weights, engine, layout))


def dense_time(shape: Convolution, engine: ConvEngine) -> TileTime:
    """Time a layer on the same machine with `weights: dense`."""
    ones = np.ones(shape.weight_shape, np.int8)
    return layer_time(shape, ones, replace(engine, weights="dense"))


def curve_shape(channels: int) -> Convolution:
    """Return the figure's convolution with so many channels and filters."""
    pads = (CURVE_KERNEL // 2,) * 4
    return Convolution(
        channels, CURVE_SIZE, CURVE_SIZE, channels, CURVE_KERNEL, CURVE_KERNEL, padding=pads
    )


def speedup(
    channels: int, reduction: float, engine: ConvEngine = ENGINE, seeds: Sequence[int] = (0,)
) -> float:
    """Return the mean speedup of the figure's convolution with uniformly random zeros."""
    shape = curve_shape(channels)
    dims = shape.weight_shape
    layer = ProfileLayer(f"{channels}", dims, round(int(np.prod(dims)) / reduction), {})
    dense = dense_time(shape, engine).cycles
    found = [
        dense / layer_time(shape, draw_mask(layer, seed, False).astype(np.int8), engine).cycles
        for seed in seeds
    ]
    return float(np.mean(found))


def curve(engine: ConvEngine = ENGINE, seeds: Sequence[int] = (0, 1, 2)) -> list[CurvePoint]:
    """Return our curve at the published points."""
    return [
        CurvePoint(
            float(row["parameter_reduction"]),
            float(row["achieved_speedup"]),
            speedup(CURVE_CHANNELS, float(row["parameter_reduction"]), engine, seeds),
        )
        for row in published_rows(FIGURE)
    ]


def layer_gains(
    profile: SparsityProfile, engine: ConvEngine = ENGINE, seed: int = 0, structured: bool = True
) -> tuple[LayerGain, ...]:
    """Time a pruned ResNet-50's layers at 224 x 224, with masks drawn from its profile."""
    shapes = resnet50_convolutions({name: layer.shape for name, layer in profile.layers.items()})
    found = []
    for name, shape in shapes.items():
        layer = profile.layers[name]
        mask = draw_mask(layer, seed, structured).reshape(shape.weight_shape).astype(np.int8)
        times = dense_time(shape, engine), layer_time(shape, mask, engine)
        found.append(LayerGain(name, shape, layer.nonzeros, *times))
    return tuple(found)


def network_gain(
    profile: str, engine: ConvEngine = ENGINE, seed: int = 0, structured: bool = True
) -> NetworkGain:
    """Return our gain for a shipped profile, `resnet50_pruned_70` or `resnet50_pruned_83`."""
    row = next(r for r in published_rows(GAINS) if r["network"].lower() == profile)
    layers = layer_gains(read_profile(profile_path(profile)), engine, seed, structured)
    return NetworkGain(
        profile, float(row["achieved_gain"]), float(row["compute_reduction"]), layers
    )
