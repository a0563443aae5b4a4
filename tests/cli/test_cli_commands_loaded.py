"""The table of commands says what the commands say themselves, and loads no more than is asked."""

import subprocess
import sys

import pytest

from spusim.cli.commands import COMMANDS, load_command


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_list_is_the_commands_own(name):
    command = load_command(name)
    assert command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name].help


def test_a_command_is_loaded_with_its_options(spusim):
    told = spusim("run", "--help").stdout
    assert "--sparsity-profile" in told
    assert "conv2d" in spusim("layer", "--help").stdout


def test_the_list_loads_no_room():
    code = (
        "import sys\nfrom spusim.cli.app import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'numba', 'pydantic'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "[]\n"
    assert all(name in done.stdout for name in COMMANDS)


def test_a_word_that_is_no_command_is_answered_with_the_nearest(spusim):
    result = spusim("rnu")
    assert result.exit_code == 2
    assert "Did you mean 'run'" in result.stderr
