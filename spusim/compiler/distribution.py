"""Which core has which piece of each tensor, and what cores must send each other, and when.

A frame falls into phases: what a phase computes from other cores' results of the phases before
begins with an exchange, in which everything goes that the phase before has made for others.
"""

from collections import defaultdict
from dataclasses import dataclass

from spusim.arch import Arch
from spusim.compiler.graph import Graph, Whole
from spusim.compiler.pieces import Layout, Pieces
from spusim.compiler.shares import read_span, share_unit
from spusim.network.graph import inputs_of, outputs_of
from spusim.network.records import Constant, Convolution, Cut, Join, Node, Pooling, Product

FIRST_CORE = 0
Owner = int | None  # None: every core that needs a piece has or computes it
Cores = frozenset[int]


@dataclass(frozen=True)
class Run:
    """Consecutive pieces of a root, without a gap, on their way to some cores."""

    root: str
    pieces: range
    sender: int
    receivers: tuple[int, ...]


@dataclass(frozen=True)
class Distribution:
    """Who has what.

    held: cores that have each piece of a root, at the latest when it is read. workers: cores that
    compute each piece. phases: of nodes. exchanges[p]: what is sent before phase p + 1.
    """

    graph: Graph
    layouts: dict[str, Layout]
    held: dict[str, tuple[Cores, ...]]
    workers: dict[str, tuple[Cores, ...]]
    phases: dict[str, int]
    exchanges: tuple[tuple[Run, ...], ...]
    output: tuple[Run, ...]

    def computes(self, core: int, node: Node) -> bool:
        """Tell whether a core has a part in a node."""
        return any(
            core in workers for out in outputs_of(node) for workers in self.workers[out.name]
        )


def distribute(graph: Graph, pieces: Pieces, arch: Arch) -> Distribution:
    """Decide who computes and who keeps what."""
    return _Planner(graph, pieces, arch).plan()


class _Planner:
    """The decisions while they are made; owners and demand are by tensor and piece."""

    def __init__(self, graph: Graph, pieces: Pieces, arch: Arch) -> None:
        self.graph, self.shares, self.arch = graph, pieces.shares, arch
        self.layouts = pieces.layouts
        self.owners: dict[str, list[Owner]] = {}
        self.demand: dict[str, list[set[int]]] = {}
        self.common = _fed(graph)  # states that every core keeps whole
        self.forced: set[int] = set()  # cores that take the input to be started by it

    def plan(self) -> Distribution:
        """Return the distribution: owners, then demand, then what follows from both."""
        while True:
            self._own()
            self._want()
            moved = self._moved_states()
            if moved:
                self.common |= moved
                continue
            workers = self._workers()
            phases = self._phases(workers)
            exchanges = self._exchanges(phases)
            idle = self._unstarted(workers, phases, exchanges) - self.forced
            if not idle:
                break
            self.forced |= idle
        held = {name: tuple(map(frozenset, cores)) for name, cores in self.demand.items()}
        return Distribution(
            self.graph, self.layouts, held, workers, phases, exchanges, self._output()
        )

    # owners

    def _own(self) -> None:
        """Give every piece its owner; a state's are those of its next value."""
        count = {name: len(layout.firsts) for name, layout in self.layouts.items()}
        free: dict[str, list[Owner]] = {name: [None] * count[name] for name in self.layouts}
        self.owners = free
        for _ in range(1 + len(self.graph.states)):
            before = {name: self.owners[name] for name in self.graph.states}
            for node in self.graph.network.nodes:
                for out in outputs_of(node):
                    self.owners[out.name] = self._owned(node, out.name)
            for name, state in self.graph.states.items():
                common = name in self.common
                self.owners[name] = free[name] if common else list(self.owners[state.next])
            if all(self.owners[name] == before[name] for name in before):
                break

    def _owned(self, node: Node, out: str) -> list[Owner]:
        if isinstance(node, Product):
            return list(self.shares[out])
        if isinstance(node, Whole):  # windows over an image
            shared = self.arch.cores > 1 and share_unit(self.graph, node, self.arch)
            first = [FIRST_CORE] * len(self.layouts[out].firsts)
            return list(self.shares[out]) if shared else list[Owner](first)
        if isinstance(node, Constant):
            return [None] * len(self.layouts[out].firsts)
        owners: list[Owner] = []
        for piece in range(len(self.layouts[out].firsts)):
            found = [self.owners[name][at] for name, at in self.sources(node, out, piece)]
            known = [owner for owner in found if owner is not None]
            share = self.shares[out][piece] if out in self.shares else None
            owners.append(known[0] if known else share)
        return owners

    def sources(self, node: Node, out: str, piece: int) -> list[tuple[str, int]]:
        """Return the pieces (tensor, number) that a piece of an element-wise node or view needs."""
        first = self.layouts[out].firsts[piece]
        if isinstance(node, Cut):
            return [(node.a, self.layouts[node.a].index(first + node.first))]
        if isinstance(node, Join):
            at = 0
            for name in node.inputs:
                size = self.layouts[name].size
                if first < at + size:
                    return [(name, self.layouts[name].index(first - at))]
                at += size
        return [(name, piece) for name in inputs_of(node)]

    # demand

    def _want(self) -> None:
        """Find out which cores need each piece, from the output and around through the states."""
        self.demand = {name: [set() for _ in x.firsts] for name, x in self.layouts.items()}
        output = self.graph.network.output
        for piece, owner in enumerate(self.owners[output]):
            self.demand[output][piece].add(FIRST_CORE if owner is None else owner)
        for cores in self.demand[self.graph.network.input.name]:
            cores |= {FIRST_CORE, *self.forced}
        size = -1
        while size != (size := sum(len(p) for pieces in self.demand.values() for p in pieces)):
            for node in reversed(self.graph.network.nodes):
                self._want_inputs(node)
            for name, state in self.graph.states.items():
                for piece, owner in enumerate(self.owners[name]):
                    self.demand[name][piece] |= set() if owner is None else {owner}
                    self.demand[state.next][piece] |= self.demand[name][piece]
        taken = self.demand[self.graph.network.input.name]
        for cores in taken:  # the host sends all of a frame
            cores |= set().union(*taken)

    def _want_inputs(self, node: Node) -> None:
        if isinstance(node, Whole):
            if not isinstance(node, Product) and any(self.demand[node.output.name]):
                # A window makes all channels, wanted or not.
                owners = self.owners[node.output.name]
                for found, owner in zip(self.demand[node.output.name], owners, strict=True):
                    found.add(FIRST_CORE if owner is None else owner)
            for out in outputs_of(node):
                self._computing(out.name)
            for name, piece, readers in self._windows(node, self._known_workers(node)):
                self.demand[name][piece] |= readers
            return
        for out in outputs_of(node):
            view = self.graph.is_view(out.name)
            if not view:
                self._computing(out.name)
            for piece, owner in enumerate(self.owners[out.name]):
                wanted = self.demand[out.name][piece]
                cores = wanted if owner is None or view else wanted & {owner}
                for name, at in self.sources(node, out.name, piece):
                    self.demand[name][at] |= cores

    def _known_workers(self, node: Whole) -> dict[str, tuple[Cores, ...]]:
        """Return the cores that compute each piece of what a node makes, as far as is known."""
        return {out.name: self._working(out.name) for out in outputs_of(node)}

    def _working(self, name: str) -> tuple[Cores, ...]:
        return tuple(
            frozenset(cores if owner is None else cores & {owner})
            for owner, cores in zip(self.owners[name], self.demand[name], strict=True)
        )

    def _windows(
        self, node: Whole, workers: dict[str, tuple[Cores, ...]]
    ) -> list[tuple[str, int, Cores]]:
        """Return the pieces that a node's windows lie in, with the cores that read them."""
        if not isinstance(node, Product):
            return self._under_windows(node, workers[node.output.name])
        cores = frozenset(
            core for out in outputs_of(node) for each in workers[out.name] for core in each
        )
        if node.normalised_bits:  # its scale is that of all it reads
            every = range(len(self.layouts[node.input].firsts))
            return [(node.input, piece, cores) for piece in every]
        spans = [self.layouts[node.input].span(f, node.weight.shape[1]) for f in node.windows]
        return [(node.input, piece, cores) for span in spans for piece in span]

    def _under_windows(
        self, node: Convolution | Pooling, workers: tuple[Cores, ...]
    ) -> list[tuple[str, int, Cores]]:
        made, read = self.layouts[node.output.name], self.layouts[node.a]
        spans: dict[tuple[int, int], Cores] = {}  # of planes, a group's have one and the same
        for first, size, cores in zip(made.firsts, made.sizes, workers, strict=True):
            if cores:
                span = read_span(self.graph, node, first, size)
                spans[span] = spans.get(span, frozenset()) | cores
        found: dict[int, Cores] = {}
        for span, cores in spans.items():
            for at in read.span(*span):
                found[at] = found.get(at, frozenset()) | cores
        return [(node.a, piece, cores) for piece, cores in sorted(found.items())]

    def _computing(self, root: str) -> set[int]:
        """Return the cores that compute pieces of a root that someone wants, and have them keep it.

        Nobody computes what nobody wants.
        """
        cores: set[int] = set()
        for owner, wanted in zip(self.owners[root], self.demand[root], strict=True):
            if owner is not None and wanted:
                wanted.add(owner)
            cores |= wanted if owner is None else wanted & {owner}
        return cores

    def _moved_states(self) -> set[str]:
        """Return the states that someone needs beside their owner."""
        return {
            name
            for name in self.graph.states
            for owner, cores in zip(self.owners[name], self.demand[name], strict=True)
            if owner is not None and cores - {owner}
        }

    # what follows

    def _workers(self) -> dict[str, tuple[Cores, ...]]:
        return {name: self._working(name) for name in self.graph.makers}

    def _phases(self, workers: dict[str, tuple[Cores, ...]]) -> dict[str, int]:
        phases: dict[str, int] = {}
        made: dict[str, int] = defaultdict(int)  # root -> phase
        for node in self.graph.network.nodes:
            phase = 0
            for root, piece, cores in self._reads(node, workers):
                owner = self.owners[root][piece]
                remote = owner is not None and bool(cores - {owner})
                phase = max(phase, made[root] + remote)
            phases[node.name] = phase
            for out in outputs_of(node):
                made[out.name] = phase
        return phases

    def _reads(
        self, node: Node, workers: dict[str, tuple[Cores, ...]]
    ) -> list[tuple[str, int, Cores]]:
        """Return (root, piece, cores that read it) of all that a node takes."""
        if isinstance(node, Join | Cut | Constant):
            return []
        found = []
        if isinstance(node, Whole):
            read = self._windows(node, workers)
            return [(*self.root_piece(name, piece), cores) for name, piece, cores in read]
        for piece, cores in enumerate(workers[node.output.name]):
            for name, at in self.sources(node, node.output.name, piece):
                found.append((*self.root_piece(name, at), cores))
        return found

    def root_piece(self, name: str, piece: int) -> tuple[str, int]:
        """Return the root's piece that a tensor's piece is."""
        return root_piece(self.graph, self.layouts, name, piece)

    def _exchanges(self, phases: dict[str, int]) -> tuple[tuple[Run, ...], ...]:
        found: list[list[Run]] = [[] for _ in range(1 + max(phases.values(), default=0))]
        for node in self.graph.network.nodes:
            for out in outputs_of(node):
                if not self.graph.is_view(out.name):
                    found[phases[node.name]] += self._runs(out.name, self.demand[out.name])
        return tuple(tuple(runs) for runs in found)

    def _runs(self, root: str, wanted: list[set[int]]) -> list[Run]:
        """Return the pieces of a root that other cores want, in runs of as many as can be."""
        runs: list[Run] = []
        for piece, owner in enumerate(self.owners[root]):
            receivers = tuple(sorted(wanted[piece] - {owner}))
            if owner is None or not receivers:
                continue
            run = Run(root, range(piece, piece + 1), owner, receivers)
            runs = _appended(runs, run, self.layouts[root])
        return runs

    def _unstarted(
        self,
        workers: dict[str, tuple[Cores, ...]],
        phases: dict[str, int],
        exchanges: tuple[tuple[Run, ...], ...],
    ) -> set[int]:
        """Return the cores that no input and no message starts before they have work.

        One that sends an output is always started by the input, see `barrier` in `threads`.
        """
        receives: dict[int, int] = {}
        for phase, runs in enumerate(exchanges):
            for run in runs:
                for core in run.receivers:
                    receives.setdefault(core, phase + 1)
        started = {core for cores in self.demand[self.graph.network.input.name] for core in cores}
        late = {
            core
            for node in self.graph.network.nodes
            if not isinstance(node, Join | Cut | Constant)
            for out in outputs_of(node)
            for cores in workers[out.name]
            for core in cores
            if phases[node.name] < receives.get(core, len(exchanges) + 1)
        }
        output = self._output()
        # What nobody makes leaves as soon as a frame begins.
        late |= {run.sender for run in output if run.root not in self.graph.makers}
        senders = {run.sender for run in output}
        return late - started if started & senders else {*(late - started), min(senders)}

    def _output(self) -> tuple[Run, ...]:
        name = self.graph.network.output
        runs: list[Run] = []
        for piece, owner in enumerate(self.owners[name]):
            root, at = self.root_piece(name, piece)
            sender = FIRST_CORE if owner is None else owner
            runs = _appended(runs, Run(root, range(at, at + 1), sender, ()), self.layouts[root])
        return tuple(runs)


def root_piece(graph: Graph, layouts: dict[str, Layout], name: str, piece: int) -> tuple[str, int]:
    """Return the root's piece that a tensor's piece is."""
    if not graph.is_view(name):
        return name, piece
    first = layouts[name].firsts[piece]
    segment = next(s for s in graph.segments(name) if s.at <= first < s.at + s.size)
    return segment.root, layouts[segment.root].index(segment.first + first - segment.at)


def _appended(runs: list[Run], run: Run, layout: Layout) -> list[Run]:
    """Add a run of one piece, to the last one if it goes on there."""
    if runs:
        last = runs[-1]
        same = (last.root, last.sender, last.receivers) == (run.root, run.sender, run.receivers)
        together = layout.planar or layout.fills(run.pieces.start - 1)
        if same and last.pieces.stop == run.pieces.start and together:
            longer = range(last.pieces.start, run.pieces.stop)
            return [*runs[:-1], Run(run.root, longer, run.sender, run.receivers)]
    return [*runs, run]


def _fed(graph: Graph) -> set[str]:
    """Return the states of which products take elements."""
    return {
        segment.root
        for node in graph.network.nodes
        if isinstance(node, Whole)
        for name in inputs_of(node)
        for segment in graph.segments(name)
        if segment.root in graph.states
    }
