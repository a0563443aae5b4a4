"""What each vector instruction makes of one element, and which operands it has in memory."""

from collections.abc import Callable
from dataclasses import dataclass

from chip_errors import ChipError
from chip_numbers import TABLE_INPUT_BITS, fitted, limited, looked_up, shifted

from spusim.numerics import Numerics
from spusim.program import TABLE_NONE, TABLE_RELU, Table


@dataclass
class VectorState:
    """What `vset` and the like set for a thread; a thread starts with these values."""

    length: int = 0
    wa: int = 16
    wb: int = 16
    wd: int = 16
    sa: int = 0
    sb: int = 0
    sd: int = 0
    rounding: str = "arch"
    zero_x: int = 0  # what `zset`, `pset` and `rset` set
    zero_d: int = 0
    position: int = 0
    stream: int = 0
    first: int = 0
    ordinal: int = 0  # vector instructions since `rset`
    norm: int = 0  # the run-time shift, A13
    activation: int = 0  # executions of the thread in this file before this one


@dataclass(frozen=True)
class Element:
    """One element's inputs; those that an instruction does not have are 0."""

    state: VectorState
    numerics: Numerics
    tables: tuple[Table, ...]
    table: int
    a: int = 0
    b: int = 0
    acc: int = 0
    multiplier: int = 1
    shift: int = 0
    value: int = 0
    random: int = 0  # 64 bits
    zero: int = 0  # point of the result

    @property
    def pre_a(self) -> int:
        """a >> sa; the shifts of operands always floor."""
        return shifted(self.a, self.state.sa, "floor")

    @property
    def pre_b(self) -> int:
        """b >> sb."""
        return shifted(self.b, self.state.sb, "floor")

    @property
    def rounding(self) -> str:
        """How sd and requantisation round; look-ups round as the architecture does."""
        own = self.state.rounding
        return self.numerics.rounding if own == "arch" else own

    def post(self, value: int) -> int:
        """Return value >> sd, rounded."""
        return shifted(value, self.state.sd, self.rounding, self.random)

    def function(self, value: int) -> int:
        """Apply the identity, max(0, .) or a table."""
        if self.table == TABLE_NONE:
            return value
        if self.table == TABLE_RELU:
            return max(self.zero, value)
        if self.table >= len(self.tables):
            raise ChipError(f"table {self.table} does not exist")
        rounding = self.numerics.rounding
        if rounding == "stochastic":
            rounding = "half_up"
        return looked_up(self.tables[self.table], value, rounding)

    def requantised(self, multiplier: int, shift: int) -> int:
        """Return f of the accumulator times multiplier / 2**shift, in the width that f takes."""
        plain = self.table in (TABLE_NONE, TABLE_RELU)
        bits = self.state.wd if plain else TABLE_INPUT_BITS
        shift = max(-30, min(62, shift - self.state.norm))
        scaled = shifted(self.acc * multiplier, shift, self.rounding, self.random)
        overflow = self.numerics.requantize_overflow
        if plain:
            return self.function(fitted(scaled + self.zero, bits, overflow))
        return self.function(fitted(scaled, bits, overflow)) + self.zero


def vadd(e: Element) -> int:
    """Add."""
    return e.post(e.pre_a + e.pre_b)


def vsub(e: Element) -> int:
    """Subtract."""
    return e.post(e.pre_a - e.pre_b)


def vmul(e: Element) -> int:
    """Multiply, without shifting the operands."""
    return e.post(e.a * e.b)


def vmax(e: Element) -> int:
    """Take the larger."""
    return e.post(max(e.pre_a, e.pre_b))


def vmin(e: Element) -> int:
    """Take the smaller."""
    return e.post(min(e.pre_a, e.pre_b))


def vmov(e: Element) -> int:
    """Shift."""
    return e.post(e.a)


def vrelu(e: Element) -> int:
    """Shift, then cut negatives off; only then does the result overflow."""
    return max(0, e.post(e.a))


def vthr(e: Element) -> int:
    """Shift, bring into the width of d, and cut off what is below the threshold."""
    value = fitted(e.post(e.a), e.state.wd, e.numerics.requantize_overflow)
    return value if abs(value) >= e.value else 0


def vtop(e: Element) -> int:
    """Shift; `of_all` then chooses."""
    return fitted(e.post(e.a), e.state.wd, e.numerics.requantize_overflow)


def top(values: list[int], keep: int) -> list[int]:
    """Keep as many of the largest magnitudes, one after the other; of equals the first."""
    left = dict(enumerate(values))
    kept = [0] * len(values)
    for _ in range(min(keep, len(values))):
        best = max(left, key=lambda index: (abs(left[index]), -index))
        kept[best] = left.pop(best)
    return kept


def vnrm(e: Element) -> int:
    """Shift by what `Meaning.measure` found; half a unit too large saturates."""
    return limited(shifted(e.a, e.state.norm, e.rounding, e.random), max(e.state.wd, 2), "saturate")


def norm(values: list[int], bits: int) -> int:
    """Return the least shift by which all values fit so many bits, A13: by trying widths."""
    needed = next(b for b in range(1, 33) if all(-(2**b) <= 2 * v < 2**b for v in values))
    return needed - bits


def vlut(e: Element) -> int:
    """Look up what saturates to the table's input."""
    return e.function(limited(e.pre_a, TABLE_INPUT_BITS, "saturate"))


def vfill(e: Element) -> int:
    """Fill."""
    return e.value


def vqs(e: Element) -> int:
    """Requantise by a shift."""
    return e.requantised(1, e.state.sd)


def vq_scaled(e: Element) -> int:
    """Requantise by multiplier and shift of a scale entry."""
    return e.requantised(e.multiplier, e.shift)


@dataclass(frozen=True)
class Meaning:
    """An instruction: its function, its operands in memory in the arbiter's order (T19)."""

    of: Callable[[Element], int]
    operands: tuple[str, ...]
    accumulators: bool = False
    scale_per_element: bool = False
    multiplies: bool = False
    of_all: Callable[[list[int], int], list[int]] | None = None  # of what `of` makes, and value
    search: bool = False  # a pass for each bit of d before the one that writes, T16
    measure: Callable[[list[int], int], int] | None = None  # one pass, for the run-time shift


MEANING = {
    "vadd": Meaning(vadd, ("a", "b", "d")),
    "vsub": Meaning(vsub, ("a", "b", "d")),
    "vmul": Meaning(vmul, ("a", "b", "d"), multiplies=True),
    "vmax": Meaning(vmax, ("a", "b", "d")),
    "vmin": Meaning(vmin, ("a", "b", "d")),
    "vmov": Meaning(vmov, ("a", "d")),
    "vrelu": Meaning(vrelu, ("a", "d")),
    "vlut": Meaning(vlut, ("a", "d")),
    "vfill": Meaning(vfill, ("d",)),
    "vthr": Meaning(vthr, ("a", "d")),
    "vtop": Meaning(vtop, ("a", "d"), of_all=top, search=True),
    "vnrm": Meaning(vnrm, ("a", "d"), measure=norm),
    "vqs": Meaning(vqs, ("d",), accumulators=True),
    "vqm": Meaning(vq_scaled, ("scale", "d"), accumulators=True, multiplies=True),
    "vqc": Meaning(
        vq_scaled, ("scale", "d"), accumulators=True, scale_per_element=True, multiplies=True
    ),
}
