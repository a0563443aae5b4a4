"""The commands beside `run`: compile, layer, inspect, isa, list."""

import json
from pathlib import Path

import numpy as np

import spusim as package
from spusim.image import load_program
from spusim.isa import assemble, load_isa, manual
from spusim.machine import outputs_hash

LINEAR = (
    "layer", "linear", "--inputs", "40", "--outputs", "24", "--weight-density", "0.25",
    "--activation-density", "0.5", "--arch", "tiny",
)  # fmt: skip


def test_version(spusim):
    assert spusim("--version").stdout == f"spusim {package.__version__}\n"


def test_layer_computes_the_product(spusim, tmp_path):
    out = tmp_path / "out"
    printed = spusim(*LINEAR, "--frames", "3", "--seed", "7", "--json", "-o", str(out)).stdout
    record = json.loads(printed)
    weight, frames = package.random_layer(40, 24, 0.25, 0.5, 3, 7, 8, 16)
    outputs = np.load(out / "outputs.npz")["outputs"]
    assert np.array_equal(outputs, frames.astype(np.int64) @ weight.T)
    assert record["outputs_sha256"] == outputs_hash(outputs)
    assert record["macs"]["weight_nonzero"] == 3 * round(0.25 * 40 * 24)
    assert record["files"] == []
    assert record["versions"]["network"] is None
    for unit, causes in record["stalls"].items():
        assert sum(causes.values()) == record["cycles"], unit


def test_layer_seeds_and_precisions(spusim):
    one = json.loads(spusim(*LINEAR, "--json").stdout)
    assert one == json.loads(spusim(*LINEAR, "--json", "--seed", "0").stdout)
    other = json.loads(spusim(*LINEAR, "--json", "--seed", "1").stdout)
    assert one["outputs_sha256"] != other["outputs_sha256"]
    narrow = json.loads(
        spusim(*LINEAR, "--json", "--weight-bits", "4", "--activation-bits", "8").stdout
    )
    assert "mac.4x8" in narrow["counts"]


def test_layer_tables(spusim):
    text = spusim(*LINEAR).stdout
    assert "40 inputs, 24 outputs, 8-bit weights at density 0.25" in text
    assert "heard" not in text


def test_layer_of_nothing(spusim):
    words = [*LINEAR]
    words[words.index("--weight-density") + 1] = "0"
    result = spusim(*words, "--json")
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert record["macs"]["effective"] == 0
    assert record["speedup"]["ideal"] is None


def test_compile_writes_an_image_and_says_what_is_used(folder, spusim):
    result = spusim("compile", "run.yaml", "-o", "mini.spu")
    program = load_program("mini.spu")
    assert program.labels == ("a", "b", "c")
    assert f"{len(program.cores[0].code)} on core 0" in result.stdout
    assert "core0 data memory" in result.stdout
    assert "written: mini.spu" in result.stdout


def test_compile_without_output_writes_nothing(folder, spusim):
    before = sorted(Path().iterdir())
    assert "mini fits tiny" in spusim("compile", "run.yaml").stdout
    assert sorted(Path().iterdir()) == before


def test_compile_explains(folder, spusim):
    text = spusim("compile", "run.yaml", "--explain").stdout
    for phrase in ("data memory", "matrices", "threads", "code", "fc1"):
        assert phrase in text


def test_inspect_counts_nonzeros(folder, spusim):
    record = json.loads(spusim("inspect", "mini.safetensors", "--json").stdout)
    tensors = {tensor["name"]: tensor for tensor in record["tensors"]}
    assert tensors["fc1.weight"]["shape"] == [12, 8]
    assert tensors["fc1.weight"]["element_density"] == 1.0
    assert tensors["fc1.bias"]["element_density"] is None
    text = spusim("inspect", "mini.safetensors", "--pes", "2", "--pencil", "4").stdout
    assert "fc1.weight" in text
    assert "pencils of 4 rows" in text
    assert "fullest of 2 PEs" in text


def test_inspect_takes_networks(folder, spusim):
    assert "lstm.weight_hh_l0" in spusim("inspect", "kws").stdout
    by_file = json.loads(spusim("inspect", "mini.yaml", "--json").stdout)
    assert (
        by_file["tensors"]
        == (json.loads(spusim("inspect", "mini.safetensors", "--json").stdout)["tensors"])
    )


def test_isa_manual(folder, spusim):
    assert spusim("isa", "doc").stdout == manual(load_isa())
    assert spusim("isa", "doc", "-o", "isa.md").stdout == "written: isa.md\n"
    assert Path("isa.md").read_text() == manual(load_isa())


def test_isa_check(spusim):
    result = spusim("isa", "check")
    assert result.exit_code == 0
    assert "round-trip" in result.stdout


SOURCE = """\
; a thread
.thread init tokens=1
start:
  nop
  post core=0, thread=1
  end
"""


def test_isa_assembles_and_disassembles(folder, spusim):
    Path("a.spuasm").write_text(SOURCE)
    words = assemble(SOURCE, "a").words
    listing = spusim("isa", "asm", "a.spuasm").stdout
    assert f"    1  {int(words[1]):016x}    post core=0, thread=1" in listing
    assert len(listing.splitlines()) == len(SOURCE.splitlines())
    spusim("isa", "asm", "a.spuasm", "-o", "a.bin")
    assert Path("a.bin").read_bytes() == words.astype("<u8").tobytes()
    text = spusim("isa", "disasm", "a.bin").stdout
    assert np.array_equal(assemble(text, "back").words, words)
    Path("a.hex").write_text("".join(f"0x{int(word):x} ; word\n" for word in words) + "\n")
    assert spusim("isa", "disasm", "a.hex").stdout == text


def test_isa_disassembles_every_core_of_an_image(folder, spusim):
    spusim("compile", "run.yaml", "--arch", "spu001", "-o", "mini.spu")
    text = spusim("isa", "disasm", "mini.spu").stdout
    assert "; core 0 of mini for spu001" in text
    assert "; core 1 of mini for spu001" in text
    code = load_program("mini.spu").cores[0].code
    first = text.split("; core 1")[0]
    assert np.array_equal(assemble(first, "core 0").words, code)


def test_list(spusim):
    shipped = json.loads(spusim("list", "--json").stdout)
    assert set(shipped) == {
        "architectures",
        "networks",
        "runs",
        "streams",
        "sweeps",
        "technologies",
    }
    assert {"spu001", "eie64", "tiny"} <= set(shipped["architectures"])
    assert "kws" in shipped["runs"]
    assert all(text for items in shipped.values() for text in items.values())
    text = spusim("list").stdout
    assert "horowitz45" in text
    assert "kws_heldout" in text


def test_help_names_every_command(spusim):
    text = spusim("--help").stdout
    for command in ("run", "layer", "inspect", "compile", "isa", "list"):
        assert f" {command} " in text
