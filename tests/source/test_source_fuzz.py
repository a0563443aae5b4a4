"""Any text is a source, or refused with its mistakes; nothing else happens."""

from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.experiments.conformance import program_paths
from spusim.isa import AssemblyError
from spusim.source import read_source

LINES = sorted({
    line.strip()
    for path in program_paths()
    for line in path.read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith(";")
})  # fmt: skip
NUMBERS = ("0", "-1", "3", "17", "70000", str(2**31), str(2**63), str(10**30), "x", "1.5", "1e9")
WORDS = st.sampled_from(LINES).map(lambda line: line.split(" "))


def mutated(words: list[str], at: int, number: str) -> str:
    """Put a number in place of a value, or drop the word."""
    place = at % len(words)
    key, sign, _ = words[place].rpartition("=")
    return " ".join([*words[:place], key + sign + number, *words[place + 1 :]])


MUTATED = st.builds(mutated, WORDS, st.integers(0, 99), st.sampled_from(NUMBERS))
HEAD = ".arch tiny\n.input elements=4\n.output elements=4\n"
CODE = "\n.core 0\n.thread zz tokens=1\nend\n"


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(LINES) | MUTATED, max_size=8), st.booleans())
def test_any_text_is_read_or_refused(lines: list[str], head: bool) -> None:
    text = (HEAD if head else "") + "\n".join(lines) + CODE
    try:
        source = read_source(text, "t")
    except AssemblyError as error:
        assert error.errors
        assert all(mistake.startswith("t:") for mistake in error.errors)
    else:
        assert source.program.cores


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(program_paths()), st.integers(0, 10**6), st.sampled_from(NUMBERS))
def test_a_program_with_one_value_changed_is_read_or_refused(path, where, number) -> None:  # type: ignore[no-untyped-def]
    lines = path.read_text(encoding="utf-8").splitlines()
    at = where % len(lines)
    if lines[at].strip():
        lines[at] = mutated(lines[at].split(" "), where // len(lines), number)
    try:
        read_source("\n".join(lines), "t", folder=path.parent)
    except AssemblyError as error:
        assert error.errors
