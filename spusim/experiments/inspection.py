"""What a checkpoint holds, as tables and as one JSON object."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from spusim.errors import SpusimError
from spusim.experiments.quantities import percent
from spusim.experiments.record import SCHEMA_VERSION
from spusim.experiments.store import check_file, write_file
from spusim.experiments.tables import table
from spusim.frontend import LayerStatistics, find_network, list_networks, read_checkpoint
from spusim.frontend.checkpoint import Checkpoint
from spusim.frontend.fqir import inspect_plan, is_plan
from spusim.frontend.infer import starter_of
from spusim.frontend.inspect import inspect_tensors
from spusim.frontend.load import read_weights
from spusim.frontend.profiled import find_profile, with_profile
from spusim.frontend.random_weights import is_random
from spusim.frontend.topology_file import load_topology

# field of LayerStatistics, heading; those of convolutions are shown where there are any
_DENSITIES = {
    "element_density": "element",
    "pencil_density": "pencil",
    "block_density": "block",
    "row_density": "row",
    "column_density": "column",
}
_CONVOLUTIONS = {"kernel_density": "kernel", "filter_density": "filter"}

MOST_SHARES = 1024  # PEs of a core, rows of a pencil


class InspectionError(SpusimError):
    """Something that cannot be inspected."""


@dataclass(frozen=True)
class Inspection:
    """A checkpoint's tensors, what their statistics assume, and what was found in the file.

    forms: masks, prefixes, quantised and sparse tensors that were undone. steps: what `prune` and
    `quantize` recorded in the file. operations: of an FQIR plan, how often each is there, else
    empty. weight_bits: None where each weight has its own.
    """

    file: str
    pes: int
    pencil: int
    block: tuple[int, int]
    weight_bits: int | None
    forms: tuple[str, ...]
    steps: tuple[dict[str, Any], ...]
    tensors: tuple[LayerStatistics, ...]
    operations: dict[str, int] = field(default_factory=dict)


def inspect_target(
    target: str, pes: int = 8, pencil: int = 8, weight_bits: int = 8, block: str = "4x4",
    profile: str | None = None,
) -> Inspection:  # fmt: skip
    """Inspect a checkpoint or an FQIR plan by path, or the checkpoint of a network (name or file).

    block: rows x columns of a block, such as 4x4. profile: a sparsity profile, by path or shipped
    name, whose masks are put on the weights before. Raises InspectionError, or what reading the
    file raises.
    """
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", block)
    if not match:
        raise InspectionError(f"block (={block}) must be rows x columns, e.g. 4x4")
    sides = int(match[1]), int(match[2])
    shares = (("pes", pes), ("pencil", pencil), *(("block", side) for side in sides))
    for name, value in shares:
        if not 1 <= value <= MOST_SHARES:
            raise InspectionError(f"{name} (={value}) must be from 1 to {MOST_SHARES}")
    if is_plan(target) and profile is not None:
        raise InspectionError(f"{target}: is an FQIR plan, pruned already; drop --sparsity-profile")
    if is_plan(target):
        plan = inspect_plan(target, pes, pencil, sides)
        shown = (target, pes, pencil, sides, None, plan.facts, (), plan.tensors)
        return Inspection(*shown, plan.operations)
    found, notes = _checkpoint_of(target), tuple[str, ...]()
    if profile is not None:
        found, notes = with_profile(found, find_profile(profile, Path()))
    tensors = tuple(inspect_tensors(found, pes, pencil, weight_bits, sides))
    forms = (*found.forms, *notes)
    return Inspection(target, pes, pencil, sides, weight_bits, forms, tuple(found.steps), tensors)


def write_starter(target: str, output: Path) -> tuple[str, ...]:
    """Write the network file that a target's checkpoint suggests; return what it leaves open.

    Raises InspectionError for a name that is no network file's or is taken, or SpusimError.
    """
    if output.suffix.lower() not in (".yaml", ".yml"):
        raise InspectionError(f"{output}: a network file ends in .yaml; rename it")
    if output.exists():
        raise InspectionError(f"{output}: exists, and may be written by hand; name a new file")
    check_file(output)
    checkpoint = _checkpoint(target)
    if is_random(checkpoint):
        raise InspectionError(f"{target}: has a network file; start from that")
    starter = starter_of(read_checkpoint(checkpoint).tensors, Path(checkpoint), output.parent)
    write_file(output, starter.text.encode())
    return starter.questions


def inspection_record(inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as plain objects for JSON."""
    return {"schema_version": SCHEMA_VERSION, **asdict(inspection)}


def inspection_parts(inspection: Inspection) -> Iterator[RenderableType]:
    """Yield what was found; then tables: tensors; densities of the weights; bytes by format."""
    tensors = inspection.tensors
    weights = [tensor for tensor in tensors if tensor.is_weight]
    rows = [
        [t.name, " x ".join(map(str, t.shape)) or "scalar", t.dtype, f"{_elements(t):,}"]
        for t in tensors
    ]
    yield table(inspection.file, ["tensor", "shape", "type", "elements"], rows, texts=3)
    yield from (f"found: {form}" for form in inspection.forms)
    if inspection.operations:
        told = [f"{name} {count}" for name, count in inspection.operations.items()]
        yield f"operations: {', '.join(told)}"
    yield from (f"done: {_step(step)}" for step in inspection.steps)
    if not weights:
        return
    densities = _DENSITIES | (
        _CONVOLUTIONS if any(t.kernel_density is not None for t in weights) else {}
    )
    yield ""
    yield table(
        f"densities in %, pencils of {inspection.pencil} rows, blocks of "
        f"{' x '.join(map(str, inspection.block))}; imbalance: the fullest of "
        f"{inspection.pes} PEs over the mean",
        ["weight", *densities.values(), "imbalance"],
        [_density_row(tensor, densities) for tensor in weights],
    )
    yield ""
    yield table(
        f"bytes of {_width(inspection.weight_bits)} in each format (n_of_m: 2:4, or -)",
        ["weight", *weights[0].format_bytes],
        _byte_rows(weights),
    )


def _checkpoint_of(target: str) -> Checkpoint:
    """Return the checkpoint that a target names, or the random weights of a network."""
    source = _checkpoint(target)
    if not is_random(source):
        return read_checkpoint(source)
    return read_weights(source, load_topology(find_network(target)))


def _checkpoint(target: str) -> Path | str:
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
    return weights if is_random(weights) else network.parent / weights


def _width(weight_bits: int | None) -> str:
    return f"{weight_bits}-bit weights" if weight_bits else "weights, each as wide as it is,"


def _elements(tensor: LayerStatistics) -> int:
    count = 1
    for length in tensor.shape:
        count *= length
    return count


def _step(step: dict[str, Any]) -> str:
    """Word a step of a file's history: its command, then what it was given."""
    given = [
        f"{key} {value}"
        for key, value in step.items()
        if key != "command" and not isinstance(value, dict)
    ]
    layers = step.get("layers")
    if isinstance(layers, dict):  # whose scales differ from the others'
        given += [f"{name} {word}" for name, word in layers.items() if isinstance(word, str)]
    return f"{step['command']}: {', '.join(given)}"


def _density_row(tensor: LayerStatistics, densities: Mapping[str, str]) -> list[str]:
    found = [getattr(tensor, key) for key in densities]
    shown = ["" if value is None else percent(value, 1) for value in found]
    return [tensor.name, *shown, f"{tensor.imbalance:.2f}"]


def _byte_rows(weights: Sequence[LayerStatistics]) -> list[list[str]]:
    formats = list(weights[0].format_bytes)
    rows = [[w.name, *(_bytes(w.format_bytes[form]) for form in formats)] for w in weights]
    totals = [_total([w.format_bytes[form] for w in weights]) for form in formats]
    return [*rows, ["total", *map(_bytes, totals)]]


def _bytes(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
