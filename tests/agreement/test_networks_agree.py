"""Random networks, compiled: stepper, machine, golden and a plain evaluation agree."""

import pytest
import rooms  # noqa: F401
from soak_kinds import KINDS

NETWORKS = KINDS["networks"]


@pytest.mark.parametrize("seed", range(24))
def test_compiled_networks_agree(seed: int) -> None:
    NETWORKS.compare(NETWORKS.draw(seed))


def test_networks_use_all_modes() -> None:
    drawn = [NETWORKS.draw(seed) for seed in range(24)]
    modes = {setting for _, settings, *_ in drawn for setting in settings}
    assert {f"cores={n}" for n in (1, 2, 3)} <= modes
    assert {"core.ports=shared", "core.ports=reserved", "core.hazard=stall"} <= modes
    assert {f"core.sparse.weights={mode}" for mode in ("skip", "dense", "decompress")} <= modes
    parts = [part for network, *_ in drawn for part in (*network.nodes, *network.states)]
    layers = {part.layer.rstrip("0123456789") for part in parts}
    assert layers == {"fc", "lstm", "relu", "sigmoid", "tanh", "pool"}
