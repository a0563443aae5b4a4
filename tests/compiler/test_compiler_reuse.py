"""Programs kept for other machines: always what compiling anew gives, and kept where they may be.

Every field of the architecture's specs is changed, in several ways, for networks and machines that
read different ones.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from arch_variants import leaves, variants
from compiler_networks import NetworkBuilder, arch_of

from spusim.arch import Arch, load_arch
from spusim.arch.reads import Reads
from spusim.arch.reuse import KeptResults
from spusim.compiler import compile_conv_layer, compile_layer, compile_network, reuse
from spusim.compiler.reuse import (
    KEPT_BYTES,
    MOST_KEPT,
    outline_conv_layer,
    outline_layer,
    outline_network,
    program_bytes,
)
from spusim.errors import SpusimError
from spusim.formats import outline
from spusim.network.records import Network
from spusim.numerics.convolution import Convolution
from spusim.program import Program

# what a machine's time or energy depends on and no program does
TIMING = {
    "description", "clock_mhz", "technology", "core.queue.depth", "core.queue.release",
    "core.ports", "core.hazard", "core.pipeline.mac_stages", "core.pipeline.vector_stages",
    "core.pipeline.dispatch_cycles", "core.vector.lanes", "core.scanner.width",
    "core.decoder.entries_per_cycle", "core.table_memory.ports", "core.lanes",
    "core.sequencer.ready_queue", "core.sequencer.contexts", "core.feeder.words",
    "link.hop_cycles", "link.host_cycles_per_word",
}  # fmt: skip
SHAPE = Convolution(8, 6, 6, 8, 3, 3, (1, 1), (1, 1, 1, 1), (1, 1), 1)


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with nothing kept, of which one is as good as many."""
    monkeypatch.setattr(reuse, "PROGRAMS", KeptResults(program_bytes, MOST_KEPT, KEPT_BYTES))


def assert_same(a: Any, b: Any) -> None:
    """Assert that two values of a program agree in everything."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and np.array_equal(a, b)
    elif is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, dict):
        assert [*a] == [*b]
        for key in a:
            assert_same(a[key], b[key])
    else:
        assert a == b


def answer(compiled: Callable[[], Program]) -> Program | str:
    """Return a program, or what is said against it."""
    try:
        return compiled()
    except SpusimError as error:
        return f"{type(error).__name__}: {error}"


def network() -> Network:
    """Return layers whose sizes are no round ones, and a function from a table."""
    return NetworkBuilder(3, 21).linear(18, requant="channel").lstm(10).linear(7).build()


WEIGHT = np.random.default_rng(5).integers(-128, 128, (34, 50)) * np.repeat(
    np.random.default_rng(6).random((17, 50)) < 0.4, 2, axis=0
)
FILTERS = np.random.default_rng(7).integers(-128, 128, SHAPE.weight_shape)
Both = tuple[Callable[[Arch], Program], Callable[[Arch], Program]]


def of_network(check: bool) -> Both:
    """Return how the network is compiled: from what is kept, and anew."""
    net = network()
    return (
        lambda arch: outline_network(net, arch, check_capacity=check),
        lambda arch: compile_network(net, arch, check_capacity=check, pack=outline),
    )


def of_layer() -> Both:
    """Return how a layer is."""
    return (
        lambda arch: outline_layer(WEIGHT, 8, 16, arch, hashed="w"),
        lambda arch: compile_layer(WEIGHT, 8, 16, arch, pack=outline),
    )


def of_convolution() -> Both:
    """Return how a convolution is."""
    return (
        lambda arch: outline_conv_layer(FILTERS, SHAPE, 8, 8, arch, hashed="w"),
        lambda arch: compile_conv_layer(FILTERS, SHAPE, 8, 8, arch, pack=outline),
    )


EXTERNAL = (
    "external_memory.words=65536", "external_memory.bytes_per_cycle=4",
    "external_memory.latency_cycles=20",
)  # fmt: skip
STREAMED = (*EXTERNAL, "cores=1", "core.weight_memory.words=24", "core.index_memory.words=24")
CASES: dict[str, tuple[Both, Arch]] = {
    "network": (of_network(True), arch_of()),
    "network on two cores": (of_network(True), arch_of("cores=2", *EXTERNAL)),
    "network with private weights": (
        of_network(True),
        arch_of("core.weight_memory.words=4096", "core.index_memory.mode=resident"),
    ),
    "network in the smallest format": (of_network(True), arch_of("core.sparse.format=auto")),
    "network that is streamed": (of_network(True), arch_of(*STREAMED)),
    "twin": (of_network(False), arch_of("core.sparse.weights=dense")),
    "layer": (of_layer(), arch_of()),
    "layer of tiles": (of_layer(), arch_of("core.accumulators=8", "core.index_memory.words=20")),
    "convolution": (of_convolution(), load_arch("row64")),
    "convolution by planes": (of_convolution(), load_arch("smartskip")),
}  # fmt: skip


TILED = ("layer of tiles", "network that is streamed")  # cut where the scanner's windows end


@pytest.mark.parametrize("case", CASES)
def test_every_field_changes_what_is_kept_or_nothing(case: str) -> None:
    """A program from those kept, after the base's, is what compiling for the machine gives."""
    (kept, anew), base = CASES[case]
    first = anew(base)
    for _, arch in variants(base):
        assert_same(kept(base), first)  # also after another machine's
        assert_same(answer(lambda arch=arch: kept(arch)), answer(lambda arch=arch: anew(arch)))


def test_every_field_is_changed() -> None:
    """On one machine or another; not all rules between fields let each be changed."""
    seen = {path for _, base in CASES.values() for path, _ in variants(base)}
    assert seen == {path for path, _ in leaves(Arch)}
    assert seen >= TIMING


@pytest.mark.parametrize("case", CASES)
def test_machines_that_only_take_other_times_share_a_program(case: str) -> None:
    """Else re-timing would be right, and slow."""
    (kept, _), base = CASES[case]
    matrices = kept(base).cores[0].matrices
    streamed = {"core.decoder.entries_per_cycle", "core.lanes"} if "streamed" in case else set()
    tiled = {"core.scanner.width"} if case in TILED else set()
    for path, arch in variants(base):
        if path in TIMING - streamed - tiled:
            program = answer(lambda arch=arch: kept(arch))
            if isinstance(program, Program):
                assert program.cores[0].matrices is matrices, path


def test_the_hash_is_the_machines_own() -> None:
    """Although the program is another one's."""
    first = outline_network(network(), arch_of())
    second = outline_network(network(), arch_of("core.queue.depth=3"))
    assert first.cores is second.cores
    assert first.hashes["network"] == second.hashes["network"]
    assert first.hashes["arch"] != second.hashes["arch"]


def test_another_network_is_compiled() -> None:
    """By its weights, its notes, and whether it must fit."""
    net, arch = network(), arch_of()
    first = outline_network(net, arch)
    assert outline_network(replace(net, notes=("a",)), arch).notes[:1] == ("a",)
    assert outline_network(net, arch, check_capacity=False).cores is not first.cores
    assert outline_network(net, arch).cores is first.cores
    weights = net.nodes[0].weight  # type: ignore[union-attr]
    weights[np.nonzero(weights)[0][0], np.nonzero(weights)[1][0]] *= -1
    assert outline_network(net, arch).cores is not first.cores


def test_what_is_kept_does_not_change_with_the_callers_weights() -> None:
    """Since they may be written to after they were compiled."""
    weight = WEIGHT.copy()
    first = outline_layer(weight, 8, 16, arch_of(), hashed="first")
    weight[:] = 1
    second = outline_layer(weight, 8, 16, arch_of(), hashed="first")
    assert second.cores is first.cores
    stored = second.cores[0].matrices[0].packed
    assert np.array_equal(stored.weight, WEIGHT[: stored.rows])  # type: ignore[attr-defined]


def test_what_was_not_used_for_longest_goes_first() -> None:
    """Where there are more programs than are kept, or larger ones."""
    programs = {rows: compile_layer(WEIGHT[:rows], 8, 16, arch_of(), pack=outline)
                for rows in (8, 16, 24)}  # fmt: skip
    counted: list[int] = []

    def get(shelf: KeptResults[Program], rows: int) -> None:
        def compiled(arch: Arch) -> Program:
            counted.append(rows)
            return programs[rows]

        shelf.get((rows,), arch_of(), compiled)

    shelf = KeptResults(program_bytes, 2, KEPT_BYTES)
    for rows in (8, 16, 8, 24, 8, 16):
        get(shelf, rows)
    assert counted == [8, 16, 24, 16] and len(shelf) == 2
    counted.clear()
    shelf = KeptResults(program_bytes, 9, program_bytes(programs[16]))
    for rows in (8, 24, 8, 16, 16, 24, 16):
        get(shelf, rows)
    assert counted == [8, 24, 16, 24] and len(shelf) == 1


def test_what_cannot_be_watched_is_refused() -> None:
    """Rather than read without being noted."""
    reading: tuple[Callable[[Arch], Any], ...] = (
        lambda a: a.model_dump(), lambda a: a.core.missing, lambda a: vars(a),  # type: ignore[attr-defined]
    )  # fmt: skip
    for read in reading:
        with pytest.raises((AttributeError, TypeError)):
            reuse.PROGRAMS.get(("any",), arch_of(), read)
    with pytest.raises(TypeError, match="field by field"):
        reuse.PROGRAMS.get(("any",), arch_of(), lambda a: a == arch_of())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unhashable"):
        reuse.PROGRAMS.get(("any",), arch_of(), lambda a: hash(a))  # type: ignore[arg-type]


def test_properties_and_methods_read_through() -> None:
    """So that what they depend on is noted, too."""
    arch, reads = arch_of(*EXTERNAL), Reads()
    seen = reads.watch(arch)
    assert seen.external_memory is not None and seen.external_memory.bandwidth == 4
    assert seen.core.sparse.grouping("pencil") == (arch.core.sparse.pencil, 0)
    assert {"external_memory.bytes_per_cycle", "core.sparse.pencil"} <= {*reads.paths}
    assert reads.hold(arch_of(*EXTERNAL, "core.queue.depth=3"))
    assert not reads.hold(arch_of(*EXTERNAL, "external_memory.bytes_per_cycle=5"))
    assert not reads.hold(arch_of())
