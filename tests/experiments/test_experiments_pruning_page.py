"""The pages on what pruning and number formats cost say what the machine does now."""

import re

import pytest

from spusim.api import load_arch, load_network, load_stream, simulate
from spusim.experiments.fidelity import float_outputs, signal_to_noise_db
from spusim.experiments.validation.tradeoffs import pruning_tradeoffs
from spusim.frontend.load import open_topology
from spusim.resources import shipped

DOCS = shipped("configs").resolve().parent / "docs"
NETWORK = "tinylstm_se"


def page(name: str) -> str:
    """Return a page's text."""
    return (DOCS / name).read_text(encoding="utf-8")


def cells(text: str, *start: str) -> list[str]:
    """Return the rest of the one row of the page's tables that starts so."""
    head = "| " + " | ".join(start) + " |"
    (row,) = [line for line in text.splitlines() if line.startswith(head)]
    return [cell.strip() for cell in row.removeprefix(head).removesuffix("|").split("|")]


def test_the_study_is_as_printed() -> None:
    text = page("pruning_study.md")
    for row in pruning_tradeoffs().rows:
        told = f"{row.published:g}" if row.published else ""
        assert cells(text, row.name) == [told, f"{row.ours:.3g}"], row.name


@pytest.mark.parametrize(
    ("arch", "label", "structure", "density", "settings"),
    [
        ("spu001", "elements", "element", 0.15, ()),
        ("spu001", "pencils of 8", "pencil:8", 0.15, ()),
        ("micronpu", "blocks of 8 x 8", "block:8x8", 0.15, ()),
        ("micronpu", "blocks of 16 x 16", "block:16x16", 0.15,
         ("core.sparse.block.rows=16", "core.sparse.block.columns=16")),
        ("spu001_dense", "units", "unit", 0.34, ()),
    ],
)  # fmt: skip
def test_machines_are_as_printed(
    arch: str, label: str, structure: str, density: float, settings: tuple[str, ...]
) -> None:
    prune = (f"prune.structure={structure}", f"prune.density={density}")
    network = load_network(NETWORK, settings=prune)
    stream = load_stream(NETWORK, network)
    machine = load_arch(arch, ("core.sparse.format=auto", *settings))
    result = simulate(network, machine, stream)
    unpruned = simulate(load_network(NETWORK), load_arch("spu001_dense"), stream)
    weights, indices = (result.stored_bits[what] / 8192 for what in ("weights", "indices"))
    frame = result.frame_cycles.mean()
    assert cells(page("pruning_study.md"), f"`{arch}`", label) == [
        f"{100 * result.macs['weight_nonzero'] / unpruned.macs['dense']:.1f}",
        f"{weights:.0f}",
        f"{weights + indices:.0f}",
        f"{frame:,.0f}",
        f"{150e6 / frame:,.0f}",
        f"{unpruned.cycles / result.cycles:.2f}",
        f"{result.energy_pj['total'] / result.frames / 1000:,.0f}",
    ]


@pytest.mark.parametrize(
    ("label", "weights", "activations"),
    [("ternary", "ternary", 16), ("int8", "int8", 16), ("int8", "int8", 4)],
)
def test_number_formats_are_as_printed(label: str, weights: str, activations: int) -> None:
    settings = [
        f"quantise.weights={weights}", f"quantise.activations={activations}",
        f"input.bits={activations}", "quantise.per_channel=true",
    ]  # fmt: skip
    network = load_network(NETWORK, settings=settings)
    path, topology, _ = open_topology(NETWORK, None, settings)
    stream = load_stream(NETWORK, network)
    arch = load_arch("bitmix", ["core.sparse.format=auto", "numerics.accumulator_bits=40"])
    result = simulate(network, arch, stream)
    noise = signal_to_noise_db(float_outputs(path, topology, None, network, stream), result.outputs)
    assert noise is not None
    assert cells(page("what_it_costs.md"), label, str(activations)) == [
        f"{result.stored_bits['weights'] / 8192:,.0f}",
        f"{result.frame_cycles.mean():,.0f}",
        f"{result.energy_pj['total'] / result.frames / 1e6:.2f}",
        f"{noise:.1f}",
    ]


@pytest.mark.parametrize("name", ["pruning_study.md", "what_it_costs.md"])
def test_every_figure_has_its_command(name: str) -> None:
    text = page(name)
    shown = set(re.findall(r"\]\(figures/(\w+)\.png\)", text))
    drawn = {
        figure for names in re.findall(r"--figure ([\w,]+)", text) for figure in names.split(",")
    }
    drawn |= set(re.findall(r"spusim validate (\w+) -o", text))
    assert shown == drawn
