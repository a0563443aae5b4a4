"""Technology tables: what one event costs, with the source of every figure."""

import os
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, model_validator

from spusim.arch.shelf import PathLike, Shelf
from spusim.arch.spec import Spec
from spusim.arch.validate import build
from spusim.errors import SpusimError

Positive = Annotated[float, Field(gt=0)]
SramRow = tuple[Positive, Positive, Positive, Positive, Positive, Positive]
MacRow = tuple[Positive, Positive, Positive, Positive, Positive]
Source = Annotated[str, Field(min_length=1, description="where it comes from, or what scaled it")]


class TechnologyError(SpusimError):
    """A technology table that cannot be used."""


class Figure(Spec):
    """One number and its source."""

    value: Positive
    source: Source


class Grid(Spec):
    """A table over two axes, its first two columns; every pair of their values has one row."""

    source: Source
    rows: tuple[tuple[float, ...], ...]

    @model_validator(mode="after")
    def _is_a_grid(self) -> "Grid":
        points = [row[:2] for row in self.rows]
        first, second = ({point[axis] for point in points} for axis in (0, 1))
        if len(first) < 2 or len(second) < 2:
            raise ValueError("must have two values on each axis to interpolate; add rows")
        missing = {(a, b) for a in first for b in second} - set(points)
        if missing:
            raise ValueError(f"must be a full grid; add a row for {min(missing)}")
        if len(set(points)) < len(points):
            twice = min(point for point in points if points.count(point) > 1)
            raise ValueError(f"has {twice} twice; keep one of the rows")
        return self


class SramTable(Grid):
    """Single-port SRAM of a capacity and word width: energy of one access, area, leakage."""

    columns: tuple[
        Literal["kibibytes"],
        Literal["width_bits"],
        Literal["area_um2"],
        Literal["read_pj"],
        Literal["write_pj"],
        Literal["leakage_uw"],
    ]
    rows: tuple[SramRow, ...]


class MacTable(Grid):
    """A square multiplier with an accumulating adder: energy of one operation, area, leakage."""

    columns: tuple[
        Literal["multiplier_bits"],
        Literal["accumulator_bits"],
        Literal["area_um2"],
        Literal["mac_pj"],
        Literal["leakage_uw"],
    ]
    rows: tuple[MacRow, ...]


class RegisterFigures(Spec):
    """Flip-flops and register files."""

    below_kibibytes: Figure
    access_pj_per_bit: Figure
    area_um2_per_bit: Figure


class LogicFigures(Spec):
    """Adders, 32-bit multipliers, and the leakage of logic."""

    add_pj_per_bit: Figure
    add_area_um2_per_bit: Figure
    multiply_pj: Figure
    multiply_area_um2: Figure
    leakage_uw_per_um2: Figure


class ClockFigures(Spec):
    """The clock network, a cycle, for each um2 of logic and registers."""

    pj_per_um2: Figure


class WireFigures(Spec):
    """Wires on the chip."""

    pj_per_bit_mm: Figure


class LinkFigures(Spec):
    """Pads of the host link."""

    pj_per_bit: Figure


class ExternalFigures(Spec):
    """External memory, with its pads and its channel."""

    pj_per_bit: Figure


class Technology(Spec):
    """A technology table: what `configs/tech/*.yaml` holds."""

    name: str = Field(min_length=1)
    description: str = ""
    node_nm: Positive
    sram: SramTable
    mac: MacTable
    registers: RegisterFigures
    logic: LogicFigures
    clock: ClockFigures
    wire: WireFigures
    link: LinkFigures
    external_memory: ExternalFigures


TECHNOLOGIES = Shelf("tech", "technology table", TechnologyError)


def load_technology(name_or_path: PathLike) -> Technology:
    """Load a shipped technology table by name, or a YAML file (with `base:`) by path.

    Raises TechnologyError naming file, line, value, rule and remedy.
    """
    given = os.fspath(name_or_path)
    return _shipped_table(given) if given in _shipped_names() else _read(given)


@cache  # every point of a sweep asks
def _shipped_names() -> frozenset[str]:
    return frozenset(list_technologies())


def list_technologies() -> list[str]:
    """Names of the shipped technology tables, sorted."""
    return TECHNOLOGIES.names()


@cache
def _shipped_table(name: str) -> Technology:
    return _read(name)  # read once in a process: sweeps price thousands of runs


def _read(name_or_path: str) -> Technology:
    return build(Technology, TECHNOLOGIES.read(name_or_path), TechnologyError)
