"""Number formats on the command line, and the mistakes that one makes with them."""

import json

import pytest

LAYER = ("layer", "linear", "--inputs", "64", "--outputs", "48", "--weight-density", "0.5")
BITMIX = ("--arch", "bitmix")


@pytest.mark.parametrize("bits", ["1", "2", "4", "8", "16"])
def test_layers_of_every_weight_width(spusim, bits):
    widths = ("--weight-bits", bits, "--activation-bits", "1", "--activation-density", "1")
    record = json.loads(spusim(*LAYER, *widths, *BITMIX, "--json").stdout)
    assert record["counts"][f"mac.{bits}x1"] == 64 * 48 // 2
    assert record["speedup"]["ideal"] == 2.0  # signs are never skipped
    assert record["speedup"]["achieved"] > 0.5


def test_layers_of_indices(spusim):
    widths = ("--codebook-bits", "8", "--activation-bits", "8", "--activation-density", "0.5")
    counts = json.loads(spusim(*LAYER, *widths, *BITMIX, "--json").stdout)["counts"]
    assert counts["codebook.read"] == counts["mac.c8x8"] > 0
    assert "4-bit indices of 8-bit weights" in spusim(*LAYER, *widths, *BITMIX).stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--weight-bits", "1"),
         "(=1x16) must be a precision of spu001: 8x16, 8x8, 4x8; bitmix can"),
        (("--codebook-bits", "16"), "(=c16x16) must be a precision of spu001"),
        (("--codebook-bits", "12"), "codebook bits (=12) must be 8 or 16"),
        (("--codebook-bits", "8", "--weight-bits", "8"),
         "weight bits (=8) must be 4 with a codebook"),
        (("--activation-bits", "1", "--weight-bits", "2", *BITMIX),
         "activation density (=0.5) of binary activations must be 1"),
        (("--weight-bits", "3"), "(=3x16) must be a precision of spu001"),
    ],
)  # fmt: skip
def test_mistakes_have_one_clear_message(refused, options, said):
    assert said in " ".join(refused(*LAYER, "--activation-density", "0.5", *options).split())


def test_a_binary_network_on_a_preset_without_signs(refused, folder):
    (folder / "mini.yaml").write_text(
        (folder / "mini.yaml").read_text().replace("quantise: {", "quantise: {weights: binary, ")
    )
    told = " ".join(refused("run", "run.yaml").split())
    assert "needs 1x16" in told and "take --arch bitmix" in told


@pytest.mark.parametrize("weights", ["binary", "ternary", "codebook", "codebook8", "int4"])
def test_quantize_takes_the_words(spusim, folder, weights):
    done = spusim("quantize", "mini.safetensors", "--network", "mini.yaml", "--weights", weights,
                  "-o", "q.safetensors")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"mini: {weights} weights with a scale per tensor" in " ".join(done.stdout.split())
    ran = spusim("run", "q.safetensors", "--network", "mini.yaml", "--stream", "mini.npz:frames",
                 *BITMIX, "--set", "core.sparse.format=bitmap", "--json")  # fmt: skip
    assert ran.exit_code == 0, ran.output
    kinds = {"binary": "1", "ternary": "2", "codebook": "c16", "codebook8": "c8", "int4": "4"}
    assert json.loads(ran.stdout)["counts"][f"mac.{kinds[weights]}x16"] > 0


def test_quantize_names_the_words(refused, folder):
    told = refused("quantize", "mini.safetensors", "--network", "mini.yaml", "--weights", "int3",
                   "-o", "q.safetensors")  # fmt: skip
    words = "int4, int8, int16, binary, ternary, codebook8, codebook"
    assert words in " ".join(told.split())
