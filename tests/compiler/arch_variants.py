"""Machines that differ from one in a single field: every field, in several ways."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from spusim.arch import Arch, ArchError, check_arch
from spusim.arch.spec import ExternalMemorySpec, Spec, WeightMemorySpec

PARTS = {
    "core.weight_memory": WeightMemorySpec(words=4096),
    "external_memory": ExternalMemorySpec(words=65536, bytes_per_cycle=4, latency_cycles=20),
}


def leaves(spec: type[Spec], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all fields that are no specs, and those that may be, with their types."""
    for name, field in spec.model_fields.items():
        kind = field.annotation
        inner = [part for part in (get_args(kind) or (kind,)) if isinstance(part, type)]
        nested = [part for part in inner if issubclass(part, Spec)]
        if nested:
            yield from leaves(nested[0], f"{path}{name}.")
        if not nested or NoneType in inner:
            yield f"{path}{name}", kind


def others(kind: Any, value: Any, path: str) -> Iterator[Any]:
    """Yield values that a field might have instead, some of which are refused."""
    if path in PARTS:
        yield None if value is not None else PARTS[path].model_dump()
    elif get_origin(kind) is Literal:
        yield from (other for other in get_args(kind) if other != value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from {value + 1, value * 2, max(value // 2, 1), 1, value * 64} - {value}
    elif isinstance(value, float):
        yield value * 2
    elif isinstance(value, str):
        yield value + "x"
    elif isinstance(value, dict):
        yield dict(reversed(value.items()))
        yield {**value, "4x4": 2, "2x16": 1}
        yield dict([*value.items()][:1])
    elif isinstance(value, tuple):
        yield value[:1]
        yield (*reversed(value), "run_length")
    else:
        assert value is None and get_origin(kind) in (UnionType, Union)
        yield 1.5


def variants(arch: Arch) -> Iterator[tuple[str, Arch]]:
    """Yield machines that differ from one in a field, with its path."""
    for path, kind in leaves(Arch):
        *above, last = path.split(".")
        here: Any = arch.model_dump()
        for name in above:
            here = here[name] if here is not None else None
        if here is None:
            continue
        for value in others(kind, here[last], path):
            whole = arch.model_dump()
            inside = whole
            for name in above:
                inside = inside[name]
            inside[last] = value
            try:
                changed = Arch.model_validate(whole)
                check_arch(changed)
            except (ValidationError, ArchError):
                continue
            yield path, changed
