"""SmartSkip, DeGirum's FPGA prototype: our `pixel` engine beside its published speedups.

One engine for everything. Free were three of its numbers, and they were fitted on the figure and
on ResNet-50 at 70 %: PEs, queue depth and words fetched a cycle. docs/smartskip_fit.md tells how,
and which other choices were made with all published figures in view.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from spusim.api import load_arch
from spusim.experiments.resnet50 import resnet50_convolutions
from spusim.experiments.validation.published import published, published_path
from spusim.formats.layout import Layout
from spusim.frontend.profile_masks import draw_mask
from spusim.frontend.sparsity_profile import ProfileLayer, SparsityProfile, read_profile
from spusim.kernels.conv_layout import Stall
from spusim.machine.conv_engine import ConvEngine, TileTime
from spusim.machine.conv_plan import engine_for
from spusim.machine.conv_time import plan_pixel, plan_row, run_pixel, run_row
from spusim.numerics.convolution import Convolution

ARCH = "smartskip"
ENGINE = engine_for(load_arch(ARCH), "8x8", 8)
FITTED = ("pes", "queue_depth", "feeder_words")
CURVE_KERNEL, CURVE_SIZE = 3, 14  # the figure names no image; that of ResNet's 256-channel layers
CURVE_CHANNELS = 256
FIGURE, GAINS = "smartskip_conv3x3_256", "smartskip_resnet50_gains"


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
class KindGain:
    """Cycles of a network's layers of one kind; `ideal_cycles`: if zeros took none."""

    dense: int
    sparse: int
    ideal_cycles: float
    pes_busy: float  # share of PE cycles
    feeder_busy: float  # share of cycles

    @property
    def gain(self) -> float:
        """Achieved."""
        return self.dense / self.sparse

    @property
    def ideal(self) -> float:
        """If pruned weights took no time, and nothing waited."""
        return self.dense / self.ideal_cycles


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
    def ideal(self) -> float:
        """MACs of all layers over those whose weight is not zero."""
        dense = sum(layer.shape.dense_macs for layer in self.layers)
        return dense / sum(layer.shape.dense_macs / layer.ideal for layer in self.layers)

    @property
    def kinds(self) -> dict[str, KindGain]:
        """Gains by stage and kernel, such as `layer1 3 x 3`."""
        kinds: dict[str, list[LayerGain]] = {}
        for layer in self.layers:
            size = f"{layer.shape.kernel_height} x {layer.shape.kernel_width}"
            kinds.setdefault(f"{layer.name.partition('.')[0]} {size}", []).append(layer)
        return {kind: _kind_gain(layers) for kind, layers in kinds.items()}

    @property
    def error(self) -> float:
        """Relative to what is published."""
        return self.ours / self.published - 1


def _kind_gain(layers: Sequence[LayerGain]) -> KindGain:
    pes = [layer.sparse.pe_stalls.sum(axis=0) for layer in layers]
    sparse = sum(layer.sparse.cycles for layer in layers)
    busy = [
        layer.sparse.cycles * sums[Stall.BUSY] / sums.sum()
        for layer, sums in zip(layers, pes, strict=True)
    ]
    return KindGain(
        dense=sum(layer.dense.cycles for layer in layers),
        sparse=sparse,
        ideal_cycles=sum(layer.dense.cycles / layer.ideal for layer in layers),
        pes_busy=sum(busy) / sparse,
        feeder_busy=sum(int(layer.sparse.feeder_stalls[Stall.BUSY]) for layer in layers) / sparse,
    )


def profile_path(name: str) -> Path:
    """Return where a shipped profile lies."""
    return published_path(name)


def layer_time(shape: Convolution, weights: np.ndarray, engine: ConvEngine) -> TileTime:
    """Time a whole layer; weights of which only the zeros matter.

    A layer of one position gives its lanes filters (T48).
    """
    layout = Layout("dense" if engine.weights == "dense" else "bitmap", engine.pes, 64, 64, 8)
    if shape.positions == 1:
        plan = plan_row(shape, weights, engine, layout)
        return run_row(plan, np.ones((shape.channels, shape.height, shape.width), np.int16))
    return run_pixel(plan_pixel(shape, weights, engine, layout))


@lru_cache(maxsize=1 << 8)  # of a network's shapes few differ
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
        CurvePoint(reduction, achieved, speedup(CURVE_CHANNELS, reduction, engine, seeds))
        for reduction, achieved in published(FIGURE)
        .select(pl.col("parameter_reduction", "achieved_speedup").cast(pl.Float64))
        .iter_rows()
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
    rows = published(GAINS).iter_rows(named=True)
    row = next(row for row in rows if row["network"].lower() == profile)
    layers = layer_gains(read_profile(profile_path(profile)), engine, seed, structured)
    return NetworkGain(profile, row["achieved_gain"], row["compute_reduction"], layers)
