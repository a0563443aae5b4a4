"""In which fields two results differ."""

from dataclasses import fields
from typing import Any

import numpy as np


def differences(a: Any, b: Any) -> list[str]:
    """Return the fields in which two results differ, in value, type or order."""
    return [f.name for f in fields(a) if not same(getattr(a, f.name), getattr(b, f.name))]


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, arrays by element, dicts by order too."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return [*a] == [*b] and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)
