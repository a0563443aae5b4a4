"""Progress of `spusim run`: layer by layer on a terminal's stderr, nothing elsewhere."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from spusim import api
from spusim.machine.progress import listening

SPUSIM = Path(sys.executable).with_name("spusim")
RUN = ("run", "cnn_small", "--arch", "row64", "--stream", "noise:frames=1,seed=1", "--no-baseline")


def on_a_terminal(*arguments: str) -> tuple[str, str]:
    """Run the command with stderr on a terminal; return stdout and stderr."""
    ours, theirs = os.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with tempfile.TemporaryFile() as stdout:
        process = subprocess.Popen([SPUSIM, *arguments], stdout=stdout, stderr=theirs, env=env)
        os.close(theirs)
        shown = read_all(ours)  # while it runs: a terminal holds a few KB, then writers wait
        assert process.wait(timeout=60) == 0, shown
        stdout.seek(0)
        return stdout.read().decode(), shown.decode()


def read_all(ours: int) -> bytes:
    """Return what comes to our end of a terminal until the other end is closed."""
    shown = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # closed
            part = b""
        if not part:
            os.close(ours)
            return shown
        shown += part


def test_every_layer_over_an_image_is_told_in_order() -> None:
    network = api.load_network("cnn_small")
    stream = api.load_stream("noise:frames=2,seed=1", network)
    told: list[tuple[str, int, int]] = []
    with listening(lambda *what: told.append(what)):
        api.simulate(network, api.load_arch("row64"), stream)
    frame = told[: len(told) // 2]
    assert told == frame * 2
    assert [number for _, number, _ in frame] == [*range(1, len(frame) + 1)]
    assert {total for _, _, total in frame} == {len(frame)}
    assert frame[0][0] == "conv1"
    told.clear()
    api.simulate(network, api.load_arch("row64"), stream)
    assert told == []


def test_a_terminal_shows_layers_and_the_result_stays_clean() -> None:
    stdout, stderr = on_a_terminal(*RUN)
    assert "cnn_small" in stderr
    assert "preparing" in stderr or "conv" in stderr
    assert stdout.startswith("cnn_small on row64")
    assert "\x1b" not in stdout


def test_nothing_is_shown_with_json() -> None:
    stdout, stderr = on_a_terminal(*RUN, "--json")
    assert stderr == ""
    assert stdout.startswith("{")


def test_nothing_is_shown_where_stderr_is_no_terminal() -> None:
    done = subprocess.run([SPUSIM, *RUN], capture_output=True, check=True, text=True)
    assert done.stderr == ""
