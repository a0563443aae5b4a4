"""Sparsity profiles: a published pruned network, layer by layer, as a CSV of counts.

A row names a layer, its shape and nonzeros, and may say which percentage of whole structures is
zero: `k2d_pct` of 2-D kernels, `f3d_pct` of filters, `ch_pct` of input channels; of a matrix
`cols_pct` of outputs and `rows_pct` of inputs (Distiller's table, which sees it transposed).
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spusim.errors import nearest
from spusim.frontend.errors import PruneError

_NEEDED = ("layer", "shape", "nnz")
# structure -> its columns for convolutions and for matrices
_PERCENTAGES = {"kernels": ("k2d_pct", ""), "filters": ("f3d_pct", "cols_pct"),
                "channels": ("ch_pct", "rows_pct")}  # fmt: skip


@dataclass(frozen=True)
class ProfileLayer:
    """A layer of a profile; `zero` counts structures that are zero altogether."""

    name: str
    shape: tuple[int, ...]  # (filters, channels of a group, ...)
    nonzeros: int
    zero: dict[str, int]  # of kernels (convolutions only), filters, channels

    @property
    def size(self) -> int:
        """Weights, zeros too."""
        return math.prod(self.shape)

    @property
    def density(self) -> float:
        """Fraction of weights that are not zero."""
        return self.nonzeros / self.size


@dataclass(frozen=True)
class SparsityProfile:
    """Layers by name, without a leading `module.` or a trailing `.weight`."""

    name: str
    layers: dict[str, ProfileLayer]

    def layer(self, name: str) -> ProfileLayer:
        """Return the layer that a network calls `name`. Raises PruneError."""
        found = self.layers.get(plain_name(name))
        if found is None:
            raise PruneError(
                f"sparsity profile {self.name} has no layer {name}; "
                f"{nearest(plain_name(name), list(self.layers))}"
            )
        return found

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise PruneError if the profile names a layer that is not in `shapes`, or not so big."""
        known = {plain_name(name): (name, tuple(shape)) for name, shape in shapes.items()}
        for name, layer in self.layers.items():
            if name not in known:
                raise PruneError(
                    f"sparsity profile {self.name} names {name}, which the network does not have; "
                    f"{nearest(name, list(known))}"
                )
            if known[name][1] != layer.shape:
                raise PruneError(
                    f"sparsity profile {self.name}: {name} has shape {_shown(layer.shape)}, "
                    f"{_shown(known[name][1])} in the network; use the profile of this network"
                )


def plain_name(name: str) -> str:
    """Return a layer's name without `module.` and `.weight`."""
    return name.removeprefix("module.").removesuffix(".weight")


def _shown(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))


def read_profile(path: str | Path) -> SparsityProfile:
    """Read a profile; lines that begin with # are remarks. Raises PruneError."""
    file = Path(path)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(_rows(file, lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is no CSV text"
        raise PruneError(f"sparsity profile {file}: cannot be read: {reason}") from None
    layers: dict[str, ProfileLayer] = {}
    for where, row in rows:
        layer = _layer(where, row)
        if layer.name in layers:
            raise PruneError(f"{where}: layer {layer.name} is there twice; keep one of them")
        layers[layer.name] = layer
    if not layers:
        raise PruneError(f"sparsity profile {file}: has no layers; give a row for each, "
                         f"under the columns {', '.join(_NEEDED)}")  # fmt: skip
    return SparsityProfile(file.stem, layers)


def _rows(file: Path, lines: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where a row stands, and its fields."""
    kept = [
        (number, line) for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]  # fmt: skip
    if not kept:
        raise PruneError(
            f"sparsity profile {file}: is empty; give the columns {', '.join(_NEEDED)}, and a row "
            "for each layer"
        )
    reader = csv.DictReader([line for _, line in kept])
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise PruneError(
            f"sparsity profile {file}: has no column {', '.join(missing)}; it needs "
            f"{', '.join(_NEEDED)}"
        )
    for (number, line), row in zip(kept[1:], reader, strict=False):
        if line.count('"') % 2:
            raise PruneError(f"{file}:{number}: a quote has no second one on its line; add it")
        if None in row:
            columns = len(reader.fieldnames or ())
            raise PruneError(
                f"{file}:{number}: has more fields than the {columns} columns; drop what is too "
                "many, or quote a field with commas"
            )
        yield f"{file}:{number}", {key: (text or "").strip() for key, text in row.items() if key}


def _layer(where: str, row: Mapping[str, str]) -> ProfileLayer:
    name = plain_name(row["layer"])
    try:
        shape = tuple(int(size) for size in row["shape"].split("x"))
    except ValueError:
        shape = ()
    if not name or len(shape) < 2 or min(shape) < 1:
        raise PruneError(
            f"{where}: shape (={row['shape']}) of layer {name or '(no name)'} must be sizes from "
            "1 up with an x between, outputs first, such as 256x64x3x3"
        )
    size = math.prod(shape)
    nonzeros = _number(where, name, "nnz", row["nnz"], size)
    if nonzeros != int(nonzeros):
        raise PruneError(f"{where}: {name}: nnz (={row['nnz']}) must be a whole number")
    kernels = shape[0] * shape[1]
    totals = {"kernels": kernels, "filters": shape[0], "channels": shape[1]}
    zero = {}
    for structure, columns in _PERCENTAGES.items():
        column = columns[len(shape) == 2]
        if row.get(column):
            share = _number(where, name, column, row[column], 100)
            zero[structure] = round(share / 100 * totals[structure])
    return ProfileLayer(name, shape, int(nonzeros), zero)


def _number(where: str, name: str, column: str, text: str, most: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        what = f"0 to {most}, the weights there are" if column == "nnz" else "0 to 100 percent"
        raise PruneError(f"{where}: {name}: {column} (={text}) must be {what}")
    return value
