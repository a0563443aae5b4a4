"""`prune`, `quantize` and what `inspect` tells of their files."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file


def test_prune_quantize_inspect_run(folder, spusim):
    done = spusim("prune", "mini.safetensors", "--structure", "pencil:4", "--density", "0.25",
                  "-o", "p.safetensors")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "fc1.weight  12 x 8" in done.stdout
    assert "written: p.safetensors" in done.stdout
    # fc1: round(0.25 x 24) = 6 pencils of 4; fc2: round(0.25 x 12) = 3 of its 3 rows
    assert np.count_nonzero(load_file("p.safetensors")["fc1.weight"]) == 24
    assert np.count_nonzero(load_file("p.safetensors")["fc2.weight"]) == 9
    done = spusim("quantize", "p.safetensors", "--network", "mini.yaml", "--weights", "int4",
                  "--calibrate", "mini.npz:frames", "--per-channel",
                  "-o", "q.safetensors")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "int4 weights with a scale per output row" in done.stdout
    text = spusim("inspect", "q.safetensors").stdout
    assert "found: integer weights with their scales: fc1.weight, fc2.weight" in text
    assert "done: prune: density 0.25" in text
    assert "done: quantize: activations 16, calibrated_on mini.npz:frames, frames 5" in text
    how = ("--set", "quantise.weights=4", "--set", "quantise.per_channel=true")
    words = ("--network", "mini.yaml", "--arch", "tiny", "--stream", "mini.npz:frames", "--json")
    direct = json.loads(spusim("run", "p.safetensors", *words, *how).stdout)
    again = json.loads(spusim("run", "q.safetensors", *words).stdout)
    for key in ("cycles", "outputs_sha256", "energy_pj", "stalls"):
        assert direct[key] == again[key]
    assert direct["versions"]["network"] == again["versions"]["network"]


def test_prune_and_quantize_as_json(folder, spusim):
    done = spusim("prune", "mini.safetensors", "--sparsity", "0.75", "--global", "--layers", "fc*",
                  "--json", "-o", "p.safetensors")  # fmt: skip
    record = json.loads(done.stdout)
    assert record["density"] == 0.25
    assert [weight["name"] for weight in record["weights"]] == ["fc1.weight", "fc2.weight"]
    assert sum(weight["nonzeros"] for weight in record["weights"]) == 33
    words = ("quantize", "p.safetensors", "--network", "mini.yaml", "-o", "q.safetensors", "--json")
    record = json.loads(spusim(*words).stdout)
    assert record["integers"] == ["fc1.weight", "fc2.weight"]
    assert record["kept"] == []
    assert spusim(*words).stdout == spusim(*words).stdout


def test_inspect_tells_blocks_and_convolutions(folder, spusim):
    from safetensors.numpy import save_file

    weight = np.zeros((4, 2, 3), np.float32)
    weight[0, 1, 2] = 1.0
    save_file({"conv.weight": weight, "fc1.weight": np.eye(4, dtype=np.float32)}, "c.safetensors")
    record = json.loads(spusim("inspect", "c.safetensors", "--block", "2x3", "--json").stdout)
    tensors = {tensor["name"]: tensor for tensor in record["tensors"]}
    conv, fc = tensors["conv.weight"], tensors["fc1.weight"]
    assert (conv["kernel_density"], conv["filter_density"]) == (1 / 8, 1 / 4)
    assert conv["block_density"] == 1 / 4
    assert (fc["kernel_density"], fc["filter_density"]) == (None, None)
    assert fc["block_density"] == 3 / 4
    assert (record["block"], record["forms"], record["steps"]) == ([2, 3], [], [])
    text = spusim("inspect", "c.safetensors").stdout
    assert "kernel" in text
    assert "kernel" not in spusim("inspect", "mini.safetensors").stdout


def test_inspect_tells_masks(folder, spusim):
    import torch
    import torch.nn.utils.prune

    layer = torch.nn.Linear(6, 4)
    torch.nn.utils.prune.l1_unstructured(layer, "weight", amount=0.5)
    torch.save({"state_dict": {f"module.fc.{k}": v for k, v in layer.state_dict().items()}}, "m.pt")
    text = spusim("inspect", "m.pt").stdout
    assert "found: state dict under state_dict" in text
    assert "found: prefixes stripped: module." in text
    assert "found: pruning masks folded in: fc.weight" in text
    names = [t["name"] for t in json.loads(spusim("inspect", "m.pt", "--json").stdout)["tensors"]]
    assert sorted(names) == ["fc.bias", "fc.weight"]


OUT = ("-o", "o.safetensors")
PRUNE = ("prune", "mini.safetensors", *OUT)
QUANTIZE = ("quantize", "mini.safetensors", "--network", "mini.yaml", *OUT)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*PRUNE, "--density", "2"), "density of fc1.weight (=2.0) must be from 0 to 1"),
        ((*PRUNE, "--sparsity", "-1"), "sparsity (=-1.0) must be from 0 to 1"),
        ((*PRUNE, "--density", "0.5", "--sparsity", "0.5"), "both given"),
        (PRUNE, "needs a density"),
        ((*PRUNE, "--density", "0.5", "--structure", "pencil:0"), "block:4x4"),
        ((*PRUNE, "--density", "0.5", "--layers", "fc3*"), "layers (=fc3*) matches no weight"),
        ((*PRUNE, "--density", "0.5", "--norm", "max"), "l1 or l2"),
        (("prune", "gone.pt", "--density", "0.5", *OUT), "gone.pt: no such file"),
        (("prune", "mini.safetensors", "--density", "0.5", "-o", "o.pt"), "name it so"),
        (("prune", "mini.safetensors", "--density", "0.5", "-o", "no/o.safetensors"), "no folder"),
        ((*QUANTIZE, "--weights", "int3"), "weights (=int3) must be one of int4, int8, int16"),
        ((*QUANTIZE, "--activations", "int2"), "activations (=int2) must be one of int8, int16"),
        ((*QUANTIZE, "--calibrate", "gone.npz"), "gone.npz: no such file"),
        ((*QUANTIZE, "--set", "prune.density=0.5"), "spusim prune"),
        (("quantize", "mini.safetensors", "--network", "gone", *OUT), "gone"),
        (("inspect", "mini.safetensors", "--block", "4"), "block (=4) must be rows x columns"),
        (("inspect", "mini.safetensors", "--block", "0x4"), "block (=0) must be from 1"),
    ],
)  # fmt: skip
def test_wrong_requests(folder, refused, words, said):
    assert said in refused(*words)


def test_calibration_with_nan(folder, refused):
    np.save("nan.npy", np.full((4, 8), np.nan))
    assert "must be finite" in refused(*QUANTIZE, "--calibrate", "nan.npy")


def test_no_room_for_the_output(folder, refused, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert "No space left" in refused(*PRUNE, "--density", "0.5")


def test_an_output_in_the_place_of_the_input(folder, spusim):
    assert spusim("prune", "mini.safetensors", "--density", "0.5", "-o", "mini.safetensors")
    assert np.count_nonzero(load_file("mini.safetensors")["fc1.weight"]) == 48
    assert not list(Path().glob(".*.part"))


def test_a_float_checkpoint_is_calibrated_on_the_stream(folder, spusim, refused):
    network = Path("mini.yaml")
    words = ("run", "mini.safetensors", "--network", "mini.yaml", "--arch", "tiny")
    named = spusim(*words, "--stream", "mini.npz:frames", "--json")
    network.write_text(network.read_text().replace('calibrate: "mini.npz:frames"', ""))
    given = spusim(*words, "--stream", "mini.npz:frames", "--json")
    assert given.exit_code == 0, given.stderr
    records = [json.loads(run.stdout) for run in (named, given)]
    assert records[0]["versions"] == records[1]["versions"]
    assert records[0]["outputs_sha256"] == records[1]["outputs_sha256"]
    text = spusim(*words, "--stream", "mini.npz:frames").stdout
    said = " ".join(text.split())
    assert "int8 weights and int16 activations, calibrated on mini.npz:frames" in said
    assert "random" in refused(*words, "--stream", "random:density=0.5,frames=2,seed=1")
    assert "calibrat" in refused(*words)
