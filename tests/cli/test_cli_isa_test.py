"""`spusim isa test`, and program sources as targets."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from spusim import golden, machine
from spusim.experiments import conformance
from spusim.golden.meaning import MEANING
from spusim.image import load_program

PROGRAM = """; A sum.
.arch tiny
.input elements=4
.output elements=4
.frame 1, 2, 3, -4
.frame 5, 6, 7, 8
.space x 0 words=1
.data y 4
  .values 10, 20, 30, 40
.thread main tokens=1
  recv channel=0, dst=x, words=1
  vset len=4, wa=16, wb=16, wd=16, sa=0, sb=0, sd=0
  vadd d=y, a=x, b=y
  send dest={host}, channel=0, src=y, words=1, thread=0
  end
"""
Run = Callable[..., Result]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spusim: Run) -> Path:
    """A folder with one program, `sum`, and its golden file, in the working folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "sum.spuasm").write_text(PROGRAM)
    assert "sum: new" in spusim("isa", "test", "--refresh", "programs").stdout
    return folder


def outcomes(spusim: Run, *words: str) -> tuple[int, dict]:
    """Run `isa test --json` on the folder; return its exit code and programs."""
    result = spusim("isa", "test", "--dir", "programs", "--json", *words)
    record = json.loads(result.stdout)
    assert (record["schema_version"], sorted(record["versions"])) == (1, ["isa", "spusim"])
    return result.exit_code, record["programs"]


def change_golden(folder: Path, **values: object) -> None:
    path = folder / "sum.golden.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_program_that_passes(programs: Path, spusim: Run) -> None:
    result = spusim("isa", "test", "--dir", "programs")
    assert result.exit_code == 0
    assert "1 program: 1 pass" in result.stdout
    code, found = outcomes(spusim)
    record = json.loads((programs / "sum.golden.json").read_text())
    assert code == 0
    assert found == {
        "sum": {
            "verdict": "pass",
            **{k: record[k] for k in ("signature", "cycles", "frame_cycles", "stalls", "counts")},
            "expected": {k: record[k] for k in ("signature", "cycles")},
            "error": None,
        }
    }
    assert record["outputs"] == [[11, 22, 33, 36], [16, 28, 40, 44]]


def test_another_time_is_exit_code_3(programs: Path, spusim: Run) -> None:
    change_golden(programs, cycles=3, counts={})
    result = spusim("isa", "test", "--dir", "programs")
    assert result.exit_code == 3
    assert "3 → " in result.stdout and "cycles 3 → " in result.stdout
    assert outcomes(spusim)[1]["sum"]["verdict"] == "time"


def test_another_stall_alone_is_exit_code_3(programs: Path, spusim: Run) -> None:
    stalls = json.loads((programs / "sum.golden.json").read_text())["stalls"]
    stalls["core0.vector"]["busy"] += 1
    change_golden(programs, stalls=stalls)
    assert outcomes(spusim)[0] == 3


def test_another_signature_is_exit_code_4(programs: Path, spusim: Run) -> None:
    change_golden(programs, signature="0" * 64, cycles=3)
    code, found = outcomes(spusim)
    assert (code, found["sum"]["verdict"]) == (4, "values")
    assert found["sum"]["expected"] == {"signature": "0" * 64, "cycles": 3}


def test_golden_and_machine_that_disagree_are_exit_code_4(
    programs: Path, spusim: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MEANING, "vadd", MEANING["vsub"])
    code, found = outcomes(spusim)
    assert (code, found["sum"]["verdict"]) == (4, "values")
    assert "disagree: outputs (frame, feature) (0, 0) is -9 and 11" in found["sum"]["error"]
    assert "golden ≠ machine" in spusim("isa", "test", "--dir", "programs").stdout


def test_final_memory_counts_even_where_outputs_agree(
    programs: Path, spusim: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = golden.run

    def one_byte_off(*args, **kwargs):  # type: ignore[no-untyped-def]
        result = real(*args, **kwargs)
        result.data_memory[0][99, 3] ^= 1
        return result

    monkeypatch.setattr(conformance.golden, "run", one_byte_off)
    assert "core 0 data memory (word, byte) (99, 3)" in outcomes(spusim)[1]["sum"]["error"]


def test_refresh_says_what_changed_and_changes_nothing_twice(programs: Path, spusim: Run) -> None:
    path = programs / "sum.golden.json"
    before = path.read_text()
    change_golden(programs, cycles=3)
    said = spusim("isa", "test", "--refresh", "programs").stdout
    assert "sum: cycles 3 → " in said and "1 golden file written" in said
    assert path.read_text() == before
    assert "0 golden files written" in spusim("isa", "test", "--refresh", "programs").stdout


def test_refresh_refuses_when_golden_and_machine_disagree(
    programs: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (programs / "other.spuasm").write_text(PROGRAM.replace("vadd", "vmax"))
    monkeypatch.setitem(MEANING, "vadd", MEANING["vsub"])
    said = refused("isa", "test", "--refresh", "programs")
    assert "nothing was written" in said and "sum: golden and machine disagree" in said


SIDE = """.init core=0 thread=1
.thread side tokens=1
  vset len=4, wa=16, wb=16, wd=16, sa=0, sb=0, sd=0
  vfill d=y, value=1
  end
"""
RACE = PROGRAM + SIDE
DEADLOCK = PROGRAM.replace("vadd d=y", "recv channel=1, dst=5, words=1\nvadd d=y")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RACE, "no token orders the two"),
        (DEADLOCK, "waits at instruction 2 for a message on channel 1"),
        (PROGRAM.replace("vadd", "vda"), "bad.spuasm:13:3: `vda`: is no instruction"),
        (PROGRAM.replace(".frame", ";"), "has no frames"),
        (PROGRAM.replace("d=y, a=x", "d=9000, a=x"), "there are 4096"),
        ("", "is empty"),
    ],
)
def test_a_bad_program_has_one_message_and_the_others_run(
    programs: Path, spusim: Run, text: str, expected: str
) -> None:
    (programs / "bad.spuasm").write_text(text)
    (programs / "bad.golden.json").write_text((programs / "sum.golden.json").read_text())
    code, found = outcomes(spusim)
    assert (code, found["bad"]["verdict"], found["sum"]["verdict"]) == (1, "error", "pass")
    assert expected in found["bad"]["error"]
    assert found["bad"]["signature"] is None
    assert "1 pass, 1 error" in spusim("isa", "test", "--dir", "programs").stdout


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there is no golden file; `spusim isa test --refresh programs`"),
        ("{", "is damaged, no JSON"),
        ("[]", "schema_version (=None) must be 1"),
        ('{"schema_version": 2}', "schema_version (=2) must be 1"),
        ('{"schema_version": 1}', "is damaged: isa is missing"),
    ],
)
def test_a_golden_file_of_no_use(
    programs: Path, spusim: Run, content: str | None, expected: str
) -> None:
    path = programs / "sum.golden.json"
    path.unlink()
    if content:
        path.write_text(content)
    code, found = outcomes(spusim)
    assert (code, found["sum"]["verdict"]) == (1, "error")
    assert expected in found["sum"]["error"]
    assert found["sum"]["cycles"] > 0
    assert found["sum"]["expected"] == {"signature": None, "cycles": None}


def test_a_golden_file_of_another_version_or_with_more_in_it(programs: Path, spusim: Run) -> None:
    change_golden(programs, isa="0.0")
    assert "was recorded for ISA 0.0, this is" in outcomes(spusim)[1]["sum"]["error"]
    spusim("isa", "test", "--refresh", "programs")
    change_golden(programs, extra=1)
    assert "it has ['extra']" in outcomes(spusim)[1]["sum"]["error"]


def test_a_golden_file_without_its_program(programs: Path, spusim: Run) -> None:
    (programs / "gone.golden.json").write_text("{}")
    code, found = outcomes(spusim)
    assert (code, found["sum"]["verdict"]) == (1, "pass")
    assert "gone.golden.json: has no program; remove it" in found["gone"]["error"]
    assert outcomes(spusim, "sum")[0] == 0


def test_names_and_folders_that_are_not_there(
    programs: Path, spusim: Run, refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "has no program nope; known: sum" in refused("isa", "test", "nope", "--dir", "programs")
    assert "is no folder" in refused("isa", "test", "--dir", "nowhere")
    (tmp_path / "empty").mkdir()
    assert "has no programs (*.spuasm)" in refused("isa", "test", "--dir", "empty")
    assert spusim("isa", "test", "--json", "--refresh", "programs").exit_code == 2
    assert outcomes(spusim, "sum.spuasm")[0] == 0


def test_the_shipped_programs_are_the_default(spusim: Run) -> None:
    result = spusim("isa", "test", "nop", "vadd")
    assert result.exit_code == 0
    assert "2 programs: 2 pass" in result.stdout


# --- program sources as targets


def test_a_source_runs_its_own_frames(programs: Path, spusim: Run) -> None:
    record = json.loads(spusim("run", "programs/sum.spuasm", "--json").stdout)
    assert record["frames"] == 2
    assert record["outputs_sha256"] == machine.outputs_hash(
        np.array([[11, 22, 33, 36], [16, 28, 40, 44]])
    )
    said = spusim("run", "programs/sum.spuasm").stdout
    assert "sum on tiny" in said and "stream of the program source" in said


def test_a_source_runs_another_stream_and_period(programs: Path, spusim: Run) -> None:
    np.save("s.npy", np.array([[1, 1, 1, 1]] * 3, np.int16))
    word = ("run", "programs/sum.spuasm", "--json", "--stream", "s.npy")
    record = json.loads(spusim(*word).stdout)
    assert record["frames"] == 3
    slow = json.loads(spusim(*word, "--input-period", "1000").stdout)
    assert slow["cycles"] > 2000 > record["cycles"]
    (programs / "slow.spuasm").write_text(PROGRAM + ".period 1000\n")
    own = json.loads(spusim("run", "programs/slow.spuasm", "--json").stdout)
    assert own["cycles"] > 1000
    fast = spusim("run", "programs/slow.spuasm", "--json", "--input-period", "100").stdout
    assert json.loads(fast)["cycles"] < 1000


def test_a_source_runs_on_settings(programs: Path, spusim: Run) -> None:
    word = ("run", "programs/sum.spuasm", "--json")
    slow = spusim(*word, "--set", "link.host_cycles_per_word=40").stdout
    assert json.loads(slow)["cycles"] > json.loads(spusim(*word).stdout)["cycles"]


def test_a_source_compiles_to_the_image_that_runs_alike(programs: Path, spusim: Run) -> None:
    said = spusim("compile", "programs/sum.spuasm", "-o", "sum.spu").stdout
    assert "written: sum.spu" in said
    assert load_program("sum.spu").name == "sum"
    np.save("s.npy", np.array([[1, 2, 3, -4], [5, 6, 7, 8]], np.int16))
    image = json.loads(spusim("run", "sum.spu", "--json", "--stream", "s.npy").stdout)
    source = json.loads(spusim("run", "programs/sum.spuasm", "--json").stdout)
    assert image["outputs_sha256"] == source["outputs_sha256"]
    assert (image["cycles"], image["stalls"]) == (source["cycles"], source["stalls"])


def test_a_source_assembles_to_a_listing_and_to_words(
    programs: Path, spusim: Run, refused: Callable[..., str]
) -> None:
    lines = spusim("isa", "asm", "programs/sum.spuasm").stdout.splitlines()
    assert len(lines) == len(PROGRAM.splitlines())
    assert lines[12].startswith("    2  24") and "vadd" in lines[12]
    spusim("isa", "asm", "programs/sum.spuasm", "-o", "sum.bin")
    assert len(Path("sum.bin").read_bytes()) == 8 * 5
    two = PROGRAM.replace(".input", ".set cores=2\n.input") + ".core 1\n.thread t tokens=1\nend\n"
    (programs / "two.spuasm").write_text(two)
    said = refused("isa", "asm", "programs/two.spuasm", "-o", "two.bin")
    assert "has code for 2 cores" in said


def test_bad_sources_as_targets(programs: Path, refused: Callable[..., str]) -> None:
    (programs / "bad.spuasm").write_text(PROGRAM.replace("words=1\n.data", "words=9\n.data"))
    said = refused("run", "programs/bad.spuasm")
    assert "programs/bad.spuasm:8:7: `y`: takes words 4 to 4, and x (line 7) 0 to 8" in said
    assert "--network" in refused("run", "programs/sum.spuasm", "--network", "kws")
    (programs / "still.spuasm").write_text(PROGRAM.replace(".frame", ";"))
    assert "has no frames" in refused("run", "programs/still.spuasm")
    assert "cannot be read" in refused("run", "programs/none.spuasm")
    Path("code.spuasm").write_text("nop\nend\n")
    assert "code.spuasm:1:1: " in refused("run", "code.spuasm")
    assert "has one `.input`" in refused("run", "code.spuasm", "--arch", "tiny")
