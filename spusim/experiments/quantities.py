"""Numbers as people read them: three digits and a prefix."""

import math

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


def si(value: float, unit: str) -> str:
    """Return a value with an SI prefix and three significant digits: 8.2e-6, "s" is 8.20 µs."""
    if not value or not math.isfinite(value):
        return f"{value:g} {unit}"
    # rounded first: 999.6 is 1.00 k
    rounded = float(f"{value:.2e}")
    exponent = 3 * math.floor(math.log10(abs(rounded)) / 3)
    exponent = max(min(exponent, max(_PREFIXES)), min(_PREFIXES))
    scaled = rounded / 10.0**exponent
    digits = max(0, 2 - math.floor(math.log10(abs(scaled))))
    return f"{scaled:.{digits}f} {_PREFIXES[exponent]}{unit}"


def size(count: int) -> str:
    """Return a number of bytes in B, KiB or MiB."""
    if count < 1024:
        return f"{count} B"
    if count < 1 << 20:
        return f"{count / 1024:.1f} KiB"
    return f"{count / (1 << 20):.2f} MiB"


def percent(part: float, whole: float, digits: int = 1) -> str:
    """Return a share of a whole in percent, without the sign; a dash for nothing."""
    return f"{100 * part / whole:.{digits}f}" if part and whole else "-"


def ratio(value: float | None) -> str:
    """Return a speedup; None is one without bound."""
    return "unbounded" if value is None or math.isinf(value) else f"{value:.2f}x"


def count(number: int, noun: str) -> str:
    """Return a number of things: 1 frame, 1,000 frames."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
