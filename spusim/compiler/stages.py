"""What the two threads of a core that streams do: stages of computation, and transfers beside."""

from collections.abc import Sequence
from dataclasses import dataclass

from spusim.compiler.code import Op, op
from spusim.compiler.lowering import Site
from spusim.compiler.residence import Residence
from spusim.compiler.row_tiles import plane_words, planes_of, span_words
from spusim.compiler.space import CoreSpace
from spusim.compiler.steps import Copy
from spusim.compiler.streaming import Slot
from spusim.program import Transfer


@dataclass(frozen=True)
class Homes:
    """First words in external memory of matrices that are fetched, and of scales; `end` of all."""

    matrices: dict[int, int]
    scales: dict[str, int]
    end: int


@dataclass(frozen=True)
class Stage:
    """A slot's computation, and what the other thread does beside it."""

    layer: str
    ops: tuple[Op, ...]
    beside: tuple[Op, ...]


@dataclass(frozen=True)
class Schedule:
    """before: what is loaded first; after: what is stored last."""

    before: tuple[Op, ...]
    stages: tuple[Stage, ...]
    after: tuple[Op, ...]


def schedule_of(
    space: CoreSpace, residence: Residence, site: Site, slots: Sequence[Slot], homes: Homes
) -> Schedule:
    """Return what the two threads do; stages without any transfer are put together."""
    movers = _Movers(space, residence, site, homes)
    loads = [movers.loads(slot) for slot in slots] + [[]]
    stores: list[list[Op]] = [[]] + [movers.stores(slot) for slot in slots]
    stages: list[Stage] = []
    for number, slot in enumerate(slots):
        beside = (*stores[number], *loads[number + 1])
        if stages and not beside and not stages[-1].beside:
            last = stages.pop()
            stages.append(Stage(last.layer, (*last.ops, *slot.ops), ()))
        else:
            stages.append(Stage(slot.layer, tuple(slot.ops), beside))
    return Schedule(tuple(loads[0]), tuple(stages), tuple(stores[len(slots)]))


@dataclass(frozen=True)
class _Movers:
    """What turns copies into instructions of the dma."""

    space: CoreSpace
    residence: Residence
    site: Site
    homes: Homes

    def loads(self, slot: Slot) -> list[Op]:
        """Return what brings a slot's operands and matrices."""
        ops = [self._move("xld", "d", f"{slot.layer}: load", copy) for copy in slot.loads]
        for matrix in slot.fetches:
            tile = self.space.matrices.tiles[matrix]
            comment = f"{slot.layer}: fetch weights of {tile.name}"
            ops.append(op("fetch", comment, m=matrix, external=self.homes.matrices[matrix]))
        for name in slot.scales:
            words = len(self.space.loaded[name])
            operands = {"d": self.space.turns[name], "external": self.homes.scales[name]}
            told = f"{slot.layer}: load {name}"
            ops.append(op("xld", told, t=self._transfer(words), **operands))
        return ops

    def stores(self, slot: Slot) -> list[Op]:
        """Return what takes a slot's results outside."""
        return [self._move("xst", "a", f"{slot.layer}: store", copy) for copy in slot.stores]

    def _move(self, mnemonic: str, side: str, comment: str, copy: Copy) -> Op:
        plan, part = self.site.plan, copy.part
        words, planes = span_words(plan, part), planes_of(plan, part.tensor)
        whole = plane_words(plan, part.tensor)
        if len(words) == whole:
            number = self._transfer(planes * whole)
        else:
            number = self._transfer(len(words), planes, whole)
        external = self.residence.outside[part.tensor] + words.start
        told = f"{comment} {part.tensor}, elements {part.first} to {part.end - 1}"
        told += " of each plane" * (planes > 1)
        return op(mnemonic, told, **{side: copy.address, "external": external, "t": number})

    def _transfer(self, words: int, runs: int = 1, pitch: int = 0) -> int:
        """Return the descriptor of so many words, or of so many of each plane outside."""
        if runs == 1:
            return self.space.transfer(Transfer(f"{words} words", words))
        name = f"{runs} x {words} words"
        return self.space.transfer(Transfer(name, words, runs, words, pitch))
