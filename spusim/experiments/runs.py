"""Run files: a network, an architecture and a stream under one name (`configs/runs/*.yaml`)."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from spusim.arch import list_archs
from spusim.arch.document import Entry
from spusim.arch.shelf import PathLike, Shelf
from spusim.arch.spec import Spec
from spusim.arch.validate import build
from spusim.errors import SpusimError
from spusim.frontend import list_networks, list_streams

DEFAULT_ARCH = "spu001"


class RunError(SpusimError):
    """A run file that cannot be used."""


class RunFile(Spec):
    """What a run file says; names that ship, or paths relative to the file."""

    name: str = Field(min_length=1, description="what lists call it; else the file's name")
    description: str = Field(default="", description="one line for `spusim list`")
    network: str = Field(min_length=1, description="a shipped network or a network file")
    arch: str = Field(default=DEFAULT_ARCH, min_length=1, description="a preset or a file")
    stream: str | None = Field(
        default=None, min_length=1, description="as --stream; else the stream named as the network"
    )
    set: tuple[str, ...] = Field(default=(), description="settings, as --set takes them")


@dataclass(frozen=True)
class Run:
    """A run file, its paths made good; `origins` has the file and line that set each key."""

    name: str
    description: str
    network: str
    arch: str
    stream: str | None
    settings: tuple[str, ...]
    origins: dict[str, str]


RUNS = Shelf("runs", "run", RunError)


def list_runs() -> list[str]:
    """Names of the shipped runs, sorted."""
    return RUNS.names()


def load_run(name_or_path: PathLike) -> Run:
    """Load a shipped run by name, or a run file by path.

    A file may build on another with `base:`. Raises RunError naming file, line, value, rule and
    remedy, also for an architecture, network or stream that is not there.
    """
    tree = RUNS.read(name_or_path)
    file = build(RunFile, tree, RunError)
    return Run(
        name=file.name,
        description=file.description,
        network=_found(tree, "network", file.network, list(list_networks())),
        arch=_found(tree, "arch", file.arch, list_archs()),
        stream=file.stream and _stream(tree, file.stream),
        settings=file.set,
        origins={key: entry.origin for key, entry in tree.value.items()},
    )


def is_network_file(path: PathLike) -> bool:
    """Whether a YAML file is a network's: it has layers. Raises RunError if it is no YAML."""
    return "layers" in RUNS.read(path).value


def _found(tree: Entry, key: str, value: str, shipped: Sequence[str]) -> str:
    """Return a shipped name as it is, and a path from the folder of the file that names it."""
    if value in shipped:
        return value
    path = _beside(tree, key, value)
    if path.is_file():
        return str(path)
    close = difflib.get_close_matches(value, shipped, n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else f"shipped: {', '.join(shipped)}"
    raise RunError(f"{_origin(tree, key)}: {key} (={value}) is no file and not shipped; {hint}")


def _stream(tree: Entry, spec: str) -> str:
    if spec in list_streams() or spec.startswith("random:"):
        return spec
    stem, colon, key = spec.rpartition(":")
    if colon and _beside(tree, "stream", stem).exists():
        return f"{_beside(tree, 'stream', stem)}:{key}"
    if _beside(tree, "stream", spec).exists():
        return str(_beside(tree, "stream", spec))
    raise RunError(
        f"{_origin(tree, 'stream')}: stream (={spec}) is no file, folder or shipped name; "
        f"shipped: {', '.join(list_streams())}, or random:density=0.5,frames=50,seed=1"
    )


def _origin(tree: Entry, key: str) -> str:
    entry = tree.find([key])
    return entry.origin if entry else tree.origin


def _beside(tree: Entry, key: str, path: str) -> Path:
    return Path(_origin(tree, key).rpartition(":")[0]).parent / path
