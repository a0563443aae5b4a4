"""A sweep's parts with their targets found and their axes understood; no point is made yet."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from spusim.arch import list_archs
from spusim.arch.document import Entry, Reader
from spusim.experiments.places import named, stream_named
from spusim.experiments.runs import DEFAULT_ARCH, is_network_file, list_runs, load_run
from spusim.experiments.sweep.axes import Assignment, Axes, read_axes
from spusim.experiments.sweep.file import Part, Sweep, SweepError
from spusim.experiments.sweep.parameters import Parameter, find_parameter, known_parameters
from spusim.frontend import find_network, list_networks
from spusim.frontend.fqir import is_plan
from spusim.frontend.layers import NodeModel
from spusim.frontend.topology_file import load_topology

_CHECKPOINTS = (".pt", ".pth", ".tar", ".ckpt", ".bin", ".safetensors")
_NO_TARGETS = (".spu", ".spuasm")
SET_LAYER, AXIS_LAYER = 1, 2  # whom to blame for a broken rule: the axis before the settings


@dataclass(frozen=True)
class OpenPart:
    """A part whose names are found: what holds at every point, and the axes over it.

    base: parameter -> entry, choices (`arch`, `network`, ...) as names or paths made good.
    """

    part: Part
    base: Assignment
    axes: Axes
    known: dict[str, Parameter]

    @property
    def count(self) -> int:
        """Number of points."""
        return self.axes.count * self.part.file.replicas

    def parameter(self, name: str, origin: str = "") -> Parameter:
        """Return what a name means; raises SweepError with the nearest names."""
        return find_parameter(name, self.known, origin)


def open_parts(sweep: Sweep) -> list[OpenPart]:
    """Find targets and axes of every part. Raises SweepError naming file and line."""
    return [_open(part) for part in sweep.parts]


def _open(part: Part) -> OpenPart:
    axes = read_axes(part)
    base = _target(part)
    for key in ("arch", "network", "checkpoint", "stream", "input_period"):
        entry = part.entry(key)
        if entry is not None:
            base[key] = choice(key, entry)
    if part.file.alone is None and "network" not in base and not _swept(axes, "network"):
        entry = base.get("checkpoint", part.tree)
        raise SweepError(
            f"{entry.origin}: a checkpoint has no topology of its own; name it with network: a "
            "network file (`spusim inspect CHECKPOINT --starter net.yaml` writes what names and "
            f"shapes settle), or one of {', '.join(list_networks())}"
        )
    base.setdefault("arch", Entry(DEFAULT_ARCH, part.tree.origin))
    base |= _settings(part)
    found = OpenPart(part, base, axes, known_parameters(part.file, _layers(base, axes)))
    for name, entry in base.items():
        found.parameter(name, entry.origin)
    for axis in axes.axes:
        found.parameter(axis.name, axis.origin)
    return found


def choice(key: str, entry: Entry) -> Entry:
    """Return an entry whose name or path is found. Raises SweepError."""
    if key == "input_period":
        return entry
    if not isinstance(entry.value, str):
        raise SweepError(f"{entry.origin}: {key} (={entry.plain}) must be a name or a path")
    return replace(entry, value=_FIND[key](entry))


_FIND: dict[str, Callable[[Entry], str]] = {
    "arch": lambda entry: named("arch", entry, list_archs(), SweepError),
    "network": lambda entry: named("network", entry, list(list_networks()), SweepError),
    "checkpoint": lambda entry: named("checkpoint", entry, (), SweepError),
    "stream": lambda entry: stream_named(entry, SweepError),
}


def _target(part: Part) -> Assignment:
    """Return what the target says: a run's choices and settings, a network, or a checkpoint."""
    entry = part.entry("target")
    if entry is None:
        return {}
    name = str(entry.value)
    suffix = Path(name).suffix.lower()
    if name in list_runs():
        return _run(name, entry)
    if name in list_networks():
        return {"network": entry}
    if suffix in _NO_TARGETS:
        raise SweepError(
            f"{entry.origin}: target (={name}) is bound to one machine or is no network; name a "
            "run, a network, or a checkpoint with its network"
        )
    path = named("target", entry, list(dict.fromkeys([*list_runs(), *list_networks()])), SweepError)
    if suffix in _CHECKPOINTS:
        return {"checkpoint": replace(entry, value=path)}
    if is_plan(path):
        return {"network": replace(entry, value=path)}
    return {"network": replace(entry, value=path)} if is_network_file(path) else _run(path, entry)


def _run(name: str, entry: Entry) -> Assignment:
    run = load_run(name)
    base = {"arch": replace(entry, value=run.arch), "network": replace(entry, value=run.network)}
    if run.stream:
        base["stream"] = replace(entry, value=run.stream)
    origin = run.origins.get("set", entry.origin)
    return base | dict(_setting(text, origin) for text in run.settings)


def _settings(part: Part) -> Assignment:
    entry = part.entry("set")
    return dict(_setting(item.value, item.origin) for item in (entry.value if entry else ()))


def _setting(text: str, origin: str) -> tuple[str, Entry]:
    """Read `a.b=c`; c is a YAML value."""
    name, equals, value = text.partition("=")
    if not equals or not all(name.strip().split(".")):
        raise SweepError(f"{origin}: set (={text}) must look like key.key=value")
    entry = Reader(origin, SET_LAYER, SweepError, lines=False).read(value)
    return name.strip(), Entry(None, origin, SET_LAYER) if entry is None else entry


def _swept(axes: Axes, name: str) -> list[Entry]:
    return [entry for axis in axes.axes if axis.name == name for entry in axis.entries]


def _layers(base: Assignment, axes: Axes) -> Iterable[NodeModel]:
    """Return the layers of the networks that a part runs, as their files describe them."""
    swept = [choice("network", entry) for entry in _swept(axes, "network")]
    networks = swept or ([base["network"]] if "network" in base else [])
    layers: dict[str, NodeModel] = {}
    for entry in networks:
        if is_plan(entry.value):
            continue  # what it has is fixed
        for layer in load_topology(find_network(entry.value)).layers:
            layers.setdefault(layer.name, layer)
    return layers.values()
