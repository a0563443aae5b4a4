"""A checkpoint's tensors on their way to layers."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Keys:
    """A checkpoint's tensors, with what was taken of them and what was not found.

    wanted: the shape of every key that was asked for.
    """

    tensors: dict[str, np.ndarray]
    used: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    wanted: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def take(self, key: str, *shape: int) -> np.ndarray:
        """Return tensor `key` as float64, or zeros after noting what is wrong with it."""
        return self.take_large(key, *shape).astype(np.float64)

    def take_large(self, key: str, *shape: int) -> np.ndarray:
        """Return tensor `key` as `take` does, but a float32 one as it is, without a copy."""
        self.wanted[key] = shape
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
        return found if found.dtype == np.float32 else found.astype(np.float64)

    @property
    def unused(self) -> list[str]:
        """Keys that no layer took."""
        return sorted(set(self.tensors) - self.used)
