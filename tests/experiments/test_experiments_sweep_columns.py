"""What workers tell of a point is what its file says."""

import json

import pytest
from sweeps import points_of, write_network, write_sweep

from spusim.experiments.sweep.columns import Told, told
from spusim.experiments.sweep.pointfile import read_point
from spusim.experiments.sweep.worker import run_job

NETWORK = """\
target: mini.yaml
arch: tiny
stream: mini.npz:frames
sqnr: true
grid:
  core.queue.depth: [1, 4]
  core.data_memory.words: [8, 2048]
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    write_network(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        jobs = [point.job for point in points_of(write_sweep(folder, NETWORK))]
        return [run_job(job) for job in jobs]


def test_a_row_is_what_the_points_file_says(outcomes):
    assert [o.status for o in outcomes] == ["failed", "done"] * 2
    for outcome in outcomes:
        record = read_point(outcome.key, outcome.data)
        assert told(record) == Told(outcome.status, outcome.error, outcome.row)
        # to the type: 1, 1.0 and True are equal, and not the same in a table
        rows = (told(record).row, outcome.row)
        assert len({json.dumps(row, sort_keys=True) for row in rows}) == 1


def test_a_failed_point_says_why_and_measures_nothing(outcomes):
    assert "core 0 needs" in outcomes[0].error and outcomes[0].row == {}
    assert outcomes[1].error is None and outcomes[1].row["cycles"] > 0
    assert outcomes[1].row["sqnr_db"] > 0
    stalls = {name for name in outcomes[1].row if name.startswith("stall.")}
    assert {"stall.pe.busy", "stall.bank.held", "stall.host.idle"} <= stalls
    assert not any(name.startswith("stall.in.") for name in stalls)


def test_points_share_the_names_of_their_columns(outcomes):
    one, two = (list(o.row) for o in outcomes[1::2])
    assert one == two
    assert all(a is b for a, b in zip(one, two, strict=True))  # they travel once for a batch
