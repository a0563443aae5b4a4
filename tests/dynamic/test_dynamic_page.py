"""The table of scales in docs/what_it_costs.md is as its sweep prints it."""

import re
from pathlib import Path

import pytest

import spusim
from spusim.experiments.fidelity import float_outputs, signal_to_noise_db
from spusim.frontend.load import load_network, open_topology
from spusim.frontend.streams import load_stream

PAGE = Path(__file__).parents[2] / "docs" / "what_it_costs.md"
FADING = "random:density=1,frames=61,files=2,fade_db=40"


@pytest.mark.parametrize(("scales", "activations"), [("static", 8), ("dynamic", 8), ("dynamic", 4)])
def test_scales_are_as_printed(scales: str, activations: int) -> None:
    settings = [
        f"quantise.scales={scales}", f"quantise.activations={activations}",
        "quantise.per_channel=true",
    ]  # fmt: skip
    network = load_network("tinylstm_se", settings=settings)
    path, topology, _ = open_topology("tinylstm_se", None, settings)
    arch = spusim.load_arch("bitmix", ["core.sparse.format=auto", "numerics.accumulator_bits=40"])
    noise, results = [], []
    for spec in ("tinylstm_se", FADING):
        stream = load_stream(spec, network)
        results.append(spusim.simulate(network, arch, stream))
        wanted = float_outputs(path, topology, None, network, stream)
        noise.append(signal_to_noise_db(wanted, results[-1].outputs))
    result = results[0]
    row = re.search(rf"^\| {scales} \| {activations} \| (.*) \|$", PAGE.read_text(), re.M)
    assert row
    assert row[1].split(" | ") == [
        f"{result.frame_cycles.mean():,.0f}",
        f"{result.energy_pj['total'] / result.frames / 1e6:.2f}",
        *(f"{each:.1f}" for each in noise),
    ]
