"""Opening checkpoints: .safetensors without torch, all others with it; nothing is run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spusim.frontend.errors import CheckpointError
from spusim.frontend.integer_file import Quantising, quantising_of, real_weights, steps_of
from spusim.frontend.names import plain_tensors, short_name
from spusim.frontend.safetensor_file import read_safetensors
from spusim.frontend.stored import Stored, check_bytes
from spusim.frontend.torch_file import read_torch

_READERS = {
    ".safetensors": read_safetensors,
    ".pt": read_torch,
    ".pth": read_torch,
    ".tar": read_torch,
    ".ckpt": read_torch,
    ".bin": read_torch,
}


@dataclass(frozen=True)
class Checkpoint:
    """Plain tensors by name, and the data type that each one is stored in (e.g. bfloat16).

    forms: for people, what was found in the file and undone. steps: what spusim did to the
    weights before, as its file says. quantising: how, if that was the last step. dynamic: modules
    whose activations PyTorch quantises in every frame.
    """

    tensors: dict[str, np.ndarray]
    dtypes: dict[str, str]
    forms: tuple[str, ...] = ()
    steps: list[dict[str, Any]] = field(default_factory=list)
    quantising: Quantising | None = None
    dynamic: tuple[str, ...] = ()

    @property
    def requantised(self) -> list[str]:
        """Tensors that other tools stored as integers with scales, and that are real here."""
        return [
            name
            for name, kind in self.dtypes.items()
            if "int" in kind and self.tensors[name].dtype.kind == "f" and not self.quantising
        ]


def load_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Return a checkpoint's tensors by name, as plain arrays with their zeros in place.

    Prefixes of wrappers are stripped, pruning masks folded in, nested state dicts found,
    quantised weights given as their real values. Raises CheckpointError for files that are
    damaged, need code to be run, or hold anything but finite real tensors.
    """
    return read_checkpoint(path).tensors


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return what `load_state_dict` does, with what was found in the file; same errors."""
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise CheckpointError(
            f"{path}: suffix {path.suffix or '(none)'} is not a checkpoint's; "
            f"bring one of {', '.join(_READERS)}"
        )
    _check_file(path)
    stored = reader(path)
    steps = steps_of(path, stored.metadata)
    quantising = quantising_of(path, steps, stored)
    found = _integers(path, stored, quantising) if quantising else _floats(path, stored, steps)
    if not found.tensors:
        raise CheckpointError(f"{path}: holds no tensors; save the model's state dict in it")
    for name, values in found.tensors.items():
        _check_finite(path, name, values)
    return found


def _floats(path: Path, stored: Stored, steps: list[dict[str, Any]]) -> Checkpoint:
    plain = plain_tensors(str(path), stored.tensors, stored.masks)
    dtypes = {name: stored.dtypes[plain.stored_names[name]] for name in plain.tensors}
    forms = (*stored.forms, *plain.forms)
    dynamic = tuple(map(short_name, stored.dynamic))
    return Checkpoint(plain.tensors, dtypes, forms, steps, dynamic=dynamic)


def _integers(path: Path, stored: Stored, quantising: Quantising) -> Checkpoint:
    bits = quantising.weights
    tensors, integers = real_weights(path, stored, bits)
    kind = {name: f"int{bits}" if name in integers else stored.dtypes[name] for name in tensors}
    form = f"integer weights with their scales: {', '.join(integers)}"
    return Checkpoint(tensors, kind, (form,), steps_of(path, stored.metadata), quantising)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise CheckpointError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise CheckpointError(f"{path}: is a folder; name the checkpoint file in it")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: is empty (0 bytes); save or download it again")
    check_bytes(path, "the file has", path.stat().st_size)


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
