"""What the sequencer's instructions mean."""

from spusim.golden.activation import Activation
from spusim.golden.errors import CodeError
from spusim.golden.state import WIDTHS, RandomState, VectorState
from spusim.numerics import MOST_LEFT, MOST_RIGHT, Rounding

Operands = dict[str, int]
ROUNDINGS: tuple[Rounding | None, ...] = (None, "floor", "half_up", "half_even")
BINARY = ("", "a", "b", "ab", "d", "ad", "bd", "abd")


def nop(t: Activation, o: Operands) -> None:
    """Do nothing."""


def end(t: Activation, o: Operands) -> None:
    """End the thread; it begins anew when it is armed again."""
    t.ended = True
    t.thread.resume = t.thread.spec.entry


def yield_(t: Activation, o: Operands) -> None:
    """End the thread, which goes on behind this instruction when it is armed again (T59)."""
    if t.loops:
        raise CodeError("stands inside a loop, which a yield does not keep; unroll the loop")
    t.ended = True
    t.thread.resume = t.index + 1


def post(t: Activation, o: Operands) -> None:
    """Post one token to a thread."""
    t.chip.scoreboard.post(o["core"], o["thread"], t.stamp())


def loop(t: Activation, o: Operands) -> None:
    """Run the next `body` instructions `count` times; iteration i adds i*bump to addresses."""
    t.begin_loop(o["count"], o["body"], o["bump"])


def vset(t: Activation, o: Operands) -> None:
    """Set length, element widths, shifts and rounding; what is binary has one bit."""
    for name in ("sa", "sb", "sd"):
        if not -MOST_LEFT <= o[name] <= MOST_RIGHT:
            raise CodeError(
                f"{name} (={o[name]}) must be a shift from -{MOST_LEFT} to {MOST_RIGHT}"
            )
    binary = BINARY[o["binary"]]
    wa, wb, wd = (1 if name in binary else WIDTHS[o[f"w{name}"]] for name in "abd")
    rounding: Rounding | None = "stochastic" if o["stochastic"] else ROUNDINGS[o["rounding"]]
    t.vector = VectorState(o["len"], wa, wb, wd, o["sa"], o["sb"], o["sd"], rounding)


def zset(t: Activation, o: Operands) -> None:
    """Set the zero points of products' operands and of requantised results."""
    t.zero_x, t.zero_d = o["operand"], o["result"]


def pset(t: Activation, o: Operands) -> None:
    """Set the dense position of the first column of products."""
    t.position = o["position"]


def nset(t: Activation, o: Operands) -> None:
    """Set the run-time shift, by which requantisations shift right less."""
    t.run_time_shift = o["shift"]


def rset(t: Activation, o: Operands) -> None:
    """Set where stochastic rounding draws its bits."""
    t.random = RandomState(o["stream"], o["first"])
