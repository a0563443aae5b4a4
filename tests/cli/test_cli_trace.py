"""`spusim trace`: files for viewers, and one message for each mistake."""

import gzip
import json
from pathlib import Path

import pytest

from spusim.experiments import traces
from spusim.experiments.store import os as store_os


def test_chrome(folder, spusim):
    done = spusim("trace", "run.yaml", "--format", "chrome", "-o", "t.json.gz")
    assert done.exit_code == 0
    assert "written: t.json.gz" in done.stdout
    text = json.loads(gzip.decompress(Path("t.json.gz").read_bytes()))
    run = json.loads(spusim("run", "run.yaml", "--no-baseline", "--json").stdout)
    assert text["otherData"]["run_cycles"] == run["cycles"]
    events = sum(event["ph"] != "M" for event in text["traceEvents"])
    assert f"{events:,} events" in done.stdout
    assert sorted(Path().glob(".*")) == []


def test_vcd_by_its_suffix(folder, spusim):
    done = spusim("trace", "run.yaml", "-o", "t.vcd", "--from", "20", "--to", "60",
                  "--units", "core0.vector, core0.pe*")  # fmt: skip
    assert done.exit_code == 0
    assert "cycles 20 to 59" in done.stdout
    text = Path("t.vcd").read_text()
    assert "#20\n" in text
    assert text.splitlines()[-1] == "#60"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "t.txt"), "suffix"),
        (("-o", "t.vcd", "--format", "chrome"), "suffix of a vcd trace"),
        (("-o", "none/t.vcd"), "no folder"),
        (("-o", "."), "folder"),
        (("-o", "t.vcd", "--units", "core0.pee*"), "core0.pe"),
        (("-o", "t.vcd", "--units", ""), "names no unit"),
        (("-o", "t.vcd", "--from", "-1"), "from (=-1)"),
        (("-o", "t.vcd", "--from", "9", "--to", "9"), "to (=9)"),
        (("-o", "t.vcd", "--from", "1000000"), "below the run's"),
        (("-o", "t.vcd", "--max-events", "0"), "max events (=0)"),
        (("-o", "t.vcd", "--max-events", "100"), "--from"),
        (("-o", "t.json", "--max-events", "100"), "at most 100 are allowed"),
        (("-o", "t.json", "--input-period", "0"), "input period (=0)"),
        (("-o", "t.json", "--stream", "nosuch"), "nosuch"),
    ],
)
def test_mistakes(folder, refused, words, said):
    if words[1] == ".":
        words = ("-o", str(folder), "--format", "vcd")
    assert said in refused("trace", "run.yaml", *words)


def test_an_older_file_stays_when_the_new_one_fails(folder, refused):
    Path("t.json").write_text("mine")
    refused("trace", "run.yaml", "-o", "t.json", "--max-events", "100")
    assert Path("t.json").read_text() == "mine"


def test_full_disk(folder, refused, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_os, "fsync", full)
    said = refused("trace", "run.yaml", "-o", "t.json")
    assert said.startswith("error: t.json: cannot be written (No space left on device)")


@pytest.mark.parametrize("name", ["t.json.gz", "t.vcd"])
def test_interrupt_while_writing(folder, spusim, monkeypatch, name):
    real = traces.FORMATS["chrome" if "json" in name else "vcd"]

    def interrupted(trace, prepared, file, progress):
        real.write(trace, prepared, file, progress)
        raise KeyboardInterrupt

    kind = "chrome" if "json" in name else "vcd"
    changed = traces.replace(real, write=interrupted)
    monkeypatch.setitem(traces.FORMATS, kind, changed)
    done = spusim("trace", "run.yaml", "-o", name)
    assert done.exit_code == 130
    assert done.stderr.endswith("error: interrupted; nothing was written\n")
    assert not [path for path in folder.iterdir() if path.name.lstrip(".").startswith("t.")]
