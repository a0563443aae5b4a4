"""The wheel brings presets, instruction table and data, and works in an empty folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spusim.kernels import cache

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("spusim", "configs", "isa", "setup.cfg", "pyproject.toml", "README.md")
KERNELS = cache.folder(cache.SOURCES / "advance.py").parent
CLI = "from spusim.cli.main import main; main()"


def python(
    *arguments: str, cwd: Path, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter in a folder, with `path` as the only place of spusim."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["PYTHONIOENCODING"] = "utf-8"
    if path:
        # kernels are those of the tree, and go by their contents: compiled there, they are here
        environment |= {"PYTHONPATH": str(path), "NUMBA_CACHE_DIR": str(KERNELS)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the tree, and install it into a folder of its own."""
    pytest.importorskip("setuptools", minversion="77", reason="building a wheel takes setuptools")
    built_in = tmp_path_factory.mktemp("wheel")
    tree, target = built_in / "tree", built_in / "site"
    tree.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tree / name, symlinks=True, ignore=skipped)
        else:
            shutil.copy(source, tree / name)
    pip = ("-m", "pip", "--disable-pip-version-check", "--no-input")
    built = python(
        *pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(built_in),
        str(tree), cwd=built_in,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = built_in.glob("spusim-*.whl")
    done = python(
        *pip, "install", "--no-index", "--no-deps", "--target", str(target), str(wheel),
        cwd=built_in,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


def in_empty_folder(installed: Path, tmp_path: Path, *arguments: str) -> str:
    """Run this interpreter with the installed wheel; return what it printed."""
    done = python(*arguments, cwd=tmp_path, path=installed)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())  # nothing is written where nobody asked
    return done.stdout


def shipped_files(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below `configs` and `isa`, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in ("configs", "isa")
        for path in (folder / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_every_room_is_in_the_wheel(installed: Path) -> None:
    def modules(folder: Path) -> set[str]:
        found = (p.relative_to(folder) for p in (folder / "spusim").rglob("*.py"))
        return {str(path) for path in found if "_shipped" not in path.parts}

    assert modules(installed) == modules(ROOT)
    assert (installed / "spusim/py.typed").exists()


def test_shipped_files_are_those_of_the_tree(installed: Path) -> None:
    assert shipped_files(installed / "spusim" / "_shipped") == shipped_files(ROOT)


def test_networks_and_presets_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    program = (
        "import spusim, spusim.resources as r;"
        "print(r.shipped('configs'), r.shipped('isa'), sep='\\n');"
        "print(spusim.load_arch('spu001').name, spusim.load_network('kws').name,"
        " len(spusim.load_stream('kws').frames), sep='\\n')"
    )
    printed = in_empty_folder(installed, tmp_path, "-c", program).splitlines()
    shipped = installed / "spusim" / "_shipped"
    assert printed == [str(shipped / "configs"), str(shipped / "isa"), "spu001", "kws", "610"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("list",), "Femtosense SPU-001"),
        (("isa", "check"), "all encodings round-trip"),
        (("isa", "test", "nop", "send_multicast"), "2 programs: 2 pass"),
        (("inspect", "kws"), "lstm.weight_hh_l0"),
        (("compile", "kws", "--arch", "spu001"), "kws fits spu001"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_commands_work_in_an_empty_folder(
    installed: Path, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    assert expected in in_empty_folder(installed, tmp_path, "-c", CLI, *arguments)


def test_wheel_has_the_command(installed: Path) -> None:
    (entry_points,) = installed.glob("spusim-*.dist-info/entry_points.txt")
    assert "spusim = spusim.cli.main:main" in entry_points.read_text(encoding="utf-8")
