"""The registry of shipped streams, `configs/networks/streams.yaml`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from spusim.frontend.errors import StreamError
from spusim.frontend.yaml_file import read_yaml
from spusim.resources import shipped

REGISTRY_NAME = "streams.yaml"


@dataclass(frozen=True)
class StreamEntry:
    """A shipped stream: an array file, the key in it (None: all), and how to read it.

    scale: real value of a code. labels: "names" (what follows the first underscore of the files'
    names), the key of an integer array, or None.
    """

    path: Path
    key: str | None = None
    scale: float | None = None
    labels: str | None = None
    description: str = ""


def stream_registry() -> dict[str, StreamEntry]:
    """Return the shipped streams by name. Raises StreamError for a malformed registry."""
    path = shipped("configs") / "networks" / REGISTRY_NAME
    return dict(_entries(path, path.stat().st_mtime_ns)) if path.exists() else {}


@cache  # a run asks several times
def _entries(path: Path, _changed: int) -> dict[str, StreamEntry]:
    file = read_yaml(path)
    entries = {}
    for name, fields in file.data.items():
        try:
            relative = fields["file"]
            rest = {key: value for key, value in fields.items() if key != "file"}
            entries[name] = StreamEntry(path.parent / relative, **rest)
        except (TypeError, KeyError) as error:
            raise StreamError(
                f"{path}:{file.line((name,))}: {name} must have file, and may have key, scale, "
                f"labels and description ({error})"
            ) from error
    return entries
