"""Every structure on every machine: golden, machine and a plain product agree, skipping or not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim import golden
from spusim.arch import Arch, load_arch
from spusim.compiler import CompileError, compile_network
from spusim.frontend import load_network, load_stream, prune_matrices, quantise_input
from spusim.machine import run
from spusim.network import Head, Network, Product, Quantum, Requant, Tensor
from spusim.program import Program

STRUCTURES = [
    "element", "pencil:4", "pencil:8", "block:4x4", "block:3x5", "row", "column", "1:4", "2:4",
    "n_of_m:2:4:inputs",
]  # fmt: skip
# format, and settings that store any of the structures in it
STORED = [
    ("dense",), ("bitmap",), ("pencil", "core.sparse.pencil=4"),
    ("block", "core.sparse.block.rows=3", "core.sparse.block.columns=5"), ("block",),
    ("n_of_m", "core.sparse.n_of_m.kept=4"), ("auto",),
]  # fmt: skip
ROOM = ("core.data_memory.words=8192", "core.instruction_memory.words=4096")
ALL = "core.sparse.formats=[dense, bitmap, pencil, block, n_of_m]"


def machine(stored: tuple[str, ...], *settings: str) -> Arch:
    form, *more = stored
    return load_arch("tiny", [ALL, *ROOM, f"core.sparse.format={form}", *more, *settings])


def product(weight: np.ndarray, bits: int) -> Network:
    """Return a network of one product, whose outputs are its accumulators."""
    rows, columns = weight.shape
    x = Tensor("input", columns, Quantum(16, 0))
    one = Requant(np.ones(1, np.int64), np.zeros(1, np.int64))
    head = Head(0, Tensor("y", rows, Quantum(32, 0)), one)
    node = Product("fc", "fc", "input", weight.astype(np.int8), bits, None, (head,))
    return Network("net", x, (), (node,), "y")


def outputs_of(program: Program, arch: Arch, frames: np.ndarray) -> tuple[list, int]:
    """Return the outputs as golden and machine agree on them, and the machine's cycles."""
    found = run(program, arch, frames)
    assert golden.run(program, frames, (0,)).outputs.tolist() == found.outputs.tolist()
    return found.outputs.tolist(), found.cycles


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(STRUCTURES), st.sampled_from(STORED), st.integers(1, 40), st.integers(1, 30),
    st.floats(0, 1), st.sampled_from([4, 8]), st.integers(0, 99),
)  # fmt: skip
def test_products_are_the_same_however_they_are_stored_and_skipped(
    structure, stored, rows, columns, density, bits, seed
):
    rng = np.random.default_rng(seed)
    half = 2 ** (bits - 1)
    weight = rng.integers(-half, half, (rows, columns))
    weight = prune_matrices({"w": weight}, density, structure)["w"]
    frames = rng.integers(-(2**15), 2**15, (3, columns)) * (rng.random((3, columns)) < 0.5)
    expected = (frames @ weight.T).tolist()
    cycles = {}
    for weights in ("skip", "decompress", "dense"):
        for activations in ("skip", "gate", "dense"):
            arch = machine(
                stored if weights != "dense" else ("dense",),
                f"core.sparse.weights={weights}", f"core.sparse.activations={activations}",
            )  # fmt: skip
            program = compile_network(product(weight, bits), arch)
            found, cycles[weights, activations] = outputs_of(program, arch, frames)
            assert found == expected
    assert cycles["skip", "gate"] == cycles["skip", "dense"] <= cycles["decompress", "dense"]


@pytest.mark.parametrize("preset", ["micronpu", "n2m4"])
@pytest.mark.parametrize("structure", ["element", "block:8x8", "2:4", "unit"])
def test_a_study_machine_runs_the_spotter_as_spu001_does(preset, structure):
    network = load_network(
        "kws_dense", settings=[f"prune.structure={structure}", "prune.density=0.5"]
    )
    frames = quantise_input(load_stream("kws", network), network).frames[:3]
    arch = load_arch(preset)
    program = compile_network(network, arch)
    own = {"block:8x8": ("micronpu", "block"), "2:4": ("n2m4", "n_of_m")}.get(structure)
    forms = {m.packed.layout.format for core in program.cores for m in core.matrices}
    stores = own is not None and own[0] == preset
    assert (own[1] in forms) if stores else (forms == {"dense"})
    found, cycles = outputs_of(program, arch, frames)
    spu001 = load_arch("spu001")
    assert run(compile_network(network, spu001), spu001, frames).outputs.tolist() == found
    decompress = load_arch(preset, ["core.sparse.weights=decompress"])
    same, slower = outputs_of(compile_network(network, decompress), decompress, frames)
    assert same == found
    assert (cycles < slower) if stores else (cycles == slower)


def test_blocks_that_do_not_divide_are_padded_and_said():
    weight = np.ones((10, 7), int)
    program = compile_network(product(weight, 8), machine(("block",)))
    assert "layer fc: 10 x 7 is no whole number of blocks of 2 x 3" in " ".join(program.notes)
    even = compile_network(product(np.ones((10, 6), int), 8), machine(("block",)))
    assert "whole number" not in " ".join(even.notes)


def test_a_matrix_with_more_than_n_of_m_is_refused_by_name():
    weight = np.ones((8, 3), int)
    with pytest.raises(CompileError, match=r"tiny: layer fc: rows 0 to 3 of column 0 have 4 .*2:4"):
        compile_network(product(weight, 8), machine(("n_of_m",)))
    program = compile_network(product(weight, 8), machine(("auto",)))
    assert {m.packed.layout.format for core in program.cores for m in core.matrices} == {"dense"}
