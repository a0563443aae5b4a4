"""The hash that says whether two networks are the same."""

import hashlib
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, cast

import numpy as np

from spusim.network.records import Network

_APART = ("notes", "rate_hz", "picture")
_UNCHANGING = (str, int, float, NoneType)
_LATER = ("input_rounding", "codebook", "zero_point", "normalised_bits")


def network_hash(network: Network) -> str:
    """Return the SHA-256 (64 hex digits) of all that determines results, so not of notes and rates.

    Array contents count as integers, whatever width they are stored in.
    """
    digest, told = hashlib.sha256(), list[bytes]()
    _feed(digest, told, network)
    digest.update(b"".join(told))
    return digest.hexdigest()


def network_arrays(network: Network) -> list[np.ndarray] | None:
    """Return all arrays in a network, or None if anything else in it could be changed in place."""
    found: list[np.ndarray] = []
    waiting: list[Any] = [network]
    while waiting:
        value = waiting.pop()
        if isinstance(value, np.ndarray):
            found.append(value)
        elif is_dataclass(value) and cast(Any, value).__dataclass_params__.frozen:
            waiting.extend(vars(value).values())
        elif isinstance(value, tuple):
            waiting.extend(value)
        elif not isinstance(value, _UNCHANGING):
            return None
    return found


def _feed(digest: Any, told: list[bytes], value: Any) -> None:
    """Add a value with its kind, so that different trees cannot collide.

    told: what is still to be added to the digest, which takes short pieces together.
    """
    if isinstance(value, np.ndarray):
        told.append(f"array{value.shape}".encode())
        digest.update(b"".join(told))
        told.clear()
        digest.update(np.ascontiguousarray(value, dtype="<i8").tobytes())
    elif is_dataclass(value):
        kind = cast(Hashable, type(value))
        told.append(f"{type(value).__name__}(".encode())
        for name, default in _fields_of(kind):
            part = getattr(value, name)
            if name not in _LATER or part != default:
                told.append(f"{name}=".encode())
                _feed(digest, told, part)
        told.append(b")")
    elif isinstance(value, tuple):
        told.append(f"tuple{len(value)}:".encode())
        for item in value:
            _feed(digest, told, item)
    else:
        told.append(f"{value!r};".encode())


@cache
def _fields_of(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Return the fields that count, with defaults; later ones only where they differ from these."""
    return tuple((field.name, field.default) for field in fields(kind) if field.name not in _APART)
