"""The command line that runs a sweep's point alone."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spusim.experiments.results import Results
from spusim.experiments.runs import list_runs, load_run
from spusim.experiments.sweep.axes import shown
from spusim.frontend import list_networks

_RANDOM = "random:"
_CHECKPOINTS = (".pt", ".pth", ".tar", ".ckpt", ".bin", ".safetensors")
_CHOICES = ("arch", "network", "checkpoint", "stream", "input_period")
# drawn anew by a layer's own options, or told by the stream's name
_TOLD = ("layer.", "stream.")

Row = Mapping[str, Any]


def point_command(results: Results, row: Row, record: Mapping[str, Any]) -> str:
    """Return the command for one row of the table, quoted for a shell; empty for a run's folder.

    record: what is stored of the point. Paths are as the sweep's file has them.
    """
    if not results.sweep["sweep"]:
        return ""
    said = _part(results, row["part"])
    settings = _settings(results, said, row)
    chosen = {k: said[k] for k in _CHOICES if said.get(k) is not None}
    chosen |= {k: settings.pop(k) for k in _CHOICES if k in settings}
    settings = {k: v for k, v in settings.items() if not k.startswith(_TOLD)}
    identity = record["identity"]
    words = _layer(identity["layer"]) if identity["layer"] else _network(said, chosen, row)
    if "arch" in chosen:
        words += ["--arch", str(chosen["arch"])]
    for name, value in settings.items():
        words += ["--set", f"{name}={value}"]
    if not identity["baseline"]:
        words.append("--no-baseline")
    return shlex.join(["spusim", *words])


def _part(results: Results, name: str) -> dict[str, Any]:
    """Return a part's keys, laid over those of the whole sweep."""
    sweep = results.sweep["sweep"]
    own = (sweep.get("parts") or {}).get(name) or {}
    return {**sweep, **own}


def _settings(results: Results, said: Mapping[str, Any], row: Row) -> dict[str, str]:
    """Return parameter -> value as --set takes it: the part's settings, the axes over them."""
    target, lines = said.get("target"), list(said.get("set") or ())
    if said.get("checkpoint") and target in list_runs():
        # the run itself is not named by the command
        lines = [*load_run(target).settings, *lines]
    pairs = (text.partition("=") for text in lines)
    settings = {name.strip(): value for name, _, value in pairs}
    axes = next(p["axes"] for p in results.sweep["parts"] if p["name"] == row["part"])
    return settings | {axis: _value(row[axis]) for axis in axes}


def _value(value: Any) -> str:
    """Return a cell of the table as a setting; a whole number in a column of fractions as one."""
    if isinstance(value, float) and value.is_integer() and math.fabs(value) < 1 << 53:
        return str(int(value))
    return shown(value)


def _layer(layer: Mapping[str, Any]) -> list[str]:
    words = ["layer", "linear"]
    for name, value in layer.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", _value(value)]
    return words


def _network(said: Mapping[str, Any], chosen: dict[str, Any], row: Row) -> list[str]:
    target = said.get("target")
    if "checkpoint" in chosen:
        target = _of_checkpoint(target, chosen)
    elif target is None or (_is_network(target) and "network" in chosen):
        target = chosen.pop("network")
    words = ["run", str(target)]
    if "network" in chosen:
        words += ["--network", str(chosen["network"])]
    stream = row["stream"] or ""
    if not stream.startswith(_RANDOM):
        stream = str(chosen.get("stream", ""))
    if stream:
        words += ["--stream", stream]
    if "input_period" in chosen:
        words += ["--input-period", str(chosen["input_period"])]
    return words


def _of_checkpoint(target: str | None, chosen: dict[str, Any]) -> str:
    """Make the checkpoint the target, what the sweep's own target says becoming options."""
    if target is not None and target in list_runs():
        run = load_run(target)
        found = {"network": run.network, "arch": run.arch, "stream": run.stream}
        for name, value in found.items():
            if value is not None:
                chosen.setdefault(name, value)
    elif target is not None and Path(target).suffix.lower() not in _CHECKPOINTS:
        chosen.setdefault("network", target)
    return str(chosen["checkpoint"])


def _is_network(target: str) -> bool:
    # a file's name does not tell, but one with another network over it is a run's
    return target not in list_runs() and target in list_networks()
