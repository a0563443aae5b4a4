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
    assert "done: quantize: activations 16, asymmetric False, calibrated_on mini.npz:frames" in text
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


def test_units_leave_checkpoint_and_network_file_together(folder, spusim):
    words = ("prune", "mini.safetensors", "--structure", "unit", "--network", "mini.yaml",
             "--density", "0.5", "-o", "small.safetensors")  # fmt: skip
    done = spusim(*words)
    assert done.exit_code == 0, done.stderr
    assert "written: small.safetensors\nwritten: small.yaml" in done.stdout
    small = load_file("small.safetensors")
    assert (small["fc1.weight"].shape, small["fc2.weight"].shape) == ((6, 8), (3, 6))
    record = json.loads(spusim(*words, "--json").stdout)
    assert [(layer["units_before"], layer["units"]) for layer in record["layers"]] == [
        (12, 6),
        (3, 3),
    ]
    run = spusim("run", "small.safetensors", "--network", "small.yaml", "--arch", "tiny",
                 "--stream", "mini.npz:frames", "--json")  # fmt: skip
    assert run.exit_code == 0, run.stderr
    asked = spusim("run", "mini.safetensors", "--network", "mini.yaml", "--arch", "tiny",
                   "--stream", "mini.npz:frames", "--json", "--set", "prune.structure=unit",
                   "--set", "prune.density=0.5")  # fmt: skip
    assert json.loads(run.stdout)["outputs_sha256"] == json.loads(asked.stdout)["outputs_sha256"]


def test_blocks_that_do_not_divide_are_told(folder, spusim):
    done = spusim("prune", "mini.safetensors", "--structure", "block:5x4", "--density", "0.5",
                  "-o", "b.safetensors", "--json")  # fmt: skip
    told = "is no whole number of blocks of 5 x 4; those at the edge are smaller, and padded where"
    notes = json.loads(done.stdout)["notes"]
    assert [note.partition(" is ")[0] for note in notes] == [
        "fc1.weight: 12 x 8", "fc2.weight: 3 x 12",
    ]  # fmt: skip
    assert all(told in note for note in notes)


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
UNIT = (*PRUNE, "--structure", "unit", "--network", "mini.yaml")
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
        ((*PRUNE, "--density", "0.5", "--exclude", "fc3*"), "exclude (=fc3*) matches no weight"),
        ((*UNIT, "--density", "0.5", "--exclude", "fc1*"), "name those that shrink: --layers"),
        ((*PRUNE, "--density", "0.5", "--norm", "max"), "l1 or l2"),
        ((*PRUNE, "--structure", "5:4"), "keeps 5 of 4; N is at most M"),
        ((*PRUNE, "--structure", "2:4", "--density", "0.5"), "sets its own density"),
        ((*PRUNE, "--density", "0.5", "--scope", "all"), "prune.scope (=all) is unknown"),
        ((*UNIT, "--density", "1.5"), "density (=1.5) must be from 0 to 1"),
        (UNIT, "(=unit) needs a density, 0 to 1"),
        ((*UNIT, "--density", "0.5", "--layers", "fc2"), "fc2 has no units to prune"),
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
