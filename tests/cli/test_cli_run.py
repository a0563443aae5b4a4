"""`spusim run`: targets, options, JSON, tables and what it writes."""

import json

import numpy as np
import pytest

import spusim as package
from spusim.machine import outputs_hash

TOP_KEYS = {
    "schema_version", "versions", "frames", "cycles", "per_frame", "macs", "utilization",
    "speedup", "stalls", "counts", "energy_pj", "memory", "outputs_sha256", "layers", "area_um2",
    "power_w", "notes", "files", "report", "stored_bytes",
}  # fmt: skip


def test_json_has_the_fields_of_the_design(folder, spusim):
    record = json.loads(spusim("run", "run.yaml", "--json").stdout)
    assert set(record) == TOP_KEYS
    assert record["schema_version"] == 1
    assert set(record["versions"]) == {"spusim", "isa", "arch", "network"}
    assert record["frames"] == 5
    assert set(record["macs"]) == {"dense", "weight_nonzero", "activation_nonzero", "effective"}
    assert record["macs"]["dense"] == 5 * (12 * 8 + 3 * 12)
    for figure in ("cycles", "latency_s", "energy_j"):
        spread = record["per_frame"][figure]
        assert 0 < spread["min"] <= spread["mean"] <= spread["max"]
    assert record["per_frame"]["latency_s"]["min"] == record["per_frame"]["cycles"]["min"] / 100e6
    assert set(record["speedup"]) == {"achieved", "ideal"}
    assert {"used", "capacity", "banks"} == set(record["memory"])
    assert [file["heard"] for file in record["files"]] != [""]


def test_json_stalls_of_every_unit_sum_to_the_cycles(folder, spusim):
    record = json.loads(spusim("run", "run.yaml", "--json").stdout)
    assert {"core0.pe0", "core0.pe1", "core0.scanner", "core0.sequencer"} <= set(record["stalls"])
    for unit, causes in record["stalls"].items():
        assert {"busy", "idle"} <= set(causes)
        assert sum(causes.values()) == record["cycles"], unit


def test_json_energy_and_memory_add_up(folder, spusim):
    record = json.loads(spusim("run", "run.yaml", "--json").stdout)
    energy = record["energy_pj"]
    assert energy["total"] == pytest.approx(sum(v for k, v in energy.items() if k != "total"))
    mean = record["per_frame"]["energy_j"]["mean"]
    assert record["frames"] * mean == pytest.approx(energy["total"] * 1e-12)
    used = sum(b["used_words"] * b["word_bits"] for b in record["memory"]["banks"].values()) // 8
    assert record["memory"]["used"] == used
    assert record["report"]["Power (W)"] == record["power_w"]


def test_same_input_gives_the_same_bytes(folder, spusim):
    for name in ("one", "two"):
        assert spusim("run", "run.yaml", "--json", "-o", name).exit_code == 0
    one, two = (sorted((folder / name).iterdir()) for name in ("one", "two"))
    assert [path.name for path in one] == ["outputs.npz", "result.json", "run.png", "run.svg"]
    for a, b in zip(one, two, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_folder_holds_what_json_prints(folder, spusim):
    printed = spusim("run", "run.yaml", "--json", "-o", "out").stdout
    assert (folder / "out" / "result.json").read_text() == printed
    outputs = np.load(folder / "out" / "outputs.npz")["outputs"]
    assert outputs.dtype == np.int64
    assert outputs.shape == (5, 3)
    assert outputs_hash(outputs) == json.loads(printed)["outputs_sha256"]
    assert json.dumps(json.loads(printed), sort_keys=True, indent=2) + "\n" == printed


def test_command_line_says_what_python_says(folder, spusim):
    network = package.load_network("mini.yaml")
    stream = package.load_stream("mini.npz:frames")
    result = package.simulate(network, package.load_arch("tiny"), stream, baseline=True)
    record = json.loads(spusim("run", "run.yaml", "--json").stdout)
    assert record["cycles"] == result.cycles
    assert record["outputs_sha256"] == outputs_hash(result.outputs)
    assert record["speedup"]["achieved"] == result.speedup["achieved"]


def test_checkpoint_and_network_file_run_as_the_run_file_does(folder, spusim):
    words = ("--arch", "tiny", "--stream", "mini.npz:frames", "--json")
    by_run = spusim("run", "run.yaml", "--json").stdout
    assert spusim("run", "mini.yaml", *words).stdout == by_run
    assert spusim("run", "mini.safetensors", "--network", "mini.yaml", *words).stdout == by_run


def test_torch_checkpoint_runs_as_safetensors_do(folder, spusim):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    torch.save({"state_dict": load_file("mini.safetensors")}, "mini.pt")
    words = ("--network", "mini.yaml", "--arch", "tiny", "--stream", "mini.npz:frames", "--json")
    assert spusim("run", "mini.pt", *words).stdout == spusim("run", "run.yaml", "--json").stdout


def test_image_runs_as_its_network_does(folder, spusim):
    assert spusim("compile", "run.yaml", "-o", "mini.spu").exit_code == 0
    words = ("--network", "mini.yaml", "--stream", "mini.npz:frames", "--no-baseline", "--json")
    assert (
        spusim("run", "mini.spu", *words).stdout
        == spusim("run", "run.yaml", "--no-baseline", "--json").stdout
    )


def test_image_alone_takes_integers_and_has_no_baseline(folder, spusim):
    spusim("compile", "run.yaml", "-o", "mini.spu")
    words = ("--stream", "random:frames=2,density=0.5,seed=9", "--json")
    record = json.loads(spusim("run", "mini.spu", *words).stdout)
    by_network = json.loads(spusim("run", "run.yaml", *words).stdout)
    assert record["speedup"] is None
    assert any("speedup is left out" in note for note in record["notes"])
    assert record["outputs_sha256"] == by_network["outputs_sha256"]


def test_settings_reach_architecture_and_network(folder, spusim):
    plain = json.loads(spusim("run", "run.yaml", "--json").stdout)
    words = ("--set", "core.queue.depth=1", "--set", "prune.density=0.5")
    changed = json.loads(spusim("run", "run.yaml", "--json", *words).stdout)
    assert changed["versions"]["arch"] != plain["versions"]["arch"]
    assert changed["macs"]["weight_nonzero"] < 0.6 * plain["macs"]["weight_nonzero"]


def test_options_go_over_the_run_file(folder, spusim):
    words = ("--stream", "random:frames=2", "--arch", "spu001", "--no-baseline")
    record = json.loads(spusim("run", "run.yaml", *words, "--json").stdout)
    assert record["frames"] == 2
    assert record["speedup"] is None
    assert "core1.sequencer" in record["stalls"]


def test_input_period_spaces_the_frames(folder, spusim):
    apart = json.loads(spusim("run", "run.yaml", "--input-period", "5000", "--json").stdout)
    assert 4 * 5000 < apart["cycles"] < 5 * 5000


def test_tables_for_people(folder, spusim):
    text = spusim("run", "run.yaml", "-o", "out").stdout
    for phrase in (
        "mini on tiny", "5 frames", "100 MHz", "faster than", "ideal", "utilisation", "latency",
        "core0 data memory", "core0 PEs (mean of 2)", "empty", "energy (cacti22)",
        "written: out/result.json, out/outputs.npz, out/run.png, out/run.svg",
    ):  # fmt: skip
        assert phrase in text
    assert "core0.pe1" not in text
    assert "core0.pe1" in spusim("run", "run.yaml", "--all-units").stdout


def test_folder_of_an_earlier_run_is_used_again(folder, spusim):
    spusim("run", "run.yaml", "-o", "out")
    first = (folder / "out" / "result.json").read_bytes()
    assert spusim("run", "run.yaml", "--no-baseline", "-o", "out").exit_code == 0
    assert (folder / "out" / "result.json").read_bytes() != first


def test_shipped_run_hears_every_word(spusim):
    record = json.loads(spusim("run", "kws", "--no-baseline", "--json").stdout)
    assert record["frames"] == 610
    assert [file["heard"] for file in record["files"]] == [f["label"] for f in record["files"]]
