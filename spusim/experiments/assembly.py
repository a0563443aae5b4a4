"""Assembly and words as files: listings, binaries, hex text."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spusim.errors import SpusimError
from spusim.image import load_program
from spusim.isa import Assembly, assemble, disassemble, load_isa
from spusim.isa.container import MAGIC
from spusim.source import is_source, load_source

_HEX_LINE = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,16})")
_COMMENT = re.compile(r"[;#].*")


class WordsError(SpusimError):
    """A file that should hold assembly or instruction words, and does not."""


def assemble_file(path: str | Path) -> tuple[str, tuple[Assembly, ...]]:
    """Return a file's text and what it assembles to: a core's code, or that of all of a source's.

    Raises WordsError, SourceError or AssemblyError.
    """
    try:
        text = _read(Path(path)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WordsError(f"{path}: is not UTF-8 text; `spusim isa disasm` reads words") from None
    if is_source(text):
        return text, load_source(path).assemblies
    return text, (assemble(text, str(path)),)


def only_code(path: str | Path, assemblies: Sequence[Assembly]) -> np.ndarray:
    """Return the words (n,) of a file with one core's code; raises WordsError for more of them."""
    with_code = [assembly.words for assembly in assemblies if len(assembly.words)]
    if len(with_code) > 1:
        raise WordsError(
            f"{path}: has code for {len(with_code)} cores, and a file of words holds one core's; "
            "`spusim compile` writes an image of all of it"
        )
    return with_code[0] if with_code else np.zeros(0, np.uint64)


def listing(text: str, assemblies: Sequence[Assembly]) -> str:
    """Return source lines with the address (in its core) and word (hex) of each instruction."""
    placed = {
        line: (address, int(assembly.words[address]))
        for assembly in assemblies
        for address, line in enumerate(assembly.lines)
    }
    lines = []
    for number, source in enumerate(text.removesuffix("\n").split("\n"), start=1):
        address, word = placed.get(number, (0, 0))
        place = f"{address:>5}  {word:016x}" if number in placed else ""
        lines.append(f"{place:<23}  {source}".rstrip())
    return "".join(f"{line}\n" for line in lines)


def word_bytes(words: np.ndarray) -> bytes:
    """Return words (n,) uint64 as little-endian bytes."""
    return words.astype("<u8").tobytes()


def disassemble_file(path: str | Path) -> str:
    """Return assembly of a file of words (binary or hex text), or of a program image's cores.

    Raises WordsError, ImageError, or IsaError for a word that is no instruction.
    """
    data = _read(Path(path))
    if data.startswith(MAGIC) or Path(path).suffix.lower() == ".spu":
        return _disassemble_image(path)
    words = _hex_words(path, data)
    if words is None:
        words = _binary_words(path, data)
    return _told(path, words)


def _disassemble_image(path: str | Path) -> str:
    isa, program = load_isa(), load_program(path)
    parts = []
    for number, core in enumerate(program.cores):
        threads = [(thread.name, thread.entry, thread.tokens) for thread in core.threads]
        code = disassemble(isa, core.code, core.comments, threads)
        parts.append(f"; core {number} of {program.name} for {program.arch_name}\n{code}")
    return "\n".join(parts)


def _told(path: str | Path, words: np.ndarray) -> str:
    try:
        return disassemble(load_isa(), words)
    except SpusimError as error:
        raise WordsError(f"{path}: {error}") from error


def _hex_words(path: str | Path, data: bytes) -> np.ndarray | None:
    """Return the words of hex text, one a line, `;` or `#` before remarks; None for no text."""
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError:
        return None
    if any(ord(letter) < 32 and letter not in "\t\f" for line in lines for letter in line):
        return None
    words = []
    for number, line in enumerate(lines, start=1):
        text = _COMMENT.sub("", line).strip()
        match = _HEX_LINE.fullmatch(text)
        if match:
            words.append(int(match[1], 16))
        elif text:
            raise WordsError(
                f"{path}:{number}: `{text[:40]}` is no hex word; give one word of at most 16 "
                "digits a line, or the binary that `spusim isa asm -o` writes"
            )
    return np.array(words, np.uint64)


def _binary_words(path: str | Path, data: bytes) -> np.ndarray:
    if len(data) % 8:
        raise WordsError(
            f"{path}: has {len(data)} bytes, which is no whole number of 8-byte words; it is "
            "truncated, or no file of words"
        )
    return np.frombuffer(data, "<u8").astype(np.uint64)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WordsError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not data:
        raise WordsError(f"{path}: is empty (0 bytes); write or copy it again")
    return data
