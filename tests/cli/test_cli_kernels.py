"""The first run says why it takes long, and no other."""

from spusim.cli.kernels import tell_of_compiling
from spusim.kernels import cache, declare


def addition(a, b):
    return a + b


def test_compiling_is_told_once(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "_root", lambda: tmp_path)
    with tell_of_compiling():
        assert declare.kernel(addition)(1, 2) == 3
        assert declare.kernel(addition)(1.0, 2) == 3
    assert capsys.readouterr().err == "compiling kernels (once, about half a minute)\n"
    with tell_of_compiling():
        assert declare.kernel(addition)(3, 2) == 5
    assert capsys.readouterr().err == ""


def test_nobody_is_told_afterwards(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "_root", lambda: tmp_path)
    with tell_of_compiling():
        pass
    assert declare.kernel(addition)(1, 2) == 3
    assert capsys.readouterr().err == ""


def test_a_terminal_is_told_which_kernel_and_it_is_wiped(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "_root", lambda: tmp_path)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with tell_of_compiling():
        assert declare.kernel(addition)(1, 2) == 3
    told = capsys.readouterr().err
    assert told.endswith("  addition ...\r\x1b[2K")
