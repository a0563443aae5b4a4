"""Dumps a program's signals as the stepper and as the RTL have them, under the same names.

    python tests/rtl/waves.py --set 3 --seed 7 -o DIR

writes DIR/stepper.vcd and DIR/rtl.vcd, a cycle a time step, and says where they first differ.
"""

import argparse
import json
import sys
from pathlib import Path

from build import BuildError
from compare import field_names, first_difference, run_both
from parameter_sets import SETS, ParameterSet
from programs import Program, choices, random_program
from rtl_engine import RtlEngine
from vcd import VCDWriter
from vcd.reader import TokenKind, tokenize

Trace = list[tuple[int, ...]]

WORD_BITS = 32


def write_vcd(path: Path, pes: int, trace: Trace) -> None:
    """Write a trace of state words as a value change dump; -1 stands for no column, no beat."""
    with (
        path.open("w", encoding="ascii") as file,
        VCDWriter(file, timescale="1 ns", comment="one time step is a cycle") as writer,
    ):
        signals = []
        for name in field_names(pes):
            scope, _, signal = f"engine.{name}".rpartition(".")
            signals.append(writer.register_var(scope, signal, "integer", size=WORD_BITS))
        for cycle, word in enumerate(trace):
            for signal, value in zip(signals, word, strict=True):
                writer.change(signal, cycle, value)
        writer.close(len(trace))


def signed(bits: str) -> int:
    """Return the value of a dump's bits: leading zeros are left out, so 32 bits are negative."""
    value = int(bits, 2)
    return value - (1 << WORD_BITS) if value >> (WORD_BITS - 1) else value


def read_vcd(path: Path) -> dict[str, list[int]]:
    """Return every signal's value in each cycle, by its full name."""
    names: dict[str, str] = {}
    scopes: list[str] = []
    values: dict[str, list[int]] = {}
    now: dict[str, int] = {}
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.SCOPE:
                scopes.append(token.scope.ident)
            elif token.kind is TokenKind.UPSCOPE:
                scopes.pop()
            elif token.kind is TokenKind.VAR:
                name = ".".join((*scopes, token.var.reference))
                names[token.var.id_code] = name
                values[name] = []
            elif token.kind is TokenKind.CHANGE_TIME:
                for name, held in values.items():
                    held += [now[name]] * (token.time_change - len(held)) if name in now else []
            elif token.kind is TokenKind.CHANGE_VECTOR:
                change = token.vector_change
                value = change.value
                name = names[change.id_code]
                now[name] = signed(f"{value:b}") if isinstance(value, int) else 0
    return values


def dump(parameter_set: ParameterSet, program: Program, folder: Path) -> list[str]:
    """Write both dumps to a folder, which is made; return where they first differ, by line."""
    engine = RtlEngine(parameter_set)
    _, expected, rtl = run_both(engine, program)
    engine.close()
    folder.mkdir(parents=True, exist_ok=True)
    pes = parameter_set.config.pes
    write_vcd(folder / "stepper.vcd", pes, expected.trace)
    write_vcd(folder / "rtl.vcd", pes, rtl.result.trace)
    return first_difference(parameter_set, expected, rtl)


def parsed_program(parameter_set: ParameterSet, text: str) -> Program:
    """Return the program that a failure report printed. Raises ValueError for another text."""
    try:
        values = json.loads(text)
        return Program(**values)
    except (ValueError, TypeError) as error:
        fields = ", ".join(choices(parameter_set))
        raise ValueError(
            f"--program must be a JSON object of {fields}, as a failure report prints it ({error})"
        ) from error


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--set", type=int, required=True, choices=range(len(SETS)), metavar="N",
                        dest="number", help=f"parameter set, 0 to {len(SETS) - 1}")  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="draw a program from a seed")
    what.add_argument("--program", help="a program as a failure report prints it")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Dump the program that the command line names; 0 if stepper and RTL agree, else 4."""
    options = arguments(words)
    parameter_set = SETS[options.number]
    try:
        program = (
            random_program(parameter_set, options.seed)
            if options.program is None
            else parsed_program(parameter_set, options.program)
        )
        lines = dump(parameter_set, program, options.output)
    except (BuildError, ValueError, KeyError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write("\n".join([str(program), *lines, ""]))
    return 0 if len(lines) == 1 else 4


if __name__ == "__main__":
    raise SystemExit(main())
