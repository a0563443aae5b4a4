"""What a computation reads of an architecture, so that its result can stand for other ones."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from types import FunctionType, MethodType
from typing import Any, cast

from pydantic import BaseModel

from spusim.arch.spec import Arch, Spec

Path = tuple[str, ...]


class Reads:
    """Fields that were read, each with what it was; specs count as there or not."""

    def __init__(self) -> None:
        self._told: dict[Path, object] = {}
        self._plain: list[Path] = []  # fields that are what is told of them
        self._checks: _Checks | None = None  # of all that was read

    def watch(self, arch: Arch) -> Arch:
        """Return a stand-in that gives what `arch` does, and notes it here."""
        return cast(Arch, _Watched(arch, (), self))

    def note(self, path: Path, value: object) -> None:
        """Keep what a field was; what holds it was noted before, since it was read before."""
        if path not in self._told:
            told = self._told[path] = _told(value)
            self._plain += [path] if told is value else []
            self._checks = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The fields, as settings name them."""
        return tuple(".".join(path) for path in self._told)

    def hold(self, arch: Arch) -> bool:
        """Tell whether all that was read is the same in another architecture."""
        checks = self._checks = self._checks or _Checks.of(self._told, self._plain)
        try:
            return checks.plain(arch) == checks.values and all(
                _told(read(arch)) == told for read, told in checks.others
            )
        except AttributeError:
            return False  # it lacks a spec that was read in


@dataclass(frozen=True)
class _Checks:
    """Fields to be compared: plain ones at once, others as what is told of them."""

    plain: Callable[[Arch], object]
    values: object
    others: tuple[tuple[Callable[[Arch], object], object], ...]

    @classmethod
    def of(cls, told: dict[Path, object], plain: list[Path]) -> "_Checks":
        values = [told[path] for path in plain]
        others = [path for path in told if path not in set(plain)]
        return cls(
            attrgetter(*map(".".join, plain)) if plain else lambda _: (),
            values[0] if len(values) == 1 else tuple(values),
            tuple((attrgetter(".".join(path)), told[path]) for path in others),
        )


def unwatched(arch: Arch) -> Arch:
    """Return the architecture itself, for what goes with every result and decides none."""
    return cast(Arch, arch._spec) if isinstance(arch, _Watched) else arch


def _told(value: object) -> object:
    """Return what of a value decides: all of it in its order, or which spec is there."""
    if isinstance(value, Spec):
        return type(value)
    return tuple(value.items()) if isinstance(value, dict) else value


class _Watched:
    """A spec whose fields are noted when read; its own methods and properties read through it."""

    __slots__ = ("_path", "_reads", "_spec")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, spec: Spec, path: Path, reads: Reads):
        self._spec, self._path, self._reads = spec, path, reads

    def __eq__(self, other: object) -> bool:
        raise TypeError("a watched spec is read field by field, not compared")

    def __getattr__(self, name: str) -> Any:
        kind = type(self._spec)
        if name in kind.model_fields:
            path, value = (*self._path, name), getattr(self._spec, name)
            self._reads.note(path, value)
            return _Watched(value, path, self._reads) if isinstance(value, Spec) else value
        own = None if hasattr(BaseModel, name) else getattr(kind, name, None)
        if isinstance(own, property) and own.fget:
            return own.fget(self)
        if isinstance(own, FunctionType):
            return MethodType(own, self)
        raise AttributeError(f"{kind.__name__}.{name} cannot be watched; read fields one by one")
