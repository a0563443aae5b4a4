"""What each node becomes on a core: a short function for each type, in a table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from spusim.compiler.code import Op, State, vector_op
from spusim.compiler.convolution import lower_convolution, lower_pooling
from spusim.compiler.copying import CopyingProduct
from spusim.compiler.distribution import Distribution, root_piece
from spusim.compiler.errors import CompileError
from spusim.compiler.memory import Vector
from spusim.compiler.merge import SiblingProduct
from spusim.compiler.modes import drawing, rounding_of, rounds_by_bits
from spusim.compiler.places import Fill, Move, Places
from spusim.compiler.product import lower_product
from spusim.compiler.space import CoreSpace
from spusim.network.graph import inputs_of, outputs_of
from spusim.network.records import (
    Apply,
    Combine,
    Constant,
    Convolution,
    Cut,
    Join,
    Node,
    Pooling,
    Product,
    Prune,
    Shift,
)

MOST_ELEMENTS = 2**15  # of an instruction: less than 2**16, and whole words of any width

# kind -> mnemonic, and how a comment shows it
KINDS = {
    "add": ("vadd", "{} + {}"),
    "sub": ("vsub", "{} - {}"),
    "mul": ("vmul", "{} * {}"),
    "max": ("vmax", "max({}, {})"),
    "min": ("vmin", "min({}, {})"),
}


# kind of pruning -> mnemonic and operand
PRUNING = {"threshold": ("vthr", "threshold"), "top": ("vtop", "keep")}


@dataclass(frozen=True)
class Site:
    """A core with all that lowering needs to know of it."""

    space: CoreSpace
    plan: Distribution
    places: Places


def lower(site: Site, node: Node) -> list[Op]:
    """Return the instructions of a core's part in a node."""
    return _LOWERING[type(node)](site, node)


def lower_move(move: Move) -> list[Op]:
    """Return the copy of a vector."""
    ops = []
    for target, source in _chunks(move.target, move.source):
        state: State = {"len": target.elements, "wa": source.bits, "wd": target.bits}
        state |= {"sd": 0, "rounding": "arch"}
        operands = {"d": target.address, "a": source.address}
        ops.append(vector_op("vmov", move.comment, state, {}, **operands))
    return ops


def lower_fill(fill: Fill) -> list[Op]:
    """Return the filling of a vector."""
    return [
        vector_op(
            "vfill",
            fill.comment,
            {"len": vector.elements, "wd": vector.bits},
            {},
            d=vector.address,
            value=fill.value,
        )
        for (vector,) in _chunks(fill.vector)
    ]


def _product(site: Site, node: Product) -> list[Op]:
    return _copies(site, node.input) + lower_product(site.space, node, site.plan, site.places)


def _copies(site: Site, operand: str) -> list[Op]:
    """Return what brings an operand together; once is enough for all that read it."""
    moves = site.places.joins.pop(operand, [])
    return [op for move in moves for op in lower_move(move)]


def _convolution(site: Site, node: Convolution) -> list[Op]:
    copies = _copies(site, node.a)
    return copies + lower_convolution(site.space, node, site.plan, site.places)


def _pooling(site: Site, node: Pooling) -> list[Op]:
    return _copies(site, node.a) + lower_pooling(site.space, node, site.plan, site.places)


def _combine(site: Site, node: Combine) -> list[Op]:
    ops = []
    mnemonic, shown = KINDS[node.kind]
    for first, (d, a, b) in _runs(site, node):
        state: State = {"len": d.elements, "wa": a.bits, "wb": b.bits, "wd": d.bits, "sd": node.sd}
        state["rounding"] = rounding_of(site.space.arch, node.rounding)
        if node.kind != "mul":
            state |= {"sa": node.sa, "sb": node.sb}
        comment = _told(node, shown.format(_short(node, node.a), _short(node, node.b)))
        operands = {"d": d.address, "a": a.address, "b": b.address}
        modes = drawing(site.space.arch, node.name, node.rounding, first, node.sd)
        ops.append(vector_op(mnemonic, comment, state, modes, **operands))
    return ops


def _shift(site: Site, node: Shift) -> list[Op]:
    if node.relu and _wraps(site, node):
        # vrelu cuts negatives off before its result overflows; the node means it the other way.
        moved = _shift(site, replace(node, relu=False))
        return moved + _shift(site, replace(node, a=node.output.name, sd=0, rounding=None))
    ops = []
    for first, (d, a) in _runs(site, node):
        state: State = {"len": d.elements, "wa": a.bits, "wd": d.bits, "sd": node.sd}
        state["rounding"] = rounding_of(site.space.arch, node.rounding)
        shown = _short(node, node.a) + (f" >> {node.sd}" if node.sd else "")
        comment = _told(node, f"relu({shown})" if node.relu else shown)
        mnemonic = "vrelu" if node.relu else "vmov"
        modes = drawing(site.space.arch, node.name, node.rounding, first, node.sd)
        ops.append(vector_op(mnemonic, comment, state, modes, d=d.address, a=a.address))
    return ops


def _wraps(site: Site, node: Shift) -> bool:
    """Tell whether a result may be too large, and then does not saturate."""
    if site.space.arch.numerics.requantize_overflow == "saturate":
        return False
    left = site.plan.graph.tensors[node.a].quantum.bits - node.sd
    return left + (node.sd > 0) > node.output.quantum.bits


def _apply(site: Site, node: Apply) -> list[Op]:
    source = site.plan.graph.tensors[node.a].quantum
    entry = type(source)(source.bits, source.exponent + node.sa)
    table = site.space.tables.of(node.function, entry, node.output.quantum)
    name = site.space.tables.tables[table].name.split()[0]
    ops = []
    for _, (d, a) in _runs(site, node):
        state: State = {"len": d.elements, "wa": a.bits, "wd": d.bits, "sa": node.sa}
        comment = _told(node, f"{name}({_short(node, node.a)})")
        operands = {"d": d.address, "a": a.address, "table": table}
        ops.append(vector_op("vlut", comment, state, {}, **operands))
    return ops


def _prune(site: Site, node: Prune) -> list[Op]:
    mnemonic, operand = PRUNING[node.kind]
    runs = list(_runs(site, node))
    if node.kind == "top" and len(runs) > 1:
        raise CompileError(
            f"layer {node.layer} keeps the largest {node.parameter} of {node.output.size} elements,"
            f" more than one instruction counts; use fewer than {MOST_ELEMENTS + 1}, or a threshold"
        )
    ops = []
    for _, (d, a) in runs:
        state: State = {"len": d.elements, "wa": a.bits, "wd": d.bits, "sd": 0}
        state["rounding"] = "arch"
        comment = _told(node, f"{node.kind} {node.parameter} of {_short(node, node.a)}")
        operands = {"d": d.address, "a": a.address, operand: node.parameter}
        ops.append(vector_op(mnemonic, comment, state, {}, **operands))
    return ops


def _told(node: Combine | Shift | Apply | Prune, value: str) -> str:
    return f"{node.layer}: {_short(node, node.output.name)} = {value}"


def _short(node: Node, name: str) -> str:
    """Return a tensor's name without the layer's in front of it."""
    return name.removeprefix(f"{node.layer}.")


def _nothing(site: Site, node: Node) -> list[Op]:
    return []


_LOWERING: dict[type, Callable[..., list[Op]]] = {
    Product: _product,
    SiblingProduct: _product,
    CopyingProduct: _product,
    Convolution: _convolution,
    Pooling: _pooling,
    Combine: _combine,
    Shift: _shift,
    Apply: _apply,
    Prune: _prune,
    Constant: _nothing,  # is there when the program is loaded
    Join: _nothing,  # a view; products' operands are joined where they are read
    Cut: _nothing,
}


def _runs(site: Site, node: Node) -> Iterator[tuple[int, tuple[Vector, ...]]]:
    """Yield the output and inputs of an element-wise node as few vectors that lie together.

    In front of each stands the number of its first element. Where results draw random bits, which
    are the elements' own, those of a vector follow each other in the tensor, too.
    """
    out = outputs_of(node)[0].name
    draws = isinstance(node, Combine | Shift) and rounds_by_bits(
        site.space.arch, node.rounding, node.sd
    )
    names = (out, *inputs_of(node))
    loose = site.plan.layouts[out].loose
    run: tuple[Vector, ...] = ()
    first = 0
    for piece, cores in enumerate(site.plan.workers[out]):
        if site.space.core not in cores:
            continue
        here = tuple(_piece(site, name, piece) for name in names)
        if loose and len({each.full.elements for each in run}) == 1:
            run = tuple(each.full for each in run)  # whatever lies between planes
        next_first = site.plan.layouts[out].firsts[piece]
        in_order = not draws or (run and next_first == first + run[0].elements)
        follows = (
            run
            and in_order
            and all(
                a.full == a and a.address + a.words == b.address
                for a, b in zip(run, here, strict=True)
            )
        )
        if follows:
            run = tuple(
                Vector(a.address, a.elements + b.elements, a.bits, a.word_bits)
                for a, b in zip(run, here, strict=True)
            )
            continue
        if run:
            yield from _numbered(first, run)
        run, first = here, next_first
    if run:
        yield from _numbered(first, run)


def _numbered(first: int, vectors: tuple[Vector, ...]) -> Iterator[tuple[int, tuple[Vector, ...]]]:
    for part in _chunks(*vectors):
        yield first, part
        first += part[0].elements


def _piece(site: Site, name: str, piece: int) -> Vector:
    layout = site.plan.layouts[name]
    root = root_piece(site.plan.graph, site.plan.layouts, name, piece)
    address = site.places.words[root]
    return Vector(address, layout.sizes[piece], layout.bits, layout.word_bits)


def _chunks(*vectors: Vector) -> Iterator[tuple[Vector, ...]]:
    """Yield vectors in parts of no more elements than an instruction can count."""
    size = vectors[0].elements
    for first in range(0, size, MOST_ELEMENTS):
        elements = min(MOST_ELEMENTS, size - first)
        yield tuple(vector.part(first, elements) for vector in vectors)
