"""Pruning and quantising checkpoints to files, and what was done as tables and as JSON."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from spusim.errors import SpusimError
from spusim.experiments.quantities import percent
from spusim.experiments.record import SCHEMA_VERSION
from spusim.experiments.store import check_file, write_file
from spusim.experiments.tables import table
from spusim.frontend.errors import PruneError
from spusim.frontend.load import quantise_file
from spusim.frontend.pruned import Pruned, prune_checkpoint
from spusim.frontend.quantised import Quantised
from spusim.network.identity import network_hash

SUFFIX = ".safetensors"
_WEIGHTS = {"int4": 4, "int8": 8, "int16": 16}
_ACTIVATIONS = {"int8": 8, "int16": 16}


class CompressionError(SpusimError):
    """A pruning or quantising that cannot be written or asked for so."""


def prune_to_file(
    checkpoint: str,
    output: Path,
    structure: str,
    density: float | None,
    sparsity: float | None,
    scope: str = "layer",
    norm: str = "l2",
    layers: Sequence[str] = (),
) -> Pruned:
    """Prune a checkpoint into a new .safetensors file; see `spusim.prune`.

    density: fraction kept; sparsity: fraction dropped, in its place. Raises SpusimError.
    """
    if density is not None and sparsity is not None:
        raise PruneError("density and sparsity are both given; give one: density is 1 - sparsity")
    if sparsity is not None:
        if not 0.0 <= sparsity <= 1.0:
            raise PruneError(f"sparsity (={sparsity}) must be from 0 to 1, the fraction dropped")
        density = 1.0 - sparsity
    _check_output(output)
    pruned = prune_checkpoint(checkpoint, structure, density, scope=scope, norm=norm, layers=layers)
    write_file(output, pruned.to_bytes())
    return pruned


def quantise_to_file(
    checkpoint: str,
    output: Path,
    network: str | None,
    weights: str,
    activations: str,
    calibrate: str | None,
    per_channel: bool,
    settings: Sequence[str] = (),
) -> Quantised:
    """Quantise a checkpoint for a network into a new .safetensors file. Raises SpusimError."""
    asked = {
        "quantise.weights": _width("weights", weights, _WEIGHTS),
        "quantise.activations": _width("activations", activations, _ACTIVATIONS),
    }
    changes = [f"{key}={bits}" for key, bits in asked.items()]
    changes += ["quantise.per_channel=true"] if per_channel else []
    _check_output(output)
    quantised = quantise_file(network, checkpoint, calibrate, (*settings, *changes))
    write_file(output, quantised.to_bytes())
    return quantised


def pruned_record(pruned: Pruned, output: Path) -> dict[str, Any]:
    """Return a pruning as plain objects for JSON."""
    weights = [
        {
            "name": weight.name,
            "shape": list(weight.shape),
            "nonzeros_before": weight.nonzeros_before,
            "nonzeros": weight.nonzeros,
            "density": weight.density,
        }
        for weight in pruned.weights
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "output": str(output),
        "density": pruned.density,
        "weights": weights,
        "steps": list(pruned.steps),
    }


def quantised_record(quantised: Quantised, output: Path) -> dict[str, Any]:
    """Return a quantising as plain objects for JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "output": str(output),
        "network_hash": network_hash(quantised.network),
        "integers": list(quantised.integers),
        "kept": list(quantised.kept),
        "notes": list(quantised.network.notes),
        "steps": list(quantised.steps),
    }


def pruned_parts(pruned: Pruned, output: Path) -> Iterator[RenderableType]:
    """Yield what was found, a table of the weights, and where they were written."""
    yield from (f"found: {form}" for form in pruned.forms)
    rows = []
    for weight in pruned.weights:
        size = 1
        for length in weight.shape:
            size *= length
        before = percent(weight.nonzeros_before, size)
        shape = " x ".join(map(str, weight.shape))
        rows.append(
            [weight.name, shape, f"{weight.nonzeros:,}", before, percent(weight.density, 1)]
        )
    columns = ["weight", "shape", "nonzeros", "before %", "after %"]
    yield table("densities of elements", columns, rows, texts=2)
    yield f"all together: {percent(pruned.density, 1)} %"
    yield f"written: {output}"


def quantised_parts(quantised: Quantised, output: Path) -> Iterator[RenderableType]:
    """Yield what became of the weights, notes, and where they were written."""
    step = quantised.steps[-1]
    scales = "output row" if step["per_channel"] else "tensor"
    yield (
        f"{step['network']}: int{step['weights']} weights with a scale per {scales}, "
        f"int{step['activations']} activations, int{step['input']} input; calibrated on "
        f"{step['frames']} frames of {step['calibrated_on']}"
    )
    yield f"integers: {', '.join(quantised.integers) or 'none'}"
    if quantised.kept:
        yield (f"left real, to be quantised by the network as before: {', '.join(quantised.kept)}")
    yield from (f"note: {note}" for note in quantised.network.notes)
    yield f"written: {output}"


def _width(what: str, name: str, known: dict[str, int]) -> int:
    if name not in known:
        raise CompressionError(f"{what} (={name}) must be one of {', '.join(known)}")
    return known[name]


def _check_output(output: Path) -> None:
    if output.suffix.lower() != SUFFIX:
        raise CompressionError(f"{output}: is written as {SUFFIX}; name it so, e.g. net{SUFFIX}")
    check_file(output)
