"""`.window`: what it says is what the image holds, and what golden and machine are given."""

import dataclasses

import numpy as np
import pytest

from spusim import golden
from spusim.image import ImageError, load_program, save_program
from spusim.isa import decode_record, encode_record, load_isa
from spusim.machine import run, unskipped_cycles
from spusim.machine.trace import TraceRequest, trace_run
from spusim.program import Window, window_record
from spusim.resources import shipped
from spusim.source import load_source, read_source

PROGRAMS = shipped("isa") / "programs"
NAMES = ("conv_results", "conv_dilation", "pool_average")


@pytest.mark.parametrize("name", NAMES)
def test_images_keep_windows(name, tmp_path):
    source = load_source(PROGRAMS / f"{name}.spuasm")
    save_program(source.program, tmp_path / "one.spu")
    loaded = load_program(tmp_path / "one.spu")
    assert loaded.cores[0].windows == source.program.cores[0].windows
    save_program(loaded, tmp_path / "two.spu")
    assert (tmp_path / "two.spu").read_bytes() == (tmp_path / "one.spu").read_bytes()
    meant = golden.run(loaded, source.frames, source.starts)
    assert np.array_equal(run(loaded, source.arch, source.frames).outputs, meant.outputs)


def test_images_refuse_a_window_that_the_record_cannot_say(tmp_path):
    source = load_source(PROGRAMS / "conv_row.spuasm")
    (image,) = source.program.cores
    wide = dataclasses.replace(image.windows[0], kernel_height=256)
    bad = dataclasses.replace(source.program, cores=(dataclasses.replace(image, windows=(wide,)),))
    with pytest.raises(ImageError, match=r"window 'w': .*kernel_height"):
        save_program(bad, tmp_path / "bad.spu")
    assert not (tmp_path / "bad.spu").exists()


def test_records_round_trip():
    window = Window("w", 65535, 1, 2, 3, 255, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 1, 16, 32, 3,
                    2, -30, 16383, 1, 0, (1 << 31) - 1)  # fmt: skip
    isa = load_isa()
    words = np.array(encode_record(isa, "window", window_record(window)), np.uint64)
    assert Window("w", **decode_record(isa, "window", words)) == window


@pytest.mark.parametrize("name", ["conv_row", "conv_pixel", "conv_loop"])
def test_traces_show_convolutions_as_spans(name):
    source = load_source(PROGRAMS / f"{name}.spuasm")
    result, trace = trace_run(
        source.program, source.arch, source.frames, source.starts,
        request=TraceRequest(units=("core0.engine", "core0.vector")),
    )  # fmt: skip
    assert result.cycles == run(source.program, source.arch, source.frames).cycles
    spans = [span for span in trace.spans if span.unit == "core0.engine"]
    assert all(span.name == "conv m" for span in spans)
    stalls = result.stalls["core0.pe0"]
    assert sum(span.end - span.start for span in spans) == result.cycles - stalls["idle"]


@pytest.mark.parametrize("name", ["conv_row", "conv_pixel", "conv_results", "pool_max"])
def test_what_skips_nothing_takes_as_long_whatever_the_values(name):
    text = (PROGRAMS / f"{name}.spuasm").read_text(encoding="utf-8")
    text = text.replace(".set core.sparse.activations=gate\n", "")
    source = read_source(f"{text}.set core.sparse.activations=dense\n", name)
    twin = unskipped_cycles(source.program, source.arch, source.starts, len(source.frames))
    assert twin.cycles == run(source.program, source.arch, source.frames).cycles
