"""Ports in planes: the host sends and takes pixels channel by channel, each from a fresh word."""

from dataclasses import replace

import numpy as np
import pytest

from spusim import machine
from spusim.arch import load_arch
from spusim.golden import CodeError, run
from spusim.machine import MachineError
from spusim.source import read_source

# 5 pixels of 3 channels: of 8 bits a word a plane, of 16 bits two
TEXT = """
.arch tiny
.input elements=15 bits=8 thread=0 planes=3
.output elements=15 bits=8 planes=3
.output elements=4 bits=16 channel=1
.core 0
.thread t tokens=1
  recv channel=0, dst=0, words=3
  vset len=4, wa=8, wb=8, wd=16, sa=0, sb=0, sd=0
  vmov d=10, a=1
  send dest={host}, channel=0, src=0, words=3, thread=0
  send dest={host}, channel=1, src=10, words=1, thread=0
  end
"""
FRAMES = np.arange(30).reshape(2, 15)


def test_planes_arrive_each_from_a_fresh_word_and_leave_as_pixels() -> None:
    source = read_source(TEXT, "planes")
    result = run(source.program, FRAMES, (0,))
    assert result.outputs[:, :15].tolist() == FRAMES.tolist()
    # the second channel of the first four pixels
    assert result.outputs[:, 15:].tolist() == FRAMES[:, 1:13:3].tolist()
    assert result.data_memory[0][0].tolist() == [*range(15, 30, 3), 0, 0, 0]
    found = machine.run(source.program, source.arch, FRAMES, (0,))
    assert found.outputs.tolist() == result.outputs.tolist()


@pytest.mark.parametrize("planes", [0, 2])
def test_planes_divide_a_ports_elements(planes: int) -> None:
    program = read_source(TEXT, "planes").program
    wrong = [
        replace(program, input=replace(program.input, planes=planes)),
        replace(program, outputs=(replace(program.outputs[0], planes=planes),)),
    ]
    for each in wrong:
        with pytest.raises(CodeError, match="let the planes divide them"):
            run(each, FRAMES, (0,))
        with pytest.raises(MachineError, match="let the planes divide them"):
            machine.run(each, load_arch("tiny"), FRAMES, (0,))
