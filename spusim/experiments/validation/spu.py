"""The SPU-001's promise on the preset `spu001`: what memory, latency and energy go with."""

from dataclasses import dataclass

import numpy as np

from spusim.api import load_arch, simulate_layer
from spusim.experiments.charts.records import (
    Axis,
    LineChart,
    Mark,
    Panel,
    Quantity,
    Role,
    Scale,
    Series,
)
from spusim.experiments.validation.published import published, source_of
from spusim.experiments.validation.records import Row, Study

ARCH = "spu001"
DENSITIES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
SIZE = 512  # of the layer's sides: a dense one takes a quarter of the chip
FRAMES = 4
_FLOOR = 2.0  # times the promised figure, at which the overheads have doubled it


@dataclass(frozen=True)
class _Grid:
    """Figures over (weight density, activation density), relative to those at (1, 1)."""

    memory: np.ndarray
    latency: np.ndarray
    energy: np.ndarray


@dataclass(frozen=True)
class _Fit:
    """A straight line through figures: slope, intercept, coefficient of determination."""

    slope: float
    intercept: float
    r_squared: float


def spu_promise() -> Study:
    """Return how memory follows weight density, and latency and energy the densities' product."""
    grid = _grid()
    densities = np.array(DENSITIES)
    products = np.outer(densities, densities)
    fits = {
        "memory / weight density": _fit(densities, grid.memory),
        "latency / product of densities": _fit(products, grid.latency),
        "energy / product of densities": _fit(products, grid.energy),
    }
    floors = {
        "latency": _floor(products, grid.latency),
        "energy": _floor(products, grid.energy),
    }
    return Study(
        "spu001_promise",
        f"SPU-001: a {SIZE} x {SIZE} layer over both densities",
        source_of("spu001_promise"),
        ARCH,
        tuple(_rows(fits, floors)),
        _notes(),
        _chart(grid, products, fits, floors),
    )


def _rows(fits: dict[str, _Fit], floors: dict[str, float]) -> list[Row]:
    rows = []
    for claim, slope in published("spu001_promise").iter_rows():
        fit = fits[claim]
        rows.append(Row(f"{claim}: slope", "of dense", slope, fit.slope))
        rows.append(Row(f"{claim}: R2", "", None, fit.r_squared))
        rows.append(Row(f"{claim}: intercept", "of dense", None, fit.intercept))
    for what, product in floors.items():
        note = f"below it {what} is more than {_FLOOR:g} x what the promise says"
        rows.append(Row(f"{what}: floor of overheads", "product", None, product, None, note))
    return rows


def _notes() -> tuple[str, ...]:
    return (
        f"weights pruned by pencils of 8, uniformly at random; {FRAMES} frames a point; int8 "
        "weights, int16 activations; engine alone, no host link",
        "latency and energy are relative to the dense weights and activations on the same "
        "machine; the promise is the line through 0 and 1",
        "the floor of latency is the load phase (operand and pencil maps, a word a cycle) and a "
        "cycle for every pushed column on every PE, that of energy the clock and leakage then",
    )


def _grid() -> _Grid:
    arch = load_arch(ARCH)
    shape = (len(DENSITIES), len(DENSITIES))
    memory, latency, energy = np.zeros(len(DENSITIES)), np.zeros(shape), np.zeros(shape)
    for row, weight_density in enumerate(DENSITIES):
        weight = _pencils(np.random.default_rng(row), weight_density, arch.core.sparse.pencil)
        for column, activation_density in enumerate(DENSITIES):
            frames = _frames(np.random.default_rng(100 + column), activation_density)
            result = simulate_layer(weight, frames, arch, 8, 16)
            memory[row] = sum(b.used_words * b.word_bits for b in result.memory.values())
            latency[row, column] = result.cycles
            energy[row, column] = result.energy_pj["total"]
    return _Grid(memory / memory[-1], latency / latency[-1, -1], energy / energy[-1, -1])


def _pencils(rng: np.random.Generator, density: float, pencil: int) -> np.ndarray:
    """Draw int8 weights (SIZE, SIZE), whole pencils of rows of a column kept or zero."""
    groups = SIZE // pencil * SIZE
    kept = np.zeros(groups, bool)
    kept[rng.choice(groups, round(density * groups), replace=False)] = True
    values = rng.integers(1, 128, (SIZE, SIZE)) * rng.choice([-1, 1], (SIZE, SIZE))
    mask = np.repeat(kept.reshape(SIZE // pencil, SIZE), pencil, axis=0)
    weight: np.ndarray = (values * mask).astype(np.int32)
    return weight


def _frames(rng: np.random.Generator, density: float) -> np.ndarray:
    frames = np.zeros((FRAMES, SIZE), np.int32)
    for frame in frames:
        where = rng.choice(SIZE, round(density * SIZE), replace=False)
        frame[where] = rng.integers(1, 1 << 15, len(where))
    return frames


def _fit(x: np.ndarray, y: np.ndarray) -> _Fit:
    slope, intercept = np.polyfit(x.ravel(), y.ravel(), 1)
    r_squared = float(np.corrcoef(x.ravel(), y.ravel())[0, 1] ** 2)
    return _Fit(float(slope), float(intercept), r_squared)


def _floor(products: np.ndarray, y: np.ndarray) -> float:
    """Return the largest product at which y is at least `_FLOOR` times it; 0 if none is."""
    above = products[y >= _FLOOR * products]
    return float(above.max(initial=0.0))


def _chart(
    grid: _Grid, products: np.ndarray, fits: dict[str, _Fit], floors: dict[str, float]
) -> LineChart:
    claims = list(fits)
    panels = [
        _panel("memory", np.array(DENSITIES), grid.memory, "weight density", fits[claims[0]], ()),
        *(
            _panel(
                what,
                products,
                values,
                "density product",
                fits[claim],
                (Mark(floors[what], f"{_FLOOR:g} x the promise"),) if floors[what] else (),
            )
            for what, values, claim in (
                ("latency", grid.latency, claims[1]),
                ("energy", grid.energy, claims[2]),
            )
        ),
    ]
    return LineChart("spu001_promise", "SPU-001's promise", tuple(panels), 3)


def _panel(
    what: str, x: np.ndarray, y: np.ndarray, along: str, fit: _Fit, marks: tuple[Mark, ...]
) -> Panel:
    ends = (float(x.min()), 1.0)
    measured = Series("spusim", tuple(x.ravel()), tuple(y.ravel()), (), Role.CLOUD, 0)
    promise = Series("promised: proportional", ends, ends, (), Role.IDEAL, 1)
    return Panel(
        f"{what}: slope {fit.slope:.2f}, R² {fit.r_squared:.3f}",
        Axis(Quantity(along, "share"), Scale.LOG),
        Axis(Quantity(f"{what} of the dense layer", "share"), Scale.LOG),
        (measured, promise),
        marks,
    )
