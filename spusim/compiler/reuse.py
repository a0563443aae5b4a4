"""Programs kept for the next machine on which they would come out the same.

They are outlined, so they can be timed but not computed.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spusim.arch import Arch, arch_hash
from spusim.arch.reuse import Identity, KeptResults
from spusim.compiler.conv_layer import compile_conv_layer
from spusim.compiler.layer import compile_layer
from spusim.compiler.network import compile_network
from spusim.formats import Layout, OutlinedMatrix, outline
from spusim.network.identity import network_arrays, network_hash
from spusim.network.records import Network
from spusim.numerics.contents import KeptByContent
from spusim.numerics.convolution import Convolution
from spusim.program import Program

MOST_KEPT = 128
KEPT_BYTES = 256 << 20  # of their arrays


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


PROGRAMS = KeptResults(program_bytes, MOST_KEPT, KEPT_BYTES)
NETWORK_HASHES: KeptByContent[str] = KeptByContent(128 << 20)


def _compiled(identity: Identity, arch: Arch, compiled: Callable[[Arch], Program]) -> Program:
    """Return a program from those kept; what it says of the machine as a whole is this one's."""
    program = PROGRAMS.get(identity, arch, compiled)
    return replace(program, hashes={**program.hashes, "arch": arch_hash(arch)})


def _outline_apart(weight: np.ndarray, layout: Layout, bias: np.ndarray | None) -> OutlinedMatrix:
    """Outline a copy, since whoever owns the weights may write to them later."""
    return outline(weight.copy(), layout, bias)


def outline_network(
    network: Network, arch: Arch, *, check_capacity: bool = True, hashed: str | None = None
) -> Program:
    """Return what `compile_network` would with `outline`; raises the same.

    hashed: the network's hash, where it is known.
    """
    # what the network's hash leaves out, and notes among it go with the program
    apart = (network.notes, network.rate_hz, network.picture)
    return _compiled(
        ("network", hashed or _known_hash(network), *apart, check_capacity),
        arch,
        lambda seen: compile_network(
            network, seen, check_capacity=check_capacity, pack=_outline_apart
        ),
    )


def _known_hash(network: Network) -> str:
    """Return a network's hash, found once as long as nobody writes to its arrays."""
    return NETWORK_HASHES.of_owner(
        network, lambda: network_arrays(network), lambda: network_hash(network)
    )


def outline_layer(
    weight: np.ndarray, weight_bits: int, activation_bits: int, arch: Arch, *, hashed: str,
    check_capacity: bool = True, name: str = "layer", codebook: tuple[int, ...] = (),
) -> Program:  # fmt: skip
    """Return what `compile_layer` would with `outline`; raises the same. hashed: of the weight."""
    return _compiled(
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
    return _compiled(
        ("conv", hashed, shape, weight_bits, activation_bits, check_capacity, name),
        arch,
        lambda seen: compile_conv_layer(
            weight, shape, weight_bits, activation_bits, seen, check_capacity=check_capacity,
            name=name, pack=_outline_apart,
        ),
    )  # fmt: skip
