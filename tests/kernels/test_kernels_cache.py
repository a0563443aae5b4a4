"""What a kept kernel depends on, and that nothing but a whole and fitting one is ever loaded."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spusim.kernels import cache, declare, loading
from spusim.kernels.cache import EVERY, SOURCES, depends_on
from spusim.kernels.entry import compile_entry

MODULES = sorted(path.stem for path in SOURCES.glob("*.py"))
TRY = """
from spusim.kernels.cache import fingerprint, SOURCES
print(*(fingerprint(SOURCES / f"{name}.py") for name in ("arithmetic", "conv_scan", "lanes")))
"""


def needs(module):
    return {path.stem for path in depends_on(SOURCES / f"{module}.py")}


@pytest.mark.parametrize("module", MODULES)
def test_dependencies_are_closed_and_hold_what_is_imported(module):
    found = needs(module)
    imported = re.findall(
        r"^\s*from spusim\.kernels\.(\w+) import", (SOURCES / f"{module}.py").read_text(), re.M
    )
    assert {module, *imported, *EVERY} <= found
    assert all(needs(other) <= found for other in found)


def test_every_file_that_defines_a_handle_counts_for_all():
    says = re.compile(r"^class \w+\(Handle\)", re.M)
    defines = {m for m in MODULES if says.search((SOURCES / f"{m}.py").read_text())}
    used_elsewhere = {d for d in defines if any(d in needs(m) for m in MODULES if m != d)}
    assert used_elsewhere == {"chip", "core"} <= set(EVERY)


def test_the_code_of_vector_operations_counts_for_those_that_use_them():
    assert "lanes_code" in needs("matvec") and "lanes_code" not in needs("arithmetic")


def prints(tree):
    done = subprocess.run(
        [sys.executable, "-c", TRY], cwd=tree, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(tree), "PATH": ""},
    )  # fmt: skip
    return done.stdout.split()


def test_a_change_reaches_those_that_depend_on_it_and_no_others(tmp_path):
    shutil.copytree(
        SOURCES.parent, tmp_path / "spusim", ignore=shutil.ignore_patterns("__pycache__")
    )
    kernels, before = tmp_path / "spusim" / "kernels", prints(tmp_path)
    for changed, reached in (
        ("arithmetic", [True, False, False]),
        ("lanes_code", [False, False, True]),
        ("entry", [True, True, True]),
    ):
        source = kernels / f"{changed}.py"
        source.write_text(source.read_text() + "\nNEW = 1\n")
        after = prints(tmp_path)
        assert [a != b for a, b in zip(before, after, strict=True)] == reached, changed
        before = after


# a kernel to try; what it is called and where it is decides where it is kept
def difference(a, b):
    """Return how far b is below a."""
    return max(a - b, 0)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setattr(cache, "_root", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def told():
    """Names of the kernels that were compiled."""
    names = []
    end = declare.tell_when_compiling(names.append)
    yield names
    end()


def call(a=9, b=4):
    """Call the kernel as a new process would."""
    return declare.kernel(difference)(a, b)


def kept(root):
    return sorted(root.rglob("*.kernel"))


def test_each_kind_of_arguments_is_kept_once(root, told):
    assert [call(), call(), call(4, 9), call(2.5, 1)] == [5, 5, 0, 1.5]
    assert len(told) == len(kept(root)) == 2
    assert not [path for path in root.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("get_host_cpu_name", "another"),
        ("get_host_cpu_features", type("F", (), {"flatten": lambda self: "+none"})()),
        ("llvm_version_info", (0, 0, 0)),
    ],
)
def test_another_processor_or_llvm_is_another_kernel(root, told, monkeypatch, what, value):
    call()
    cache._made_for.cache_clear()
    made = cache._made_for()
    with monkeypatch.context() as patch:
        patch.setattr(cache.llvm, what, value if what.startswith("llvm") else lambda: value)
        cache._made_for.cache_clear()
        assert cache._made_for() != made
        place = cache.place_of(difference, "int,int")
    cache._made_for.cache_clear()
    assert place != cache.place_of(difference, "int,int") == kept(root)[0]


def test_another_numba_or_setting_of_it_is_another_kernel(monkeypatch):
    place = cache.place_of(difference, "int,int")
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_numba_version", lambda: b"0.0.0")
        cache.fingerprint.cache_clear()
        assert cache.place_of(difference, "int,int").parent != place.parent
    cache.fingerprint.cache_clear()
    with monkeypatch.context() as patch:
        patch.setenv("NUMBA_OPT", "1")
        cache._made_for.cache_clear()
        assert cache.place_of(difference, "int,int") != place
    cache._made_for.cache_clear()
    assert cache.place_of(difference, "int,int") == place


def test_numbas_version_is_known_without_it():
    import numba

    assert numba.__version__.encode() in cache._numba_version()


def spoilt(data):
    """A kept kernel's bytes, spoilt in many ways."""
    digest, head, code = data.split(b"\n", 2)
    return {
        "empty": b"",
        "cut": data[:-1],
        "a bit turned": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        "no digest": head + b"\n" + code,
        "no object": digest + b"\n" + head + b"\n",
        "another head": b"\n".join([digest, head.replace(b'"ii"', b'"OO"'), code]),
        "another format": b"\x80\x04" + data,
    }


@pytest.mark.parametrize("how", spoilt(b"d\nh\n" + bytes(20)))
def test_a_spoilt_kernel_is_compiled_again(root, told, how):
    call()
    (place,) = kept(root)
    whole = place.read_bytes()
    place.write_bytes(spoilt(whole)[how])
    assert call() == 5
    assert len(told) == 2
    assert cache.read(place) is not None
    assert call() == 5 and len(told) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_where_nothing_can_be_written_kernels_run_all_the_same(root, told):
    root.mkdir(mode=0o500)
    assert call() == 5 and not kept(root)


def test_where_there_is_no_space_kernels_run_all_the_same(root, told, monkeypatch):
    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert call() == 5
    assert not [path for path in root.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_made_is_no_obstacle(root, told):
    root.write_text("a file where the folder should be")
    assert call() == 5


def test_without_a_home_kernels_run_and_are_kept_nowhere(told, monkeypatch, tmp_path):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(os, "access", lambda *_: False)  # sources are somebody else's
    monkeypatch.setattr(cache, "_root", cache._root.__wrapped__)
    assert [call(), call()] == [5, 5]
    assert len(told) == 2 and not cache.compiled()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert call() == 5 and len(kept(tmp_path)) == 1


def test_what_a_file_was_compiled_to_before_is_removed(root):
    stem = Path(__file__).stem
    old, other = root / f"{stem}-0123456789abcdef", root / f"{stem}-more-0123456789abcdef"
    for folder in (old, other):
        folder.mkdir(parents=True)
        (folder / "x.kernel").write_bytes(b"")
    cache._clear_stale.cache_clear()
    call()
    assert not old.exists() and other.exists()


PROCESS = """
import sys
from spusim.kernels.matvec import nonzero_columns
import numpy as np
columns = np.zeros(4, np.int64)
print(nonzero_columns(np.array([3, 0, 5], np.int32), columns), columns.tolist())
print("numba" in sys.modules)
"""


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder)},
    )  # fmt: skip


def test_processes_that_compile_at_once_agree_and_later_ones_need_no_numba(tmp_path):
    both = [start(tmp_path), start(tmp_path)]
    assert [process.communicate()[0] for process in both] == 2 * ["2 [0, 2, 0, 0]\nTrue\n"]
    assert len(kept(tmp_path)) == 1
    assert start(tmp_path).communicate()[0] == "2 [0, 2, 0, 0]\nFalse\n"


def test_what_is_loaded_is_what_was_compiled(root):
    """The same machine code, whether it was just made or read from its file."""
    made = loading.load(compile_entry(declare.kernel(difference), (1, 2)))
    call()
    read = loading.load(cache.read(kept(root)[0]))
    pairs = np.random.default_rng(0).integers(-(2**62), 2**62, (200, 2)).tolist()
    assert [made(pair) for pair in pairs] == [read(pair) for pair in pairs]
    assert [made(pair) for pair in pairs] == [difference(*pair) for pair in pairs]


def test_what_was_typed_in_is_not_kept(root, told):
    space = {}
    exec(compile("def typed(a):\n    return a + 1", "<typed>", "exec"), space)
    assert declare.kernel(space["typed"])(4) == 5
    assert not root.exists()


def test_what_cannot_be_linked_is_compiled_again(root, told):
    call()
    (place,) = kept(root)
    whole = cache.read(place)
    cache.write(place, whole._replace(code=b"\x7fELF" + bytes(60)))
    assert cache.read(place) is not None
    assert call() == 5 and len(told) == 2
    assert cache.read(place) == whole
