"""Codebooks in programs: their tables, their decoders' registers, their image; binary networks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spusim
from spusim import golden
from spusim.compiler import CompileError, compile_layer
from spusim.image import ImageError, load_program, save_program
from spusim.network.check import check_network
from spusim.network.records import NetworkError, Product
from spusim.program import Program


def shared_layer(entries: tuple[int, ...] = (0, -9000, 5, 300)) -> Program:
    weight = np.array(entries)[np.random.default_rng(1).integers(0, len(entries), (20, 30))]
    return compile_layer(weight, 4, 16, spusim.load_arch("bitmix"), codebook=entries)


def test_N4_a_codebook_is_a_table_and_survives_its_image(tmp_path: Path) -> None:
    program = shared_layer()
    (matrix,), (table,) = program.cores[0].matrices, program.cores[0].tables
    assert matrix.codebook == 1 and matrix.precision == "c16x16"
    assert table.entries.tolist() == [0, -9000, 5, 300, *[0] * 12]
    save_program(program, tmp_path / "p.spu")
    again = load_program(tmp_path / "p.spu")
    assert again.cores[0].matrices[0].packed.layout == matrix.packed.layout
    assert again.cores[0].tables[0].entries.tolist() == table.entries.tolist()


@pytest.mark.parametrize("number", [0, 2])
def test_N4_an_image_whose_codebook_is_another_is_refused(number: int, tmp_path: Path) -> None:
    program = shared_layer()
    image = program.cores[0]
    wrong = replace(image, matrices=(replace(image.matrices[0], codebook=number),))
    with pytest.raises(ImageError, match="another codebook than the table"):
        save_program(replace(program, cores=(wrong,)), tmp_path / "p.spu")


def test_N4_golden_reads_the_table_and_not_the_layout() -> None:
    program = shared_layer((0, 7, -3))
    image = program.cores[0]
    entries = image.tables[0].entries.copy()
    entries[1] = 70
    other = replace(image, tables=(replace(image.tables[0], entries=entries),))
    weights = [
        golden.state.decoded(core.matrices[0], core.tables).weight for core in (image, other)
    ]
    assert (weights[0] == 7).sum() == (weights[1] == 70).sum() > 0


def test_N4_decoders_hold_so_many_codebooks() -> None:
    network = spusim.load_network("kws", settings=("quantise.weights=codebook",))
    arch = spusim.load_arch("bitmix", ("core.decoder.codebooks=2",))
    with pytest.raises(CompileError, match="needs 3 codebooks, and has 2; set core"):
        spusim.compile_network(network, arch)


def test_networks_hold_only_entries_of_their_codebooks() -> None:
    network = spusim.load_network("kws", settings=("quantise.weights=codebook",))
    check_network(network)
    for changes, message in (
        ({"codebook": (0, 1)}, "no entries of its codebook"),
        ({"codebook": tuple(range(17))}, "larger than its index"),
        ({"weight_bits": 8}, "must be 4"),
    ):
        nodes = tuple(
            replace(node, **changes) if isinstance(node, Product) else node
            for node in network.nodes
        )
        with pytest.raises(NetworkError, match=message):
            check_network(replace(network, nodes=nodes))


def test_N3_a_pruned_binary_network_has_its_speedup_over_all_signs() -> None:
    network = spusim.load_network("kws", settings=("quantise.weights=binary",))
    arch = spusim.load_arch("bitmix")
    stream = spusim.load_stream("random:density=0.5,frames=3,seed=1", network)
    result = spusim.simulate(network, arch, stream, baseline=True)
    assert result.speedup["achieved"] > 1.0 and result.macs["weight_nonzero"] > 0
    dense = spusim.load_arch("bitmix", ("core.sparse.format=dense",))
    with pytest.raises(spusim.SpusimError, match="zeros of a binary matrix"):
        spusim.simulate(network, dense, stream)
