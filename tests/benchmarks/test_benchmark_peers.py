"""The peer's layer and ours: the same work, on as many MACs; its cycles are what its model says."""

import configparser
import csv
import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.peers import our_layer
from benchmarks.peers.__main__ import HERE, PEER, middle, rows
from spusim.experiments.conv_layers import run_conv

MACS = 14 * 14 * 3 * 3 * 256 * 256
PEER_CYCLES = 485_471  # what docs/peers.md says SCALE-Sim counts


def array() -> tuple[int, int]:
    """Return rows and columns of the peer's array."""
    config = configparser.ConfigParser()
    assert config.read(HERE / "scalesim.cfg")
    presets = config["architecture_presets"]
    assert presets["Dataflow"] == "os"
    return int(presets["ArrayHeight"]), int(presets["ArrayWidth"])


def systolic_cycles(topology: Path) -> int:
    """Return an output-stationary array's cycles: fill, K steps and drain for each fold, less one.

    A fold has as many output positions as the array has rows, and as many filters as columns.
    """
    with topology.open(newline="") as file:
        (row,) = csv.DictReader(file, skipinitialspace=True)
    side = int(row["IFMAP Height"]) - int(row["Filter Height"]) + 1
    depth = int(row["Filter Height"]) * int(row["Filter Width"]) * int(row["Channels"])
    height, width = array()
    folds = -(-side * side // height) * -(-int(row["Num Filter"]) // width)
    return folds * (depth + height + width - 2) - 1


def test_both_do_the_same_multiplications_on_as_many_lanes() -> None:
    height, width = array()
    result = run_conv(our_layer.layer(), our_layer.machine(), baseline=False)
    assert result.macs["dense"] == result.macs["effective"] == MACS
    assert result.peak_macs_per_cycle == height * width == 256
    # every lane is busy in every cycle, but for the first operand and the pipeline's end
    assert 0 < result.cycles - MACS // 256 < 10


def test_the_peers_count_is_its_models() -> None:
    assert systolic_cycles(HERE / "layer.csv") == PEER_CYCLES
    page = Path(__file__).parents[2] / "docs" / "peers.md"
    assert f"{PEER_CYCLES:,}" in page.read_text(encoding="utf-8")


def test_the_table_says_by_how_much() -> None:
    ours = {"processor_seconds": 0.1, "seconds": 0.2, "cycles": 400_000, "peak_mb": 200.0}
    peer = {"processor_seconds": 40.0, "seconds": 50.0, "cycles": 500_000, "peak_mb": 900.0}
    told = {row[0]: row[1:] for row in rows(ours, peer)}
    assert told["processor time, s"] == ("0.100", "40.0", "400 x")
    assert told["million simulated cycles a second"] == ("4.00", "0.0125", "320 x")
    assert told["peak memory, MB"] == ("200", "900", "4.5 x")


def test_medians_leave_words_alone() -> None:
    runs = [{"version": "3", "seconds": seconds} for seconds in (1.0, 9.0, 2.0)]
    assert middle(runs) == {"version": "3", "seconds": 2.0}


@pytest.mark.skipif(not PEER.exists(), reason="SCALE-Sim's environment is not set up: make peer")
def test_the_peer_itself_counts_that(tmp_path: Path) -> None:
    topology = tmp_path / "small.csv"
    header, row = (HERE / "layer.csv").read_text().splitlines()
    topology.write_text(f"{header}\n{row.replace('256', '40').replace('16, 16', '9, 9')}\n")
    done = subprocess.run(
        [str(PEER), str(HERE / "scalesim_layer.py"), str(tmp_path), str(topology)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["cycles"] == systolic_cycles(topology)
    assert told["stall_cycles"] == 0 and told["version"] == "3.0.0"
