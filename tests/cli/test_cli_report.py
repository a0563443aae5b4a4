"""`spusim report`: a file, and one message for each mistake; its commands give the same figures."""

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from spusim.experiments.charts.source import open_results
from spusim.experiments.report.command import point_command
from spusim.experiments.store import os as store_os

# every way to say what is run, and every kind of parameter
SWEEP = """\
baseline: false
arch: tiny
parts:
  layer:
    layer: {inputs: 24, outputs: 16, activation_density: 0.5}
    set: [core.queue.depth=2, layer.frames=2]
    seed: 3
    replicas: 2
    grid:
      layer.weight_density: [0.25, 1.0]
      core.queue.release: [pop, done]
  run: {target: run.yaml, grid: {prune.density: [0.5, 1], core.queue.depth: [1, 8]}}
  network:
    target: mini.yaml
    stream: random:density=0.5,frames=4
    replicas: 2
    set: [prune.layers.fc1=0.25]
    zip: {stream.density: [0.2, 0.9], prune.density: [0.5, 0.75], quantise.weights: [8, 4]}
  several: {network: mini.yaml, stream: mini.npz:frames, grid: {network: [mini.yaml, other.yaml]}}
  of_run: {target: run.yaml, grid: {network: [mini.yaml, other.yaml], arch: [tiny, spu001]}}
  weights:
    network: mini.yaml
    stream: mini.npz:frames
    grid: {checkpoint: [mini.safetensors, other.safetensors]}
  weights_of_run: {target: run.yaml, checkpoint: mini.safetensors, network: mini.yaml,
                   stream: mini.npz:frames, grid: {input_period: [300, 700]}}
  costs:
    target: run.yaml
    baseline: true
    list:
      - {technology: cacti45, numerics.accumulator_bits: 32}
      - {technology: horowitz45, numerics.accumulator_bits: 40}
"""


@pytest.fixture
def swept(folder, spusim):
    """A sweep's folder beside the files it names."""
    (folder / "other.yaml").write_text((folder / "mini.yaml").read_text().replace("12", "9"))
    mixed = (folder / "other.yaml").read_text().replace("mini.safe", "other9.safe")
    (folder / "other.yaml").write_text(mixed.replace("name: mini", "name: other"))
    _write_weights(folder)
    (folder / "s.yaml").write_text(SWEEP)
    done = spusim("sweep", "s.yaml", "-o", "s", "--jobs", "1")
    assert done.exit_code == 0, done.stderr
    return folder / "s"


def _write_weights(folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    state = load_file(folder / "mini.safetensors")
    save_file({k: np.ascontiguousarray(v[::-1]) for k, v in state.items()},
              folder / "other.safetensors")  # fmt: skip
    nine = {"fc1.weight": state["fc1.weight"][:9], "fc1.bias": state["fc1.bias"][:9],
            "fc2.weight": np.ascontiguousarray(state["fc2.weight"][:, :9]),
            "fc2.bias": state["fc2.bias"]}  # fmt: skip
    save_file(nine, folder / "other9.safetensors")


def test_every_command_gives_its_points_figures(swept, spusim):
    results = open_results(swept)
    parts = set()
    for row in results.table.iter_rows(named=True):
        command = point_command(results, row, results.record(row["key"]))
        program, *words = shlex.split(command)
        assert program == "spusim"
        done = spusim(*words, "--json")
        assert done.exit_code == 0, f"{command}\n{done.stderr}"
        run = json.loads(done.stdout)
        assert run["cycles"] == row["cycles"], command
        assert run["outputs_sha256"] == row["outputs_sha256"], command
        assert run["energy_pj"]["total"] == row["energy_pj.total"], command
        assert (run["speedup"] or {}).get("achieved") == row["speedup_achieved"], command
        parts.add(row["part"])
    assert parts == set(results.parts) and len(parts) == 8


def test_a_sweep_becomes_a_page_that_is_always_the_same(swept, spusim):
    done = spusim("report", "s", "-o", "r.html", "--title", "Which <machine>?")
    assert (done.exit_code, done.stdout) == (0, "written: r.html\n")
    text = Path("r.html").read_text()
    assert "<title>Which &lt;machine&gt;?</title>" in text
    spusim("report", "s", "-o", "again.html", "--title", "Which <machine>?")
    assert Path("again.html").read_text() == text
    assert str(swept.parent) not in text
    assert sorted(Path().glob(".*")) == []


def test_a_run_becomes_a_page(folder, spusim):
    spusim("run", "run.yaml", "-o", "out")
    assert spusim("report", "out").exit_code == 0
    assert "<h1>out</h1>" in Path("report.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "nowhere: is no folder; name a folder that `spusim sweep -o` or"),
        (("empty",), "empty: holds neither sweep.json nor result.json"),
        (("out", "-o", "none/r.html"), "there is no folder"),
        (("out", "-o", "empty"), "is a folder; name a file"),
        (("damaged",), "damaged/result.json: is no result of a run, or damaged"),
    ],
)
def test_mistakes(folder, spusim, words, said):
    spusim("run", "run.yaml", "-o", "out")
    Path("empty").mkdir()
    Path("damaged").mkdir()
    Path("damaged/result.json").write_text('{"schema_version": 1')
    done = spusim("report", *words)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("error:") == 1
    assert not Path("report.html").exists()


def test_a_point_whose_record_is_gone(swept, spusim):
    results = open_results(swept)
    lost = swept / "points" / f"{results.table['key'][3]}.json"
    lost.unlink()
    done = spusim("report", "s")
    assert done.exit_code == 1
    assert f"{lost.relative_to(swept.parent)}: cannot be read" in done.stderr
    assert "run the sweep again" in done.stderr


@pytest.mark.parametrize("missing", ["altair", "vl_convert", "jinja2"])
def test_without_the_extra(folder, spusim, monkeypatch, missing):
    spusim("run", "run.yaml", "-o", "out")
    monkeypatch.setitem(sys.modules, missing, None)
    done = spusim("report", "out")
    assert done.exit_code == 1
    assert done.stderr == (
        f"error: a report needs {missing}, which is not installed; get it with: "
        "pip install spusim[report]\n"
    )


def test_a_full_disk_leaves_nothing(folder, spusim, monkeypatch):
    spusim("run", "run.yaml", "-o", "out")
    Path("report.html").write_text("an earlier one")

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(store_os, "fsync", full)
    done = spusim("report", "out")
    assert done.exit_code == 1
    assert "report.html: cannot be written (No space left on device)" in done.stderr
    assert Path("report.html").read_text() == "an earlier one"
    assert list(Path().glob(".*part")) == []


def test_a_sweep_that_is_not_finished(swept, spusim):
    told = json.loads((swept / "sweep.json").read_text())
    told["parts"][0]["points"] += 5
    (swept / "sweep.json").write_text(json.dumps(told))
    assert spusim("report", "s").exit_code == 0
    assert "5 not computed yet" in Path("report.html").read_text()


def test_a_sweep_moved_elsewhere(swept, spusim):
    shutil.move("s", "moved")
    assert spusim("report", "moved").exit_code == 0
    assert "<h1>s</h1>" in Path("report.html").read_text()
