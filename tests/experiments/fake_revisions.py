"""A tiny repository with a `spusim` of its own, whose `isa test` takes no time."""

import json
import subprocess
from pathlib import Path

TABLE = """\
version 0.1 draft
word 64
kind int unsigned
a 0x01 vector x:int@0+8 "Do a."
b 0x02 vector "Do b."
"""
# A program is words; each known one costs COST cycles and adds to the signature.
MAIN = """\
import json, os, sys
from pathlib import Path

COST, SIGN, KNOWN = 10, 1, ["a", "b"]
VERSION, AGREE = "0.1", True


def result(path):
    words = path.read_text().split()
    unknown = [word for word in words if word not in KNOWN]
    if unknown:
        return {"verdict": "error", "signature": None, "cycles": None, "frame_cycles": [],
                "stalls": {}, "counts": {}, "expected": {}, "error": f"no {unknown[0]}"}
    agree = {} if AGREE else {"verdict": "values", "error": "golden and machine disagree"}
    cycles = COST * len(words)
    golden = json.loads(path.with_suffix(".json").read_text())
    signature = f"{SIGN}:{'.'.join(words)}"
    wrong = golden["signature"] != signature and "values" or golden["cycles"] != cycles and "time"
    if golden["version"] != VERSION:
        wrong = "error"
    return {"verdict": wrong or "pass", "signature": signature, "cycles": cycles,
            "frame_cycles": [cycles], "stalls": {"core0.vector": {"busy": cycles}},
            "counts": {"vector_element": 4 * len(words)}, "expected": golden, "error": None,
            **agree}


def main():
    assert sys.argv[1:3] == ["isa", "test"] and sys.argv[3] == "--dir" and sys.argv[5] == "--json"
    cache = os.environ.get("NUMBA_CACHE_DIR")
    if cache:
        os.makedirs(cache, exist_ok=True)
        with open(os.path.join(cache, "seen"), "a") as seen:
            seen.write(f"{os.getcwd()} {os.stat(__file__).st_mtime}\\n")
    programs = {path.stem: result(path) for path in sorted(Path(sys.argv[4]).glob("*.spuasm"))}
    print(json.dumps({"schema_version": 1, "versions": {}, "programs": programs}))
    sys.exit(4 if any(p["verdict"] != "pass" for p in programs.values()) else 0)
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody; return what it prints."""
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.strip()


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def program(name: str, words: str, cycles: int, version: str = "0.1") -> dict[str, str]:
    """Return a conformance program's two files."""
    golden = {
        "signature": f"1:{'.'.join(words.split())}",
        "cycles": cycles,
        "version": version,
    }
    return {f"isa/programs/{name}.spuasm": words, f"isa/programs/{name}.json": json.dumps(golden)}


def commit(folder: Path, files: dict[str, str]) -> str:
    """Commit files; return the hash."""
    put(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "change")
    return git(folder, "rev-parse", "HEAD")


def new_repository(folder: Path) -> Path:
    """Return a repository with one commit: table, code, and programs `one` and `two`."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(
        folder,
        {
            ".gitignore": "__pycache__/\n",
            "isa/spu.isa": TABLE,
            "spusim/__init__.py": "",
            "spusim/cli/__init__.py": "",
            "spusim/cli/main.py": MAIN,
            **program("one", "a b", 20),
            **program("two", "a", 10),
        },
    )
    return folder


def worktrees(folder: Path) -> list[str]:
    """Return the worktrees that git knows of."""
    return git(folder, "worktree", "list", "--porcelain").split("\n\n")
