"""Whether a field still reads and writes what it did, decided exactly from its two definitions."""

from collections.abc import Iterable

from spusim.isa.names import CORES_KIND, value_names
from spusim.isa.spec import Field


def bits_set(fields: Iterable[Field]) -> int:
    """Return the bits that some word sets: not those above an enumeration's last index."""
    return sum(((1 << _used_bits(f)) - 1) << f.low for f in fields)


def misread(old: Field, new: Field, foreign: int) -> str:
    """Return why `new` reads another value out of some old word than `old` did; "" if none.

    foreign: the bits that other fields set in old words; all bits of no field are zero.
    """
    if old.low != new.low:
        return f"{old.name} was at bit {old.low}, {new.name} is read from bit {new.low}"
    if old.kind.signed and not new.kind.signed:
        return f"negative values of {old.name} are read as large ones"
    if old.kind.signed and new.bits != old.bits:
        return f"values of {old.name} lose their sign: it had {old.bits} bits, has {new.bits}"
    if new.bits < _used_bits(old):
        return f"{old.name} is cut off: its values take {_used_bits(old)} bits, it has {new.bits}"
    if new.kind.signed and not old.kind.signed and new.bits == _used_bits(old):
        return f"large values of {old.name} are read as negative ones"
    if new.mask & foreign:
        return f"{new.name} reads bits that belonged to other operands"
    return _meant_otherwise(old, new)


def refuses(old: Field, new: Field) -> str:
    """Return why assembly that `old` took is no longer taken for `new`; "" if all of it is."""
    taken = (name for name in value_names(old) if _value(old, name) is not None)
    lost = [name for name in taken if _value(new, name) is None]
    if lost:
        return f"{old.name} no longer takes {', '.join(lost)}"
    if old.kind.name == CORES_KIND != new.kind.name:
        return f"{old.name} no longer takes sets of cores"
    if old.kind.names:
        return ""
    # sparing the rest of a wide range: the first and last values that could fail
    edge = len(new.kind.names) or old.smallest
    probes = {old.smallest, old.largest, *range(min(edge, old.largest + 1))}
    failing = sorted(v for v in probes if _value(new, str(v)) is None)
    return f"{old.name} no longer takes {failing[0]}" if failing else ""


def rewords(old: Field, new: Field) -> str:
    """Return why assembly taken for both gives other bits in `new`; "" if the same."""
    if old.low != new.low:
        return f"{old.name} was at bit {old.low}, is at bit {new.low}"
    if old.smallest < 0 and new.bits != old.bits:
        return f"negative values of {old.name} set {new.bits} bits, not {old.bits}"
    for text in old.kind.names or new.kind.names:
        before, after = _value(old, text), _value(new, text)
        if None not in (before, after) and before != after:
            return f"{old.name} {text} was encoded as {before}, is as {after}"
    return ""


def _used_bits(field: Field) -> int:
    return field.bits if field.kind.signed else field.largest.bit_length()


def _meant_otherwise(old: Field, new: Field) -> str:
    """Return which index has another name, where either field has names."""
    if not old.kind.names and not new.kind.names:
        return ""
    for value in range(min(old.largest, new.largest) + 1):
        before, after = _name(old, value), _name(new, value)
        if before != after:
            return f"{old.name} {value} meant {before}, means {after}"
    if old.largest > new.largest:
        return f"{old.name} {new.largest + 1} meant {_name(old, new.largest + 1)}, means nothing"
    return ""


def _name(field: Field, value: int) -> str:
    return field.kind.names[value] if field.kind.names else str(value)


def _value(field: Field, text: str) -> int | None:
    """Return what a name or an integer is encoded as; None where it is not taken."""
    names = value_names(field)
    if text in names:
        return names[text] if names[text] <= field.largest else None
    if field.kind.names or not text.lstrip("-").isdecimal():
        return None
    return int(text) if field.smallest <= int(text) <= field.largest else None
