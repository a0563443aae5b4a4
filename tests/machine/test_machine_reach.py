"""Operands that the architecture has no memory for, and tables that the program does not have."""

from collections.abc import Callable

import numpy as np
import pytest
from chip_agreement import checked_run
from programs import IN, core, frames, hand_arch, matrix, program, segment, vset

from spusim.arch import Arch
from spusim.compiler import CompileError, compile_layer
from spusim.machine import MachineError, run_layer
from spusim.machine.trace import trace_run
from spusim.program import Program

WORDS = 256  # 4 banks x 64 words
SIZE = r"and there are 256 \(core.data_memory: 4 banks x 64 words\)"
PORTS = ("reserved", "shared")
ROW = matrix(np.ones((1, 8), np.int64))  # an operand of two words


def small(ports: str, *settings: str) -> Arch:
    """Return the hand-made machine with a small data memory."""
    return hand_arch("core.data_memory.words=64", f"core.ports={ports}", *settings)


def around(text: str, arch: Arch) -> Program:
    """Return a program that receives a frame, does something, and sends it back."""
    whole = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        {text}
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    """
    return program(core(whole, (ROW,)), arch=arch)


def traced(whole: Program, arch: Arch, stream: np.ndarray) -> None:
    """Run the machine with a trace."""
    trace_run(whole, arch, stream)


def compared(whole: Program, arch: Arch, stream: np.ndarray) -> None:
    """Run the machine, and the stepper, which must be stopped as well."""
    checked_run(whole, arch, stream, (0,))


RUNS = (compared, traced)
Run = Callable[[Program, Arch, np.ndarray], None]

BEYOND = {
    "d": (f"{vset(12)} vfill d=254, value=1", "d takes words 254 to 256"),
    "a": (f"{vset(12)} vmov d=8, a=255", "a takes words 255 to 257"),
    "b": (f"{vset(4)} vadd d=8, a=8, b=256", "b takes words 256 to 256"),
    "scales": (f"{vset(5)} vqc d=8, acc=0, scale=63, table=none", "scale takes words 252 to 256"),
    "one scale": (f"{vset(5)} vqm d=8, acc=0, scale=64, table=none", "scale takes words 256 to"),
    "src": ("dmv m=0, src=255, acc=0", "src takes words 255 to 256"),
    "send": ("send dest={host}, channel=0, src=255, words=2, thread=0", "src takes words 255 to"),
    "recv": ("recv channel=0, dst=256, words=1", "dst takes words 256 to 256"),
    "in a loop": (
        f"{vset(4)} loop count=3, body=1, bump=2\nvfill d=252, value=1", "d takes words 256 to 256"
    ),
}  # fmt: skip


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize("operand", BEYOND)
def test_an_operand_beyond_data_memory_is_refused(operand: str, ports: str, run: Run) -> None:
    arch = small(ports)
    text, found = BEYOND[operand]
    whole = around(text, arch)
    with pytest.raises(MachineError, match=r"beyond|at least one word") as caught:
        run(whole, arch, frames())
    assert found in str(caught.value)
    assert caught.match(SIZE)


@pytest.mark.parametrize("ports", PORTS)
def test_the_last_word_is_an_operand(ports: str) -> None:
    arch = small(ports)
    text = f"{vset(8)} vfill d=254, value=1\ndmv m=0, src=254, acc=0"
    result = checked_run(around(text, arch), arch, frames(), (0,))
    assert result.counts["accumulator.write"] == 1 + 8


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize("number", [0, 3, 61])
def test_an_unknown_table_is_refused(number: int, ports: str, run: Run) -> None:
    arch = small(ports)
    whole = around(f"{vset(4)} vlut d=8, a={IN}, table={number}", arch)
    with pytest.raises(MachineError, match=r"vlut .* the program has no such table"):
        run(whole, arch, frames())


def test_a_segment_beyond_data_memory_is_refused() -> None:
    arch = small("reserved")
    image = core(".thread main tokens=1\nend", segments=(segment(255, range(8)),))
    with pytest.raises(MachineError, match=r"at255 fills words 255 to 256, .* has 256 \(core.data"):
        traced(program(image, arch=arch), arch, frames())


def test_a_layers_operand_must_fit() -> None:
    settings = ("core.weight_memory={words: 4096, word_bits: 64}",)
    large = hand_arch("core.data_memory.words=300", *settings)
    weight = np.ones((1, 4 * 300), np.int64)
    whole = compile_layer(weight, 16, 16, large)
    with pytest.raises(MachineError, match=r"operand of 300 words does not fit .* 256"):
        run_layer(whole, small("reserved", *settings), np.ones((1, 4 * 300), np.int64))
    told = r"300 words of data memory for vectors, and has 256; set core.data_memory.words=75"
    with pytest.raises(CompileError, match=told):
        compile_layer(weight, 16, 16, small("reserved", *settings))
