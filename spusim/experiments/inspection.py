"""What a checkpoint holds, as tables and as one JSON object."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from spusim.errors import SpusimError
from spusim.experiments.quantities import percent
from spusim.experiments.record import SCHEMA_VERSION
from spusim.experiments.tables import table
from spusim.frontend import LayerStatistics, find_network, inspect_checkpoint, list_networks
from spusim.frontend.topology_file import load_topology

_DENSITIES = ("element_density", "pencil_density", "row_density", "column_density")

MOST_SHARES = 1024  # PEs of a core, rows of a pencil


class InspectionError(SpusimError):
    """Something that cannot be inspected."""


@dataclass(frozen=True)
class Inspection:
    """A checkpoint's tensors, and what their statistics assume."""

    file: str
    pes: int
    pencil: int
    weight_bits: int
    tensors: tuple[LayerStatistics, ...]


def inspect_target(target: str, pes: int = 8, pencil: int = 8, weight_bits: int = 8) -> Inspection:
    """Inspect a checkpoint by path, or that of a network (a shipped name or a network file).

    Raises InspectionError, or what reading the file raises.
    """
    for name, value in (("pes", pes), ("pencil", pencil)):
        if not 1 <= value <= MOST_SHARES:
            raise InspectionError(f"{name} (={value}) must be from 1 to {MOST_SHARES}")
    path = _checkpoint(target)
    tensors = inspect_checkpoint(path, pes, pencil, weight_bits)
    return Inspection(target, pes, pencil, weight_bits, tuple(tensors))


def inspection_record(inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as plain objects for JSON."""
    return {"schema_version": SCHEMA_VERSION, **asdict(inspection)}


def inspection_parts(inspection: Inspection) -> Iterator[RenderableType]:
    """Yield tables: all tensors; densities of the weights; their bytes in each format."""
    tensors = inspection.tensors
    weights = [tensor for tensor in tensors if tensor.is_weight]
    rows = [
        [t.name, " x ".join(map(str, t.shape)) or "scalar", t.dtype, f"{_elements(t):,}"]
        for t in tensors
    ]
    yield table(inspection.file, ["tensor", "shape", "type", "elements"], rows, texts=3)
    if not weights:
        return
    yield ""
    yield table(
        f"densities in %, pencils of {inspection.pencil} rows; imbalance: the fullest of "
        f"{inspection.pes} PEs over the mean",
        ["weight", "element", "pencil", "row", "column", "imbalance"],
        [_density_row(tensor) for tensor in weights],
    )
    yield ""
    yield table(
        f"bytes of {inspection.weight_bits}-bit weights in each format",
        ["weight", *weights[0].format_bytes],
        _byte_rows(weights),
    )


def _checkpoint(target: str) -> Path:
    path = Path(target)
    if path.suffix.lower() not in (".yaml", ".yml"):
        if path.suffix or path.exists():
            return path
        if target not in list_networks():
            raise InspectionError(
                f"{target}: no such file, and no shipped network ({', '.join(list_networks())})"
            )
    network = find_network(target)
    weights = load_topology(network).weights
    if weights is None:
        raise InspectionError(f"{network}: names no weights; inspect a checkpoint itself")
    return network.parent / weights


def _elements(tensor: LayerStatistics) -> int:
    count = 1
    for length in tensor.shape:
        count *= length
    return count


def _density_row(tensor: LayerStatistics) -> list[str]:
    densities = [percent(getattr(tensor, key), 1) for key in _DENSITIES]
    return [tensor.name, *densities, f"{tensor.imbalance:.2f}"]


def _byte_rows(weights: Sequence[LayerStatistics]) -> list[list[str]]:
    formats = list(weights[0].format_bytes)
    rows = [[w.name, *(f"{w.format_bytes[form]:,}" for form in formats)] for w in weights]
    totals = [sum(w.format_bytes[form] for w in weights) for form in formats]
    return [*rows, ["total", *(f"{total:,}" for total in totals)]]
