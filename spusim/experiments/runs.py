"""Run files: a network, an architecture and a stream under one name (`configs/runs/*.yaml`)."""

from dataclasses import dataclass

from pydantic import Field

from spusim.arch import list_archs
from spusim.arch.document import Entry
from spusim.arch.shelf import PathLike, Shelf
from spusim.arch.spec import Spec
from spusim.arch.validate import build
from spusim.errors import SpusimError
from spusim.experiments.places import named, stream_named
from spusim.frontend import list_networks

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
        network=named(
            "network", _entry(tree, "network", file.network), list(list_networks()), RunError
        ),
        arch=named("arch", _entry(tree, "arch", file.arch), list_archs(), RunError),
        stream=file.stream and stream_named(_entry(tree, "stream", file.stream), RunError),
        settings=file.set,
        origins={key: entry.origin for key, entry in tree.value.items()},
    )


def is_network_file(path: PathLike) -> bool:
    """Whether a YAML file is a network's: it has layers. Raises RunError if it is no YAML."""
    return "layers" in RUNS.read(path).value


def _entry(tree: Entry, key: str, value: str) -> Entry:
    return tree.find([key]) or Entry(value, tree.origin)
