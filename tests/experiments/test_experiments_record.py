"""The JSON record, from Python."""

import dataclasses
import json

import numpy as np
import pytest

from spusim.energy import EnergyError, report_fields
from spusim.experiments.outputs import output_files
from spusim.experiments.record import per_frame, record_text, result_record


def test_record_is_plain_and_sorted(spotted):
    text = record_text(result_record(spotted))
    assert json.loads(text) == result_record(spotted)
    keys = [line.split('"')[1] for line in text.splitlines() if line.startswith('  "')]
    assert keys == sorted(keys)
    assert text.endswith("}\n")


def test_record_keeps_every_integer(spotted):
    record = result_record(spotted)
    assert record["counts"] == spotted.counts
    assert record["stalls"] == spotted.stalls
    assert record["macs"] == spotted.macs
    assert record["report"] == report_fields(spotted)
    assert record["utilization"] == spotted.macs["effective"] / (128 * spotted.cycles)


def test_spread_over_frames(spotted):
    spread = per_frame(spotted)
    cycles = spotted.frame_cycles
    assert spread["cycles"] == {"min": cycles.min(), "mean": cycles.mean(), "max": cycles.max()}
    assert spread["latency_s"]["max"] == cycles.max() / 150e6
    assert spread["energy_j"]["mean"] * 12 == pytest.approx(spotted.energy_pj["total"] * 1e-12)


def test_unbounded_speedup_is_null(spotted):
    unbounded = dataclasses.replace(spotted, speedup={"achieved": 2.0, "ideal": float("inf")})
    assert result_record(unbounded)["speedup"] == {"achieved": 2.0, "ideal": None}


def test_files_tell_what_was_heard(spotted):
    files = result_record(spotted)["files"]
    assert [file["frames"] for file in files] == [3, 3, 3, 3]
    labels = spotted.details["labels"]
    last = spotted.outputs[2::3]
    assert [file["heard"] for file in files] == [labels[i] for i in np.argmax(last, axis=1)]
    assert all("label" not in file for file in files)


def test_energy_must_be_there(spotted):
    with pytest.raises(EnergyError, match="attach_energy"):
        result_record(dataclasses.replace(spotted, energy_pj={}))


def test_output_files_are_the_same_bytes_again(alone):
    files = output_files(alone)
    assert set(files) == {"result.json", "outputs.npz", "run.png", "run.svg"}
    assert files == output_files(alone)
    assert files["run.png"].startswith(b"\x89PNG")
