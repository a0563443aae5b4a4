"""Points: every combination of the axes' values, checked, with the hash of what determines it."""

import gc
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from spusim.arch.document import Entry, merge
from spusim.arch.validate import build
from spusim.errors import SpusimError
from spusim.experiments.sweep.axes import Assignment, shown
from spusim.experiments.sweep.file import SweepError
from spusim.experiments.sweep.identity import (
    hash_of,
    network_content,
    plan_content,
    stream_content,
    versions,
)
from spusim.experiments.sweep.jobs import Job, NetworkRef, Point
from spusim.experiments.sweep.layout import SCHEMA_VERSION
from spusim.experiments.sweep.lone_layers import LONE_LAYERS, LoneLayer
from spusim.experiments.sweep.machines import Machines, nested, spelled
from spusim.experiments.sweep.parameters import Kind
from spusim.experiments.sweep.parts import AXIS_LAYER, SET_LAYER, OpenPart, choice
from spusim.frontend import find_network, list_streams, load_stream
from spusim.frontend.audio import Framing
from spusim.frontend.fqir import is_plan, load_plan
from spusim.frontend.load import load_float_network
from spusim.frontend.noise import PREFIX as NOISE
from spusim.frontend.random_stream import RandomOptions, random_options
from spusim.frontend.topology_file import load_topology

RANDOM = "random:"


def make_points(parts: Sequence[OpenPart]) -> list[Point]:
    """Return all points in order: parts, combinations, replicas. Raises SweepError.

    Everything that can be known before running is checked: values, machines, networks, streams.
    """
    points: list[Point] = []
    with _keeping_all():
        for part in parts:
            maker = _Maker(part)
            for assignment in part.axes.assignments():
                for replica in range(part.part.file.replicas):
                    points.append(maker.point(len(points), assignment, replica))
    return points


@contextmanager
def _keeping_all() -> Iterator[None]:
    """Look for no garbage: points are many objects, all of which stay."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@dataclass
class _Maker:
    """Makes a part's points; what several points share is read and checked once."""

    part: OpenPart
    _machines: Machines = field(default_factory=Machines)
    _networks: dict[Any, NetworkRef] = field(default_factory=dict)
    _bound: set[Any] = field(default_factory=set)
    _streams: dict[Any, str] = field(default_factory=dict)
    _drawn: dict[Any, tuple[str, int]] = field(default_factory=dict)

    def point(self, number: int, assignment: Assignment, replica: int) -> Point:
        """Return one point."""
        file = self.part.part.file
        chosen, of = self._sorted(assignment)
        arch, impossible, arch_hash = self._machines.get(chosen["arch"], of[Kind.ARCH])
        identity = {
            "schema_version": SCHEMA_VERSION,
            "versions": vars(versions()),
            "arch": arch_hash,
            "baseline": file.baseline,
            **({"sqnr": True} if file.sqnr else {}),
            **dict.fromkeys(("layer", "network", "stream", "input_period")),
        }
        values = {name: entry.plain for name, entry in assignment.items()}
        job = Job("", identity, arch, file.baseline, sqnr=file.sqnr)
        seed: int | None
        told: str | None = None
        try:
            if file.alone is not None:
                job, seed = self._layer_job(file.alone, job, of[Kind.LAYER], replica, impossible)
            else:
                job, told, seed = self._network_job(job, chosen, of, replica)
        except SweepError as error:
            raise self._blamed(str(error), number, assignment) from None
        job = replace(job, key=hash_of(job.identity))
        made = Point(
            number,
            self.part.part.name,
            values,
            replica,
            seed,
            told,
            job,
            impossible,
            file.skip_impossible,
        )
        if impossible is not None and not file.skip_impossible:
            raise SweepError(
                f"{impossible}\nso {made.told} is no machine; drop the value, or record such "
                "points as failed with `skip_impossible: true`"
            )
        return made

    def _blamed(self, message: str, number: int, assignment: Assignment) -> SweepError:
        """Name the point where several axes are involved."""
        if len(assignment) < 2:
            return SweepError(message)
        values = ", ".join(f"{name}={shown(e.plain)}" for name, e in assignment.items())
        return SweepError(f"{message}\nin point {number} ({values})")

    def _sorted(self, assignment: Assignment) -> tuple[Assignment, dict[Kind, Assignment]]:
        """Return the choices, and all other parameters by kind, axes over settings."""
        chosen: Assignment = {}
        of: dict[Kind, Assignment] = {kind: {} for kind in Kind}
        for layer, entries in ((SET_LAYER, self.part.base), (AXIS_LAYER, assignment)):
            for name, entry in entries.items():
                kind = self.part.parameter(name, entry.origin).kind
                if kind is Kind.CHOICE:
                    chosen[name] = choice(name, entry) if layer == AXIS_LAYER else entry
                else:
                    of[kind].pop(name, None)
                    of[kind][name] = Entry(entry.value, entry.origin, layer)
        return chosen, of

    # a layer

    def _layer_job(
        self, key: str, job: Job, settings: Assignment, replica: int, impossible: str | None
    ) -> tuple[Job, int]:
        kind = LONE_LAYERS[key]
        tree = self.part.part.tree.find([key]) or Entry({}, self.part.part.tree.origin)
        where = tree.origin
        tree = Entry({key: tree}, where)
        for name, entry in settings.items():
            tree = merge(tree, nested(name, entry))
        spec = getattr(build(LoneLayer, tree, SweepError), key)
        if any(getattr(spec, name) is None for name in kind.needed):
            *most, last = kind.needed
            needs = f"{', '.join(most)} and {last}"
            raise SweepError(f"{where}: {key} needs {needs}; give them, or an axis each")
        seed = self._seed(f"{key}.seed", settings, spec.seed) + replica
        layer = kind.make(**{**spec.model_dump(), "seed": seed})
        if impossible is None:
            origins = [e.origin for e in settings.values() if e.layer == AXIS_LAYER] or [where]
            try:
                bits = kind.bits(layer, job.arch)
            except SpusimError as error:
                raise SweepError(f"{origins[-1]}: {error}") from None
            layer = replace(layer, weight_bits=bits[0], activation_bits=bits[1])
        said = {f.name: getattr(layer, f.name) for f in fields(layer)}
        return replace(job, layer=layer, identity={**job.identity, "layer": said}), seed

    # a network

    def _network_job(
        self, job: Job, chosen: Assignment, of: dict[Kind, Assignment], replica: int
    ) -> tuple[Job, str, int | None]:
        network = self._network(chosen["network"], chosen.get("checkpoint"), of[Kind.NETWORK])
        told, spec, seed = self._stream(chosen.get("stream"), of[Kind.STREAM], network, replica)
        period = chosen.get("input_period")
        input_period = None if period is None else _period(period)
        content = self._stream_content(spec, network, chosen.get("stream"))
        found = {"network": network.content, "stream": content, "input_period": input_period}
        identity = {**job.identity, **found}
        made = replace(
            job, network=network, stream=spec, input_period=input_period, identity=identity
        )
        return made, told, seed

    def _network(self, base: Entry, checkpoint: Entry | None, settings: Assignment) -> NetworkRef:
        weights = None if checkpoint is None else os.path.abspath(checkpoint.value)
        key = (base.value, weights, spelled(settings))
        if key not in self._networks and is_plan(base.value):
            self._networks[key] = _plan_ref(base, checkpoint, settings)
        if key not in self._networks:
            path = find_network(base.value)
            lines = tuple(f"{name}={json.dumps(entry.plain)}" for name, entry in settings.items())
            try:
                topology = load_topology(path, lines)
                if (path, weights) not in self._bound:
                    # what a checkpoint lacks is told now, not at every point
                    load_float_network(path, topology, weights)
                    self._bound.add((path, weights))
            except SpusimError as error:
                blamed = [e for e in settings.values() if e.layer == AXIS_LAYER]
                origin = (blamed or [checkpoint or base])[-1].origin
                raise SweepError(f"{origin}: {error}") from None
            self._networks[key] = NetworkRef(
                name=topology.name,
                path=os.path.abspath(path),
                checkpoint=weights,
                settings=lines,
                content=network_content(topology, str(path.parent), weights),
                input_size=topology.input.features,
                framing=topology.input.framing,
            )
        return self._networks[key]

    def _stream(
        self, base: Entry | None, options: Assignment, network: NetworkRef, replica: int
    ) -> tuple[str, str, int | None]:
        """Return a stream as tables show it, as workers open it, and its seed."""
        if base is None:
            if network.name not in list_streams():
                raise SweepError(
                    f"{self.part.part.tree.origin}: {network.name} has no stream of its own; name "
                    f"one with stream: a file, one of {', '.join(list_streams())}, or "
                    "random:density=0.5,frames=50,seed=1"
                )
            base = Entry(network.name, self.part.part.tree.origin)
        if not base.value.startswith(RANDOM):
            self._refuse_seeds(options, base)
            return _as_written(base.value), _absolute(base.value), None
        key = (base.value, spelled(options), replica)
        if key not in self._drawn:
            self._drawn[key] = self._draw(base, options, replica)
        spec, seed = self._drawn[key]
        return spec, spec, seed

    def _draw(self, base: Entry, options: Assignment, replica: int) -> tuple[str, int]:
        """Return a random stream's spec with all its options, and its seed."""
        try:
            chosen = random_options(base.value.removeprefix(RANDOM))
            texts = {name.removeprefix("stream."): e.plain for name, e in options.items()}
            text = ",".join(f"{k}={v}" for k, v in {**vars(chosen), **texts}.items())
            chosen = random_options(text)
        except SpusimError as error:
            raise SweepError(f"{[base, *options.values()][-1].origin}: {error}") from None
        seed = self._seed("stream.seed", options, chosen.seed) + replica
        return RANDOM + _options_text(replace(chosen, seed=seed)), seed

    def _refuse_seeds(self, options: Assignment, stream: Entry) -> None:
        for name, entry in options.items():
            raise SweepError(
                f"{entry.origin}: {name} goes with a random stream, and stream is {stream.value}; "
                "use stream: random:density=0.5,frames=50,seed=1"
            )
        for key in ("replicas", "seed"):
            given = self.part.part.entry(key)
            if given is not None and given.value != 1:
                raise SweepError(
                    f"{given.origin}: {key} (={given.value}) has nothing to draw: the stream is "
                    f"{stream.value}; use a random stream, or leave {key} out"
                )

    def _stream_content(self, spec: str, network: NetworkRef, entry: Entry | None) -> str:
        """Return the hash of a stream that fits the network."""
        key = (spec, network.input_size, network.framing)
        if key not in self._streams:
            origin = (entry or self.part.part.tree).origin
            try:
                features = network.input_size
                if not spec.startswith(RANDOM):
                    framing = network.framing or Framing(features)
                    features = load_stream(spec, framing=framing).frames.shape[1]
            except SpusimError as error:
                raise SweepError(f"{origin}: {error}") from None
            if features != network.input_size:
                raise SweepError(
                    f"{origin}: stream {_as_written(spec)} has {features} features, "
                    f"{network.name} takes {network.input_size}; bring a stream that fits"
                )
            self._streams[key] = stream_content(spec)
        return self._streams[key]

    def _seed(self, name: str, settings: Assignment, own: int) -> int:
        file = self.part.part.file
        entry = settings.get(name)
        swept = entry is not None and entry.layer == AXIS_LAYER
        if entry is not None and swept and (file.replicas > 1 or file.seed is not None):
            raise SweepError(
                f"{entry.origin}: {name} is an axis, and replicas or seed draw too; keep one"
            )
        return own if swept or file.seed is None else file.seed


def _plan_ref(base: Entry, checkpoint: Entry | None, settings: Assignment) -> NetworkRef:
    """Return an FQIR plan as a network; raises SweepError for what would change it."""
    changes = [*settings.values(), *([checkpoint] if checkpoint else [])]
    if changes:
        raise SweepError(
            f"{changes[-1].origin}: {base.value} is an FQIR plan, pruned and quantised already; "
            "sweep the architecture, or bring a network and its checkpoint"
        )
    try:
        network = load_plan(base.value)
    except SpusimError as error:
        raise SweepError(f"{base.origin}: {error}") from None
    path = os.path.abspath(base.value)
    content = plan_content(path)
    return NetworkRef(network.name, path, None, (), content, network.input.size)


def _period(entry: Entry) -> int:
    value = entry.value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SweepError(
            f"{entry.origin}: input_period (={shown(value)}) must be a whole number of cycles of "
            "at least 1"
        )
    return value


def _options_text(options: RandomOptions) -> str:
    said = dict(vars(options))
    if not said["fade_db"]:  # results kept from before it could be said stay this stream's
        del said["fade_db"]
    return ",".join(f"{name}={value}" for name, value in said.items())


def _absolute(spec: str) -> str:
    if spec in list_streams() or spec.startswith(NOISE):
        return spec
    stem, colon, key = spec.rpartition(":")
    if colon and Path(stem).exists():
        return f"{os.path.abspath(stem)}:{key}"
    return os.path.abspath(spec)


def _as_written(spec: str) -> str:
    drawn = spec in list_streams() or spec.startswith(NOISE)
    return spec if drawn else Path(spec).name
