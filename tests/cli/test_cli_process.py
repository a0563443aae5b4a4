"""The command line as a process: signals, pipes, full disks, exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MAIN = "import sys; from spusim.cli.main import main; print('ready', flush=True); main()"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and /dev of POSIX")


def start(*words: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *words], text=True, stderr=subprocess.PIPE, **options
    )


def test_interrupt(folder):
    process = start(
        "run", "run.yaml", "--stream", "random:frames=3000000", "-o", "out", stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "error: interrupted; nothing was written\n"
    assert not Path("out").exists()
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupted_recording_leaves_nothing(folder, jobs):
    words = ("run.yaml", "mini.yaml", "--arch", "tiny", "--stream", "random:frames=3000000")
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "regress", "base", "--record", *words, "--jobs", jobs],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "error: interrupted; nothing was written\n"
    assert not (folder / "base").exists()
    assert not list(folder.glob(".*"))


def test_broken_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", MAIN.replace("print('ready', flush=True); ", ""), "isa", "doc"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 1


SPOKEN = (
    "isa doc", "list", "inspect mini.yaml", "isa check", "isa test spmv_bitmap",
    "run run.yaml --no-baseline", "compare one one", "run run.yaml --json --no-baseline",
    "regress base --jobs 1",
)  # fmt: skip


def buffered(**more: str) -> dict[str, str]:
    """Return the environment in which output waits in a buffer, as it does unless asked."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | more


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", SPOKEN)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_disk_is_told_in_one_line(folder, spusim, command, unbuffered):
    if "compare" in command:
        assert spusim("run", "run.yaml", "--no-baseline", "-o", "one").exit_code == 0
    if "regress" in command:
        assert spusim("regress", "base", "--record", "run.yaml", "--jobs", "1").exit_code == 0
    silent = MAIN.replace("print('ready', flush=True); ", "")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", silent, *command.split()], stdout=full, stderr=subprocess.PIPE,
            timeout=60, env=buffered(PYTHONUNBUFFERED=unbuffered), text=True,
        )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if not line.startswith("compiling")]
    assert done.returncode == 1
    assert len(said) == 1 and said[0].startswith("error: standard output: No space left on device")


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_closed_output_is_none_to_write_to(folder, closed):
    """What was started without one, as services are, still writes its files."""
    number = {"stdout": 1, "stderr": 2}[closed]
    silent = MAIN.replace("print('ready', flush=True); ", "")
    words = ["run", "run.yaml", "--no-baseline", "-o", "out"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {number}>&-', "sh", sys.executable, "-c", silent, *words],
        capture_output=True, text=True, timeout=300, env=buffered(),
    )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert {path.suffix for path in Path("out").iterdir()} == {".json", ".npz", ".png", ".svg"}


def test_bytes_do_not_depend_on_the_process(folder):
    outputs = []
    for seed in ("1", "2"):
        process = start(
            "run", "run.yaml", "--json", stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        outputs.append(stdout)
    assert outputs[0] == outputs[1]


def test_the_package_is_a_command(folder):
    """Where no script is on the path; errors and exit codes are the same, also of a sweep's."""
    command = [sys.executable, "-m", "spusim"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("spusim ")
    Path("two.yaml").write_text(
        "target: run.yaml\nbaseline: false\ngrid: {core.queue.depth: [1, 2]}\n"
    )
    sweep = [*command, "sweep", "two.yaml", "-o", "out", "--jobs", "2"]
    done = subprocess.run(sweep, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "2 points: 2 computed, 0 read" in done.stdout
    done = subprocess.run([*command, "run", "none"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("error: none")
