"""Reading and checking network files; every error names file, line, key, value, rule, remedy."""

import copy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spusim.errors import nearest
from spusim.frontend.chain import FRAME
from spusim.frontend.errors import TopologyError
from spusim.frontend.layers import LAYERS, NodeModel
from spusim.frontend.layers.model import NAME_PATTERN
from spusim.frontend.topology import SECTIONS, STRUCTURE_PATTERN, TopologyModel, validated
from spusim.frontend.wiring import Wiring, wire
from spusim.frontend.yaml_file import (
    Location,
    YamlFile,
    dotted,
    parse_scalar,
    parse_yaml,
    read_yaml,
)

# what a text must do where a pattern says so
PATTERN_RULES = {
    NAME_PATTERN: "begin with a letter or _ and have letters, digits, _, . and - only",
    STRUCTURE_PATTERN: "be element, row, column, filter, channel, kernel, unit, pencil:N, "
    "block:RxC or n_of_m:N:M, e.g. pencil:8, block:4x4 or n_of_m:2:4",
}
# what is not there, and what comes nearest to it, where the name alone would not tell
INSTEAD = {
    **dict.fromkeys(
        ("gelu", "silu", "swish", "mish", "elu", "selu", "softplus"),
        "the nearest are relu and leaky_relu; retrain with one of them",
    ),
    **dict.fromkeys(
        ("layer_norm", "layernorm", "group_norm", "instance_norm"),
        "the nearest are batch_norm and l2_norm",
    ),
    **dict.fromkeys(("adaptive_avg_pool2d", "global_average_pool"), "the nearest is global_pool"),
    **dict.fromkeys(
        ("upsample", "interpolate", "conv_transpose2d", "pixel_shuffle"),
        "images cannot grow; the nearest is conv2d, which keeps their size with padding",
    ),
    **dict.fromkeys(
        ("attention", "multihead_attention", "transformer"),
        "weights are constants here, and attention multiplies activations; the nearest are linear, "
        "multiply and the recurrent layers",
    ),
    "softmax": "the nearest is sigmoid; the largest output is the same without it, leave it out",
    "embedding": "the nearest is linear, on a one-hot input",
    "hardswish": "the nearest is hardsigmoid, followed by multiply",
    "conv3d": "the nearest is conv2d",
    **dict.fromkeys(("dropout", "identity"), "it does nothing in a trained network, leave it out"),
}


def load_topology(path: Path, settings: Sequence[str] = ()) -> TopologyModel:
    """Read a network file and apply settings such as `prune.density=0.2`, `layers.fc1.outputs=9`.

    Raises TopologyError.
    """
    return _checked(read_yaml(path), settings)


def parse_topology(text: str, path: Path, settings: Sequence[str] = ()) -> TopologyModel:
    """Read a network file's text; `path` is what messages call it. Raises TopologyError."""
    return _checked(parse_yaml(text, path), settings)


def _checked(file: YamlFile, settings: Sequence[str]) -> TopologyModel:
    data = copy.deepcopy(file.data)
    changed = {_apply(data, setting): setting for setting in settings}
    try:
        # As JSON, in which a list is a tuple even to strict models.
        model = validated(json.dumps(data, default=str), _types(data))
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise TopologyError("\n".join(_message(file, data, changed, e) for e in found)) from None
    problems = [
        f"{_place(file, changed, location)}: {message}" for location, message in _rules(model)
    ]
    if problems:
        raise TopologyError("\n".join(problems))
    return model


def _types(data: dict[str, Any]) -> set[Any]:
    """Return what layers say that they are, None for what says nothing."""
    layers = data.get("layers")
    items = layers if isinstance(layers, list) else [None]
    found = [item.get("type") if isinstance(item, dict) else None for item in items]
    return {name if isinstance(name, str) else None for name in found}


def _apply(data: dict[str, Any], setting: str) -> Location:
    """Put one KEY=VALUE into the data; layers are addressed by name or position."""
    key, equals, text = setting.partition("=")
    if not equals or not all(key.split(".")):
        raise TopologyError(f"setting {setting!r} must be KEY=VALUE, e.g. quantise.weights=4")
    node: Any = data
    location: list[str | int] = []
    parts = key.split(".")
    while len(parts) > 1 and location not in _BY_LAYER:  # layers' names may have dots
        step, used = _step(setting, node, parts)
        location.append(step)
        if isinstance(node, dict) and node.get(step) is None:
            node[step] = {}
        node, parts = node[step], parts[used:]
    last = ".".join(parts)
    if not isinstance(node, dict):
        raise TopologyError(
            f"setting {setting!r}: {dotted(location)} has no keys; name one like layers.fc1.outputs"
        )
    node[last] = parse_scalar(text)
    return (*location, last)


_BY_LAYER = (["prune", "layers"], ["quantise", "layers"])


def _step(setting: str, node: Any, parts: list[str]) -> tuple[str | int, int]:
    """Return the key or position that a setting goes to next, and how many parts say so."""
    part = parts[0]
    if isinstance(node, dict):
        return part, 1
    names = [str(item.get("name")) for item in node] if isinstance(node, list) else []
    for used in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:used]) in names:
            return names.index(".".join(parts[:used])), used
    if part.isdigit() and int(part) < len(names):
        return int(part), 1
    part = ".".join(parts[:-1])
    hint = nearest(part, names) if names else "its parent has no keys"
    raise TopologyError(f"setting {setting!r}: there is no {part}; {hint}")


def _place(file: YamlFile, changed: dict[Location, str], location: Location) -> str:
    if location in changed:
        return f"{file.path}: setting {changed[location]}"
    return f"{file.path}:{file.line(location)}"


def _message(file: YamlFile, data: dict[str, Any], changed: dict[Location, str], error: Any) -> str:
    """Word one of pydantic's errors: where, key (=value), rule; remedy."""
    location = _without_tags(error["loc"])
    place, key = _place(file, changed, location), dotted(location)
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{place}: {key} is not a key here; {_nearest_key(data, location)}"
    if kind == "missing":
        return f"{place}: {key} is missing; add it"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        found = str(error["input"].get("type", "(missing)"))
        hint = INSTEAD.get(found.lower()) or nearest(found, list(LAYERS))
        return f"{place}: {key}.type (={found}) is no layer type; {hint}"
    if kind == "string_pattern_mismatch":
        rule = PATTERN_RULES[error["ctx"]["pattern"]]
        return f"{place}: {key} (={error['input']!r}) must {rule}; change the value"
    rule = error["msg"].removeprefix("Input ").removeprefix("should ")
    rule = rule.replace("be an object", "be a mapping").replace("valid array", "list")
    rule = rule.replace("Tuple should have", "have").replace(" after validation", "")
    return f"{place}: {key} (={error['input']!r}) must {rule}; change the value"


def _without_tags(location: Location) -> Location:
    """Drop the layer type that pydantic puts after a layer's position."""
    if len(location) > 2 and location[0] == "layers" and isinstance(location[1], int):
        return (*location[:2], *location[3:])
    return location


def _nearest_key(data: dict[str, Any], location: Location) -> str:
    *parents, key = location
    model: Any = TopologyModel
    if parents and parents[0] == "layers":
        model = LAYERS[data["layers"][parents[1]]["type"]]
    elif parents:
        model = SECTIONS[str(parents[0])]
    return nearest(str(key), list(model.model_fields))


def _rules(model: TopologyModel) -> Iterator[tuple[Location, str]]:
    """Yield where and how the file breaks a rule between its parts."""
    if not model.layers:
        yield ("layers",), "layers (=none) must be at least one; add a layer"
    for key, message in model.input.problems():
        yield ("input", key), message
    yield from _name_rules(model)
    wiring = wire(model)
    yield from wiring.problems
    yield from _label_rules(model, wiring)
    yield from _quantise_rules(model)
    if model.prune:
        for key, message in model.prune.problems():
            yield ("prune", key), message
        weighted = [name for layer in model.layers if layer.weighted for name in _all_names(layer)]
        for name in model.prune.layers:
            if name not in weighted:
                yield (
                    ("prune", "layers", name),
                    f"prune.layers.{name} is no layer with weights; {nearest(name, weighted)}",
                )
        if model.prune.layers and model.prune.scope == "global":
            yield (
                ("prune", "scope"),
                "prune.scope (=global) leaves no room for prune.layers; use scope layer",
            )


def _quantise_rules(model: TopologyModel) -> Iterator[tuple[Location, str]]:
    how = model.quantise
    weighted = [name for layer in model.layers if layer.weighted for name in _all_names(layer)]
    for name in how.layers:
        if name not in weighted:
            yield (
                ("quantise", "layers", name),
                f"quantise.layers.{name} is no layer with weights; {nearest(name, weighted)}",
            )
    if how.input_range is not None and (how.scales == "static" or "static" in how.layers.values()):
        yield (
            ("quantise", "input_range"),
            f"quantise.input_range (={how.input_range:g}) serves where every scale is found at run "
            "time; say quantise.scales: dynamic, or name a stream in quantise.calibrate",
        )
    if how.input_range is not None and how.calibrate is not None:
        yield (
            ("quantise", "input_range"),
            f"quantise.input_range (={how.input_range:g}) takes the place of a calibration stream; "
            "drop it, or quantise.calibrate",
        )


def _name_rules(model: TopologyModel) -> Iterator[tuple[Location, str]]:
    taken = {FRAME: "the frame is called so"}
    for index, layer in enumerate(model.layers):
        for name in _all_names(layer):
            if name in taken:
                yield (
                    ("layers", index, "name"),
                    f"name (={name}) is taken: {taken[name]}; layers need unique names",
                )
            taken.setdefault(name, f"layer {layer.name} has it")


def _all_names(layer: NodeModel) -> list[str]:
    """Return a layer's name, and those of the layers it is a stack of."""
    return list(dict.fromkeys([layer.name, *(each.name for each in layer.stack())]))


def _label_rules(model: TopologyModel, wiring: Wiring) -> Iterator[tuple[Location, str]]:
    last = model.output or (model.layers[-1].name if model.layers else FRAME)
    if last not in wiring.shapes:
        return  # for a reason that is told
    size = wiring.shapes[last].size
    if model.labels and len(model.labels) != size:
        yield (
            ("labels",),
            f"labels (={len(model.labels)} of them) must be one per output of layer {last}, "
            f"which has {size}; add or remove some",
        )
