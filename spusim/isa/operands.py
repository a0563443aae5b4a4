"""Operands as assembly writes them, and their values."""

from dataclasses import dataclass

from spusim.isa.codec import check_value
from spusim.isa.expression import Symbols, evaluate
from spusim.isa.lexer import Cursor, FaultError, Token
from spusim.isa.names import CORES_KIND, HOST, HOST_BIT, RELATIVE, value_names
from spusim.isa.spec import Field, IsaError


@dataclass(frozen=True)
class Operand:
    """`name=value` or `value`; the value's tokens, an end token last, are worked out later."""

    name: Token | None
    value: tuple[Token, ...]

    @property
    def start(self) -> Token:
        """Token to point at when the whole operand is wrong."""
        return self.value[0]


def read_operand(cursor: Cursor) -> Operand:
    """Take an operand up to a comma, the next `name=` or the end; raises FaultError if empty."""
    name = None
    if cursor.follows("name", "="):
        name = cursor.take()
        cursor.take()
    value: list[Token] = []
    opened: list[Token] = []
    while cursor.token.kind != "end":
        if not opened and (cursor.sees(",") or cursor.follows("name", "=")):
            break
        if cursor.sees("{", "("):
            opened.append(cursor.token)
        elif opened and cursor.sees("}", ")"):
            opened.pop()
        value.append(cursor.take())
    if opened:
        raise FaultError(opened[-1], "is not closed on this line; close it")
    if not value:
        raise FaultError(cursor.token, "expected a value")
    # the end keeps the text of what stands there, for messages
    end = Token("end", cursor.token.text, cursor.token.column)
    return Operand(name, (*value, end))


def constant(operand: Operand, symbols: Symbols) -> int:
    """Return the value of an operand that is a plain number; raises FaultError."""
    cursor = Cursor(list(operand.value))
    value = evaluate(cursor, symbols)
    _finish(cursor)
    if value.labels:
        raise FaultError(
            operand.start, "is a label's address; only differences of labels are plain"
        )
    return value.number


def value_of(
    mnemonic: str, field: Field, operand: Operand, address: int, symbols: Symbols
) -> int:  # fmt: skip
    """Return the value to encode in the instruction at `address`; raises FaultError."""
    names = value_names(field)
    if field.kind.name == CORES_KIND and operand.start.text == "{":
        number = core_set(operand, symbols)
    elif len(operand.value) == 2 and operand.start.text in names:
        number = names[operand.start.text]
    elif (mnemonic, field.name) in RELATIVE:
        number = _distance(operand, address, symbols)
    else:
        number = constant(operand, symbols)
        if field.kind.names:
            number = _enumerator(field, operand, number)
    try:
        return check_value(mnemonic, field, number)
    except IsaError as error:
        raise FaultError(operand.start, str(error)) from error


def _finish(cursor: Cursor) -> None:
    cursor.expect("end", "an operator, `,` or the end of the value")


def _distance(operand: Operand, address: int, symbols: Symbols) -> int:
    """Return a number as it is, a label as its distance from the next instruction."""
    cursor = Cursor(list(operand.value))
    value = evaluate(cursor, symbols)
    _finish(cursor)
    if value.labels not in (0, 1):
        raise FaultError(operand.start, "must be a number or one label, not a sum of labels")
    distance = value.number - value.labels * (address + 1)
    if value.labels and distance < 0:
        raise FaultError(
            operand.start, f"lies {-distance} instructions before the body; put the label after it"
        )
    return distance


def _enumerator(field: Field, operand: Operand, number: int) -> int:
    if str(number) not in field.kind.names:
        raise FaultError(
            operand.start,
            f"{field.name} (={number}) must be one of {', '.join(field.kind.names)}",
        )
    return field.kind.names.index(str(number))


def core_set(operand: Operand, symbols: Symbols) -> int:
    """Return the mask of `{core, core, host}`; raises FaultError."""
    cursor = Cursor(list(operand.value))
    cursor.expect_mark("{", "to open the set, as `{0,host}`")
    mask = 0
    while not cursor.sees("}"):
        item = cursor.token
        if item.text == HOST:
            cursor.take()
            bit = HOST_BIT
        else:
            value = evaluate(cursor, symbols)
            bit = value.number
            if value.labels or not 0 <= bit < HOST_BIT:
                raise FaultError(item, f"core (={bit}) must be 0 to {HOST_BIT - 1}, or {HOST}")
        if mask >> bit & 1:
            raise FaultError(item, "is in the set twice; remove one")
        mask |= 1 << bit
        if not cursor.mark(","):
            break
    cursor.expect_mark("}", "to close the set")
    _finish(cursor)
    return mask
