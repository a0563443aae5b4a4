"""The file of `spusim quantize`: integer weights, their scales, and the calibrated ranges.

A .safetensors file of a checkpoint's plain names. Beside a weight W of int8 or int16 codes lies
`W.scale` (float64; one value, or one per output row): W is code x scale. `spusim.range.NAME` is
what calibration found of the tensor NAME of the network: the largest magnitude of each feature.
Metadata `spusim` is a JSON object: `steps`, what was done to the weights (prune, quantize) in
their order, of which the last quantize holds the widths.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from spusim.frontend.errors import CheckpointError
from spusim.frontend.stored import Stored
from spusim.frontend.weight_formats import LARGEST, WEIGHT_FORMATS, weight_format

METADATA_KEY = "spusim"
SCALE = ".scale"
RANGE = "spusim.range."
_WIDTHS: dict[str, tuple[int | str, ...]] = {
    "weights": (1, 2, 4, 8, 16, *WEIGHT_FORMATS),
    "activations": (1, 4, 8, 16),
    "input": (1, 4, 8, 16),
}
_SCALES = ("static", "dynamic")


@dataclass(frozen=True)
class Quantising:
    """How a file's weights were quantised, and for what: bits, and ranges by tensor."""

    network: str
    weights: int | str
    activations: int
    input: int
    per_channel: bool
    asymmetric: bool
    ranges: Mapping[str, np.ndarray] = field(default_factory=dict)
    scales: str = "static"
    layers: Mapping[str, str] = field(default_factory=dict)
    input_range: float | None = None


def checkpoint_bytes(
    tensors: Mapping[str, np.ndarray], steps: list[dict[str, Any]] | tuple[dict[str, Any], ...]
) -> bytes:
    """Return a .safetensors file of tensors and of what was done to them; the same every time."""
    whole = {name: np.ascontiguousarray(values) for name, values in sorted(tensors.items())}
    # one key only: the library writes several in any order
    metadata = {METADATA_KEY: json.dumps({"steps": list(steps)}, sort_keys=True)}
    return bytes(save(whole, metadata))


def steps_of(path: Path, metadata: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what spusim did to a file's weights. Raises CheckpointError for other contents."""
    if METADATA_KEY not in metadata:
        return []
    try:
        steps = json.loads(metadata[METADATA_KEY])["steps"]
        if all(isinstance(step["command"], str) for step in steps):
            return list(steps)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise _damaged(path, f"its metadata {METADATA_KEY} is no list of steps")


def quantising_of(path: Path, steps: list[dict[str, Any]], stored: Stored) -> Quantising | None:
    """Return how a file was quantised, or None. Raises CheckpointError."""
    if not any(step["command"] == "quantize" for step in steps):
        return None
    step = steps[-1]
    for key, widths in _WIDTHS.items():
        if step.get(key) not in widths:
            raise _damaged(path, f"{key} (={step.get(key)}) must be one of {widths}")
    ranges = {
        name.removeprefix(RANGE): values
        for name, values in stored.tensors.items()
        if name.startswith(RANGE)
    }
    for name, values in ranges.items():
        if values.dtype != np.float64 or not np.isfinite(values).all() or (values < 0).any():
            raise _damaged(path, f"{RANGE}{name} must be float64, finite and not below 0")
    return Quantising(
        str(step.get("network")),
        step["weights"],
        step["activations"],
        step["input"],
        bool(step.get("per_channel")),
        bool(step.get("asymmetric")),
        ranges,
        *_scales_of(path, step),
    )


def _scales_of(path: Path, step: Mapping[str, Any]) -> tuple[str, dict[str, str], float | None]:
    """Return what a step says of scales that are found at run time. Raises CheckpointError."""
    scales, layers = step.get("scales", "static"), step.get("layers", {})
    said = layers.values() if isinstance(layers, dict) else [None]
    if any(each not in _SCALES for each in (scales, *said)):
        raise _damaged(path, f"scales (={scales}, {layers}) must be {' or '.join(_SCALES)}")
    reach = step.get("input_range")
    if reach is not None and not (isinstance(reach, (int, float)) and 0 < reach < np.inf):
        raise _damaged(path, f"input_range (={reach}) must be a number above 0")
    return scales, dict(layers), None if reach is None else float(reach)


def real_weights(
    path: Path, stored: Stored, bits: int | str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the tensors of a quantised file as real values, and the names that were integers."""
    tensors: dict[str, np.ndarray] = {}
    integers = []
    for name, values in stored.tensors.items():
        if name.startswith(RANGE) or _is_scale(name, stored):
            continue
        scale = stored.tensors.get(name + SCALE)
        if scale is not None:
            _check_codes(path, name, values, scale, bits)
            integers.append(name)
            values = dequantise(values, scale, bits)
        tensors[name] = values
    return tensors, integers


def _is_scale(name: str, stored: Stored) -> bool:
    return name.endswith(SCALE) and name.removesuffix(SCALE) in stored.tensors


def dequantise(codes: np.ndarray, scale: np.ndarray, bits: int | str) -> np.ndarray:
    """Return codes (out, ...) x scale (1,) or (out,) as float64.

    The largest code gets the value whose quotient by that code is the scale, to the last bit, so
    that quantising again finds this scale and these codes.
    """
    limit = LARGEST[weight_format(bits)]
    top = scale * limit
    for neighbour in (np.nextafter(top, 0.0), np.nextafter(top, np.inf)):
        top = np.where(top / limit == scale, top, neighbour)
    rows = (-1, *(1 for _ in codes.shape[1:]))
    real = np.sign(codes) * top.reshape(rows)
    largest = np.abs(codes.astype(np.int64)) == limit
    return np.asarray(np.where(largest, real, codes * scale.reshape(rows)))


def _check_codes(
    path: Path, name: str, codes: np.ndarray, scale: np.ndarray, bits: int | str
) -> None:
    limit = LARGEST[weight_format(bits)]
    if codes.dtype.kind != "i" or (codes.size and np.abs(codes.astype(np.int64)).max() > limit):
        raise _damaged(path, f"{name} must be integers of {weight_format(bits)}, +-{limit}")
    if scale.dtype != np.float64 or scale.shape not in ((1,), codes.shape[:1]):
        raise _damaged(path, f"{name}{SCALE} must be float64, one value or one per row")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise _damaged(path, f"{name}{SCALE} must be finite and above 0")


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path}: {reason}; write it again with `spusim quantize`")
