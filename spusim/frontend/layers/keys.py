"""A checkpoint's tensors on their way to layers."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Keys:
    """A checkpoint's tensors, with what was taken of them and what was not found."""

    tensors: dict[str, np.ndarray]
    used: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)

    def take(self, key: str, *shape: int) -> np.ndarray:
        """Return tensor `key` as float64, or zeros after noting what is wrong with it."""
        if key not in self.tensors:
            self.missing.append(key)
            return np.zeros(shape)
        self.used.add(key)
        found = self.tensors[key]
        if found.shape != shape:
            told = (
                f"{key} has shape {found.shape} in the checkpoint and {shape} in the network file"
            )
            if found.shape == (*shape[1::-1], *shape[2:]):
                told += ": its first two axes are exchanged; transpose it before saving"
            self.misshapen.append(told)
            return np.zeros(shape)
        return found.astype(np.float64)

    @property
    def unused(self) -> list[str]:
        """Keys that no layer took."""
        return sorted(set(self.tensors) - self.used)
