"""Pruning and quantising checkpoints to files, and what was done as tables and as JSON."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from spusim.errors import SpusimError
from spusim.experiments.quantities import percent
from spusim.experiments.record import SCHEMA_VERSION
from spusim.experiments.store import check_file, write_file, write_files
from spusim.experiments.tables import table
from spusim.frontend.errors import PruneError
from spusim.frontend.load import find_network, quantise_file
from spusim.frontend.pruned import Pruned, prune_checkpoint, shrink_checkpoint
from spusim.frontend.quantised import Quantised
from spusim.frontend.shrink import Shrunk
from spusim.frontend.weight_formats import weight_format
from spusim.network.identity import network_hash

SUFFIX = ".safetensors"
WEIGHTS: dict[str, int | str] = {
    "int4": 4, "int8": 8, "int16": 16, "binary": "binary", "ternary": "ternary",
    "codebook8": "codebook8", "codebook": "codebook",
}  # fmt: skip
_ACTIVATIONS: dict[str, int | str] = {"int8": 8, "int16": 16, "int4": 4, "binary": 1}


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
    exclude: Sequence[str] = (),
) -> Pruned:
    """Prune a checkpoint into a new .safetensors file; see `spusim.prune`.

    density: fraction kept; sparsity: fraction dropped, in its place. Raises SpusimError.
    """
    density = _density(density, sparsity)
    _check_output(output)
    pruned = prune_checkpoint(
        checkpoint, structure, density, scope=scope, norm=norm, layers=layers, exclude=exclude
    )
    write_file(output, pruned.to_bytes())
    return pruned


def shrink_to_files(
    checkpoint: str,
    output: Path,
    network: str,
    density: float | None,
    sparsity: float | None,
    scope: str = "layer",
    norm: str = "l2",
    layers: Sequence[str] = (),
) -> tuple[Shrunk, Path]:
    """Take units out of a network: writes the checkpoint, and the network file beside it.

    Both appear, or neither. Returns what became of the layers, and the network file's path.
    Raises SpusimError.
    """
    kept = _density(density, sparsity)
    if kept is None:
        raise PruneError("prune.structure (=unit) needs a density, 0 to 1")
    _check_output(output)
    path = find_network(network)
    beside = output.with_suffix(".yaml")
    if beside.absolute() == path.absolute():
        raise CompressionError(
            f"{beside}: is the network file itself, which the smaller one would replace; name "
            "another output"
        )
    check_file(beside)
    shrunk, image, text = shrink_checkpoint(
        checkpoint, path, kept, scope=scope, norm=norm, layers=layers, output=output
    )
    files = {output.name: image, beside.name: text}
    write_files(output.absolute().parent, files, last=beside.name)
    return shrunk, beside


def _density(density: float | None, sparsity: float | None) -> float | None:
    """Return the fraction kept, of the two ways to say it. Raises PruneError."""
    if density is not None and sparsity is not None:
        raise PruneError("density and sparsity are both given; give one: density is 1 - sparsity")
    if sparsity is None:
        return density
    if not 0.0 <= sparsity <= 1.0:
        raise PruneError(f"sparsity (={sparsity}) must be from 0 to 1, the fraction dropped")
    return 1.0 - sparsity


def quantise_to_file(
    checkpoint: str,
    output: Path,
    network: str | None,
    weights: str,
    activations: str,
    calibrate: str | None,
    per_channel: bool,
    settings: Sequence[str] = (),
    dynamic: bool = False,
    input_range: float | None = None,
) -> Quantised:
    """Quantise a checkpoint for a network into a new .safetensors file. Raises SpusimError.

    dynamic: the scales of what products multiply are found in every frame; input_range: of its
    elements, in the place of a calibration stream.
    """
    asked = {
        "quantise.weights": _width("weights", weights, WEIGHTS),
        "quantise.activations": _width("activations", activations, _ACTIVATIONS),
    }
    changes = [f"{key}={bits}" for key, bits in asked.items()]
    changes += ["quantise.per_channel=true"] if per_channel else []
    changes += ["quantise.scales=dynamic"] if dynamic else []
    if input_range is not None:  # which stands for the network's own stream, too
        changes += [f"quantise.input_range={input_range}", "quantise.calibrate=null"]
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
        "notes": list(pruned.notes),
    }


def shrunk_record(shrunk: Shrunk, output: Path, network: Path) -> dict[str, Any]:
    """Return a unit pruning as plain objects for JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "output": str(output),
        "network": str(network),
        "layers": [vars(layer) for layer in shrunk.layers],
    }


def shrunk_parts(shrunk: Shrunk, output: Path, network: Path) -> Iterator[RenderableType]:
    """Yield a table of the layers and where checkpoint and network file were written."""
    rows = [
        [
            layer.name, f"{layer.units_before:,}", f"{layer.units:,}",
            f"{layer.parameters_before:,}", f"{layer.parameters:,}",
            percent(layer.parameters, layer.parameters_before),
        ]
        for layer in shrunk.layers
    ]  # fmt: skip
    columns = ["layer", "units before", "after", "parameters before", "after", "left %"]
    yield table("units of layers", columns, rows, texts=1)
    yield f"written: {output}"
    yield f"written: {network}"


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
    yield from (f"note: {note}" for note in pruned.notes)
    yield f"written: {output}"


def quantised_parts(quantised: Quantised, output: Path) -> Iterator[RenderableType]:
    """Yield what became of the weights, notes, and where they were written."""
    step = quantised.steps[-1]
    scales = "output row" if step["per_channel"] else "tensor"
    yield (
        f"{step['network']}: {weight_format(step['weights'])} weights with a scale per {scales}, "
        f"{_told(step['activations'])} activations, {_told(step['input'])} input; "
        f"{_ranges(step)}"
    )
    yield f"integers: {', '.join(quantised.integers) or 'none'}"
    if quantised.kept:
        yield (f"left real, to be quantised by the network as before: {', '.join(quantised.kept)}")
    yield from (f"note: {note}" for note in quantised.network.notes)
    yield f"written: {output}"


def _ranges(step: dict[str, Any]) -> str:
    if step.get("input_range") is not None:
        return f"not calibrated: frames within +-{step['input_range']:g}"
    return f"calibrated on {step['frames']} frames of {step['calibrated_on']}"


def _told(bits: int) -> str:
    return "binary" if bits == 1 else f"int{bits}"


def _width(what: str, name: str, known: dict[str, int | str]) -> int | str:
    if name not in known:
        raise CompressionError(f"{what} (={name}) must be one of {', '.join(known)}")
    return known[name]


def _check_output(output: Path) -> None:
    if output.suffix.lower() != SUFFIX:
        raise CompressionError(f"{output}: is written as {SUFFIX}; name it so, e.g. net{SUFFIX}")
    check_file(output)
