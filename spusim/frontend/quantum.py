"""Choosing number formats: which tensors of a graph share one, and who reads another one.

A tensor is *headed* by the layer that makes it in a format of its own; relu, a maximum over time,
a slice or a concatenation keep the format of what they read, and so are of its group. A recurrent
layer heads its own, but knows best how fine it should be beside what it reads (`state_quantum`).
Where a reader cannot take a group's format, it reads a conversion.
"""

from dataclasses import dataclass, field
from functools import cached_property

from spusim.frontend.chain import FRAME, FloatNetwork, Step
from spusim.frontend.layers import FloatNode
from spusim.frontend.quanta import GATE_OUTPUT, GATE_QUANTUM, mean_shift, quantum_for
from spusim.network.records import Quantum

Ranges = dict[str, float]


@dataclass(frozen=True)
class Conversion:
    """A tensor in another quantum, for those that read it so; a sum over frames also divided.

    divisor: real value of `source` over that of the tensor that it is called after; 1: no sum.
    """

    name: str
    source: str
    quantum: Quantum
    divisor: int = 1


@dataclass(frozen=True)
class Plan:
    """Number formats of a network.

    quanta: of the frame, every layer's output and every conversion, by name. divisors: of what is
    a sum over frames, how many. For each layer: reads, the tensors it takes; conversions, those
    that must be made before it.
    """

    quanta: dict[str, Quantum]
    divisors: dict[str, int]
    reads: tuple[tuple[str, ...], ...]
    conversions: tuple[tuple[Conversion, ...], ...]


def plan_quanta(
    network: FloatNetwork,
    ranges: Ranges,
    input_bits: int,
    activation_bits: int,
    weight_bits: int = 8,
    dynamic: frozenset[str] = frozenset(),
    wide_bits: int = 16,
) -> Plan:
    """Choose the quanta of a network's tensors. ranges: the absolute maximum of every tensor.

    A group has the quantum that the largest of its tensors needs; but what goes into tables only
    has 16 bits and the range where these saturate, what comes out of them theirs, and a sum over
    frames one that it fits. A table takes 16 bits, and no coarser ones than it needs where others
    read the tensor too; a concatenation takes one quantum; a sum is divided for all but who divide
    it themselves. What layers in `dynamic` read and make, whose products find scales at run
    time, has wide_bits; other products read it in activation_bits.
    """
    wide = _wide(network, dynamic)
    groups = _Groups(input_bits, activation_bits, wide_bits, wide)
    for step in network.steps:
        groups.add(step)
    graph = _Graph(groups, network.output, dynamic)
    quanta = _quanta(graph, ranges, weight_bits)
    return _plan(graph, quanta)


def _wide(network: FloatNetwork, dynamic: frozenset[str]) -> frozenset[str]:
    """Return the layers with normalising products, and those of which these read outputs."""
    wide = set(dynamic)
    for step in reversed(network.steps):
        if step.layer.name in dynamic or (step.layer.keeps and step.layer.name in wide):
            wide |= set(step.inputs)
    return frozenset(wide - {FRAME})


def _divisor(layer: FloatNode, before: int) -> int:
    """Return how many times its real value a layer's output is, where its input is so before."""
    if layer.sums is not None:
        return layer.sums
    return before if layer.keeps else 1


_Demand = int | Quantum | str  # calibrated with so many bits; fixed; that of a sum, by its name


@dataclass
class _Groups:
    """Tensors by group: what each group's head demands, and the steps with what they read."""

    input_bits: int
    activation_bits: int
    wide_bits: int = 16
    wide: frozenset[str] = frozenset()
    steps: list[Step] = field(default_factory=list)
    divisors: dict[str, int] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)  # what is a sum divided -> the sum
    parents: dict[str, str] = field(default_factory=dict)
    demands: dict[str, _Demand] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with the frame."""
        self._head(FRAME, self.input_bits, 1)

    def _head(self, name: str, demand: _Demand, divisor: int) -> None:
        self.parents[name], self.demands[name], self.divisors[name] = name, demand, divisor

    def of(self, name: str) -> str:
        """Return the tensor that stands for a tensor's group."""
        while self.parents[name] != name:
            name = self.parents[name]
        return name

    def demand(self, name: str) -> _Demand:
        """Return what a tensor's group demands."""
        return self.demands[self.of(name)]

    def add(self, step: Step) -> None:
        """Add a layer: its output heads a group, or is of that of what it reads."""
        layer = step.layer
        reads = tuple(self._read(name, layer) for name in step.inputs)
        self.steps.append(Step(layer, reads))
        divisor = _divisor(layer, self.divisors[reads[0]])
        if layer.keeps:
            self._head(layer.name, self._kept(layer.name, reads), divisor)
            self._unite(layer.name, reads)
        elif layer.sums is not None:
            self._head(layer.name, layer.name, divisor)
        else:
            own = GATE_OUTPUT if layer.tabulates else self.bits(layer.name)
            self._head(layer.name, own, divisor)

    def _read(self, name: str, layer: FloatNode) -> str:
        """Return the tensor that a layer reads for another: a sum that it cannot take, divided."""
        if self.divisors[name] == 1 or layer.takes_sums:
            return name
        mean = f"{name}.divided"
        if mean not in self.parents:
            self._head(mean, self.bits(name), 1)
            self.sums[mean] = name
        return mean

    def bits(self, name: str) -> int:
        """Return the bits of a layer's output where nothing else demands any."""
        return self.wide_bits if name in self.wide else self.activation_bits

    def _kept(self, name: str, reads: tuple[str, ...]) -> _Demand:
        """Return what all of a keeper's inputs demand; where they differ, a format of its own."""
        found = {self.demand(read) for read in reads}
        return self.bits(name) if len(found) > 1 else found.pop()

    def _unite(self, name: str, reads: tuple[str, ...]) -> None:
        for read in reads:
            if self.demand(read) == self.demand(name):
                self.parents[self.of(name)] = self.of(read)


@dataclass(frozen=True)
class _Graph:
    """Groups, once they are known, and who reads them."""

    groups: _Groups
    output: str
    dynamic: frozenset[str] = frozenset()

    @cached_property
    def group_of(self) -> dict[str, str]:
        """Group of each tensor."""
        return {name: self.groups.of(name) for name in self.groups.parents}

    @cached_property
    def outside(self) -> dict[str, list[FloatNode]]:
        """Layers that read each group and are not of it."""
        found: dict[str, list[FloatNode]] = {group: [] for group in self.group_of.values()}
        for step in self.groups.steps:
            for group in {self.group_of[read] for read in step.inputs}:
                if group != self.group_of[step.layer.name]:
                    found[group].append(step.layer)
        return found

    @cached_property
    def calibrated(self) -> frozenset[str]:
        """Groups that hold the frame or a recurrent state, whose range is theirs to say."""
        recurrent = [step.layer.name for step in self.groups.steps if step.layer.recurrent]
        return frozenset(self.group_of[name] for name in (FRAME, *recurrent))

    def for_tables(self, group: str) -> bool:
        """Tell whether tables, and nothing else, read a group."""
        readers = self.outside[group]
        only = bool(readers) and all(layer.tabulates for layer in readers)
        return only and group != self.group_of[self.output]


def _quanta(graph: _Graph, ranges: Ranges, weight_bits: int) -> dict[str, Quantum]:
    """Return the quantum of every tensor; those of sums and states follow from what is read."""
    groups, by_group = graph.groups, dict[str, Quantum]()
    largest: dict[str, float] = {}
    for name, group in graph.group_of.items():
        seen = ranges[groups.sums.get(name, name)]
        largest[group] = max(largest.get(group, 0.0), seen)
    for group, absmax in largest.items():
        demand = groups.demands[group]
        if isinstance(demand, Quantum):
            by_group[group] = demand
        elif isinstance(demand, int):
            tabled = graph.for_tables(group) and group not in graph.calibrated
            by_group[group] = GATE_QUANTUM if tabled else quantum_for(absmax, demand)
    for step in groups.steps:
        read, group = step.inputs[0], graph.group_of[step.layer.name]
        before = by_group[graph.group_of[read]]
        if step.layer.name in graph.dynamic and step.layer.recurrent:
            by_group[group] = step.layer.free_state_quantum(by_group[group])
        elif step.layer.recurrent and group != graph.group_of[read]:
            found = by_group[group]
            x = _as_wide(before, found.bits)
            reach = largest[graph.group_of[read]]
            by_group[group] = step.layer.state_quantum(x, reach, found, weight_bits)
        elif step.layer.sums is not None:
            absmax = ranges[groups.sums.get(read, read)]
            shift = mean_shift(step.layer.sums, before.exponent, absmax)
            by_group[group] = Quantum(16, before.exponent + shift)
    return {name: by_group[group] for name, group in graph.group_of.items()}


def _plan(graph: _Graph, quanta: dict[str, Quantum]) -> Plan:
    """Let layers read conversions where they cannot take a tensor as it is."""
    divisors, sums = graph.groups.divisors, graph.groups.sums
    reads: list[tuple[str, ...]] = []
    conversions: list[tuple[Conversion, ...]] = []
    made: dict[str, Conversion] = {}
    for step in graph.groups.steps:
        needed: list[Conversion] = []
        names: list[str] = []
        for read in step.inputs:
            if read in sums:
                source = sums[read]
                needed.append(Conversion(read, source, quanta[read], divisors[source]))
            wanted = _wanted(graph, quanta, step, read)
            if wanted != quanta[read]:
                read, source = f"{read}.int{wanted.bits}e{wanted.exponent}", read
                needed.append(Conversion(read, source, wanted))
            names.append(read)
        new = {each.name: each for each in needed if each.name not in made}
        made |= new
        reads.append(tuple(names))
        conversions.append(tuple(new.values()))
    every = quanta | {name: each.quantum for name, each in made.items()}
    return Plan(every, divisors, tuple(reads), tuple(conversions))


def _wanted(graph: _Graph, quanta: dict[str, Quantum], step: Step, read: str) -> Quantum:
    """Return the quantum in which a layer takes a tensor."""
    if step.layer.keeps:
        return quanta[step.layer.name]
    found = quanta[read]
    if step.layer.name in graph.dynamic:
        return found
    if step.layer.recurrent:
        return _as_wide(found, quanta[step.layer.name].bits)
    if not step.layer.tabulates:
        widened = read in graph.groups.wide and step.layer.matrices
        if widened and found.bits > graph.groups.activation_bits:
            return _as_wide(found, graph.groups.activation_bits)
        return found
    fine = found.exponent <= GATE_QUANTUM.exponent or graph.for_tables(graph.group_of[read])
    if found.bits == GATE_QUANTUM.bits and fine:
        return found
    if found.bits > GATE_QUANTUM.bits:
        return GATE_QUANTUM
    return Quantum(GATE_QUANTUM.bits, min(found.exponent, GATE_QUANTUM.exponent))


def _as_wide(quantum: Quantum, bits: int) -> Quantum:
    """Return a quantum of another width: as fine if wider, of the same range if narrower."""
    return Quantum(bits, quantum.exponent + max(0, quantum.bits - bits))
