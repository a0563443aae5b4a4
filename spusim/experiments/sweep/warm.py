"""Compiling the kernels once, before several workers would do it at the same time."""

import numpy as np

from spusim.api import load_arch, retime, simulate_layer, simulate_recorded
from spusim.experiments.conv_layers import RandomConv, run_conv
from spusim.network.records import Head, Network, Product, Quantum, Requant, Stream, Tensor

_BITS = 8


def warm_layer() -> None:
    """Run one tiny layer, so that its kernels are compiled and kept."""
    arch = load_arch("tiny")
    simulate_layer(np.ones((4, 4), np.int32), np.ones((1, 4), np.int32), arch, _BITS, 2 * _BITS)


def warm_conv() -> None:
    """Run one tiny convolution in each dataflow, so that its kernels are compiled and kept."""
    for name in ("row64", "smartskip"):
        run_conv(RandomConv(1, 1, 1, 2, 1.0, 1.0), load_arch(name))


def warm_network() -> None:
    """Run one tiny network, and time it again, so that its kernels are compiled and kept."""
    quantum = Quantum(16, 0)
    requant = Requant(np.array([1]), np.array([0]))
    weight = np.ones((4, 4), np.int8)
    heads = (Head(0, Tensor("output", 4, quantum), requant),)
    product = Product("warm", "warm", "input", weight, _BITS, None, heads)
    network = Network("warm", Tensor("input", 4, quantum), (), (product,), "output")
    stream = Stream(np.ones((1, 4), np.int32), (0,), ("warm",))
    arch = load_arch("tiny")
    retime(network, arch, simulate_recorded(network, arch, stream)[1])


WARM = {"layer": warm_layer, "conv": warm_conv, None: warm_network}  # by what a part runs alone
