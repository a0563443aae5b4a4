"""Sparsity profiles: what is read, what is refused, and that masks have the profile's counts."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.frontend.errors import PruneError
from spusim.frontend.profile_masks import draw_mask, draw_masks, fit_of, zero_structures
from spusim.frontend.sparsity_profile import ProfileLayer, read_profile
from spusim.resources import shipped

HEAD = "layer,shape,nnz,cols_pct,rows_pct,ch_pct,k2d_pct,f3d_pct\n"
PUBLISHED = ("resnet50_pruned_70", "resnet50_pruned_83")


def written(folder: Path, text: str, head: str = HEAD) -> Path:
    path = folder / "mine.csv"
    path.write_text("# a remark\n" + head + text)
    return path


def test_a_profile_is_read_with_its_counts(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "module.a.weight,4x8x3x3,72,0,0,12.5,25.0,50.0\n\nfc,10x20,30,10.0,5.0,0,0,0\n",
    )
    profile = read_profile(path)
    assert profile.name == "mine"
    conv, matrix = profile.layer("a"), profile.layer("module.fc.weight")
    assert conv == ProfileLayer("a", (4, 8, 3, 3), 72, {"kernels": 8, "filters": 2, "channels": 1})
    assert conv.density == 0.25
    # Distiller sees a matrix transposed: its rows are our inputs
    assert matrix.zero == {"filters": 1, "channels": 1}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_are_rebuilt_to_the_count(name: str) -> None:
    profile = read_profile(shipped("configs") / "published" / f"{name}.csv")
    shapes = {f"{layer}.weight": found.shape for layer, found in profile.layers.items()}
    drawn = [*draw_masks(profile, shapes, seed=3)]
    assert len(drawn) == 54
    for layer, mask, fit in drawn:
        wanted = profile.layer(layer)
        assert mask.shape == wanted.shape
        assert np.count_nonzero(mask) == fit.nonzeros == wanted.nonzeros
        assert fit.misses == {}, layer
    # plain random masks have as many nonzeros, and far fewer empty kernels
    layer = profile.layer("layer4.2.conv2")
    plain = draw_mask(layer, structured=False)
    assert np.count_nonzero(plain) == layer.nonzeros
    assert zero_structures(plain)["kernels"] < 0.5 * layer.zero["kernels"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_counts_of_a_real_mask_are_met_and_all_nonzeros_always(seed: int) -> None:
    rng = np.random.default_rng(seed)
    taps = tuple(int(v) for v in rng.integers(1, 4, 2))
    shape = (int(rng.integers(1, 12)), int(rng.integers(1, 12)), *taps)
    mask = rng.random(shape) < rng.choice([0.02, 0.3, 1.0])
    mask[rng.random(shape[0]) < 0.3] = False
    mask[:, rng.random(shape[1]) < 0.3] = False
    wanted = ProfileLayer("x", shape, int(mask.sum()), zero_structures(mask))
    fit = fit_of(wanted, draw_mask(wanted, seed))
    assert fit.nonzeros == wanted.nonzeros
    kernels = shape[0] * shape[1] - wanted.zero["kernels"]
    rows, columns = (shape[k] - wanted.zero[name] for k, name in enumerate(("filters", "channels")))
    if kernels >= rows + columns:  # enough for any pattern of filters and channels
        assert fit.misses == {}
    # counts that cannot be: the nonzeros win, and what gave way is told
    dense = ProfileLayer("x", shape, int(np.prod(shape)), wanted.zero)
    told = fit_of(dense, draw_mask(dense, seed))
    assert told.nonzeros == dense.nonzeros
    assert told.misses == {name: -count for name, count in wanted.zero.items() if count}


def test_masks_depend_on_seed_and_name_only() -> None:
    layer = ProfileLayer("a", (8, 8, 3, 3), 100, {})
    again, other = (
        ProfileLayer("a", (8, 8, 3, 3), 100, {}),
        ProfileLayer("b", (8, 8, 3, 3), 100, {}),
    )
    assert np.array_equal(draw_mask(layer, 1), draw_mask(again, 1))
    assert not np.array_equal(draw_mask(layer, 1), draw_mask(layer, 2))
    assert not np.array_equal(draw_mask(layer, 1), draw_mask(other, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,4x8x3x3,289,0,0,0,0,0\n", r"mine.csv:3: a: nnz \(=289\) must be 0 to 288, the weights"),
        ("a,4x8x3x3,1.5,0,0,0,0,0\n", r"nnz \(=1.5\) must be a whole number"),
        ("a,4x8x3x3,many,0,0,0,0,0\n", r"nnz \(=many\) must be 0 to 288"),
        ("a,4x8x3x3,9,0,0,0,101,0\n", r"k2d_pct \(=101\) must be 0 to 100 percent"),
        ("a,4x8x3x3,9,0,0,0,nan,0\n", r"k2d_pct \(=nan\) must be 0 to 100 percent"),
        ("a,4 by 8,9,0,0,0,0,0\n", r"shape \(=4 by 8\) of layer a must be sizes"),
        ("a,8,9,0,0,0,0,0\n", r"shape \(=8\) of layer a must be sizes"),
        ("a,4x0,0,0,0,0,0,0\n", r"shape \(=4x0\)"),
        ("a,4x8,9,0,0,0,0,0\na.weight,4x8,9,0,0,0,0,0\n", r"mine.csv:4: layer a is there twice"),
        ("", "has no layers"),
        ("a,4x8x3x3,9,0,0,0,0,0,7\n", "mine.csv:3: has more fields than the 8 columns"),
        ('"a,4x8x3x3,9\nb,4x8,1\n', "mine.csv:3: a quote has no second one on its line"),
    ],
)
def test_bad_rows_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PruneError, match=message):
        read_profile(written(tmp_path, text))


def test_files_that_are_no_profile_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PruneError, match=r"none\.csv: cannot be read: No such file"):
        read_profile(tmp_path / "none.csv")
    with pytest.raises(PruneError, match="has no column shape, nnz"):
        read_profile(written(tmp_path, "a,9\n", "layer,density\n"))
    (tmp_path / "empty.csv").write_text("# nothing\n")
    with pytest.raises(PruneError, match=r"empty\.csv: is empty; give the columns layer, shape"):
        read_profile(tmp_path / "empty.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(PruneError, match="cannot be read: it is no CSV text"):
        read_profile(binary)


def test_profiles_of_other_networks_are_refused(tmp_path: Path) -> None:
    profile = read_profile(written(tmp_path, "layer1.conv1,4x8x3x3,9,0,0,0,0,0\n"))
    with pytest.raises(PruneError, match=r"names layer1.conv1, which .* did you mean layer1.conv2"):
        draw_masks(profile, {"layer1.conv2.weight": (4, 8, 3, 3)})
    with pytest.raises(PruneError, match="has shape 4x8x3x3, 4x8x1x1 in the network"):
        draw_masks(profile, {"layer1.conv1.weight": (4, 8, 1, 1)})
    with pytest.raises(PruneError, match=r"mine has no layer layer2; known: layer1.conv1"):
        profile.layer("layer2")
    masks = draw_masks(profile, {"layer1.conv1.weight": (4, 8, 3, 3), "fc.weight": (3, 4)})
    assert [name for name, *_ in masks] == [
        "layer1.conv1.weight"
    ]  # what it does not name stays as it is
