"""Hashes of what a run is made from, so that a changed input is not taken for a changed simulator.

They are of what the user's files say, and not of what spusim makes of it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spusim.arch import Arch
from spusim.energy import load_technology
from spusim.frontend import list_streams, load_stream
from spusim.frontend.load import open_topology
from spusim.frontend.noise import PREFIX
from spusim.frontend.random_weights import is_random
from spusim.network.records import Stream


@dataclass(frozen=True)
class Origin:
    """Where a network comes from: its file or name, a checkpoint, or both; a plan; a program."""

    network: str | None = None
    checkpoint: str | None = None
    settings: tuple[str, ...] = ()
    program: str | None = None
    plan: str | None = None


def arch_source_hash(arch: Arch) -> str:
    """Return the sha256 of what an architecture sets that is not the default."""
    unnamed = {"name", "description", "technology"}
    return _json_hash(arch.model_dump(mode="json", exclude=unnamed, exclude_defaults=True))


def technology_source_hash(arch: Arch) -> str:
    """Return the sha256 of the figures of an architecture's technology table."""
    table = load_technology(arch.technology)
    return _json_hash(table.model_dump(mode="json", exclude={"name", "description"}))


def network_source_hash(origin: Origin) -> str:
    """Return the sha256 of a network's topology, settings, weights and calibration, or of a file.

    Raises SpusimError or OSError for a file that cannot be read.
    """
    if file := origin.program or origin.plan:
        return _file_hash(Path(file))
    path, topology, _ = open_topology(origin.network, origin.checkpoint, origin.settings)
    source = origin.checkpoint or str(topology.weights)
    calibrate = topology.quantise.calibrate
    spec = _calibration(path, str(calibrate)) if calibrate else None
    said = topology.model_dump(mode="json", exclude_defaults=True)
    said.pop("description", None)
    said.pop("weights", None)
    said.get("quantise", {}).pop("calibrate", None)
    return _json_hash(
        [
            said,
            source if is_random(source) else _file_hash(_weights(path, origin, source)),
            stream_hash(load_stream(spec, framing=topology.input.framing)) if spec else None,
        ]
    )


def stream_hash(stream: Stream) -> str:
    """Return the sha256 of a stream's frames and of where its files begin."""
    digest = hashlib.sha256(_json([str(stream.frames.dtype), stream.frames.shape, stream.starts]))
    digest.update(stream.frames.tobytes())
    return digest.hexdigest()


def _weights(network: Path, origin: Origin, source: str) -> Path:
    return Path(source) if origin.checkpoint else network.parent / source


def _calibration(network: Path, spec: str) -> str:
    drawn = spec in list_streams() or spec.startswith(PREFIX)
    return spec if drawn else str(network.parent / spec)


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _json_hash(value: Any) -> str:
    return hashlib.sha256(_json(value)).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
