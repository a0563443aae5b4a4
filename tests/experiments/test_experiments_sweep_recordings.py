"""Points that share values are timed from a recording, and say the same as in full."""

import pytest
from sweeps import points_of, write_sweep

import spusim.experiments.sweep.worker as worker
from spusim.experiments.sweep.recordings import Recordings
from spusim.machine import RecordingError

NETWORK = """
target: kws
arch: spu001
stream: random:density=0.5,frames=4,seed=1
grid: {core.queue.depth: [1, 8], core.ports: [reserved, shared]}
"""
LAYER = """
layer: {inputs: 40, outputs: 24, weight_density: 0.3, activation_density: 0.5, frames: 3}
arch: row64
grid: {core.pes: [8, 64], core.hazard: [bypass, stall]}
"""
CONV = """
conv: {in_channels: 6, out_channels: 10, kernel: 3, size: 7, weight_density: 0.4,
       activation_density: 0.5, frames: 2, weight_bits: 8, activation_bits: 8}
grid: {arch: [smartskip, row64], core.queue.depth: [1, 8], core.queue.release: [pop, done]}
"""


@pytest.mark.parametrize("text", [NETWORK, LAYER, CONV], ids=["network", "layer", "conv"])
def test_points_from_a_recording_equal_full_ones(text, tmp_path, monkeypatch):
    jobs = [point.job for point in points_of(write_sweep(tmp_path, text))]
    monkeypatch.setattr(worker, "RECORDINGS", Recordings(0))
    full = [worker.run_job(job) for job in jobs]
    monkeypatch.setattr(worker, "RECORDINGS", Recordings())
    for name in ("simulate_recorded", "record_linear", "record_conv"):
        monkeypatch.setattr(worker, name, _only_before(getattr(worker, name), name))
    timed = [worker.run_job(job) for job in jobs]
    assert [o.status for o in full] == ["done"] * len(jobs)
    assert [o.data for o in timed] == [o.data for o in full]


def _only_before(function, name):
    """Let a function that runs in full be called once only."""
    calls = []

    def once(*arguments, **options):
        calls.append(name)
        assert len(calls) == 1, f"{name} ran again though there is a recording"
        return function(*arguments, **options)

    return once


def test_a_recording_of_something_else_is_replaced():
    kept = Recordings(1)

    def refused(recording):
        raise RecordingError("of another network")

    assert kept.result("g", lambda: ("first", "old"), refused) == "first"
    assert kept.result("g", lambda: ("second", "new"), refused) == "second"
    assert kept.result("g", lambda: ("third", None), lambda recording: recording) == "new"


def test_only_the_latest_are_kept():
    kept = Recordings(1)
    for group in ("a", "b"):
        kept.result(group, lambda group=group: (group, group), lambda recording: "timed")
    assert kept.result("a", lambda: ("full", None), lambda recording: "timed") == "full"
