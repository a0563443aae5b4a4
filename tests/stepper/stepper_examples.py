"""The machine and the matrices of the worked examples."""

from typing import Any

from stepper_storage import StepperConfig

PLAIN: dict[str, Any] = {
    "format": "dense",
    "pes": 1,
    "lanes": 8,
    "entries_per_cycle": 8,
    "word_bits": 32,
    "weight_bits": 8,
    "activation_bits": 8,
    "private_weight_memory": True,
    "scanner_width": 4,
    "queue_depth": 8,
    "mac_stages": 3,
}


def machine(**settings: Any) -> StepperConfig:
    """Return the plain machine with some settings changed."""
    return StepperConfig(**{**PLAIN, **settings})


def ones(rows: int, columns: int) -> list[list[int]]:
    """Return a matrix of ones."""
    return [[1] * columns for _ in range(rows)]


def sparse(rows: int, columns: int, *nonzeros: tuple[int, int]) -> list[list[int]]:
    """Return a matrix with ones at the given (row, column)."""
    return [[int((r, c) in nonzeros) for c in range(columns)] for r in range(rows)]
