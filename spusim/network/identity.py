"""The hash that says whether two networks are the same."""

import hashlib
from dataclasses import Field, fields, is_dataclass
from typing import Any

import numpy as np

from spusim.network.records import Network

_APART = ("notes", "rate_hz", "picture")
_LATER = ("input_rounding", "codebook", "zero_point", "normalised_bits")


def network_hash(network: Network) -> str:
    """Return the SHA-256 (64 hex digits) of all that determines results, so not of notes and rates.

    Array contents count as integers, whatever width they are stored in.
    """
    digest = hashlib.sha256()
    _feed(digest, network)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    """Add a value to the digest, with its kind, so that different trees cannot collide."""
    if isinstance(value, np.ndarray):
        digest.update(f"array{value.shape}".encode())
        digest.update(np.ascontiguousarray(value, dtype="<i8").tobytes())
    elif is_dataclass(value):
        digest.update(f"{type(value).__name__}(".encode())
        for field in fields(value):
            if _counts(field, getattr(value, field.name)):
                digest.update(f"{field.name}=".encode())
                _feed(digest, getattr(value, field.name))
        digest.update(b")")
    elif isinstance(value, tuple):
        digest.update(f"tuple{len(value)}:".encode())
        for item in value:
            _feed(digest, item)
    else:
        digest.update(f"{value!r};".encode())


def _counts(field: Field[Any], value: Any) -> bool:
    """Tell whether a field counts: a later one only where it says more than older networks did."""
    return field.name not in _APART and not (field.name in _LATER and value == field.default)
