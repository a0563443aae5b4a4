"""docs/assembly.md says what the reader reads, and its example runs."""

import re
from pathlib import Path

import numpy as np

from spusim import golden, machine
from spusim.source import load_source
from spusim.source.directives import KNOWN, SET

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "assembly.md").read_text(encoding="utf-8")


def test_every_directive_has_its_row_and_no_row_is_of_another() -> None:
    rows = re.findall(r"^\| `(\.\w+)", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(KNOWN)
    assert SET in rows


def test_the_settings_that_the_page_names_are_those_of_the_directives(tmp_path: Path) -> None:
    from spusim.source.directives import FORMS

    for name, form in FORMS.items():
        (row,) = re.findall(rf"^\| (`\{name}[ `].*)$", PAGE, re.MULTILINE)
        missing = [key for key in form.settings if not re.search(rf"[\[ `]{key}[=`]", row)]
        assert missing == [], name


def test_the_example_runs(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```asm\n(; axpy.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "axpy.spuasm"
    path.write_text(text)
    source = load_source(path)
    outputs = golden.run(source.program, source.frames, source.starts).outputs
    result = machine.run(source.program, source.arch, source.frames, source.starts)
    assert np.array_equal(result.outputs, outputs)
    assert outputs.shape == (3, 8) and np.count_nonzero(outputs)
