"""What conv and pool refuse: golden, machine and stepper alike, with a reason and a remedy."""

import pytest
from chip_stepper import ChipError, step_program

from spusim import golden
from spusim.errors import SpusimError
from spusim.isa import AssemblyError
from spusim.machine import MachineError, RecordingError, record, run
from spusim.source import read_source

PRIVATE = ".set core.weight_memory={words: 64, word_bits: 64}"
TEXT = """
.arch tiny
.set core.weight_memory={words: 64, word_bits: 64}
.set core.data_memory.words=64
.input elements=16 bits=8
.output elements=8 bits=8
.window w channels=2 height=2 width=4 rows=2
.matrix m format=bitmap rows=2 columns=2 weights=8 activations=8
  .values 1, 2
  .values 3, 4
.frame 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
.thread main tokens=1
  recv channel=0, dst=0, words=2
  conv w=w, m=m, d=8, a=0, table=none
  send dest={host}, channel=0, src=8, words=1, thread=0
  end
"""
POOL = ("conv w=w, m=m, d=8, a=0, table=none", "pool w=w, d=8, a=0")


def changed(*changes: tuple[str, str]):
    """Return the program with some of its words replaced."""
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read_source(text, "program")


def test_the_program_itself_runs() -> None:
    source = changed()
    result = run(source.program, source.arch, source.frames)
    assert result.outputs.tolist() == [[5, 11, 11, 25, 17, 39, 23, 53]]


# what is changed, and what golden, and what the machine, say of it
REFUSED = {
    "overlap": ((("d=8", "d=1"),), "must lie elsewhere", "must lie elsewhere"),
    "overlap of a pooling": ((POOL, ("d=8", "d=1")), "must lie elsewhere", "must lie elsewhere"),
    "beyond memory": ((("a=0,", "a=127,"),), None, "beyond the 128 words of data memory"),
    "result beyond memory": ((("d=8,", "d=127,"),), None, "compute fewer rows of output"),
    "no window": ((("w=w,", "w=1,"),), "window 1 does not exist", "no such window"),
    "no window to pool": ((POOL, ("w=w,", "w=1,")), "window 1 does not exist", "no such window"),
    "no matrix": ((("m=m,", "m=1,"),), "matrix 1 does not exist", "no such matrix"),
    "no table": ((("table=none", "table=3"),), "table 3 does not exist", "no such table"),
    "other activations": (
        (("rows=2\n.matrix", "rows=2 activations=4\n.matrix"),), "reads 4; let them agree",
        "reads 4; let them agree",
    ),
    "other columns": (
        (("channels=2 height=2 width=4", "channels=4 height=2 width=2"),),
        "window w needs 4: 1 places of 4", "window w needs 4: 1 places of 4",
    ),
    "other groups": (
        (("rows=2\n.matrix", "rows=2 groups=2\n.matrix"),), "must be zero (T36)",
        "must be zero (T36)",
    ),
    "filters in groups": (
        (("rows=2\n.matrix", "rows=2 groups=2\n.matrix"),
         ("rows=2 columns", "rows=1 columns"), ("  .values 3, 4\n", "")),
        "must divide filters (=1)", "must divide filters (=1)",
    ),
    "planar on a row machine": (
        (("rows=2\n.matrix", "rows=2 layout=planar\n.matrix"),), None,
        "core.dataflow (=row) reads interleaved activations",
    ),
    "no weight memory": (
        ((PRIVATE, ""), ("d=8", "d=40"), ("src=8", "src=40")), None, "choose row64 or smartskip",
    ),
    "stalls on hazards": (
        ((PRIVATE, f"{PRIVATE}\n.set core.hazard=stall"),), None, "core.hazard: bypass",
    ),
    "shared ports": (
        ((PRIVATE, f"{PRIVATE}\n.set core.ports=shared"),), None, "core.ports: reserved",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    changes, by_golden, by_machine = REFUSED[name]
    source = changed(*changes)
    with pytest.raises(MachineError, match="core 0, thread main, instruction 1") as refused:
        run(source.program, source.arch, source.frames)
    assert by_machine in str(refused.value)
    with pytest.raises(ChipError):
        step_program(source.program, source.arch, source.frames)
    if by_golden is None:
        golden.run(source.program, source.frames, source.starts)  # the machine's own limits
        return
    with pytest.raises(SpusimError, match="main") as refused:
        golden.run(source.program, source.frames, source.starts)
    assert by_golden in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rows=2\n.matrix", "rows=3\n.matrix", "rows 0 to 2 must be some of the output's 2"),
        ("rows=2\n.matrix", "rows=0\n.matrix", "must be some of the output's 2"),
        ("height=2", "height=2 kernel_height=5", "the output has no positions"),
        ("height=2", "height=70000", "height"),
        ("height=2", "height=2 stride_x=0", "stride"),
        ("height=2", "height=2 outputs=4", "output_bits (=4) must be one of (8, 16, 32)"),
        ("height=2", "height=2 activations=32", "activation_bits (=32) must be one of"),
        ("height=2", "height=2 shift=63", "shift (=63) must be from -30 to 62"),
        ("height=2", "height=2 groups=3", "groups (=3) must divide channels (=2)"),
        ("height=2", "height=2 pooling=sum", "must be one of max, average"),
        ("height=2", "height=2 layout=rows", "must be one of interleaved, planar"),
        ("height=2", "height=2 colour=3", "is no setting of .window"),
        (
            "height=2",
            "height=2 counted=0 kernel_width=2 multiplier=2147483647",
            "must be below 2**31",
        ),
    ],
)
def test_sources_say_what_is_wrong_with_a_window(old: str, new: str, said: str) -> None:
    with pytest.raises(AssemblyError) as refused:
        changed((old, new))
    assert said in str(refused.value)
    assert "program:7:" in str(refused.value)


def test_recordings_refuse_convolutions_of_no_network() -> None:
    source = changed()
    with pytest.raises(RecordingError, match=r"matrix m .* belongs to no product.*; simulate it"):
        record(source.program, source.arch, source.frames, (0,))
