"""What determines a point, as hashes: sources, architecture, network, stream, technology."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import spusim
from spusim.arch import Arch
from spusim.energy import load_technology
from spusim.frontend.profiled import list_profiles
from spusim.frontend.shipped_streams import stream_registry
from spusim.frontend.topology import TopologyModel
from spusim.isa import load_isa
from spusim.resources import shipped

_SOURCES = Path(spusim.__file__).resolve().parent
# what computes no point; of experiments some do, and others plot, report and check
_APART = {"cli", "experiments", "_shipped"}
_EXPERIMENTS = _SOURCES / "experiments"
_WORKER = _EXPERIMENTS / "sweep" / "worker.py"
_NAMED = re.compile(r"^\s*(?:from|import) spusim\.experiments\.([\w.]+)", re.MULTILINE)
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Versions:
    """Which spusim this is. code: sha256 of the sources that compute a point."""

    spusim: str
    isa: str
    code: str

    def __str__(self) -> str:
        return f"spusim {self.spusim} (ISA {self.isa}, code {self.code[:12]})"


@cache
def versions() -> Versions:
    """Return the versions of the spusim that runs."""
    digest = hashlib.sha256()
    for path in computing_sources():
        digest.update(f"{path.relative_to(_SOURCES).as_posix()}\0".encode() + path.read_bytes())
    digest.update((shipped("isa") / "spu.isa").read_bytes())
    return Versions(spusim.__version__, load_isa().version, digest.hexdigest())


def computing_sources() -> list[Path]:
    """Return the files that compute a point: all but commands, and of experiments the worker's."""
    every = _SOURCES.rglob("*.py")
    plain = (path for path in every if path.relative_to(_SOURCES).parts[0] not in _APART)
    return sorted([*plain, *_imported(_WORKER)])


def _imported(source: Path) -> set[Path]:
    """Return a file and those of experiments that it imports, and so on."""
    found, waiting = set[Path](), [source]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            names = _NAMED.findall(path.read_text())
            sources = (_EXPERIMENTS / f"{name.replace('.', '/')}.py" for name in names)
            waiting.extend(path for path in sources if path.exists())
    return found


def hash_of(content: Any) -> str:
    """Return the sha256 of plain objects, whatever the order of their keys."""
    return hashlib.sha256(json_bytes(content)).hexdigest()


def json_bytes(content: Any) -> bytes:
    """Return plain objects as JSON in one form: keys sorted, no spaces."""
    return _JSON.encode(content).encode()


def arch_content(arch: Arch) -> str:
    """Return the sha256 of an architecture but for its names and its technology."""
    return hash_of(arch.model_dump(mode="json", exclude={"name", "description", "technology"}))


def technology_content(name_or_path: str) -> str:
    """Return the sha256 of a technology table's figures."""
    table = load_technology(name_or_path)
    return hash_of(table.model_dump(mode="json", exclude={"description"}))


def network_content(topology: TopologyModel, folder: str, checkpoint: str | None) -> str:
    """Return the sha256 of a network file, settings applied, and of every file that it names."""
    said = topology.model_dump(mode="json", exclude={"description"})
    files = {text: file_content(text, folder) for text in _texts(said)}
    named = {text: content for text, content in files.items() if content}
    profile = topology.prune and list_profiles().get(topology.prune.profile or "")
    if profile:
        named["profile"] = str(_path_content(str(profile)))
    weights = None if checkpoint is None else file_content(checkpoint, "")
    return hash_of([said, named, weights])


def plan_content(path: str) -> str:
    """Return the sha256 of an FQIR plan's file, or nothing if it is gone."""
    return file_content(path, "") or ""


def stream_content(spec: str) -> str:
    """Return the sha256 of what a stream's name means; a random one is its options."""
    return file_content(spec, "") or hash_of(spec)


def file_content(text: str, folder: str) -> str | None:
    """Return the sha256 of the file, folder, FILE:key or shipped stream that a text names, or None.

    folder: what relative paths start from.
    """
    entry = stream_registry_once().get(text)
    if entry is not None:
        told = [entry.key, entry.scale, entry.labels]
        return hash_of([told, _path_content(str(entry.path))])
    stem, colon, key = text.rpartition(":")
    for name, rest in ((text, ""), (stem, key) if colon else (text, "")):
        path = Path(folder) / name
        if name and len(name) < 4096 and path.exists():
            return hash_of([rest, _path_content(str(path))])
    return None


@cache
def stream_registry_once() -> dict[str, Any]:
    """Return the shipped streams, read once in a process."""
    return dict(stream_registry())


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from _texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value)


def _path_content(path: str) -> str | None:
    if not os.path.isdir(path):
        status = os.stat(path)
        return _bytes_hash(path, status.st_mtime_ns, status.st_size)
    inside = sorted(p for p in Path(path).iterdir() if p.is_file())
    return hash_of([[p.name, _path_content(str(p))] for p in inside])


@lru_cache(maxsize=4096)
def _bytes_hash(path: str, modified_ns: int, size: int) -> str:
    """Hash a file; anew when its time or size has changed."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
