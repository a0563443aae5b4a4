"""The directives of a program source as a table, and one line of it as a checked record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spusim.errors import nearest
from spusim.formats import FORMATS
from spusim.isa import operands
from spusim.isa.expression import Symbols
from spusim.isa.lexer import Cursor, FaultError, Token


@dataclass(frozen=True)
class Form:
    """What a directive takes: values by position, then `key=value` settings, or a list.

    Kinds: `name` (a new one), `text` (a name or "quoted text"), `integer`, `real`, `cores`, and
    `a|b|c` for one of these words. `optional` and `required` map settings to kinds.
    """

    positions: tuple[tuple[str, str], ...] = ()
    required: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    items: str = ""  # what the listed integers are; empty: no list

    @property
    def settings(self) -> dict[str, str]:
        """All settings with their kinds."""
        return {**self.required, **self.optional}

    def usage(self, name: str) -> str:
        """Return the directive as it is written, for messages and the manual."""
        words = [name, *(position.upper() for position, _ in self.positions)]
        words += [f"{key}={_example(kind)}" for key, kind in self.required.items()]
        words += [f"[{key}={_example(kind)}]" for key, kind in self.optional.items()]
        words += ["N, N, ..."] if self.items else []
        return " ".join(words)


@dataclass(frozen=True)
class Given:
    """A directive as it stands in a line, its values worked out."""

    line: int
    token: Token  # of the directive
    values: dict[str, Any]
    tokens: dict[str, Token]  # where each value stands
    items: tuple[int, ...] = ()
    item_tokens: tuple[Token, ...] = ()

    def at(self, name: str) -> Token:
        """Token to point at for a value; the directive where it was left out."""
        return self.tokens.get(name, self.token)


class LineFaultError(FaultError):
    """A mistake at a value or listed item of a directive that has been read already."""

    def __init__(self, given: Given, message: str, at: str = "", item: int | None = None) -> None:
        super().__init__(given.at(at) if item is None else given.item_tokens[item], message)
        self.line = given.line


ELEMENTS = "1|4|8|16|32"  # bits of one in data memory
NAMED_PLACE = (("name", "name"), ("address", "integer"))

PROGRAM: dict[str, Form] = {
    ".arch": Form((("name", "text"),)),
    ".core": Form((("number", "integer"),)),
    ".input": Form(
        required={"elements": "integer"},
        optional={
            "bits": ELEMENTS,
            "cores": "cores",
            "channel": "integer",
            "thread": "integer",
            "external": "integer",
            "planes": "integer",
        },
    ),
    ".output": Form(
        required={"elements": "integer"},
        optional={
            "bits": ELEMENTS,
            "core": "integer",
            "channel": "integer",
            "offset": "integer",
            "planes": "integer",
        },
    ),
    ".init": Form(required={"core": "integer", "thread": "integer"}),
    ".file": Form(),
    ".frame": Form(items="a frame's elements"),
    ".frames": Form(
        required={"count": "integer", "density": "real", "seed": "integer"},
        optional={"bits": "integer"},
    ),
    ".period": Form((("cycles", "integer"),)),
}
CORE: dict[str, Form] = {
    ".matrix": Form(
        (("name", "name"),),
        required={"format": "|".join(FORMATS), "rows": "integer", "columns": "integer"},
        optional={
            "weights": "integer", "activations": "integer", "group": "integer", "extent": "integer",
            "index_bits": "integer", "pointer_bits": "integer", "bias_bits": "integer",
            "base": "integer", "index_base": "integer", "codebook": "integer",
            "home": "integer",
        },
    ),
    ".window": Form(
        (("name", "name"),),
        required={
            "channels": "integer", "height": "integer", "width": "integer", "rows": "integer",
        },
        optional={
            "kernel_height": "integer", "kernel_width": "integer", "stride_y": "integer",
            "stride_x": "integer", "dilation_y": "integer", "dilation_x": "integer",
            "top": "integer", "left": "integer", "bottom": "integer", "right": "integer",
            "groups": "integer", "first_row": "integer", "layout": "interleaved|planar",
            "activations": ELEMENTS, "outputs": ELEMENTS,
            "rounding": "arch|floor|half_up|half_even",
            "scaling": "shift|tensor|filter", "shift": "integer", "scale": "integer",
            "pooling": "max|average", "counted": "0|1", "multiplier": "integer",
        },
    ),
    ".transfer": Form(
        (("name", "name"),),
        required={"words": "integer"},
        optional={"runs": "integer", "local_stride": "integer", "external_stride": "integer"},
    ),
    ".table": Form(
        (("name", "name"),),
        optional={
            "function": "text", "in": "integer", "out": "integer", "bits": "integer",
            "address_bits": "integer", "fraction_bits": "integer", "interpolate": "0|1",
            "base": "integer",
        },
    ),
    ".data": Form(NAMED_PLACE, optional={"bits": ELEMENTS}),
    ".external": Form(NAMED_PLACE, optional={"bits": ELEMENTS}),
    ".scales": Form(NAMED_PLACE),
    ".space": Form(NAMED_PLACE, required={"words": "integer"}),
}  # fmt: skip
# lines that go on with what the directive named here began
BODY: dict[str, tuple[tuple[str, ...], Form]] = {
    ".values": ((".matrix", ".data", ".external", ".table"), Form(items="values")),
    ".bias": ((".matrix",), Form(items="a bias a row")),
    ".random": (
        (".matrix", ".data", ".external"),
        Form(
            required={"density": "real", "seed": "integer"},
            optional={"count": "integer", "bits": "integer"},
        ),
    ),
    ".random_bias": ((".matrix",), Form(required={"limit": "integer", "seed": "integer"})),
    ".scale": ((".scales",), Form(required={"multiplier": "integer", "shift": "integer"})),
}  # fmt: skip
FORMS: dict[str, Form] = {**PROGRAM, **CORE, **{name: form for name, (_, form) in BODY.items()}}
SET = ".set"  # its value is the rest of the line, as `--set` takes it
START = Token("end", "start of file", 1)  # to point at for what is nowhere
ASSEMBLER = (".equ", ".thread")
KNOWN = (*FORMS, SET, *ASSEMBLER)
# what marks a text as a program source rather than the code of one core
DIRECTIVES = frozenset({*FORMS, SET})


def unknown(directive: Token) -> FaultError:
    """Return the fault for a directive that there is not."""
    return FaultError(directive, f"unknown directive; {nearest(directive.text, KNOWN)}")


def read_given(line: int, cursor: Cursor, symbols: Symbols) -> Given:
    """Read the directive at the cursor; raises FaultError at the first thing that is wrong."""
    token = cursor.take()
    form = FORMS[token.text]
    given = Given(line, token, {}, {})
    for name, kind in form.positions:
        _read_value(cursor, given, name, kind, _usage(token, form), symbols)
    if form.items:
        return _with_items(cursor, given, form, symbols)
    while cursor.mark(",") or cursor.token.kind != "end":
        _read_setting(cursor, given, form, symbols)
    missing = [key for key in form.required if key not in given.values]
    if missing:
        raise FaultError(token, f"lacks {', '.join(missing)}; {_usage(token, form)}")
    return given


def _usage(token: Token, form: Form) -> str:
    return f"write `{form.usage(token.text)}`"


def _read_setting(cursor: Cursor, given: Given, form: Form, symbols: Symbols) -> None:
    if not cursor.follows("name", "="):
        raise FaultError(cursor.token, f"expected `key=value`; {_usage(given.token, form)}")
    key = cursor.token
    if key.text not in form.settings:
        settings = ", ".join(form.settings) or "none"
        raise FaultError(key, f"is no setting of {given.token.text}, which has: {settings}")
    if key.text in given.values:
        raise FaultError(key, "is given twice; remove one")
    cursor.take()
    cursor.take()
    _read_value(cursor, given, key.text, form.settings[key.text], f"as `{key.text}=VALUE`", symbols)


def _read_value(
    cursor: Cursor, given: Given, name: str, kind: str, usage: str, symbols: Symbols
) -> None:
    token = cursor.token
    if token.kind == "end":
        raise FaultError(token, f"expected a value for {name}; {usage}")
    if cursor.follows("name", "="):
        raise FaultError(token, f"is a setting, where {name} is expected; {usage}")
    reader = _READERS.get(kind)
    given.values[name] = reader(cursor, symbols) if reader else _one_of(cursor, kind, symbols)
    given.tokens[name] = token


def _with_items(cursor: Cursor, given: Given, form: Form, symbols: Symbols) -> Given:
    items: list[int] = []
    tokens: list[Token] = []
    while not items or cursor.mark(","):
        if cursor.token.kind == "end":
            raise FaultError(cursor.token, f"expected {form.items}, as `{given.token.text} 1, -2`")
        tokens.append(cursor.token)
        items.append(_integer(cursor, symbols))
    cursor.expect("end", "`,` between values, or the end of the line")
    return Given(given.line, given.token, {}, {}, tuple(items), tuple(tokens))


def _integer(cursor: Cursor, symbols: Symbols) -> int:
    return operands.constant(operands.read_operand(cursor), symbols)


def _real(cursor: Cursor, _: Symbols) -> float:
    token = cursor.take()
    try:
        return float(token.text)
    except ValueError:
        raise FaultError(token, "expected a number, such as 0.5") from None


def _text(cursor: Cursor, _: Symbols) -> str:
    token = cursor.take()
    if token.kind not in ("name", "text"):
        raise FaultError(token, 'expected a name, or text in "quotes"')
    return token.text.strip('"')


def _name(cursor: Cursor, _: Symbols) -> str:
    return cursor.expect("name", "a name").text


def _cores(cursor: Cursor, symbols: Symbols) -> tuple[int, ...]:
    mask = operands.core_set(operands.read_operand(cursor), symbols)
    return tuple(core for core in range(mask.bit_length()) if mask >> core & 1)


def _one_of(cursor: Cursor, kind: str, symbols: Symbols) -> str | int:
    words, token = kind.split("|"), cursor.token
    numbers = words[0].isdecimal()
    value = _integer(cursor, symbols) if numbers else cursor.take().text
    if str(value) not in words:
        raise FaultError(token, f"(={value}) must be one of {', '.join(words)}")
    return value


def _example(kind: str) -> str:
    return kind if "|" in kind else {"real": "0.5", "cores": "{0}", "integer": "N"}.get(kind, kind)


_READERS: dict[str, Any] = {
    "integer": _integer,
    "real": _real,
    "text": _text,
    "name": _name,
    "cores": _cores,
}
