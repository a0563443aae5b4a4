"""`spusim regress`: recording, comparing, exit codes, and whatever is wrong with a baseline."""

import json
from pathlib import Path

import numpy as np
import pytest

MAIN = "from spusim.cli.main import main; main()"
ONE = ("--jobs", "1")


@pytest.fixture
def base(folder, spusim):
    """A baseline of one case, of the run file."""
    done = spusim("regress", "base", "--record", "run.yaml", *ONE)
    assert done.exit_code == 0, done.output
    return folder / "base"


def stored(name="run"):
    return json.loads(Path("base", f"{name}.json").read_text())


def rewrite(change, name="run"):
    content = stored(name)
    change(content)
    Path("base", f"{name}.json").write_text(json.dumps(content))


def told(spusim, *words):
    done = spusim("regress", "base", "--json", *ONE, *words)
    return done.exit_code, json.loads(done.stdout)["cases"]


def names(cases):
    return [d["quantity"] for case in cases for d in case["differences"]]


def test_record_makes_a_list_and_a_result(base, spusim):
    assert sorted(path.name for path in base.iterdir()) == ["regress.yaml", "run.json"]
    text = (base / "regress.yaml").read_text()
    assert text.endswith("cases:\n  - name: run\n    target: ../run.yaml\n")
    plain = spusim("run", "run.yaml", "--no-baseline", "--json").stdout
    assert stored()["result"] == json.loads(plain)
    assert stored()["case"] == {"target": "../run.yaml"}
    assert len(stored()["first_frames"]) == 4
    assert len(stored()["first_frames"][0].split()) == 3
    assert str(base.parent) not in (base / "run.json").read_text()


def test_same_again(base, spusim):
    before = {path: path.read_bytes() for path in base.iterdir()}
    done = spusim("regress", "base", *ONE)
    assert done.exit_code == 0
    assert "run   nothing     same" in done.stdout
    assert {path: path.read_bytes() for path in base.iterdir()} == before
    assert "nothing, all is the same" in spusim("regress", "base", "--record", *ONE).stdout
    assert {path: path.read_bytes() for path in base.iterdir()} == before


def test_from_any_folder_and_by_the_list_itself(base, spusim, monkeypatch):
    monkeypatch.chdir(base)
    assert spusim("regress", ".", *ONE).exit_code == 0
    assert spusim("regress", "regress.yaml", *ONE).exit_code == 0


def test_a_slower_machine_differs_in_time_and_not_in_results(base, spusim):
    Path("run.yaml").write_text(Path("run.yaml").read_text() + "set: [core.queue.depth=1]\n")
    code, (case,) = told(spusim)
    assert code == 3
    assert "results" not in case["differs_in"]
    assert "time" in case["differs_in"]
    assert any("inputs changed since: arch;" in note for note in case["notes"])
    assert any(name.startswith("stall.scanner.") for name in names([case]))
    done = spusim("regress", "base", *ONE)
    assert done.exit_code == 3
    assert "time, energy, area  same" in done.stdout
    assert "stall.scanner.queue_full" not in done.stdout
    verbose = spusim("regress", "base", "--verbose", *ONE).stdout
    assert "stall.core0.scanner.queue_full" in verbose
    assert spusim("regress", "base", "--tolerance", "60%", *ONE).exit_code == 0
    assert spusim("regress", "base", "--tolerance", "60%", "--tolerance", "stalls=0",
                  *ONE).exit_code == 3  # fmt: skip


def test_the_lists_tolerances_hold_and_a_cases_own_goes_first(base, spusim):
    rewrite(lambda c: c["result"].update(cycles=c["result"]["cycles"] + 1))
    path = base / "regress.yaml"
    assert told(spusim)[0] == 3
    text = path.read_text()
    path.write_text("tolerance: {cycles: 1%}\n" + text)
    assert told(spusim)[0] == 0
    path.write_text("tolerance: {cycles: 1%}\n" + text + "    tolerance: {cycles: 0}\n")
    assert told(spusim)[0] == 3


def test_other_outputs_are_results_and_the_first_one_is_named(base, spusim):
    def change(content):
        content["result"]["outputs_sha256"] = "0" * 64
        values = content["first_frames"][2].split()
        content["first_frames"][2] = " ".join([values[0], "17", values[2]])

    now = stored()["first_frames"][2].split()[1]
    rewrite(change)
    code, (case,) = told(spusim)
    assert code == 4
    assert case["differs_in"] == ["results"]
    assert f"outputs differ first at frame 2, output 1: 17 -> {now}" in case["notes"]


def test_changed_weights_and_stream_are_inputs_and_a_comment_is_none(base, spusim):
    Path("mini.yaml").write_text("# a comment\n" + Path("mini.yaml").read_text())
    assert told(spusim) == (0, [{"name": "run", "differs_in": [], "error": None, "notes": [],
                                 "differences": []}])  # fmt: skip
    frames = np.load("mini.npz")["frames"]
    np.savez("mini.npz", frames=frames * 0.5)
    code, (case,) = told(spusim)
    assert code == 4
    # the same file calibrates the network
    assert any("inputs changed since: network, stream;" in note for note in case["notes"])


def test_an_edited_case_is_told(base, spusim):
    path = base / "regress.yaml"
    path.write_text(path.read_text() + "    set: [core.queue.depth=1]\n")
    _, (case,) = told(spusim)
    assert (
        "the inputs changed since: settings was (none), is ['core.queue.depth=1']" in case["notes"]
    )


def test_a_simulator_that_makes_something_else_of_the_same_files_is_told(base, spusim):
    rewrite(lambda c: c["result"]["versions"].update(network="f" * 64))
    _, (case,) = told(spusim)
    assert case["notes"] == [
        "network: its files are the same, but spusim makes something else of them"
    ]


def test_other_versions_are_named_and_compared_all_the_same(base, spusim):
    rewrite(lambda c: c["result"]["versions"].update(spusim="0.0.7", isa="0.0"))
    code, (case,) = told(spusim)
    assert code == 0
    assert any(n.startswith("stored by spusim 0.0.7, run by 0.1") for n in case["notes"])
    assert any(n.startswith("stored by ISA 0.0, run by ") for n in case["notes"])


def test_record_says_what_changed_and_renews_only_that(base, spusim):
    spusim("regress", "base", "--record", "mini.yaml", "--arch", "tiny", "--stream",
           "random:frames=2", *ONE)  # fmt: skip
    text = (base / "regress.yaml").read_text()
    (base / "regress.yaml").write_text(text.replace("cases:", "cases:  # mine"))
    untouched = (base / "mini.json").stat().st_mtime_ns
    rewrite(lambda c: c["result"].update(cycles=c["result"]["cycles"] + 7))
    done = spusim("regress", "base", "--record", *ONE)
    assert done.exit_code == 0
    assert " time " in done.stdout
    assert "written: base/run.json\n" in done.stdout
    assert (base / "mini.json").stat().st_mtime_ns == untouched
    assert told(spusim)[0] == 0


def test_record_adds_to_a_list_and_keeps_its_comments(base, spusim):
    path = base / "regress.yaml"
    path.write_text("# our runs\n" + path.read_text())
    words = ("--arch", "spu001", "--stream", "random:frames=2,seed=4", "--input-period", "5000")
    done = spusim("regress", "base", "--record", "run.yaml", *words, *ONE)
    assert done.exit_code == 0, done.output
    assert path.read_text().startswith("# our runs\n")
    assert path.read_text().endswith(
        "  - name: run-spu001\n    target: ../run.yaml\n    arch: spu001\n"
        "    stream: random:frames=2,seed=4\n    input_period: 5000\n"
    )
    assert stored("run-spu001")["result"]["frames"] == 2
    # the same words again are the same case
    spusim("regress", "base", "--record", "run.yaml", *words, *ONE)
    assert path.read_text().count("name:") == 2
    code, cases = told(spusim, "run-spu001")
    assert (code, [case["name"] for case in cases]) == (0, ["run-spu001"])


def test_images_and_settings_can_be_cases(base, spusim):
    spusim("compile", "run.yaml", "-o", "mini.spu")
    words = ("--stream", "random:frames=2", "--arch", "tiny")
    assert spusim("regress", "base", "--record", "mini.spu", *words, *ONE).exit_code == 0
    words = ("--set", "core.queue.depth=2", "--set", "prune.density=0.5")
    assert spusim("regress", "base", "--record", "run.yaml", *words, *ONE).exit_code == 0
    code, cases = told(spusim)
    assert (code, [case["name"] for case in cases]) == (0, ["run", "mini", "run-2"])
    data = bytearray(Path("mini.spu").read_bytes())
    data[-1] ^= 1
    Path("mini.spu").write_bytes(data)
    code, cases = told(spusim)
    assert code == 1
    assert "mini.spu" in cases[1]["error"]


def test_processes_say_what_one_does(base, spusim):
    spusim("regress", "base", "--record", "mini.yaml", "--arch", "tiny", "--stream",
           "random:frames=2", *ONE)  # fmt: skip
    alone = spusim("regress", "base", "--json", *ONE).stdout
    assert spusim("regress", "base", "--json", "--jobs", "2").stdout == alone


def test_reports_as_files(base, spusim):
    rewrite(lambda c: c["result"].update(cycles=1))
    done = spusim("regress", "base", "-o", "deep/report.md", *ONE)
    assert done.exit_code == 3
    assert "written: deep/report.md" in done.stdout
    assert "1 → 512" in done.stdout
    text = Path("deep/report.md").read_text()
    assert text == spusim("regress", "base", "--markdown", *ONE).stdout
    assert "| run | time | same | 1 → 512 |" in text
    spusim("regress", "base", "-o", "report.json", *ONE)
    assert Path("report.json").read_text() == spusim("regress", "base", "--json", *ONE).stdout


# bad input


def failed(spusim, *words):
    """Run a comparison whose case `run` must fail; return its message."""
    done = spusim("regress", "base", "--json", *ONE, *words)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: 1 of ")
    cases = {case["name"]: case for case in json.loads(done.stdout)["cases"]}
    assert all(case["error"] is None for name, case in cases.items() if name != "run")
    return cases["run"]["error"]


def test_a_case_that_fails_does_not_stop_the_others(base, spusim):
    spusim("regress", "base", "--record", "mini.yaml", "--arch", "tiny", "--stream",
           "random:frames=2", *ONE)  # fmt: skip
    Path("run.yaml").write_text(Path("run.yaml").read_text().replace("tiny", "tinny"))
    assert "did you mean tiny?" in failed(spusim)
    before = Path("base/run.json").read_bytes()
    done = spusim("regress", "base", "--record", *ONE)
    assert done.exit_code == 1
    assert "run: failed: " in done.stdout
    assert Path("base/run.json").read_bytes() == before


def test_missing_result(base, spusim):
    Path("base/run.json").unlink()
    assert failed(spusim) == ("base/run.json: there is no stored result yet; make it with --record")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged: no JSON"),
        (b"{\x00\xff", "is damaged: no JSON"),
        (b'{"baseline_version": 1', "is damaged: no JSON"),
        (b"[]", "baseline version none"),
        (b'{"baseline_version": 7}', "has baseline version 7, and this spusim reads 1"),
        (b'{"baseline_version": 1}', "is damaged (case: field required)"),
        (b'{"baseline_version": 1, "case": [1]}', "is damaged (case: "),
    ],
)
def test_damaged_result(base, spusim, content, said):
    Path("base/run.json").write_bytes(content)
    message = failed(spusim)
    assert message.startswith("base/run.json: ")
    assert said in message
    # recording again mends it
    done = spusim("regress", "base", "--record", *ONE)
    assert done.exit_code == 0
    assert "run: replaced: " in done.stdout
    assert told(spusim)[0] == 0


def test_result_of_another_schema(base, spusim):
    rewrite(lambda c: c["result"].update(schema_version=2))
    rewrite(lambda c: c["result"]["versions"].update(spusim="9.0"))
    assert "has result schema 2 (spusim 9.0), and this spusim reads 1" in failed(spusim)


def test_result_that_lacks_a_part(base, spusim):
    rewrite(lambda c: c["result"].pop("stalls"))
    assert "is damaged: stalls: field required" in failed(spusim)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "regress.yaml:1: must be a mapping"),
        ("cases: {\n", "regress.yaml:2: is not YAML"),
        ("cases: []\n", "regress.yaml:1: cases must be a list of at least one case"),
        ("cases: kws\n", "cases must be a list"),
        ("runs: [kws]\n", "regress.yaml:1: runs is not a known key; the keys here are"),
        ("cases:\n  - name: x\n", "regress.yaml:2: a case needs a target"),
        ("cases:\n  - {target: kws}\n  - target: kws\n", "regress.yaml:3: name (=kws) is taken"),
        ("cases:\n  - target: kws\n    steam: x\n", "yaml:3: steam is not a known key; did you m"),
        ("cases:\n  - target: kws\n    name: ../x\n", "name (=../x) must be letters"),
        ("cases:\n  - target: kws\n    input_period: 0\n", "yaml:3: input_period (=0) must be"),
        ("cases:\n  - target: kws\n    tolerance: {cycles: 3}\n", "yaml:3: tolerance (=3) must"),
        ("tolerance: {outputs: 1%}\ncases:\n  - target: kws\n", "compared to the bit"),
        ("cases:\n  - kws\n", "regress.yaml:2: "),
    ],
)
def test_bad_lists(base, refused, text, said):
    (base / "regress.yaml").write_text(text)
    assert said in refused("regress", "base", *ONE)


def test_bad_names_and_places(base, refused, spusim):
    assert "did you mean run?" in refused("regress", "base", "runn", *ONE)
    assert "no such baseline; make one with `spusim regress nowhere --record" in refused(
        "regress", "nowhere"
    )
    assert "no such baseline" in refused("regress", "nowhere", "--record")
    Path("a_file").write_text("")
    assert "a_file: is a file" in refused("regress", "a_file", "--record", "run.yaml")
    assert "--tolerance cycles=x" in refused("regress", "base", "--tolerance", "cycles=x")


def test_a_target_that_fails_is_not_added(base, spusim):
    before = (base / "regress.yaml").read_bytes()
    done = spusim("regress", "base", "--record", "kwss", *ONE)
    assert done.exit_code == 1
    assert "kwss: is no shipped run or network" in done.stdout
    assert (base / "regress.yaml").read_bytes() == before
    assert spusim("regress", "fresh", "--record", "kwss", *ONE).exit_code == 1
    assert not Path("fresh").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--arch", "tiny"), "go with --record and a target"),
        (("--record", "--set", "core.queue.depth=1"), "go with --record and a target"),
        (("--json", "--markdown"), "choose one"),
        (("-o", "report.txt"), "name a .md or .json file"),
        (("--jobs", "0"), "greater than or equal to 1"),
    ],
)
def test_usage(base, spusim, words, said):
    done = spusim("regress", "base", *words)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_a_result_of_no_case_is_noted(base, spusim):
    (base / "old.json").write_text("{}")
    assert "note: base/old.json: belongs to no case" in spusim("regress", "base", *ONE).stdout


def test_the_shipped_baseline_holds(spusim):
    done = spusim("regress", "kws", *ONE)
    assert done.exit_code == 0, done.output
    assert "751,973" in done.stdout


def test_what_ships_is_not_recorded_over(folder, refused):
    assert "kws/regress.yaml: no such baseline" in refused("regress", "kws", "--record")


def test_stalls_named_in_the_row_are_those_that_changed_most(base, spusim):
    def change(content):
        causes = content["result"]["stalls"]
        causes["core0.pe0"]["busy"] += 900
        causes["core0.pe0"]["starved"] += 300
        causes["core0.scanner"]["queue_full"] -= 200
        causes["core0.vector"]["port"] = 100

    rewrite(change)
    assert (
        "pe starved -300, scanner queue_full +200 |"
        in spusim("regress", "base", "--markdown", *ONE).stdout
    )
