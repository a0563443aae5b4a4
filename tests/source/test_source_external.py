"""External memory in program sources: what they say is what image, golden and machine have."""

import re
from dataclasses import replace

import numpy as np
import pytest

from spusim import golden
from spusim.image import ImageError, load_program, save_program
from spusim.isa import AssemblyError
from spusim.machine import MachineError, Recording, record, retime, run
from spusim.program import Operand, Transfer
from spusim.resources import shipped
from spusim.source import load_source, read_source

PROGRAMS = shipped("isa") / "programs"
NAMES = ("fetch", "fetch_banks", "external_input", "yield")
HEAD = (
    ".arch tiny\n.set external_memory={words: 64, bytes_per_cycle: 8, latency_cycles: 2}\n"
    ".input elements=4\n.output elements=4\n"
)
CODE = """
.thread main tokens=1
  recv channel=0, dst=0, words=1
  send dest={host}, channel=0, src=0, words=1, thread=0
  end
"""
M = ".matrix m format=bitmap rows=8 columns=8 home=0\n.random density=0.5 seed=1\n"


@pytest.mark.parametrize("name", NAMES)
def test_images_keep_all_of_it(name, tmp_path):
    source = load_source(PROGRAMS / f"{name}.spuasm")
    save_program(source.program, tmp_path / "one.spu")
    loaded = load_program(tmp_path / "one.spu")
    for one, other in zip(loaded.cores, source.program.cores, strict=True):
        assert one.transfers == other.transfers
        assert [m.home for m in one.matrices] == [m.home for m in other.matrices]
    assert loaded.external_words == source.program.external_words > 0
    assert loaded.input == source.program.input
    save_program(loaded, tmp_path / "two.spu")
    assert (tmp_path / "two.spu").read_bytes() == (tmp_path / "one.spu").read_bytes()
    meant = golden.run(loaded, source.frames, source.starts)
    found = run(loaded, source.arch, source.frames, source.starts, source.input_period)
    assert np.array_equal(found.outputs, meant.outputs)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"external_words": 100}, r"b takes words 100 to .* of external memory, and the program"),
        ({"external_words": -1}, "external memory, and the program has -1"),
    ],
)
def test_images_refuse_contents_that_do_not_fit(change, reason, tmp_path):
    program = load_source(PROGRAMS / "fetch.spuasm").program
    with pytest.raises(ImageError, match=reason):
        save_program(replace(program, **change), tmp_path / "bad.spu")


def test_images_refuse_a_transfer_that_the_record_cannot_say(tmp_path):
    program = load_source(PROGRAMS / "xld.spuasm").program
    core = replace(program.cores[0], transfers=(Transfer("wide", 1 << 16),))
    with pytest.raises(ImageError, match=r"transfer 'wide': .*words"):
        save_program(replace(program, cores=(core,)), tmp_path / "bad.spu")


MISTAKES = {
    "no words": (".transfer t runs=2", "5:1: `.transfer`: lacks words; write `.transfer NAME wor"),
    "wide": (".transfer t words=65536", "5:11: `t`: record transfer: words (=65536) must be 0 to"),
    "beyond": (".external e 60\n.random count=20 density=1 seed=1", "5:11: `e`: e takes words 60 "
               "to 64 of external memory, and the program has 64"),
    "overlap": (M + ".external e 3\n.values 1", "takes words 3 to 3 of external memory, and m"),
    "input": (".external e 3\n.values 1\n.set external_memory.words=2", "`e`: e takes words 3 to"),
    "home": (M.replace("home=0", "home=62"), "5:9: `m`: m takes words 62 to"),
    "no contents": (".external e 0", "5:1: `.external`: has no values"),
    "address": (".external e -1\n.values 1", "`-`: address (=-1) must be at least 0"),
    "shared ports": (".set core.ports=shared", "core.ports (=shared) cannot go with external_mem"),
    "resident over fetched": (
        M + ".matrix n format=bitmap rows=8 columns=8 base=0\n.random density=0.5 seed=1",
        "`n`: takes words 0 to",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text, expected", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_reported_at_their_token(text, expected):
    with pytest.raises(AssemblyError) as error:
        read_source(HEAD + text.rstrip("\n") + "\n" + CODE, "t.spuasm")
    found = [each.removeprefix("t.spuasm:") for each in error.value.errors]
    assert any(expected in each for each in found), found


def test_without_external_memory_each_mistake_has_one_message():
    head = HEAD.replace(".set", "; .set")
    with pytest.raises(AssemblyError, match=r"`m`: m takes words 0 to \d+ of external memory, and"):
        read_source(head + M + CODE, "t.spuasm")
    text = (
        head + ".transfer t words=2\n" + CODE.replace("  end", "  xld d=8, external=0, t=t\n  end")
    )
    source = read_source(text + ".frame 1, 2, 3, 4", "t.spuasm")
    message = r"external memory words 0 to 1 lie beyond the 0 words that the program has"
    for attempt in (golden.run, run):
        arguments = [source.program, source.frames, source.starts]
        if attempt is run:
            arguments.insert(1, source.arch)
        with pytest.raises(Exception, match=message):
            attempt(*arguments)


def test_a_machine_with_too_little_refuses_the_program():
    source = load_source(PROGRAMS / "fetch.spuasm")
    small = source.arch.model_copy(update={"external_memory": None})
    with pytest.raises(
        MachineError, match=r"needs 512 words of external memory, and tiny has none"
    ):
        run(source.program, small, source.frames)
    spec = source.arch.external_memory.model_copy(update={"words": 511})
    small = source.arch.model_copy(update={"external_memory": spec})
    with pytest.raises(
        MachineError, match=r"has 511; set external_memory.words, or compile it wit"
    ):
        run(source.program, small, source.frames)


def test_recordings_time_programs_that_fetch():
    source = load_source(PROGRAMS / "fetch_banks.spuasm")
    (core,) = source.program.cores
    matrices = tuple(
        replace(m, operand=Operand(m.name, m.packed.columns, (0,), ((0, 0, m.packed.columns),)))
        for m in core.matrices
    )
    program = replace(source.program, cores=(replace(core, matrices=matrices),))
    result, patterns, _ = record(program, source.arch, source.frames, source.starts)
    recording = Recording("", "", "", "", source.starts, result.outputs, patterns)
    again = retime(program, source.arch, recording)
    assert again.cycles == result.cycles == run(program, source.arch, source.frames).cycles
    assert again.stalls == result.stalls and again.counts == result.counts
    assert np.array_equal(again.outputs, result.outputs)


def test_a_convolution_with_a_matrix_that_is_not_resident_is_refused():
    text = (PROGRAMS / "conv_row.spuasm").read_text()
    home = re.sub(r"(\.matrix \w+ [^\n]*)", r"\1 home=0", text)
    memory = ".set external_memory={words: 4096, bytes_per_cycle: 8, latency_cycles: 2}\n"
    source = read_source(home.replace(".arch", memory + ".arch", 1), "t.spuasm")
    message = r"conv .*: matrix \w+ is not in weight memory: it was never fetched; fetch it first"
    with pytest.raises(golden.CodeError, match=message):
        golden.run(source.program, source.frames, source.starts)
    with pytest.raises(MachineError, match=message):
        run(source.program, source.arch, source.frames, source.starts)
