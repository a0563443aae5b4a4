"""Vector state: every instruction finds what it needs, with the fewest vsets."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.compiler.code import VECTOR_STATE, Op, with_vector_state
from spusim.compiler.split import split
from spusim.isa import load_isa

FIELDS = ("len", "wd", "sd")


@st.composite
def programs(draw: st.DrawFn) -> list[Op]:
    """Draw instructions that depend on some fields, or on none."""
    needs = st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 2), max_size=3)
    return [Op("x", "", {}, need) for need in draw(st.lists(needs, max_size=9))]


def fewest_vsets(ops: list[Op]) -> int:
    """Return the least number of vsets, by trying every place for the next one."""

    @cache
    def fewest(first: int) -> int:
        while first < len(ops) and not ops[first].state:
            first += 1
        if first == len(ops):
            return 0
        state: dict[str, int] = {}
        best = len(ops)
        for end in range(first, len(ops)):
            if any(state.get(k, v) != v for k, v in ops[end].state.items()):
                break
            state |= ops[end].state
            best = min(best, 1 + fewest(end + 1))
        return best

    return fewest(0)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs())
def test_vsets_are_enough_and_as_few_as_can_be(ops: list[Op]) -> None:
    """State is right in front of every instruction, and the order is kept."""
    placed = with_vector_state(ops)
    assert [each for each in placed if each.mnemonic != "vset"] == ops
    state: dict[str, int] = {}
    for each in placed:
        if each.mnemonic == "vset":
            state = each.operands
        assert each.state.items() <= state.items()
    assert len(placed) - len(ops) == fewest_vsets(ops)


def test_a_vset_stands_in_front_of_its_first_user() -> None:
    """What needs no state does not wait for it."""
    placed = with_vector_state([Op("spmv", ""), Op("v", "", {}, {"len": 4}), Op("send", "")])
    assert [each.mnemonic for each in placed] == ["spmv", "vset", "v", "send"]


def test_state_table_names_instructions_and_fields_that_exist() -> None:
    """The table of dependences keeps to the instruction set."""
    isa = load_isa()
    fields = {operand.name for operand in isa.instructions["vset"].operands}
    assert all(isa.instructions[m].unit == "vector" for m in VECTOR_STATE)
    assert all(needs <= fields for needs in VECTOR_STATE.values())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 200), st.sampled_from([1, 4, 8, 12]), st.integers(1, 15))
def test_split_covers_in_units_and_order(size: int, align: int, cores: int) -> None:
    """Parts follow each other, start at multiples of align, and differ by a unit at most."""
    parts = split(size, align, cores)
    assert [p.core for p in parts] == list(range(len(parts)))
    assert sum(p.size for p in parts) == size
    assert all(p.offset == sum(q.size for q in parts[: p.core]) for p in parts)
    assert all(p.offset % align == 0 for p in parts)
    units = [-(-p.size // align) for p in parts]
    assert max(units) - min(units) <= 1
