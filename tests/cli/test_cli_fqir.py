"""FQIR plans on the command line: run, compile, inspect, trace, sweep, regress."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parent.parent / "frontend" / "fqir" / "data"


@pytest.fixture
def gru(folder: Path) -> np.ndarray:
    """Plan and arrays of the gru example in the working folder; returns the vendor's outputs."""
    for name in ("gru.plan.json", "gru.npz", "mlp.plan.json", "mlp.npz"):
        shutil.copy(DATA / name, folder)
    with np.load("gru.npz") as arrays:
        return arrays["y_int"]


def outputs(folder: str) -> np.ndarray:
    with np.load(Path(folder) / "outputs.npz") as arrays:
        return arrays["outputs"]


@pytest.mark.parametrize("key", ["x_int", "x_float"])
def test_run_writes_the_exact_integers(gru: np.ndarray, spusim, key: str) -> None:
    words = ("--stream", f"gru.npz:{key}", "--arch", "spu001", "-o", "out")
    shown = spusim("run", "gru.plan.json", *words).output
    np.testing.assert_array_equal(outputs("out"), gru)
    assert "output.0 (16) as fqint16 of 2**-15" in shown
    record = json.loads(Path("out/result.json").read_text())
    assert record["frames"] == 12
    assert record["versions"]["network"]


def test_one_dimension_is_one_frame(gru: np.ndarray, spusim) -> None:
    record = spusim("run", "mlp.plan.json", "--stream", "mlp.npz:x_int", "--json", "-o", "one")
    assert json.loads(record.output)["frames"] == 1
    with np.load("mlp.npz") as arrays:
        np.testing.assert_array_equal(outputs("one"), [arrays["y_int"]])


def test_image_of_a_plan_runs_alike(gru: np.ndarray, spusim) -> None:
    spusim("compile", "gru.plan.json", "-o", "gru.spu")
    spusim("run", "gru.spu", "--stream", "gru.npz:x_int", "-o", "codes")
    words = ("--network", "gru.plan.json", "--stream", "gru.npz:x_float")
    spusim("run", "gru.spu", *words, "-o", "reals")
    np.testing.assert_array_equal(outputs("codes"), gru)
    np.testing.assert_array_equal(outputs("reals"), gru)


def test_run_file_names_a_plan(gru: np.ndarray, folder: Path, spusim) -> None:
    text = "network: gru.plan.json\narch: spu001\nstream: gru.npz:x_int\nset: [cores=1]\n"
    (folder / "mine.yaml").write_text(text)
    spusim("run", "mine.yaml", "-o", "named")
    np.testing.assert_array_equal(outputs("named"), gru)


def test_compile_explains_a_plan(gru: np.ndarray, spusim) -> None:
    shown = spusim("compile", "gru.plan.json", "--explain").output
    assert "model.r.layers.0.linear_ih.multiplier" in shown
    assert "pencil" in shown
    assert "vlut" in shown


def test_inspect_tells_a_plan(gru: np.ndarray, spusim) -> None:
    shown = spusim("inspect", "gru.plan.json").output
    for text in ("33 operations", "vvadd 7", "fqint8", "%x.3 (32 of 16 bits)", "2**-12"):
        assert text in shown, shown
    record = json.loads(spusim("inspect", "gru.plan.json", "--json").output)
    assert record["operations"]["addmm"] == 3
    matrix = next(t for t in record["tensors"] if t["name"] == "%p.34_tpose")
    assert matrix["shape"] == [16, 32]
    with np.load("gru.npz") as arrays:
        assert arrays["y_int"].shape[1] == 16
    assert 0 < matrix["pencil_density"] <= 1


def test_trace_of_a_plan(gru: np.ndarray, spusim) -> None:
    words = ("--stream", "mlp.npz:x_int", "-o", "mlp.json")
    spusim("trace", "mlp.plan.json", *words)
    assert json.loads(Path("mlp.json").read_text())["traceEvents"]


def test_sweep_of_a_plan(gru: np.ndarray, folder: Path, spusim) -> None:
    """A point whose accumulators are too narrow fails, and the others do not."""
    (folder / "sweep.yaml").write_text(
        "target: gru.plan.json\narch: spu001\nstream: gru.npz:x_int\n"
        "grid:\n  cores: [1, 2]\n  numerics.accumulator_bits: [24, 32]\n"
    )
    result = spusim("sweep", "sweep.yaml", "-o", "swept", "--jobs", "1")
    assert result.exit_code == 1
    assert "2 computed" in result.output
    assert "numerics.accumulator_bits=27" in result.output
    table = Path("swept/results.csv").read_text()
    assert table.count("gru") >= 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--network", "kws"], "is an FQIR plan, which is a network"),
        (["--set", "prune.density=0.5"], "pruned and quantised already"),
        (["--set", "numerics.accumulator_bits=24"], "numerics.accumulator_bits=27"),
        (["--stream", "mlp.npz"], "KEY is one of x_float, x_int"),
        (["--stream", "gru.npz:y_int"], "16 features, the network takes 32"),
        ([], "has no stream of its own"),
    ],
)
def test_mistakes_with_a_plan(gru: np.ndarray, refused, words: list[str], said: str) -> None:
    assert said in refused("run", "gru.plan.json", *words, "-o", "out")
    assert not Path("out").exists()


def test_other_json_is_no_plan(folder: Path, refused) -> None:
    (folder / "result.json").write_text('{"frames": 3}')
    assert "no FQIR plan" in refused("run", "result.json", "-o", "out")


def test_a_sweep_cannot_change_a_plan(gru: np.ndarray, folder: Path, refused) -> None:
    (folder / "sweep.yaml").write_text(
        "target: gru.plan.json\narch: spu001\nstream: gru.npz:x_int\n"
        "grid:\n  prune.density: [0.5, 0.1]\n"
    )
    said = refused("sweep", "sweep.yaml", "-o", "swept")
    assert "pruned and quantised already" in said or "prune.density" in said
