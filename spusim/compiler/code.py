"""Instructions before they are words: operands by name, the vector state they need, a comment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spusim.isa import Isa, encode
from spusim.numerics import STOCHASTIC
from spusim.program import Thread

# What of the state set by `vset` an instruction depends on.
VECTOR_STATE: dict[str, frozenset[str]] = {
    mnemonic: frozenset(names.split())
    for mnemonic, names in {
        "vqs": "len wd sd rounding",
        "vqm": "len wd rounding",
        "vqc": "len wd rounding",
        "vadd": "len wa wb wd sa sb sd rounding",
        "vsub": "len wa wb wd sa sb sd rounding",
        "vmul": "len wa wb wd sd rounding",
        "vmax": "len wa wb wd sa sb sd rounding",
        "vmin": "len wa wb wd sa sb sd rounding",
        "vmov": "len wa wd sd rounding",
        "vrelu": "len wa wd sd rounding",
        "vlut": "len wa wd sa",
        "vfill": "len wd",
        "vnrm": "len wa wd rounding",
        "vthr": "len wa wd sd rounding",
        "vtop": "len wa wd sd rounding",
    }.items()
}
State = dict[str, int | str]
Modes = Mapping[str, Mapping[str, int]]
# What other instructions set for a thread, and what it starts with.
MODES: dict[str, dict[str, int]] = {
    "zset": {"operand": 0, "result": 0},
    "pset": {"position": 0},
    "rset": {"stream": 0, "first": 0},
    "nset": {"shift": 0},
}
MODE_COMMENTS = {
    "zset": "zero points: operand {operand}, result {result}",
    "pset": "dense position {position}",
    "rset": "random bits: stream {stream:#08x}, output {first}",
    "nset": "run-time shift {shift}",
}
UNKNOWN = 1 << 30  # no shift: what a run finds
_ANY_STATE: State = {
    "len": 0, "wa": 16, "wb": 16, "wd": 16, "sa": 0, "sb": 0, "sd": 0, "rounding": "arch",
}  # fmt: skip


@dataclass(frozen=True)
class Op:
    """One instruction; `state` holds the fields of the vector state that it depends on.

    Enumerations are by name here, widths in bits; they become indices when the word is made.
    modes: by the instruction that sets them (see MODES), what else it depends on.
    """

    mnemonic: str
    comment: str
    operands: Mapping[str, int | str] = field(default_factory=dict)
    state: State = field(default_factory=dict)
    modes: Modes = field(default_factory=dict)


@dataclass(frozen=True)
class ThreadCode:
    """A thread to be: `ops` None where a core lacks a thread that other cores have."""

    name: str
    tokens: int
    ops: tuple[Op, ...] | None


def op(mnemonic: str, comment: str, **operands: int) -> Op:
    """Return an instruction that does not depend on the vector state."""
    return Op(mnemonic, comment, operands)


def vector_op(mnemonic: str, comment: str, state: State, modes: Modes, **operands: int) -> Op:
    """Return a vector instruction; `state` has exactly the fields that it depends on."""
    if set(state) != VECTOR_STATE[mnemonic]:
        raise KeyError(f"{mnemonic} depends on {sorted(VECTOR_STATE[mnemonic])}, not {[*state]}")
    return Op(mnemonic, comment, operands, state, modes)


def with_modes(ops: Iterable[Op]) -> list[Op]:
    """Insert what sets the modes that instructions depend on, where they are not set already.

    Random bits are set for every instruction that draws them: they go on counting.
    """
    done: list[Op] = []
    now = {mnemonic: dict(values) for mnemonic, values in MODES.items()}
    for each in ops:
        for mnemonic, wanted in each.modes.items():
            if mnemonic == "rset" or not wanted.items() <= now[mnemonic].items():
                now[mnemonic] |= wanted
                comment = MODE_COMMENTS[mnemonic].format(**now[mnemonic])
                done.append(op(mnemonic, comment, **now[mnemonic]))
        done.append(each)
        if each.mnemonic == "vnrm":
            now["nset"] = {"shift": UNKNOWN}
    return done


def with_vector_state(ops: Iterable[Op]) -> list[Op]:
    """Insert the fewest `vset` that give every instruction its state.

    Instructions that agree wherever both depend on a field share one `vset`, which stands in
    front of the first of them; a longest run first leaves the fewest runs.
    """
    done: list[Op] = []
    run: list[Op] = []
    needed: State = {}
    for each in ops:
        if each.state and any(needed.get(k) != v for k, v in each.state.items() if k in needed):
            done += _run(needed, run)
            run, needed = [], {}
        if each.state and not needed:
            done += run
            run = []
        needed |= each.state
        run.append(each)
    return done + _run(needed, run)


def _run(needed: State, run: list[Op]) -> list[Op]:
    if not needed:
        return run
    state = _ANY_STATE | needed
    shifts = ", ".join(f"{k} {v}" for k, v in needed.items() if k.startswith("s"))
    comment = f"{state['len']} elements{', shifts ' + shifts if shifts else ''}"
    if state["rounding"] != "arch":
        comment += f", rounding {state['rounding']}"
    if state["rounding"] == STOCHASTIC:  # which has a bit of its own
        return [Op("vset", comment, state | {"rounding": "arch", "stochastic": 1}), *run]
    return [Op("vset", comment, state | {"stochastic": 0}), *run]


@dataclass(frozen=True)
class CoreCode:
    """Words, threads and comments of a core."""

    words: np.ndarray
    threads: tuple[Thread, ...]
    comments: dict[int, str]


def assemble_core(isa: Isa, threads: Sequence[ThreadCode]) -> CoreCode:
    """Lay threads out one after the other, each closed by `end`, and encode them.

    A thread that the core lacks starts at another's `end`: nothing ever arms it.
    """
    ops: list[Op] = []
    entries: list[int | None] = []
    for thread in threads:
        entries.append(None if thread.ops is None else len(ops))
        if thread.ops is not None:
            ops += [*_with_state(thread.ops), op("end", f"end of {thread.name}")]
    last = len(ops) - 1
    return CoreCode(
        np.array([_word(isa, each) for each in ops], dtype=np.uint64),
        tuple(
            Thread(thread.name, last if entry is None else entry, thread.tokens)
            for thread, entry in zip(threads, entries, strict=True)
        ),
        {index: each.comment for index, each in enumerate(ops) if each.comment},
    )


def _with_state(ops: Iterable[Op]) -> list[Op]:
    """Insert what instructions depend on; behind a `yield` nothing is set."""
    done: list[Op] = []
    run: list[Op] = []
    for each in ops:
        run.append(each)
        if each.mnemonic == "yield":
            done += with_vector_state(with_modes(run))
            run = []
    return done + with_vector_state(with_modes(run))


def _binary(operands: Mapping[str, int | str]) -> Mapping[str, int | str]:
    """Return how `vset` says which operands are of one bit, and a width for those."""
    if "wa" not in operands:
        return {}
    sides = [side for side in "abd" if operands[f"w{side}"] == 1]
    return {"binary": "in_" + ("".join(sides) or "none"), **{f"w{side}": 8 for side in sides}}


def _word(isa: Isa, each: Op) -> int:
    operands: dict[str, int] = {}
    given = {**each.operands, **_binary(each.operands)}
    for field_ in isa.instructions[each.mnemonic].operands:
        value = given[field_.name]
        names = field_.kind.names
        operands[field_.name] = names.index(str(value)) if names else int(value)
    return encode(isa, each.mnemonic, operands)
