"""Columns of a results table as quantities: label, unit, and the values in that unit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from spusim.experiments.charts.records import Quantity

TIMES = "\N{MULTIPLICATION SIGN}"
_PREFIXES = ((1e-12, "p"), (1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, ""))


@dataclass(frozen=True)
class Measure:
    """A column: its label, and the unit of its values times `factor`.

    si: the unit takes a prefix that suits the values; smaller: less of it is better.
    """

    label: str
    unit: str
    factor: float = 1.0
    si: bool = False
    smaller: bool = True


MEASURES: dict[str, Measure] = {
    "cycles": Measure("run time", "cycles"),
    "frame_cycles_mean": Measure("time a frame", "cycles"),
    "latency_s_mean": Measure("latency a frame", "s", si=True),
    "energy_j_frame_mean": Measure("energy a frame", "J", si=True),
    "power_w": Measure("power", "W", si=True),
    "utilization": Measure("utilisation", "%", 100.0, smaller=False),
    "speedup_achieved": Measure("speedup", TIMES, smaller=False),
    "speedup_ideal": Measure("ideal speedup", TIMES, smaller=False),
    "memory_used_bytes": Measure("memory used", "KiB", 1 / 1024),
    "area_um2": Measure("area", "mm²", 1e-6),
    "accuracy": Measure("accuracy", "% of files", 100.0, smaller=False),
    "sqnr_db": Measure("signal to quantisation noise", "dB", smaller=False),
    "weight_density": Measure("weight density", "%", 100.0),
    "activation_density": Measure("activation density", "%", 100.0),
}
# parameter, or the last word of one -> (label, unit); the longer name wins
_PARAMETERS: dict[str, tuple[str, str]] = {
    "core.pes": ("PEs a core", "number"),
    "core.lanes": ("MAC lanes a PE", "number"),
    "core.vector.lanes": ("vector lanes", "number"),
    "core.queue.depth": ("queue depth", "columns"),
    "core.scanner.width": ("scanner width", "activations"),
    "core.data_memory.banks": ("data banks a core", "number"),
    "core.data_memory.words": ("words a bank", "words"),
    "core.data_memory.word_bits": ("word width", "bit"),
    "prune.structure": ("structure", "name"),
    "quantise.weights": ("weights", "number format"),
    "quantise.activations": ("activations", "bit"),
    "quantise.scales": ("scales of activations", "when they are found"),
    "layer.weight_bits": ("weights of the layer", "bit"),
    "layer.activation_bits": ("activations of the layer", "bit"),
    "core.sparse.format": ("format", "name"),
    "core.sparse.weights": ("weights", "name"),
    "core.sparse.activations": ("activations", "name"),
    "core.queue.release": ("slot freed at", "name"),
    "core.ports": ("ports", "name"),
    "arch": ("architecture", "name"),
    "technology": ("technology", "name"),
    "prune.density": ("weights kept", "%"),
    "layer.weight_density": ("weight density", "%"),
    "layer.activation_density": ("activation density", "%"),
    "conv.weight_density": ("weight density", "%"),
    "conv.activation_density": ("activation density", "%"),
    "stream.density": ("input density", "%"),
    "cores": ("cores", "number"),
    "clock_mhz": ("clock", "MHz"),
    "input_period": ("input period", "cycles"),
}
_LAST_WORDS = {
    "density": "%", "depth": "places", "words": "words", "banks": "number", "bits": "bit",
    "mhz": "MHz", "cycles": "cycles", "stages": "cycles", "width": "number", "lanes": "number",
    "pes": "number", "frames": "frames", "inputs": "columns", "outputs": "rows",
}  # fmt: skip


def parameter_quantity(name: str) -> Quantity:
    """Return the label and unit of a swept parameter."""
    if name in _PARAMETERS:
        return Quantity(*_PARAMETERS[name])
    last = name.rpartition(".")[2]
    unit = _LAST_WORDS.get(last) or _LAST_WORDS.get(last.rpartition("_")[2], "as set")
    return Quantity(name.removeprefix("core.").replace("_", " "), unit)


def parameter_factor(name: str) -> float:
    """Return what a swept parameter's values are multiplied by to be in its quantity's unit."""
    return 100.0 if parameter_quantity(name).unit == "%" else 1.0


def bar_text(name: str, value: Any) -> str:
    """Return a swept parameter's value, without name and unit, as ticks show it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value * parameter_factor(name):.6g}"
    return str(value)


def scaled(name: str, table: pl.DataFrame) -> tuple[Quantity, list[float | None]]:
    """Return a column in its unit, an SI prefix chosen by the largest value."""
    measure = MEASURES[name]
    values = [None if v is None else v * measure.factor for v in table[name].to_list()]
    if not measure.si:
        return Quantity(measure.label, measure.unit), values
    each, prefix = si_prefix([v for v in values if v is not None])
    return (
        Quantity(measure.label, prefix + measure.unit),
        [None if v is None else v / each for v in values],
    )


def si_prefix(values: Sequence[float]) -> tuple[float, str]:
    """Return the factor and prefix with which the largest value lies from 1 to 1000."""
    largest = max(map(abs, values), default=0.0)
    fitting = [(each, prefix) for each, prefix in _PREFIXES if each <= largest]
    return fitting[-1] if fitting and math.isfinite(largest) else _PREFIXES[0]
