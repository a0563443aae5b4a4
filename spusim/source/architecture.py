"""`.arch` and `.set`: the architecture that a source is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spusim.arch import Arch, ArchError, list_archs, load_arch
from spusim.isa import Faults
from spusim.isa.lexer import Token
from spusim.source.directives import Given

_START = Token("end", "start of file", 1)


@dataclass(frozen=True)
class Setting:
    """A `.set` line."""

    line: int
    token: Token
    text: str


def chosen_arch(
    faults: Faults,
    named: Given | None,
    written: Sequence[Setting],
    folder: str | Path,
    arch: str | Path | None,
    settings: Sequence[str],
) -> Arch | None:
    """Return the architecture that a source names, or `arch` in its place; None with a fault.

    settings go over the source's own. Raises ArchError for what is wrong with arch and settings.
    """
    if named is None and arch is None:
        faults.add(1, _START, "a program source names its architecture: add `.arch NAME`")
        return None
    own = [setting.text for setting in written]
    if arch is not None or settings:
        return load_arch(arch or _place(named, folder), [*own, *settings])
    assert named is not None
    try:
        return load_arch(_place(named, folder), own)
    except ArchError as error:
        line, token = _blamed(str(error), named, written)
        faults.add(line, token, str(error))
        return None


def _place(named: Given | None, folder: str | Path) -> str | Path:
    """Return a preset's name as it is, a path as seen from the source's folder."""
    assert named is not None
    name: str = named.values["name"]
    return name if name in list_archs() else Path(folder) / name


def _blamed(message: str, named: Given, written: Sequence[Setting]) -> tuple[int, Token]:
    """Return the setting whose path the message names, else the `.arch`."""
    for setting in reversed(written):
        if setting.text.partition("=")[0].strip() in message:
            return setting.line, setting.token
    return named.line, named.at("name")
