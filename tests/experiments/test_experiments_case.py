"""Run files and targets, from Python."""

import pytest

from spusim.arch import load_arch
from spusim.experiments.case import Case, CaseError, compile_case, run_case
from spusim.experiments.catalogue import catalogue
from spusim.experiments.layers import LayerError, RandomLinear, run_linear
from spusim.experiments.runs import RunError, list_runs, load_run
from spusim.experiments.targets import Choice, open_case


def test_shipped_runs_load_and_name_what_ships():
    assert list_runs() == ["kws", "kws_dense"]
    for name in list_runs():
        run = load_run(name)
        assert (run.arch, run.stream, run.network) == ("spu001", "kws", name)
        assert run.description


def test_run_wins_over_network_of_the_same_name():
    assert open_case("kws").stream == "kws"


def test_paths_are_relative_to_the_run_file(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "arch.yaml").write_text("base: tiny\n")
    (tmp_path / "clips.npz").write_bytes(b"")
    (tmp_path / "deep" / "r.yaml").write_text(
        "network: kws\narch: ../arch.yaml\nstream: ../clips.npz:features\n"
    )
    monkeypatch.chdir(tmp_path.parent)
    run = load_run(tmp_path / "deep" / "r.yaml")
    assert run.name == "r"
    assert run.arch == str(tmp_path / "deep" / ".." / "arch.yaml")
    assert run.stream == str(tmp_path / "deep" / ".." / "clips.npz") + ":features"


def test_run_files_build_on_others(tmp_path):
    (tmp_path / "r.yaml").write_text("base: kws\narch: eie64\nset: [core.queue.depth=4]\n")
    case = open_case(str(tmp_path / "r.yaml"), settings=["core.queue.release=pop"])
    assert case.arch.name == "eie64"
    assert (case.arch.core.queue.depth, case.arch.core.queue.release) == (4, "pop")
    assert case.stream == "kws"


def test_settings_of_the_command_line_come_last(tmp_path):
    (tmp_path / "r.yaml").write_text("base: kws\nset: [core.queue.depth=4]\n")
    case = open_case(str(tmp_path / "r.yaml"), settings=["core.queue.depth=5"])
    assert case.arch.core.queue.depth == 5


def test_missing_network_is_told_with_its_line(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("arch: tiny\nnetwork: kvs\n")
    with pytest.raises(RunError, match=r"r\.yaml:2: network \(=kvs\) .* did you mean kws"):
        load_run(path)
    path.write_text("arch: tiny\n")
    with pytest.raises(RunError, match="network is missing"):
        load_run(path)


def test_settings_find_their_owner():
    choice = Choice(settings=("core.pes=4", "quantise.weights=4", "name=x", "layers.fc1.outputs=3"))
    assert choice.arch_settings == ["core.pes=4", "name=x"]
    assert choice.network_settings == ["quantise.weights=4", "layers.fc1.outputs=3"]


def test_network_and_network_option_exclude_each_other(tmp_path):
    (tmp_path / "net.yaml").write_text("layers: []\n")
    with pytest.raises(CaseError, match="is a network already"):
        open_case(str(tmp_path / "net.yaml"), network="kws")


def test_case_without_stream():
    case = open_case("kws")
    lonely = Case("x", case.arch, None, compile_case(case))
    with pytest.raises(CaseError, match="has no stream of its own"):
        run_case(lonely)


def test_catalogue_describes_everything():
    for kind, items in catalogue().items():
        assert items, kind
        assert list(items) == sorted(items)
        for name, text in items.items():
            assert text, f"{kind} {name}"


@pytest.mark.parametrize(("preset", "kind"), [("eie64", "mac.4x16"), ("spu001", "mac.8x16")])
def test_layer_takes_the_precision_of_the_architecture(preset, kind):
    result = run_linear(RandomLinear(64, 32, 0.25, 0.5), load_arch(preset), baseline=False)
    assert result.counts[kind] >= result.macs["effective"] > 0


def test_layer_is_checked_before_it_is_drawn():
    with pytest.raises(LayerError, match="at most"):
        run_linear(RandomLinear(1 << 20, 1 << 20, 0.1, 0.1), load_arch("tiny"))
    with pytest.raises(LayerError, match=r"seed \(=-1\)"):
        run_linear(RandomLinear(8, 8, 0.1, 0.1, seed=-1), load_arch("tiny"))
