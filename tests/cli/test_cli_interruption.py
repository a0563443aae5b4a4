"""Ctrl-C before the command line is loaded: one line, as later on."""

import subprocess
import sys

import pytest
from typer.core import TyperGroup

from spusim.cli import main as entry

LOADED = "import sys, spusim.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"


def test_interruption_while_loading_is_told_in_one_line(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_run", interrupted)
    with pytest.raises(SystemExit) as leave:
        entry.main()
    assert leave.value.code == 130
    assert capsys.readouterr().err == "error: interrupted; nothing was written\n"


def test_entry_point_loads_nothing_that_is_not_pythons_or_ours():
    done = subprocess.run([sys.executable, "-S", "-c", LOADED], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "spusim" in loaded, done.stderr
    assert loaded <= {*sys.stdlib_module_names, "__main__", "spusim"}


@pytest.mark.parametrize("moment", ["parse_args", "resolve_command", "invoke"])
def test_interruption_while_words_are_read_is_told(moment, monkeypatch, spusim):
    """Typer leaves with 130 as well, and says nothing."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(TyperGroup, moment, interrupted)
    done = spusim("list")
    assert (done.exit_code, done.stderr) == (130, "error: interrupted; nothing was written\n")
