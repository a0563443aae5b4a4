"""Hints: what a misspelt name was meant as, else what there is."""

from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.errors import MOST_NAMED, nearest

UNITS = ["vmov", "vmul", "vmin", "vadd", "vsub"]


def test_the_likeliest_alone_is_named_where_others_are_much_less_like():
    assert nearest("vmvo", UNITS) == "did you mean vmov?"
    assert nearest("vm", UNITS) == "did you mean vmul or vmov or vmin?"


def test_short_names_need_less_in_common():
    assert nearest("fd", ["lstm", "fc"]) == "did you mean fc?"
    assert nearest("abcd", ["abxy"]) == "known: abxy"


def test_what_there_is_is_listed_as_its_kind_and_not_endlessly():
    names = [f"{n:02}" for n in range(MOST_NAMED + 2)]
    assert nearest("zzz", names[:2], "cases") == "cases: 00, 01"
    assert nearest("zzz", names).endswith(f", {names[MOST_NAMED - 1]} and 2 more")
    assert nearest("zzz", names[:MOST_NAMED]).endswith(names[MOST_NAMED - 1])


@settings(deadline=None, derandomize=True)
@given(st.text(max_size=12), st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=30))
def test_a_known_name_is_the_first_suggested(name, others):
    hint = nearest(name, [*others, name])
    assert hint.startswith(f"did you mean {name}")
