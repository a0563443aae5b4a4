"""Sparsity profiles on networks: exact nonzeros after quantising, the fit told, bad ones not."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spusim.cli.app import app
from spusim.experiments.case import CaseError
from spusim.experiments.targets import profile_settings
from spusim.frontend import PruneError, load_network
from spusim.frontend.load import find_network
from spusim.frontend.profile_masks import zero_structures
from spusim.frontend.profiled import find_profile, list_profiles, masked
from spusim.network import Convolution, Product

PROFILE = """\
# a profile of cnn_small: what is not named stays dense
layer,shape,nnz,k2d_pct,f3d_pct
module.conv1.weight,16x3x3x3,120,25,12.5
conv2,16x16x3x3,500,50,0
fc,10x512,1000,,
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile of three layers of cnn_small."""
    path = tmp_path / "small.csv"
    path.write_text(PROFILE)
    return path


def nonzeros(path: Path, *settings: str) -> dict[str, np.ndarray]:
    """Return the integer weights of cnn_small's layers."""
    network = load_network("cnn_small", settings=[f"prune.profile={path}", *settings])
    kinds = (Convolution, Product)
    return {node.layer: node.weight for node in network.nodes if isinstance(node, kinds)}


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("per_channel", ["true", "false"])
def test_integers_have_exactly_the_profiles_nonzeros(
    profile: Path, bits: int, per_channel: str
) -> None:
    if per_channel == "false":  # a batch norm's scales then share one
        bits = max(bits, 16)
    settings = f"quantise.weights={bits}", f"quantise.per_channel={per_channel}"
    weights = nonzeros(profile, *settings)
    assert [np.count_nonzero(weights[name]) for name in ("conv1", "conv2", "fc")] == [
        120, 500, 1000,
    ]  # fmt: skip
    zero = zero_structures(weights["conv1"] != 0)
    assert (zero["kernels"], zero["filters"]) == (12, 2)
    assert zero_structures(weights["conv2"] != 0)["kernels"] == 128
    assert np.count_nonzero(weights["conv4"]) > 400  # dense, of 512; four bits round some to zero


def test_unstructured_masks_have_as_many_nonzeros_anywhere(profile: Path) -> None:
    weights = nonzeros(profile, "prune.structured=false")
    assert np.count_nonzero(weights["conv2"]) == 500
    assert zero_structures(weights["conv2"] != 0)["kernels"] < 60  # by chance, 0.8 ** 9 of 256
    other = nonzeros(profile, "prune.structured=false", "prune.seed=1")
    assert ((weights["fc"] != 0) != (other["fc"] != 0)).any()


def test_notes_tell_the_fit(profile: Path) -> None:
    notes = load_network("cnn_small", settings=[f"prune.profile={profile}"]).notes
    told = next(note for note in notes if note.startswith("sparsity profile small"))
    assert "1620 of 7856 weights of 3 layers are nonzero" in told
    assert "zero kernels 140 asked, 140 drawn" in told and "zero filters 2 asked" in told
    assert "2 layers are not in the profile, and stay dense" in notes
    one = load_network("cnn_small", settings=[f"prune.profile={profile}", "prune.structured=false"])
    # plain random masks: what the zero structures became is told as well
    assert any("zero structures that differ from the profile" in note for note in one.notes)


def test_small_kept_weights_stay() -> None:
    weight = np.array([[1e-9, 0.0, -4.0, 3.0], [0.0, 0.0, 0.0, 0.0]])
    mask = np.array([[True, True, True, False], [False, False, False, False]])
    found = masked(weight, mask, 1 / 127, per_channel=True)
    np.testing.assert_allclose(found[0], [4 / 127, 4 / 127, -4.0, 0.0])
    assert not found[1].any()


def test_published_profiles_ship_and_fit_resnet50() -> None:
    assert list(list_profiles()) == ["resnet50_pruned_70", "resnet50_pruned_83"]
    settings = ["prune.profile=resnet50_pruned_83", "input.height=32", "input.width=32"]
    network = load_network("resnet50", settings=settings)
    counts = {
        node.layer: np.count_nonzero(node.weight)
        for node in network.nodes
        if isinstance(node, Convolution | Product)
    }
    wanted = find_profile("resnet50_pruned_83", Path()).layers
    assert {name: layer.nonzeros for name, layer in wanted.items()} == counts


def test_what_does_not_fit_is_refused(profile: Path) -> None:
    bad = {
        "conv9": (PROFILE.replace("conv2", "conv9"), "names conv9, which the network does not"),
        "nnz": (PROFILE.replace(",500,", ",5000,"), r"nnz \(=5000\) must be 0 to 2304"),
        "shape": (PROFILE.replace("10x512", "10x256"), "fc has shape 10x256, 10x512 in the net"),
    }
    for text, pattern in bad.values():
        profile.write_text(text)
        with pytest.raises(PruneError, match=pattern):
            load_network("cnn_small", settings=[f"prune.profile={profile}"])
    with pytest.raises(PruneError, match="neither a CSV file nor shipped; did you mean resnet50"):
        load_network("cnn_small", settings=["prune.profile=resnet50_pruned_84"])


def test_option_of_the_commands(profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(profile.parent)
    assert profile_settings("cnn_small", None) == ()
    (setting,) = profile_settings("cnn_small", "small.csv")
    assert setting == f"prune.profile={json.dumps(str(profile))}"
    with pytest.raises(CaseError, match="too late for a sparsity profile"):
        profile_settings("program.spu", "small.csv")
    result = CliRunner().invoke(
        app, ["inspect", "cnn_small", "--sparsity-profile", "small.csv", "--json"]
    )
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    by_name = {each["name"]: each for each in record["tensors"]}
    assert by_name["conv2.weight"]["element_density"] == pytest.approx(500 / 2304)
    assert by_name["conv1.weight"]["filter_density"] == pytest.approx(14 / 16)
    assert "1620 of 7856 weights" in record["forms"][0]
    assert find_network("cnn_small").is_file()
