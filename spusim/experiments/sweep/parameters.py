"""The parameters that an axis can name, and what each of them means."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import get_origin

from pydantic import BaseModel

from spusim.arch import Arch
from spusim.arch.validate import leaves, section_of
from spusim.experiments.sweep.file import ConvFile, LayerFile, PartFile, SweepError
from spusim.frontend.layers import NodeModel
from spusim.frontend.topology import TopologyModel


class Kind(Enum):
    """What a parameter is part of."""

    CHOICE = "a file or shipped name"
    ARCH = "the architecture"
    NETWORK = "the network"
    STREAM = "a random stream"
    LAYER = "a random layer"


@dataclass(frozen=True)
class Parameter:
    """A name that axes and settings can use.

    open: any further key may follow its name; section: it holds parameters.
    """

    name: str
    kind: Kind
    about: str
    open: bool = False
    section: bool = False


STREAM_OPTIONS = {
    "density": "nonzero share of a random frame",
    "frames": "frames of a random file",
    "seed": "of a random stream",
    "files": "files of a random stream",
    "fade_db": "decibels by which a file's last frame is quieter than its first",
}
_LAYERS: dict[str, type[BaseModel]] = {"layer": LayerFile, "conv": ConvFile}
# keys of a network file that are no parameters: what it is called, and its structure
_FIXED = {"name", "description", "layers", "labels", "output", "weights"}
_FIXED_OF_LAYERS = {"type", "name", "input", "inputs"}


def known_parameters(part: PartFile, layers: Iterable[NodeModel] = ()) -> dict[str, Parameter]:
    """Return every parameter of a part by name; `layers` are those of its networks."""
    found = [_choice("arch")]
    found += _of_model(Arch, "", Kind.ARCH, skipped={"name", "description"})
    if part.alone is not None:
        found += _of_model(_LAYERS[part.alone], f"{part.alone}.", Kind.LAYER)
        return {parameter.name: parameter for parameter in found}
    found += [_choice(key) for key in ("network", "checkpoint", "stream", "input_period")]
    found += [Parameter(f"stream.{k}", Kind.STREAM, v) for k, v in STREAM_OPTIONS.items()]
    found += _of_model(TopologyModel, "", Kind.NETWORK, skipped=_FIXED)
    for layer in layers:
        prefix = f"layers.{layer.name}."
        found += _of_model(type(layer), prefix, Kind.NETWORK, skipped=_FIXED_OF_LAYERS)
    return {parameter.name: parameter for parameter in found}


def find_parameter(name: str, known: dict[str, Parameter], origin: str) -> Parameter:
    """Return the parameter that a name means; raises SweepError with the nearest names."""
    if name in known:
        return known[name]
    parent, first = name.rpartition(".")[0], name.partition(".")[0]
    if parent in known and known[parent].open:
        return known[parent]
    if first in _LAYERS.keys() - _firsts(known):
        run = "a layer of the other kind" if _LAYERS.keys() & _firsts(known) else "a network"
        raise SweepError(f"{origin}: {name} goes with `{first}:`, and here {run} is run; {_DROP}")
    if first in _NETWORK_ONLY - _firsts(known):
        raise SweepError(f"{origin}: {name} goes with a target, and here a layer is run; {_DROP}")
    raise SweepError(f"{origin}: {name} names no parameter; {_nearest(name, known)}")


def _firsts(known: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in known}


_DROP = "drop it, or make two parts"
_NETWORK_ONLY = {*TopologyModel.model_fields, "network", "checkpoint", "stream", "input_period"}


def _nearest(name: str, known: dict[str, Parameter]) -> str:
    last = name.rpartition(".")[2]
    single = [other for other, parameter in known.items() if not parameter.section]
    ends = [other for other in single if other.rpartition(".")[2] == last]
    close = difflib.get_close_matches(name, ends, n=3, cutoff=0.0)
    close = close or difflib.get_close_matches(name, single, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    first = sorted(_firsts(known))
    return f"names begin with {', '.join(first)}"


def _choice(key: str) -> Parameter:
    field = PartFile.model_fields[key]
    return Parameter(key, Kind.CHOICE, field.description or "")


def _of_model(
    model: type[BaseModel], prefix: str, kind: Kind, skipped: Iterable[str] = ()
) -> list[Parameter]:
    return [
        Parameter(
            f"{prefix}{path}",
            kind,
            field.description or "",
            open=get_origin(field.annotation) is dict,
            section=section_of(field) is not None,
        )
        for path, field in leaves(model)
        if path.partition(".")[0] not in skipped
    ]
