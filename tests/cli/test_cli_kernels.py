"""The first run says why it takes long, and no other."""

from types import SimpleNamespace

from numba.core import event

from spusim.cli.kernels import tell_of_compiling
from spusim.kernels.compiling import called_by
from spusim.kernels.counts import count_owned
from spusim.kernels.product import run_product
from spusim.kernels.rowtime import product_cycles


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


def test_a_terminal_is_told_how_far_a_kernel_is(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    missing = [called for called in called_by(run_product) if not called.part.overloads]
    with (
        tell_of_compiling(),
        event.trigger_event("numba:compile", data={"dispatcher": run_product}),
    ):
        compiled("spusim.kernels.engine")
        compiled("spusim.kernels.vector")
        told = capsys.readouterr().err
    assert told.endswith(f"run_product: 2 of {len(missing)} functions")
    wiped = capsys.readouterr().err.replace("\x1b[2K", "").replace("\r", "")
    assert wiped == ""


def test_what_a_kernel_calls_is_known_before_it_is_compiled():
    names = {called.__name__ for called in called_by(run_product)}
    assert {"multiply", "product_cycles", "hold_banks"} <= names
    assert {called.__name__ for called in called_by(product_cycles)} < names
    assert called_by(count_owned) == []
