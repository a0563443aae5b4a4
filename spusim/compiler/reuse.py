"""Programs kept for the next machine on which they would come out the same.

A program is outlined, so that it can be timed but not computed, and kept with all that compiling
it has read of the architecture. It stands for every other one of which those fields are the same:
nothing else can have decided anything. Errors are not kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from spusim.arch import Arch, arch_hash
from spusim.arch.reads import Reads
from spusim.compiler.conv_layer import compile_conv_layer
from spusim.compiler.layer import compile_layer
from spusim.compiler.network import compile_network
from spusim.formats import Layout, OutlinedMatrix, outline
from spusim.network.identity import network_hash
from spusim.network.records import Network
from spusim.numerics.convolution import Convolution
from spusim.program import Program

MOST_KEPT = 128
KEPT_BYTES = 256 << 20  # of their arrays
Identity = tuple[Hashable, ...]


@dataclass(frozen=True)
class _Kept:
    identity: Identity
    reads: Reads
    program: Program
    nbytes: int


class ProgramShelf:
    """Programs, the least recently used gone first where there are too many or too large ones."""

    def __init__(self, most: int = MOST_KEPT, most_bytes: int = KEPT_BYTES):
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._lock, self._number = Lock(), 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, identity: Identity, arch: Arch, compiled: Callable[[Arch], Program]) -> Program:
        """Return what `compiled(arch)` would, from the shelf if it is there.

        identity: all besides the architecture that the program depends on.
        """
        program = self._found(identity, arch)
        if program is None:
            reads = Reads()
            program = compiled(reads.watch(arch))
            self._keep(_Kept(identity, reads, program, program_bytes(program)))
        return replace(program, hashes={**program.hashes, "arch": arch_hash(arch)})

    def clear(self) -> None:
        """Forget all programs."""
        with self._lock:
            self._kept.clear()

    def _found(self, identity: Identity, arch: Arch) -> Program | None:
        with self._lock:
            for number, kept in reversed(self._kept.items()):
                if kept.identity == identity and kept.reads.hold(arch):
                    self._kept.move_to_end(number)
                    return kept.program
        return None

    def _keep(self, kept: _Kept) -> None:
        with self._lock:
            self._number += 1
            self._kept[self._number] = kept
            while self._kept and self._too_much():
                self._kept.popitem(last=False)

    def _too_much(self) -> bool:
        whole = sum(kept.nbytes for kept in self._kept.values())
        return len(self._kept) > self._most or whole > self._most_bytes


SHELF = ProgramShelf()


def program_bytes(program: Program) -> int:
    """Return the bytes of a program's arrays; blank words of outlined matrices take none."""
    arrays: list[np.ndarray] = []
    for core in program.cores:
        arrays += [core.code, *(table.entries for table in core.tables)]
        arrays += [segment.words for segment in core.segments]
        for packed in (matrix.packed for matrix in core.matrices):
            if isinstance(packed, OutlinedMatrix):
                arrays += [packed.weight, packed.entries, packed.nonzeros]
    return sum(array.nbytes for array in arrays)


def _outline_apart(weight: np.ndarray, layout: Layout, bias: np.ndarray | None) -> OutlinedMatrix:
    """Outline a copy, since whoever owns the weights may write to them later."""
    return outline(weight.copy(), layout, bias)


def outline_network(network: Network, arch: Arch, *, check_capacity: bool = True) -> Program:
    """Return what `compile_network` would with `outline`; raises the same."""
    # what the network's hash leaves out, and notes among it go with the program
    apart = (network.notes, network.rate_hz, network.picture)
    return SHELF.get(
        ("network", network_hash(network), *apart, check_capacity),
        arch,
        lambda seen: compile_network(
            network, seen, check_capacity=check_capacity, pack=_outline_apart
        ),
    )


def outline_layer(
    weight: np.ndarray, weight_bits: int, activation_bits: int, arch: Arch, *, hashed: str,
    check_capacity: bool = True, name: str = "layer", codebook: tuple[int, ...] = (),
) -> Program:  # fmt: skip
    """Return what `compile_layer` would with `outline`; raises the same. hashed: of the weight."""
    return SHELF.get(
        ("layer", hashed, weight_bits, activation_bits, check_capacity, name, codebook),
        arch,
        lambda seen: compile_layer(
            weight, weight_bits, activation_bits, seen, check_capacity=check_capacity, name=name,
            pack=_outline_apart, codebook=codebook,
        ),
    )  # fmt: skip


def outline_conv_layer(
    weight: np.ndarray, shape: Convolution, weight_bits: int, activation_bits: int, arch: Arch, *,
    hashed: str, check_capacity: bool = True, name: str = "conv2d",
) -> Program:  # fmt: skip
    """Return what `compile_conv_layer` would with `outline`, as `outline_layer`."""
    return SHELF.get(
        ("conv", hashed, shape, weight_bits, activation_bits, check_capacity, name),
        arch,
        lambda seen: compile_conv_layer(
            weight, shape, weight_bits, activation_bits, seen, check_capacity=check_capacity,
            name=name, pack=_outline_apart,
        ),
    )  # fmt: skip
