"""docs/isa_example.md stays true: its patch applies, it shows that patch, its commands print that.

The commands run in a worktree of HEAD, which takes minutes: `make isa-example`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from spusim.isa import diff_tables, load_isa, shipped_versions
from spusim.isa.versions import check_versions

sys.path.insert(0, str(Path(__file__).parent))

from test_docs import BLOCK, ROOT, Session, compare, sessions

PAGE = (ROOT / "docs/isa_example.md").read_text(encoding="utf-8")
PATCH = ROOT / "docs/examples/vmac.patch"
RANDOM_PROGRAMS = (
    f"{sys.executable} -m pytest -p no:cacheprovider tests/machine/test_machine_equals_golden.py "
    "tests/machine/test_machine_stepper.py"
)
SPUSIM = """\
#!/bin/sh
exec {python} -c "from spusim.cli.main import main; main()" "$@"
"""


def patched_files() -> list[str]:
    """Return the files that the patch changes or makes."""
    return re.findall(r"^\+\+\+ b/(.+)$", PATCH.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def patched(tmp_path):
    """A folder with only the files of the patch, patched."""
    for name in patched_files():
        if (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        ["git", "apply", str(PATCH)], cwd=tmp_path, capture_output=True, encoding="utf-8",
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )  # fmt: skip
    assert done.returncode == 0, f"make {PATCH.name} anew, it does not apply:\n{done.stderr}"
    return tmp_path


def test_patch_touches_the_places_that_the_readme_names(patched):
    for name in (
        "isa/spu.isa",
        "isa/programs/vmac.spuasm",
        "spusim/golden/vector.py",
        "spusim/machine/decode.py",
        "spusim/kernels/layout.py",
        "spusim/compiler/lowering.py",
        "tests/stepper/chip_meaning.py",
    ):
        assert "vmac" in (patched / name).read_text() or name.endswith("layout.py"), name


def test_patch_adds_one_instruction_and_breaks_nothing(patched):
    found = diff_tables(load_isa(), load_isa(patched / "isa/spu.isa"))
    kinds = [(c.subject, c.kind) for c in found.changes]
    assert kinds == [
        ("instruction vmac", "added, reservation taken"),
        ("reserve 0x2f-0x2f", "changed"),
    ]
    assert found.compatible
    assert load_isa(patched / "isa/spu.isa").instructions["vmac"].operand_mask == (1 << 48) - 1


def test_page_shows_what_the_patched_table_is_told_as(patched):
    isa = load_isa(patched / "isa/spu.isa")
    (check,) = [s for s in sessions(PAGE) if s.command == "spusim isa check"]
    assert check.shown[1].startswith(f"{len(isa.instructions)} instructions: ")
    assert check.shown[-1] == check_versions(isa, shipped_versions())[-1]


def test_page_counts_the_instructions_of_today(patched):
    """What `isa check` tells first, without the minutes that the whole page takes."""
    isa = load_isa(patched / "isa/spu.isa")
    units = Counter(each.unit for each in isa.instructions.values())
    told = ", ".join(f"{unit} {count}" for unit, count in units.items())
    assert f"\n{len(isa.instructions)} instructions: {told}\n" in PAGE


def test_page_shows_lines_of_the_patch():
    lines = set(PATCH.read_text(encoding="utf-8").splitlines())
    shown = [
        line for kind, body in BLOCK.findall(PAGE) if kind == "diff" for line in body.split("\n")
    ]
    assert len(shown) > 15
    assert [line for line in shown if line and line not in lines] == []


def test_page_runs_every_command_that_it_speaks_of():
    commands = " ".join(session.command for session in sessions(PAGE))
    for name in ("isa check", "isa test", "isa diff", "run kws", "compile kws", "git apply"):
        assert name in commands


def shell(session: Session, tree: Path, programs: Path) -> str:
    """Run a command of the page in the worktree, with that worktree's spusim."""
    dropped = ("COLUMNS", "NUMBA_CACHE_DIR")
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    environment |= {
        "PYTHONPATH": str(tree),
        "PYTHONIOENCODING": "utf-8",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        session.command, shell=True, cwd=tree, env=environment, capture_output=True,
        encoding="utf-8", timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, f"$ {session.command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_page_prints_what_its_commands_print(tmp_path):
    programs, tree = tmp_path / "bin", tmp_path / "tree"
    programs.mkdir()
    (programs / "spusim").write_text(SPUSIM.format(python=sys.executable))
    (programs / "spusim").chmod(0o755)
    subprocess.run(
        ["git", "worktree", "add", "-q", "--detach", str(tree), "HEAD"], cwd=ROOT, check=True
    )
    try:
        for session in sessions(PAGE):
            compare(session, shell(session, tree, programs))
        shell(Session(RANDOM_PROGRAMS, ()), tree, programs)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
