"""Images plane after plane: what a network becomes on machines of dataflow `pixel` (T45, T49).

The network has images position after position. Here every tensor gets the order of those that
correspond to it element by element: planes of so many pixels, where a window reads or makes one of
them, else the network's order. Weights, constants and the host's messages follow; only where one
tensor is wanted in two orders does a product with ones copy it. Channels that are joined or cut out
become neighbours, and images of one pixel vectors, which the machine multiplies as such.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import numpy as np

from spusim.arch import Arch
from spusim.compiler.copying import CopyingProduct, selection
from spusim.compiler.errors import CompileError
from spusim.compiler.gather import gathering
from spusim.compiler.graph import Graph, PlanarNetwork
from spusim.compiler.merge import SiblingProduct
from spusim.compiler.orders import (
    VECTOR,
    Channels,
    Orders,
    Pointwise,
    is_ordered,
    pixels_of,
)
from spusim.compiler.rewrite import RELU, FreeNames
from spusim.network.graph import Windowed, outputs_of
from spusim.network.records import (
    Apply,
    Combine,
    Constant,
    Convolution,
    Cut,
    Head,
    Join,
    Network,
    Node,
    Pooling,
    Product,
    Prune,
    Requant,
    Shift,
    State,
    Tensor,
)
from spusim.numerics.convolution import Convolution as Geometry
from spusim.program import planar_order

MOST_COPIED = 8192  # elements that a product with ones copies

Single = Windowed | Pointwise | Join | Cut  # what makes one tensor


def in_planes(network: Network, arch: Arch) -> Network:
    """Return a network whose images lie as an architecture's dataflow reads them.

    Raises CompileError for what is wanted in two orders and is too large to be copied.
    """
    if arch.core.dataflow != "pixel":
        return network
    network = replace(network, nodes=tuple(map(_matrix_vector, network.nodes)))
    if not any(isinstance(node, Windowed) for node in network.nodes):
        return network
    return _Reorder(network, arch).run()


def _matrix_vector(node: Node) -> Node:
    """Return the product that a convolution over a single pixel is."""
    if not isinstance(node, Convolution) or pixels_of(node) != (1, 1) or node.geometry.groups > 1:
        return node
    shape = node.geometry
    weight = np.zeros((shape.filters, shape.channels), node.weight.dtype)
    for place, at in enumerate(shape.offsets()):
        if at == shape.padding[:2]:  # what lies on the pixel
            weight = node.weight.reshape(*weight.shape, -1)[:, :, place]
    head = Head(0, node.output, node.requant, RELU if node.relu else None)
    return Product(
        node.name, node.layer, node.a, weight, node.weight_bits, node.bias, (head,),
        rounding=node.rounding, codebook=node.codebook,
    )  # fmt: skip


@dataclass
class _Reorder:
    """A network while its tensors are put in order."""

    network: Network
    arch: Arch
    nodes: list[Node] = field(default_factory=list)
    pixels: dict[str, int] = field(default_factory=dict)
    copies: dict[tuple[str, int], str] = field(default_factory=dict)  # by order, 0: scattered
    constants: dict[tuple[object, ...], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find out the order of every tensor."""
        self.graph = Graph(self.network)
        self.orders = Orders(self.graph)
        self.names = FreeNames(self.network)
        self.tensors = dict(self.graph.tensors)

    def run(self) -> PlanarNetwork:
        """Return the network with everything in its order."""
        gone = self._gone()
        for name in self.tensors:
            if self.orders.of(name) > VECTOR and name not in gone:
                self.pixels[name] = self.orders.of(name)
        for node in self.network.nodes:
            if not {out.name for out in outputs_of(node)} <= gone:
                _REORDERED[type(node)](self, node)
        output = self._whole_output()
        values = {each.name: getattr(self.network, each.name) for each in fields(Network)}
        states = tuple(map(self._state, self.network.states))
        changed = {"states": states, "nodes": tuple(self.nodes), "output": output}
        return PlanarNetwork(**values | changed, pixels=self.pixels)

    def _gone(self) -> set[str]:
        """Return the cuts of single pixels that joins of channels need no more."""
        joins = {self.graph.makers[name].name for name in self.orders.joins}
        cuts = {name for join in joins for name in self._join(join).inputs}
        return {
            name
            for name in cuts
            if name not in self.graph.kept
            and all(reader.name in joins for reader in self.graph.readers[name])
        }

    def _join(self, name: str) -> Join:
        return next(n for n in self.network.nodes if isinstance(n, Join) and n.name == name)

    def _whole_output(self) -> str:
        """Return the output, copied where it shows parts of images: one message carries planes."""
        name = self.network.output
        graph = Graph(replace(self.network, nodes=tuple(self.nodes)))
        if name not in self.pixels or graph.sole_root(name):
            return name
        copy = replace(self.tensors[name], name=self.names.free(f"{name}.whole"))
        maker = graph.makers[name]
        self.nodes.append(Shift(copy.name, maker.layer, name, copy))
        self.pixels[copy.name] = self.pixels[name]
        return copy.name

    def _state(self, state: State) -> State:
        if np.ndim(state.start) == 0:
            return state
        return replace(state, start=np.asarray(state.start)[self._order(state.tensor.name)])

    # orders

    def _order(self, name: str) -> np.ndarray:
        return planar_order(self.tensors[name].size, self.orders.of(name))

    def _read(self, name: str, pixels: int, node: Node) -> str:
        """Return a tensor in an order: itself, or a copy that is made once."""
        key = name, pixels
        if key not in self.copies and self.orders.of(name) == pixels:
            return name
        if key not in self.copies:
            copy = replace(self.tensors[name], name=self.names.free(f"{name}.{_told(pixels)}"))
            self._copy(self.tensors[name], self.orders.of(name), copy, pixels, node.layer)
            self.copies[key] = copy.name
        return self.copies[key]

    def _made(self, node: Single, pixels: int) -> None:
        """Add a node that makes its output in an order, and a copy if that is not the tensor's."""
        output, wanted = node.output, self.orders.of(node.output.name)
        if wanted == pixels:
            self.nodes.append(node)
            return
        made = replace(output, name=self.names.free(f"{output.name}.{_told(pixels)}"))
        self.nodes.append(replace(node, output=made))
        if pixels > 1:
            self.pixels[made.name] = pixels
        self._copy(made, pixels, output, wanted, node.layer)

    def _copy(self, source: Tensor, has: int, copy: Tensor, gets: int, layer: str) -> None:
        """Add the product with ones that copies a tensor into another order."""
        if source.size > MOST_COPIED:
            raise CompileError(
                f"{self.arch.name}: layer {layer} takes or makes {source.name}, of {source.size} "
                f"elements, by {_told(gets)} where others have it by {_told(has)}, and a copy into "
                f"another order has at most {MOST_COPIED}; set core.dataflow=row, or change the "
                "layer (what joins, cuts or reshapes positions, and prune_top, reads images "
                "position by position)"
            )
        weight = np.zeros((source.size, source.size), np.int8)
        place = np.argsort(planar_order(source.size, has))
        weight[np.arange(source.size), place[planar_order(source.size, gets)]] = 1
        product = selection(copy.name, layer, source, weight, self.arch)
        self.nodes.append(replace(product, name=self.names.free(f"{copy.name}.ordered")))
        self.tensors |= {source.name: source, copy.name: copy}
        if gets > 1:
            self.pixels[copy.name] = gets

    # nodes

    def convolution(self, node: Convolution) -> None:
        """Have a convolution read and make planes; what has one pixel is a vector elsewhere."""
        source, made = pixels_of(node)
        node = replace(node, a=self._read(node.a, source, node))
        if source == 1:
            node = replace(node, a=self._scattered(node))
        if made > 1:
            self._made(node, made)
        else:
            self._gathered(node)

    def pooling(self, node: Pooling) -> None:
        """Have a pooling read and make planes, or a vector of a whole image; or vectors only."""
        source, made = pixels_of(node)
        node = replace(node, a=self._read(node.a, source, node))
        bits, word_bits = self.tensors[node.a].quantum.bits, self.arch.core.data_memory.word_bits
        if source == 1 and made > 1:
            node = replace(node, a=self._scattered(node))
        if made > 1 or source == 1 or gathering(node.geometry, bits, word_bits) is not None:
            self._made(node, made)
        else:
            self._gathered(node)

    def _scattered(self, node: Windowed) -> str:
        """Return planes of one pixel, each in a word of its own, of a vector."""
        key = node.a, 0
        if key not in self.copies:
            vector = self.tensors[node.a]
            planes = replace(vector, name=self.names.free(f"{node.a}.scattered"))
            self.pixels[planes.name] = 1
            self.nodes.append(_moved(planes.name, node, vector, planes))
            self.copies[key] = planes.name
        return self.copies[key]

    def _gathered(self, node: Windowed) -> None:
        """Add a window that makes planes of one pixel, and what makes a vector of them."""
        planes = replace(node.output, name=self.names.free(f"{node.output.name}.scattered"))
        self.pixels[planes.name] = 1
        self.nodes.append(replace(node, output=planes))
        self._made(_moved(self.names.free(f"{node.name}.gathered"), node, planes, node.output), 1)

    def elementwise(self, node: Pointwise) -> None:
        """Have both operands in the result's order."""
        pixels = VECTOR if is_ordered(node) else self.orders.of(node.output.name)
        node = replace(node, a=self._read(node.a, pixels, node))
        if isinstance(node, Combine):
            node = replace(node, b=self._read(node.b, pixels, node))
        self._made(node, pixels)

    def constant(self, node: Constant) -> None:
        """Put a constant's values in order; equal ones that only meet elements are stored once."""
        values, output = node.values[self._order(node.output.name)], node.output
        met = all(isinstance(reader, Combine) for reader in self.graph.readers[output.name])
        if met and output.name not in self.graph.kept:
            kind = output.quantum.bits, self.pixels.get(output.name), values.tobytes()
            known = self.constants.setdefault(kind, output.name)
            if known != output.name:
                self.copies[output.name, self.orders.of(output.name)] = known
                self.pixels.pop(output.name, None)
                return
        self.nodes.append(replace(node, values=values))

    def product(self, node: Product) -> None:
        """Put a product's columns and rows in order; what has several windows needs vectors."""
        whole = node.windows == (0,) and node.weight.shape[1] == self.tensors[node.input].size
        if whole and not getattr(node, "blocks", ()):
            node = replace(node, weight=node.weight[:, self._order(node.input)])
        else:
            node = replace(node, input=self._read(node.input, VECTOR, node))
        if len(node.windows) == 1 and not getattr(node, "blocks", ()):
            self.nodes.append(self._rows_ordered(node))
            return
        late, heads = [], []
        for head in node.heads:
            wanted, made = self.orders.of(head.output.name), head.output
            if wanted != VECTOR:
                made = replace(made, name=self.names.free(f"{made.name}.{_told(VECTOR)}"))
                late.append((made, head.output, wanted))
            heads.append(replace(head, output=made))
        self.nodes.append(replace(node, heads=tuple(heads)))
        for made, output, wanted in late:
            self._copy(made, VECTOR, output, wanted, node.layer)

    def _rows_ordered(self, node: Product) -> Product:
        """Return a product of one window whose heads make their tensors' orders."""
        rows, heads = np.arange(len(node.weight)), []
        for head in node.heads:
            order = self._order(head.output.name)
            rows[head.first : head.first + len(order)] = head.first + order
            pair = head.requant.multiplier, head.requant.shift
            requant = Requant(*(x if len(x) == 1 else x[order] for x in pair))
            heads.append(replace(head, requant=requant))
        bias = None if node.bias is None else node.bias[rows]
        return replace(node, weight=node.weight[rows], bias=bias, heads=tuple(heads))

    def join(self, node: Join) -> None:
        """Join channels as neighbours; whatever else is joined is joined as the network has it."""
        if node.output.name not in self.orders.joins:
            inputs = tuple(self._read(name, VECTOR, node) for name in node.inputs)
            self._made(replace(node, inputs=inputs), VECTOR)
            return
        pixels, parts = self.orders.joins[node.output.name]
        names = [self._channels(node, part, pixels) for part in parts]
        self.nodes.append(replace(node, inputs=tuple(names)))

    def _channels(self, node: Join, part: Channels, pixels: int) -> str:
        """Return the planes of some channels, a Cut unless they are all."""
        image, size = self.tensors[part.image], part.count * pixels
        if size == image.size:
            return image.name
        name = self.names.free(f"{node.name}.channels")
        output = Tensor(name, size, image.quantum)
        self.nodes.append(Cut(name, node.layer, image.name, part.first * pixels, output))
        self.pixels[name] = pixels
        return name

    def cut(self, node: Cut) -> None:
        """Cut what lies as the network has it."""
        self._made(replace(node, a=self._read(node.a, VECTOR, node)), VECTOR)


def _moved(name: str, node: Windowed, source: Tensor, target: Tensor) -> Pooling:
    """Return the pooling of single pixels that moves planes of one pixel together or apart."""
    shape = Geometry(source.size, 1, 1, source.size, groups=source.size)
    one = Requant(np.ones(1, np.int64), np.zeros(1, np.int64))
    return Pooling(name, node.layer, "max", source.name, shape, target, one)


def _told(pixels: int) -> str:
    return "positions" if pixels == VECTOR else "planes"


_REORDERED: dict[type, Callable[..., None]] = {
    Product: _Reorder.product,
    SiblingProduct: _Reorder.product,
    CopyingProduct: _Reorder.product,
    Convolution: _Reorder.convolution,
    Pooling: _Reorder.pooling,
    Combine: _Reorder.elementwise,
    Shift: _Reorder.elementwise,
    Apply: _Reorder.elementwise,
    Prune: _Reorder.elementwise,
    Constant: _Reorder.constant,
    Join: _Reorder.join,
    Cut: _Reorder.cut,
}
