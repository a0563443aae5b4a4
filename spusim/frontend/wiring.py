"""Who reads whom in a network file, with which shapes, and what is wrong with that."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from spusim.errors import nearest
from spusim.frontend.chain import FRAME
from spusim.frontend.errors import TopologyError
from spusim.frontend.layers import NodeModel, Shape
from spusim.frontend.topology import PruneModel, TopologyModel
from spusim.frontend.yaml_file import Location


@dataclass
class Wiring:
    """Of each layer the tensors it reads; the shape of every tensor; where a rule is broken."""

    reads: list[tuple[str, ...]] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    problems: list[tuple[Location, str]] = field(default_factory=list)


def unstacked(topology: TopologyModel) -> TopologyModel:
    """Return a topology with every stack in a layer of its own; what reads it reads the highest."""
    above = {layer.name: layer.stack()[-1].name for layer in topology.layers}
    layers: list[NodeModel] = []
    for layer in topology.layers:
        layers += [each.rewired(above) for each in layer.stack()]
    output = above.get(topology.output or "", topology.output)
    changes: dict[str, object] = {"layers": tuple(layers), "output": output}
    if topology.prune:
        changes["prune"] = _pruned(topology.prune, topology)
    return topology.model_copy(update=changes)


def wire(topology: TopologyModel) -> Wiring:
    """Follow the layers in order. What follows from a problem is not told as another."""
    wiring = Wiring(shapes={FRAME: topology.input.shape})
    names = [layer.name for layer in topology.layers]
    before, made = FRAME, {FRAME}
    for index, layer in enumerate(topology.layers):
        reads = layer.reads(before)
        wiring.reads.append(reads)
        wiring.problems += _unknown(("layers", index), layer, reads, made, names)
        if all(name in wiring.shapes for name in reads):
            _follow(wiring, ("layers", index), layer, reads)
        before = layer.name
        made.add(before)
    if topology.output is not None and topology.output not in names:
        hint = nearest(topology.output, names)
        wiring.problems.append((("output",), f"output (={topology.output}) is no layer; {hint}"))
    return wiring


def unread(topology: TopologyModel) -> list[str]:
    """Return the layers that no layer reads and that are not the output."""
    wiring = wire(topology)
    read = {name for reads in wiring.reads for name in reads}
    read.add(topology.output or topology.layers[-1].name)
    return [layer.name for layer in topology.layers if layer.name not in read]


def _unknown(
    location: Location,
    layer: NodeModel,
    reads: tuple[str, ...],
    made: set[str],
    names: list[str],
) -> Iterator[tuple[Location, str]]:
    """Yield a problem for each tensor that a layer reads and that is not made before it."""
    for name in reads:
        if name in made:
            continue
        why = f"is no layer; {nearest(name, sorted(made))}"
        if name in names:
            why = (
                f"is made {'by the layer itself' if name == layer.name else 'later'}; a layer "
                "reads what stands above it, and only a recurrent layer has a loop"
            )
        key = layer.source_key
        yield (*location, key), f"layer {layer.name}: {key} (={name}) {why}"


def _follow(wiring: Wiring, location: Location, layer: NodeModel, reads: tuple[str, ...]) -> None:
    shapes = tuple(wiring.shapes[name] for name in reads)
    try:
        for shape in shapes:
            _check_taken(layer, shape)
        wiring.shapes[layer.name] = layer.merged(shapes)
    except TopologyError as error:
        given = ", ".join(
            f"{name} has {told(shape)}" for name, shape in zip(reads, shapes, strict=True)
        )
        wiring.problems.append((location, f"layer {layer.name}: {error} ({given})"))


def _check_taken(layer: NodeModel, shape: Shape) -> None:
    """Raise TopologyError for an image given to a layer that knows no rows and columns."""
    if shape.width is not None and shape.positions > 1 and not layer.takes_images:
        raise TopologyError(
            f"{layer.type} takes no image; put flatten or global_pool before it, or a reshape "
            "layer, which forgets rows"
        )
    if shape.planes and not layer.takes_flattened:
        raise TopologyError(
            f"{layer.type} takes no flattened image, whose elements are in another order than its "
            "keys'; put a linear layer between, or global_pool in the place of flatten"
        )


def told(shape: Shape) -> str:
    """Return a shape in words."""
    if shape.width is not None:
        return f"{shape.height} x {shape.width} positions x {shape.channels} channels"
    if shape.positions == 1:
        return f"{shape.channels} channel{'s' * (shape.channels > 1)}"
    return f"{shape.positions} positions x {shape.channels} channels"


def _pruned(how: PruneModel, topology: TopologyModel) -> PruneModel:
    """Return how to prune, with a stack's density given to each layer that has none of its own."""
    layers = dict(how.layers)
    for layer in topology.layers:
        if layer.name in layers:
            density = layers.pop(layer.name)
            layers = {each.name: density for each in layer.stack()} | layers
    return how.model_copy(update={"layers": layers})
