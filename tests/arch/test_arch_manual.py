"""docs/architectures.md says what an architecture file may."""

from pathlib import Path

from spusim.arch.manual import describe_keys, refresh, with_tables
from spusim.arch.spec import Arch
from spusim.arch.validate import leaves, section_of

PAGE = Path(__file__).resolve().parents[2] / "docs/architectures.md"


def rows() -> dict[str, list[str]]:
    """Return key -> cells of its row."""
    lines = describe_keys().splitlines()[2:]
    return {line.split("`")[1]: line.strip("| ").split(" | ") for line in lines}


def test_page_is_as_of_now():
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text) == text, (
        "refresh it: python -c 'from pathlib import Path; from spusim.arch.manual import refresh; "
        'refresh(Path("docs/architectures.md"))\''
    )
    assert text.count("<!-- end -->") == 2


def test_every_key_that_holds_a_value_has_a_row_that_tells_what_it_is():
    told = rows()
    plain = {path for path, field in leaves(Arch) if section_of(field) is None}
    assert plain <= set(told)
    assert [path for path in plain if not told[path][3]] == []


def test_ranges_defaults_and_sections_that_may_be_missing():
    told = rows()
    assert told["core.queue.depth"][1:3] == ["from 1 to 65,536", "`8`"]
    assert told["core.queue.release"][1:3] == ["`pop`, `done`", "`pop`"]
    assert told["clock_mhz"][1:3] == ["above 0", "-"]
    assert told["external_memory"][1:3] == ["keys below, or null", "`null`"]
    assert told["numerics.table_interpolate"][1:3] == ["true, false", "`true`"]
    assert "core.queue" not in told


def test_refresh_fills_the_tables_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- keys -->\nold\n<!-- end -->\nafter\n")
    refresh(page)
    text = page.read_text()
    assert text == f"before\n<!-- keys -->\n{describe_keys()}\n<!-- end -->\nafter\n"
