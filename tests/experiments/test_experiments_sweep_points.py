import re

import pytest
from sweeps import LAYER, points_of, write_network, write_sweep

from spusim.errors import SpusimError
from spusim.experiments.sweep.file import LayerFile, SweepError, list_sweeps, load_sweep
from spusim.experiments.sweep.parameters import STREAM_OPTIONS
from spusim.experiments.sweep.parts import open_parts
from spusim.frontend.random_stream import RandomOptions

MINI = "target: mini.yaml\narch: tiny\nstream: mini.npz:frames\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_network(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(folder, text):
    with pytest.raises(SpusimError) as error:
        points_of(write_sweep(folder, text))
    return str(error.value)


def keys(folder, text, name="s"):
    return [p.job.key for p in points_of(write_sweep(folder, text, name))]


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("core.que.depth: [1]", "core.que.depth names no parameter; did you mean core"),
        ("prune.densty: [1]", "did you mean prune.density"),
        ("layers.fc3.outputs: [1]", "did you mean layers.fc2.outputs or layers.fc1.outputs"),
        ("layer.weight_density: [1]", "goes with `layer:`"),
        ("core.queue.depth: [0]", "s.yaml:4: core.queue.depth (=0) must be at least 1; try 1"),
        ("core.queue.depth: [deep]", "core.queue.depth (=deep) must be a whole number"),
        ("core.pes: [2, 3]", "core.pes (=3) must divide core.data_memory.banks (=2)"),
        ("core.pes: [2, 3]", "so point 1 (core.pes=3) is no machine"),
        ("prune.density: [1.5]", "s.yaml:4: "),
        ("technology: [cacti23]", "did you mean cacti22"),
        ("arch: [spu002]", "arch (=spu002) is no file and not shipped; did you mean spu001?"),
        ("network: [kvs]", "network (=kvs) is no file and not shipped; did you mean kws"),
        ("stream: [none.npz]", "stream (=none.npz) is no file"),
        ("stream: [kws]", "stream kws has 32 features, mini takes 8"),
        ("stream.density: [0.5]", "stream.density goes with a random stream, and stream is"),
        ("input_period: [0]", "input_period (=0) must be a whole number"),
        ("checkpoint: [mini.npz]", "mini.npz"),
    ],
)  # fmt: skip
def test_bad_points_are_refused_before_anything_runs(folder, axis, message):
    assert message in refused(folder, f"{MINI}grid: {{{axis}}}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid: {core.queue.depth: [1]}\n", "has nothing to run"),
        (LAYER + "target: kws\n", "target (=kws) does not go with layer"),
        (LAYER.replace("inputs: 24, ", ""), "layer needs inputs and outputs"),
        (LAYER.replace("0.25, 0.5", "1.5"), "layer.weight_density (=1.5) must be at most 1"),
        (LAYER + "replicas: 2\n  layer.seed: [1]\n", "s.yaml"),
        (LAYER + "zip: {prune.density: [1]}\n", "prune.density goes with a target"),
        (MINI + "replicas: 3\ngrid: {core.queue.depth: [1]}\n", "s.yaml:4: replicas (=3) has"),
        (MINI + "set: [core.quue=1]\ngrid: {core.pes: [1]}\n", "s.yaml:4: core.quue names no"),
        (MINI + "set: [core.pes]\ngrid: {core.queue.depth: [1]}\n", "must look like key.key=value"),
        ("target: mini.safetensors\ngrid: {core.pes: [1]}\n", "a checkpoint has no topology"),
        ("target: x.spu\ngrid: {core.queue.depth: [1]}\n", "bound to one machine"),
        ("target: mini.yaml\narch: tiny\ngrid: {core.pes: [1]}\n", "mini has no stream of its own"),
        ("targt: kws\ngrid: {core.queue.depth: [1]}\n", "did you mean target or parts?"),
        ("base: kwss\n", "no sweep of that name"),
    ],
)  # fmt: skip
def test_bad_files_are_refused(folder, text, message):
    assert message in refused(folder, text)


def test_replicas_have_seeds_that_follow_and_an_axis_of_seeds_excludes_them(folder):
    text = LAYER + "replicas: 3\nseed: 5\n"
    points = points_of(write_sweep(folder, text))
    assert [p.seed for p in points[:4]] == [5, 6, 7, 5]
    assert [p.replica for p in points[:4]] == [0, 1, 2, 0]
    assert len({p.job.key for p in points}) == len(points) == 18
    swept = text.replace("core.queue.depth: [1, 2]", "layer.seed: [1, 2]")
    assert "layer.seed is an axis, and replicas or seed draw too" in refused(folder, swept)


def test_streams_options_are_axes_over_a_random_stream(folder):
    text = (
        "target: mini.yaml\narch: tiny\nstream: random:frames=4\n"
        "grid: {stream.density: [0.25, 0.5], stream.files: [1, 2]}\n"
    )
    assert [p.stream for p in points_of(write_sweep(folder, text))] == [
        f"random:density={d},frames=4,seed=1,files={f}" for d in (0.25, 0.5) for f in (1, 2)
    ]
    assert set(STREAM_OPTIONS) == set(RandomOptions.__dataclass_fields__)


def test_impossible_points_are_kept_if_the_file_says_so(folder):
    text = MINI + "skip_impossible: true\ngrid: {core.pes: [1, 2, 3]}\n"
    impossible = [p.impossible for p in points_of(write_sweep(folder, text))]
    assert impossible[:2] == [None, None]
    assert "must divide" in impossible[2]
    # a value that no machine could have is a mistake all the same
    assert "must be at least 1" in refused(folder, text.replace("3]", "0]"))


def test_a_key_is_what_determines_the_point(folder):
    depth = MINI + "grid: {core.queue.depth: [1, 2]}\n"
    base = keys(folder, depth)
    assert base == keys(folder, depth) and len(set(base)) == 2
    # the same values by another way, in another sweep of another name
    other = MINI.replace("arch: tiny\n", "") + "set: [core.queue.depth=2]\ngrid: {arch: [tiny]}\n"
    assert keys(folder, other, "t") == base[1:]
    for change in ("baseline: false\n", "input_period: 5000\n", "set: [core.hazard=stall]\n",
                   "set: [prune.density=0.5]\n", "set: [technology=cacti45]\n"):  # fmt: skip
        assert not set(keys(folder, depth + change)) & set(base), change


def test_a_key_changes_with_the_contents_of_the_files(folder):
    text = MINI + "grid: {core.queue.depth: [1]}\n"
    before = keys(folder, text)
    weights = folder / "mini.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    changed = keys(folder, text)
    assert changed != before
    data[-1] ^= 1
    weights.write_bytes(data)
    assert keys(folder, text) == before


def test_parts_lay_their_keys_over_the_common_ones(folder):
    text = (
        "arch: tiny\nbaseline: false\nparts:\n"
        "  net: {target: mini.yaml, stream: 'mini.npz:frames', grid: {prune.density: [0.5, 1]}}\n"
        "  one: {layer: {inputs: 8, outputs: 8}, baseline: true, grid: {layer.seed: [1, 2, 3]}}\n"
    )
    points = points_of(write_sweep(folder, text))
    assert [(p.part, p.job.baseline) for p in points] == 2 * [("net", False)] + 3 * [("one", True)]
    assert [p.number for p in points] == list(range(5))


def test_every_shipped_sweep_says_what_it_shows_and_can_be_run():
    assert set(list_sweeps()) == {
        "banks_and_words", "dataflows", "energy_breakdown", "formats", "number_formats", "pareto",
        "pes_and_lanes", "pruning_tradeoffs", "queue_depth", "speedup_vs_sparsity", "structures",
    }  # fmt: skip
    for name in list_sweeps():
        sweep = load_sweep(name)
        assert re.search(r"\w+ .*\w", sweep.description), name
        assert 10 <= len(points_of(name)) <= 200, name
        for part in open_parts(sweep):
            assert all(part.parameter(axis.name).about for axis in part.axes.axes), name


def test_speedup_vs_sparsity_goes_from_dense_to_98_percent_at_several_activation_densities():
    points = points_of("speedup_vs_sparsity")
    network = [p.values["prune.density"] for p in points if p.part == "kws_dense"]
    layer = [p for p in points if p.part == "layer"]
    weights = {p.values["layer.weight_density"] for p in layer}
    assert (max(network), min(network)) == (max(weights), min(weights)) == (1, 0.02)
    assert len({p.values["layer.activation_density"] for p in layer}) >= 3
    assert all((p.job.layer.inputs, p.job.layer.outputs) == (2048, 2048) for p in layer)
    assert all(p.job.baseline for p in points)


def test_a_sweeps_layer_is_that_of_the_command():
    from spusim.experiments.layers import RandomLinear

    assert set(LayerFile.model_fields) == set(RandomLinear.__dataclass_fields__)
    with pytest.raises(SweepError):
        load_sweep("no_such_sweep")
