"""Program images written and read."""

from pathlib import Path
from typing import Any

import numpy as np

from spusim.image.check import check_program
from spusim.image.descriptors import check_descriptors, descriptors
from spusim.image.tree import Reader, Writer
from spusim.isa import Isa, load_isa
from spusim.isa.container import ADVICE, ImageError, read_container, write_container
from spusim.program import Program


def save_program(program: Program, path: str | Path) -> None:
    """Write a program image; the same program gives the same bytes.

    The file appears whole or not at all. Raises ImageError if the program contradicts itself, the
    ISA cannot express it, or the file cannot be written.
    """
    isa = load_isa()
    if program.isa_version != isa.version:
        raise ImageError(
            f"program {program.name} is for ISA {program.isa_version}, this spusim has "
            f"{isa.version}; {ADVICE}"
        )
    writer = Writer()
    tree = writer.record(Program, program, "program")
    for name, _, words in descriptors(isa, program):
        writer.arrays[name] = words
    check_program(isa, program)
    write_container(Path(path), isa, tree, writer.arrays)


def load_program(path: str | Path) -> Program:
    """Read a program image. Raises ImageError with the reason and what to do about it."""
    isa = load_isa()
    content, arrays = read_container(Path(path), isa)
    try:
        return _restore(isa, content, arrays)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def _restore(isa: Isa, content: Any, arrays: dict[str, np.ndarray]) -> Program:
    """Return the program that content and arrays tell; every array must be of use."""
    reader = Reader(arrays)
    program: Program = reader.record(Program, content, "program")
    if program.isa_version != isa.version:
        raise ImageError(
            f"program.isa_version (={program.isa_version}) must be its header's, {isa.version}; "
            f"{ADVICE}"
        )
    for name, record, words in descriptors(isa, program):
        check_descriptors(isa, name, record, reader.take(name, ("uint64", 2)), words)
    if reader.arrays:
        raise ImageError(f"has sections that its program does not use: {[*arrays]}; {ADVICE}")
    # after the descriptors, whose fields bound the numbers used here
    check_program(isa, program)
    return program
