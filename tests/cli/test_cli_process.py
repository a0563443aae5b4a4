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


def test_broken_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", MAIN.replace("print('ready', flush=True); ", ""), "isa", "doc"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_told_in_one_line():
    command = [sys.executable, "-c", MAIN.replace("print('ready', flush=True); ", ""), "isa", "doc"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: No space left on device")
    assert len(done.stderr.splitlines()) == 1


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
