"""What a file's reader hands on: the tensors as stored, and what was found around them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spusim.frontend.errors import CheckpointError

MOST_BYTES = 4 << 30  # of a checkpoint's tensors, unpacked


@dataclass(frozen=True)
class Stored:
    """Tensors by name as arrays, their data types in the file, and pruning masks by parameter.

    forms: for people, what was found and undone; metadata: the file's own, by key. dynamic:
    modules whose activations PyTorch quantises in every frame.
    """

    tensors: Mapping[str, np.ndarray]
    dtypes: Mapping[str, str]
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    forms: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    dynamic: tuple[str, ...] = ()


def check_bytes(path: Path, what: str, count: int) -> None:
    """Raise CheckpointError if so many bytes are too many for memory."""
    if count > MOST_BYTES:
        raise CheckpointError(
            f"{path}: {what} {count / 2**30:,.1f} GiB, and at most {MOST_BYTES >> 30} GiB are "
            "read; save only what is simulated"
        )
