"""The first run says why it takes long, and no other."""

from types import SimpleNamespace

from numba.core import event

from spusim.cli.kernels import tell_of_compiling


def compiled(module):
    kernel = SimpleNamespace(py_func=SimpleNamespace(__module__=module))
    with event.trigger_event("numba:compile", data={"dispatcher": kernel}):
        pass


def test_compiling_is_told_once(capsys):
    with tell_of_compiling():
        compiled("spusim.kernels.engine")
        compiled("spusim.kernels.vector")
    assert capsys.readouterr().err == "compiling kernels (once, about half a minute)\n"


def test_what_is_not_ours_is_not_told(capsys):
    with tell_of_compiling():
        compiled("numba.typed.typedlist")
        compiled(None)
    compiled("spusim.kernels.engine")
    assert capsys.readouterr().err == ""
