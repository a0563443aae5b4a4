"""Whatever is wrong with what the user brings: exit code 1, one message, nothing written."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from spusim.isa import load_isa
from spusim.isa.container import read_container, write_container

OUT = ("-o", "out")


@pytest.fixture
def weights(folder):
    """Rewrite the checkpoint with some tensors changed; None drops one."""

    def change(**tensors):
        kept = {
            **load_file("mini.safetensors"),
            **{k.replace("_", "."): v for k, v in tensors.items()},
        }
        save_file({k: v for k, v in kept.items() if v is not None}, "mini.safetensors")

    return change


def test_missing_weights_file(folder, refused):
    Path("mini.safetensors").unlink()
    assert "mini.safetensors: no such file" in refused("run", "run.yaml", *OUT)


def test_truncated_weights(folder, refused):
    path = Path("mini.safetensors")
    path.write_bytes(path.read_bytes()[:-40])
    assert "mini.safetensors" in refused("run", "run.yaml", *OUT)


def test_empty_weights(folder, refused):
    Path("mini.safetensors").write_bytes(b"")
    assert "empty" in refused("run", "run.yaml", *OUT)


def test_missing_tensor(weights, refused):
    weights(fc2_weight=None)
    assert "fc2.weight" in refused("run", "run.yaml", *OUT)


def test_tensor_of_a_wrong_shape(weights, refused):
    weights(fc1_weight=np.ones((12, 9), np.float32))
    assert "fc1.weight" in refused("run", "run.yaml", *OUT)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(weights, refused, value):
    bad = np.ones((12, 8), np.float32)
    bad[2, 5] = value
    weights(fc1_weight=bad)
    assert "fc1.weight" in refused("run", "run.yaml", *OUT)


def test_checkpoint_without_topology(folder, refused):
    assert "--network" in refused("run", "mini.safetensors", *OUT)


def test_network_that_does_not_fit(folder, refused):
    assert "tiny" in refused("run", "kws", "--arch", "tiny", *OUT)


def test_stream_without_frames(folder, refused):
    np.save("empty.npy", np.zeros((0, 8)))
    assert "frames" in refused("run", "run.yaml", "--stream", "empty.npy", *OUT)


def test_stream_of_a_wrong_width(folder, refused):
    np.save("wide.npy", np.zeros((4, 9)))
    said = refused("run", "run.yaml", "--stream", "wide.npy", *OUT)
    assert "9 features" in said
    assert "takes 8" in said


@pytest.mark.parametrize("dtype", [complex, "U3", object])
def test_stream_of_a_wrong_type(folder, refused, dtype):
    np.save("odd.npy", np.ones((4, 8)).astype(dtype), allow_pickle=True)
    assert "odd" in refused("run", "run.yaml", "--stream", "odd.npy", *OUT)


def test_stream_of_codes_that_do_not_fit(folder, refused):
    np.save("codes.npy", np.full((2, 8), 40_000))
    assert "40000" in refused("run", "run.yaml", "--stream", "codes.npy", *OUT)


def test_stream_with_nan(folder, refused):
    np.save("nan.npy", np.full((2, 8), np.nan))
    assert "finite" in refused("run", "run.yaml", "--stream", "nan.npy", *OUT)


def test_no_stream_at_all(folder, refused):
    assert "--stream" in refused("run", "mini.yaml", "--arch", "tiny", *OUT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base: tiny\ncore: {peas: 4}\n", "arch.yaml:2"),
        ("base: tiny\ncore:\n  pes: 3\n", "arch.yaml:3"),
        ("base: tiny\ncore: [\n", "arch.yaml:"),
        ("base: nosuch\n", "arch.yaml:1"),
    ],
)
def test_architecture_file(folder, refused, text, said):
    Path("arch.yaml").write_text(text)
    assert said in refused("run", "run.yaml", "--arch", "arch.yaml", *OUT)


@pytest.mark.parametrize("setting", ["core.peas=4", "core.queue.depth=0", "core.pes", "bogus=1"])
def test_settings(folder, refused, setting):
    assert setting.partition("=")[0] in refused("run", "run.yaml", "--set", setting, *OUT)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("outputs: 12", "output: 12", "mini.yaml:5"),
        ("outputs: 12", "outputs: 0", "mini.yaml:5"),
        ("type: relu", "type: rulu", "mini.yaml:6"),
        ("name: mini", "name: [mini", "mini.yaml:"),
    ],
)
def test_network_file(folder, refused, old, new, said):
    path = Path("mini.yaml")
    path.write_text(path.read_text().replace(old, new))
    assert said in refused("run", "run.yaml", *OUT)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("arch: tiny", "arc: tiny", "run.yaml:3: arc is not a known key; did you mean arch?"),
        ("arch: tiny", "arch: tinny", "run.yaml:3: arch (=tinny)"),
        ("network: mini.yaml", "network: 5", "run.yaml:2: network (=5) must be text"),
        ("stream: mini.npz:frames", "stream: gone.npz", "run.yaml:4: stream (=gone.npz)"),
        ("stream:", "set: [core.pes=3]\nstream:", "run.yaml:4: "),
    ],
)
def test_run_file(folder, refused, old, new, said):
    path = Path("run.yaml")
    path.write_text(path.read_text().replace(old, new))
    assert said in refused("run", "run.yaml", *OUT)


@pytest.fixture
def image(folder, spusim):
    """mini.spu, freshly compiled."""
    assert spusim("compile", "run.yaml", "-o", "mini.spu").exit_code == 0
    return folder / "mini.spu"


@pytest.mark.parametrize("cut", [4, 60, -3])
def test_truncated_image(image, refused, cut):
    image.write_bytes(image.read_bytes()[:cut])
    assert "mini.spu" in refused("run", "mini.spu", "--stream", "random:", *OUT)


def test_damaged_image(image, refused):
    data = bytearray(image.read_bytes())
    data[-9] ^= 0x10
    image.write_bytes(data)
    assert "damaged" in refused("run", "mini.spu", "--stream", "random:", *OUT)
    assert "damaged" in refused("isa", "disasm", "mini.spu")


def test_image_of_another_isa_version(image, refused):
    isa = load_isa()
    content, arrays = read_container(image, isa)
    write_container(image, dataclasses.replace(isa, version="7.3"), content, arrays)
    assert "ISA 7.3" in refused("run", "mini.spu", "--stream", "random:", *OUT)


@pytest.mark.parametrize("words", [("--arch", "spu001"), ("--set", "core.queue.depth=1")])
def test_image_of_another_architecture(image, refused, words):
    said = refused("run", "mini.spu", *words, "--stream", "random:", *OUT)
    assert "compiled for arch tiny" in said


def test_image_with_real_values(image, refused):
    said = refused("run", "mini.spu", "--stream", "mini.npz:frames", *OUT)
    assert "integer codes" in said


def test_image_with_another_network(image, refused):
    words = ("--network", "mini.yaml", "--set", "prune.density=0.5")
    assert "network" in refused("run", "mini.spu", *words, "--stream", "mini.npz", *OUT)


def test_input_period_of_nothing(folder, refused):
    assert "at least 1" in refused("run", "run.yaml", "--input-period", "0", *OUT)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("plan.plan.json", "no such file"),
        ("code.spuasm", "code.spuasm: cannot be read"),
        ("nosuch", "kws_dense"),
        ("nosuch.yaml", "nosuch.yaml"),
        ("nosuch.spu", "nosuch.spu"),
        ("photo.gif", "suffix"),
    ],
)
def test_targets_that_are_none(folder, refused, target, said):
    assert said in refused("run", target, *OUT)


def test_folder_with_files_of_the_user(folder, refused):
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.tex").write_text("dear")
    assert "mine" in refused("run", "run.yaml", "-o", "mine")
    assert (folder / "mine" / "thesis.tex").read_text() == "dear"


@pytest.mark.parametrize("place", ["run.yaml", "run.yaml/out"])
def test_folder_that_cannot_be(folder, refused, place):
    assert "run.yaml" in refused("run", "run.yaml", "-o", place)


@pytest.mark.parametrize("layer", ["fc1", "fc2"])
def test_fully_pruned_layer_is_legal(weights, folder, spusim, layer):
    shapes = {"fc1": (12, 8), "fc2": (3, 12)}
    weights(**{f"{layer}_weight": np.zeros(shapes[layer], np.float32)})
    result = spusim("run", "run.yaml", "--json", *OUT)
    assert result.exit_code == 0, result.stderr
    assert (folder / "out" / "result.json").is_file()


def test_everything_pruned_is_legal(weights, spusim):
    weights(fc1_weight=np.zeros((12, 8), np.float32), fc2_weight=np.zeros((3, 12), np.float32))
    result = spusim("run", "run.yaml")
    assert result.exit_code == 0, result.stderr
    assert "ideal: unbounded" in result.stdout
    assert '"ideal": null' in spusim("run", "run.yaml", "--json").stdout


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--weight-density", "1.5", "weight density (=1.5) must be from 0 to 1"),
        ("--weight-density", "nan", "weight density (=nan)"),
        ("--activation-density", "-0.1", "activation density (=-0.1)"),
        ("--inputs", "0", "inputs (=0) must be at least 1"),
        ("--outputs", "-3", "outputs (=-3)"),
        ("--frames", "0", "frames (=0)"),
        ("--seed", "-1", "seed (=-1)"),
        ("--weight-bits", "3", "(=3x16) must be a precision of tiny"),
        ("--outputs", "99999999999", "at most"),
        ("--arch", "nosuch", "nosuch"),
    ],
)  # fmt: skip
def test_layer(folder, refused, option, value, said):
    words = {
        "--inputs": "16", "--outputs": "8", "--weight-density": "0.5",
        "--activation-density": "0.5", "--arch": "tiny",
    } | {option: value}  # fmt: skip
    assert said in refused("layer", "linear", *(w for pair in words.items() for w in pair), *OUT)


def test_layer_that_does_not_fit(folder, refused):
    said = refused(
        "layer", "linear", "--inputs", "2000", "--outputs", "2000", "--weight-density", "0.5",
        "--activation-density", "0.5", "--arch", "tiny", *OUT,
    )  # fmt: skip
    assert "tiny: core 0 needs" in said


def test_assembly_with_mistakes(folder, refused):
    Path("bad.spuasm").write_text("start:\n  nop\n  fly core=1\n  post core=99, thread=0\n")
    said = refused("isa", "asm", "bad.spuasm", "-o", "bad.bin")
    assert "bad.spuasm:3:3" in said
    assert "bad.spuasm:4:" in said


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("short.bin", b"\xff\x01\x02", "no whole number"),
        ("bad.hex", b"0123\nwords\n", "bad.hex:2"),
        ("none.bin", b"", "empty"),
        ("wrong.bin", b"\xff" * 16, "instruction 0"),
    ],
)
def test_words_that_are_none(folder, refused, name, data, said):
    Path(name).write_bytes(data)
    assert said in refused("isa", "disasm", name)


def test_files_that_are_not_there(folder, refused):
    assert "gone" in refused("isa", "asm", "gone.spuasm")
    assert "gone" in refused("isa", "disasm", "gone.bin")
    assert "gone" in refused("inspect", "gone.pt")
    assert "gone" in refused("inspect", "gone")
    assert "gone" in refused("compile", "gone.yaml", "-o", "x.spu")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--pes", "0"), ("--pes", "99999"), ("--pencil", "-1"), ("--pencil", "9999")],
)
def test_inspect_options(folder, refused, option, value):
    said = refused("inspect", "mini.safetensors", option, value)
    assert f"{option[2:]} (={value}) must be from 1 to 1024" in said


def test_inspect_weight_bits(folder, refused):
    assert "must be 1, 2, 4, 8 or 16" in refused(
        "inspect", "mini.safetensors", "--weight-bits", "3"
    )


def test_image_cannot_be_written(folder, refused):
    said = refused("compile", "run.yaml", "-o", "nosuch/x.spu")
    assert "nosuch/x.spu: cannot be written (No such file or directory)" in said
    assert ".part" not in said
    assert "ends in .spu" in refused("compile", "run.yaml", "-o", "x.txt")


def test_wrong_use_is_told_apart(folder, spusim):
    assert spusim("run").exit_code == 2
    assert spusim("run", "run.yaml", "--bogus").exit_code == 2
    assert spusim("layer", "conv2d").exit_code == 2
