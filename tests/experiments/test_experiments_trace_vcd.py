"""Value change dumps, read back with pyvcd's reader."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from vcd.reader import TokenKind, tokenize

from spusim.experiments.case import compile_case, integer_stream
from spusim.experiments.targets import open_case
from spusim.experiments.traces import FORMATS, write_trace
from spusim.machine.trace import TraceRequest, trace_run

STREAM = "random:density=0.6,frames=2,seed=5"
ARCHS = {"reserved": (), "shared": ("core.ports=shared",)}


def dump(path: Path):
    """Return scope.name -> (time, value) changes, the last time, and the header's comment."""
    scopes, names, changes = [], {}, defaultdict(list)
    now, comment = 0, ""
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.SCOPE:
                scopes.append(token.scope.ident)
            elif token.kind is TokenKind.UPSCOPE:
                scopes.pop()
            elif token.kind is TokenKind.VAR:
                names[token.var.id_code] = ".".join([*scopes, token.var.reference])
            elif token.kind is TokenKind.COMMENT:
                comment = token.comment
            elif token.kind is TokenKind.CHANGE_TIME:
                assert token.time_change >= now
                now = token.time_change
            elif token.kind is TokenKind.CHANGE_VECTOR:
                change = token.vector_change
                changes[names[change.id_code]].append((now, int(change.value)))
            elif token.kind is TokenKind.CHANGE_SCALAR:
                change = token.scalar_change
                changes[names[change.id_code]].append((now, int(change.value)))
            elif token.kind is TokenKind.CHANGE_STRING:
                change = token.string_change
                value = change.value.replace("\\x20", " ")
                changes[names[change.id_code]].append((now, value))
    return dict(changes), now, comment


def signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def sums(changes, end: int) -> Counter:
    """Return cycles by value."""
    found: Counter = Counter()
    for (begin, value), (until, _) in zip(changes, [*changes[1:], (end, None)], strict=True):
        found[value] += until - begin
    return found


@pytest.fixture(scope="module", params=ARCHS)
def written(request, tmp_path_factory):
    """Result and dump of the spotter."""
    path = tmp_path_factory.mktemp("vcd") / "t.vcd"
    case = open_case("kws", settings=ARCHS[request.param])
    result, _, events = write_trace(case, path, FORMATS["vcd"], TraceRequest(), stream=STREAM)
    changes, end, comment = dump(path)
    assert sum(map(len, changes.values())) == events
    return result, changes, end, comment, case


def place(unit: str) -> str:
    """Return the name of a unit's variable in the dump, without what it tells."""
    core, _, kind = unit.partition(".")
    if kind.startswith("pe") or kind == "scanner":
        return f"{core}.engine.{kind}_"
    return f"{unit}{'_' if core == 'host' or 'bank' in kind else '.'}"


def test_causes_are_the_results(written):
    result, changes, end, _, _ = written
    assert end == result.cycles
    for unit, row in result.stalls.items():
        if "bank" in unit:
            found = sums(changes[f"{place(unit)}access"], end)
            held = sum(n for state, n in found.items() if state.startswith("held"))
            assert (unit, held) == (unit, row.get("held", 0))
        else:
            found = sums(changes[f"{place(unit)}cause"], end)
            assert (unit, found) == (unit, Counter({c: n for c, n in row.items() if n}))
        assert sums(changes[f"{place(unit)}busy"], end)[1] == row["busy"]


def test_engine_has_the_names_of_the_state_word(written):
    _, changes, _, comment, case = written
    pes = case.arch.core.pes
    for core in range(2):
        scope = f"core{core}.engine."
        names = {name.removeprefix(scope) for name in changes if name.startswith(scope)}
        words = {f"pe{p}_{part}" for p in range(pes) for part in ("queue", "column", "beat")}
        assert {"phase", "window", "pc", *words} <= names
    assert "phase: 0 load, 1 run, 2 drain, 3 idle" in comment
    assert {value for _, value in changes["core0.engine.phase"]} == {0, 1, 2, 3}


def test_values_are_the_traces(written):
    _, changes, _, _, case = written
    stream = integer_stream(case, STREAM)
    trace = trace_run(compile_case(case), case.arch, stream.frames, stream.starts)[1]
    for signal in trace.signals:
        core, _, kind = signal.unit.partition(".")
        if signal.name in ("phase", "window", "queue", "column", "beat"):
            part = kind.removesuffix(".queue")
            name = signal.name if part == "engine" else f"{part}_{signal.name}"
            found = [(t, signed(v)) for t, v in changes[f"{core}.engine.{name}"]]
            pairs = zip(signal.cycles.tolist(), signal.values.tolist(), strict=True)
            assert (name, found) == (name, list(pairs))


def test_a_unit_says_which_instruction_it_is_at(written):
    result, changes, end, _, case = written
    image = compile_case(case).cores[0]
    at = {signed(pc) for _, pc in changes["core0.engine.pc"]} - {-1}
    assert {image.comments[pc].partition(":")[0] for pc in at} == {"lstm", "fc1", "fc2"}
    busy = sum(n for pc, n in sums(changes["core0.engine.pc"], end).items() if signed(pc) >= 0)
    idle = sums(changes["core0.engine.phase"], end)[3]
    assert busy == end - idle
    frames = [signed(n) for _, n in changes["host.frame"] if signed(n) >= 0]
    assert frames == list(range(result.frames))


def test_a_part_begins_with_its_first_cycle(tmp_path):
    path = tmp_path / "part.vcd"
    request = TraceRequest(700, 900, ("core0.pe1", "core0.engine", "core0.vector"))
    write_trace(open_case("kws"), path, FORMATS["vcd"], request, stream=STREAM)
    changes, end, _ = dump(path)
    assert end == 900
    assert {change[0][0] for change in changes.values()} == {700}
    assert all(name.split(".")[1] in ("engine", "vector") for name in changes)
