"""Opening checkpoints: .safetensors without torch, .pt, .pth and .tar with it; nothing is run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spusim.frontend.errors import CheckpointError
from spusim.frontend.names import plain_name, plain_tensors
from spusim.frontend.safetensor_file import read_safetensors
from spusim.frontend.torch_file import read_torch

_READERS = {
    ".safetensors": read_safetensors,
    ".pt": read_torch,
    ".pth": read_torch,
    ".tar": read_torch,
}


@dataclass(frozen=True)
class Checkpoint:
    """Plain tensors by name, and the data type that each one is stored in (e.g. bfloat16)."""

    tensors: dict[str, np.ndarray]
    dtypes: dict[str, str]


def load_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Return a checkpoint's tensors by name, as plain arrays with their zeros in place.

    Prefixes of wrappers are stripped, pruning masks folded in, nested state dicts found. Raises
    CheckpointError for files that are damaged, need code to be run, or hold anything but
    finite real tensors.
    """
    return read_checkpoint(path).tensors


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return what `load_state_dict` does, with the data types in the file; same errors."""
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise CheckpointError(
            f"{path}: suffix {path.suffix or '(none)'} is not a checkpoint's; "
            f"bring one of {', '.join(_READERS)}"
        )
    _check_file(path)
    stored, dtypes = reader(path)
    tensors = plain_tensors(str(path), stored)
    if not tensors:
        raise CheckpointError(f"{path}: holds no tensors; save the model's state dict in it")
    for name, values in tensors.items():
        _check_finite(path, name, values)
    plain_types = {plain_name(name): dtype for name, dtype in dtypes.items()}
    return Checkpoint(tensors, {name: plain_types[name] for name in tensors})


def _check_file(path: Path) -> None:
    if not path.exists():
        raise CheckpointError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise CheckpointError(f"{path}: is a folder; name the checkpoint file in it")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: is empty (0 bytes); save or download it again")


def _check_finite(path: Path, name: str, values: np.ndarray) -> None:
    if values.dtype.kind != "f":
        return
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        where = ", ".join(str(index) for index in bad[0])
        raise CheckpointError(
            f"{path}: tensor {name} is {values[tuple(bad[0])]} at [{where}] and not finite in "
            f"{len(bad)} of {values.size} places; weights must be finite: use a checkpoint from "
            "before training diverged"
        )
