"""Speedup: a run beside its dense twin, the same machine with nothing skipped."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spusim.api.identity import layer_hash
from spusim.arch import Arch
from spusim.compiler.reuse import outline_layer, outline_network
from spusim.formats.codes import BINARY_BITS
from spusim.machine import Unskipped, unskipped_cycles, unskipped_layer_cycles
from spusim.network.records import Convolution, Network, Product
from spusim.program import Program
from spusim.result import RunResult


def dense_arch(arch: Arch) -> Arch:
    """Return the same machine with weights and activations `dense`: nothing skipped."""
    settings = {"weights": "dense", "activations": "dense", "format": "dense"}
    sparse = arch.core.sparse.model_copy(
        update={**settings, "formats": tuple({*arch.core.sparse.formats, "dense"})}
    )
    return arch.model_copy(update={"core": arch.core.model_copy(update={"sparse": sparse})})


def roomy_arch(arch: Arch, program: Program) -> Arch:
    """Return the same machine with the data memory that a program takes, if that is more.

    A twin's matrices and the scale entries of their tiles may lie beyond the end of what holds the
    sparse ones; how many words a bank has changes no cycle.
    """
    ends = [at + words for core in program.cores for _, at, words in core.symbols]
    memory = arch.core.data_memory
    words = max(memory.words, -(-max(ends, default=0) // memory.banks))
    core = arch.core.model_copy(update={"data_memory": memory.model_copy(update={"words": words})})
    return arch.model_copy(update={"core": core})


def unpruned(weight: np.ndarray, weight_bits: int) -> np.ndarray:
    """Return weights as a machine that stores all of them times them.

    One bit has no zero: where binary weights were pruned there is a weight again, here 1.
    """
    return np.where(weight == 0, 1, weight) if weight_bits == BINARY_BITS else weight


def unpruned_network(network: Network) -> Network:
    """Return a network whose binary weights are all there, to time its dense twin by."""
    nodes = tuple(
        replace(node, weight=unpruned(node.weight, node.weight_bits))
        if isinstance(node, Product | Convolution) and node.weight_bits == BINARY_BITS
        else node
        for node in network.nodes
    )
    same = all(a is b for a, b in zip(nodes, network.nodes, strict=True))
    return network if same else replace(network, nodes=nodes)


def with_network_speedup(
    result: RunResult,
    network: Network,
    arch: Arch,
    starts: Sequence[int],
    frames: int,
    input_period: int | None,
) -> RunResult:
    """Add the speedup of a network's run over its dense twin, timed for as many frames."""
    dense = dense_arch(arch)
    whole = unpruned_network(network)
    hashed = result.versions["network"] if whole is network else None
    program = outline_network(whole, dense, check_capacity=False, hashed=hashed)
    roomy = roomy_arch(dense, program)
    twin = unskipped_cycles(program, roomy, starts, frames, input_period)
    return with_speedup(result, arch, twin)


def with_layer_speedup(
    result: RunResult,
    arch: Arch,
    weight: np.ndarray,
    weight_bits: int,
    activation_bits: int,
    name: str,
    codebook: tuple[int, ...],
) -> RunResult:
    """Add the speedup of a layer's run over its dense twin, as `with_network_speedup` does."""
    dense = dense_arch(arch)
    whole = unpruned(weight, weight_bits)
    program = outline_layer(
        whole, weight_bits, activation_bits, dense, check_capacity=False, name=name,
        codebook=codebook, hashed=layer_hash(whole, weight_bits, activation_bits, codebook),
    )  # fmt: skip
    return with_speedup(result, arch, unskipped_layer_cycles(program, dense, result.frames))


def with_speedup(result: RunResult, arch: Arch, twin: Unskipped) -> RunResult:
    """Add achieved (whole-run cycles) and ideal (MACs left by the skipped sides) speedup.

    Layers get `dense_engine_cycles`, what their engines take with nothing skipped.
    """
    achieved = twin.cycles / result.cycles if result.cycles else 1.0
    layers = {
        name: {**layer, "dense_engine_cycles": twin.engine_cycles[name]}
        for name, layer in result.layers.items()
    }
    speedup = {"achieved": achieved, "ideal": ideal_speedup(result, arch)}
    return replace(result, speedup=speedup, layers=layers)


def ideal_speedup(result: RunResult, arch: Arch) -> float:
    """Dense MACs over those left by the sides that are skipped; elements, never padding."""
    skipped = (arch.core.sparse.weights == "skip", arch.core.sparse.activations == "skip")
    left = result.macs[MACS_LEFT[skipped]]
    return result.macs["dense"] / left if left else float("inf")


MACS_LEFT = {
    (True, True): "effective",
    (True, False): "weight_nonzero",
    (False, True): "activation_nonzero",
    (False, False): "dense",
}
