"""Constant expressions of assembly: integers, constants and labels with + - * and parentheses."""

from collections.abc import Mapping
from dataclasses import dataclass

from spusim.isa.lexer import Cursor, FaultError, Token

MAX_DEPTH = 50
MAX_BITS = 128  # far beyond any operand; keeps products of products small


@dataclass(frozen=True)
class Value:
    """An integer that holds `labels` label addresses: 0 for a plain number, 1 for an address."""

    number: int
    labels: int = 0


@dataclass(frozen=True)
class Symbols:
    """Constants and labels by name; `equ_lines` also has constants not yet worked out."""

    constants: Mapping[str, int]
    labels: Mapping[str, int]
    equ_lines: Mapping[str, int]

    def value(self, token: Token) -> Value:
        """Return a name's value; raises FaultError for an unknown one."""
        if token.text in self.constants:
            return Value(self.constants[token.text])
        if token.text in self.labels:
            return Value(self.labels[token.text], 1)
        if token.text in self.equ_lines:
            line = self.equ_lines[token.text]
            raise FaultError(token, f"has no value: its `.equ` in line {line} is wrong, or below")
        raise FaultError(
            token, "unknown name; define it as a label (`NAME:`) or with `.equ NAME value`"
        )


def evaluate(cursor: Cursor, symbols: Symbols, depth: int = 0) -> Value:
    """Take an expression and return its value; raises FaultError."""
    total = _product(cursor, symbols, depth)
    while cursor.sees("+", "-"):
        sign = 1 if cursor.take().text == "+" else -1
        term = _product(cursor, symbols, depth)
        total = Value(total.number + sign * term.number, total.labels + sign * term.labels)
    return total


def _product(cursor: Cursor, symbols: Symbols, depth: int) -> Value:
    product = _factor(cursor, symbols, depth)
    while cursor.sees("*"):
        sign = cursor.take()
        factor = _factor(cursor, symbols, depth)
        if product.labels or factor.labels:
            raise FaultError(sign, "a label's address cannot be multiplied; use its difference")
        product = Value(product.number * factor.number)
        if product.number.bit_length() > MAX_BITS:
            raise FaultError(
                sign, f"product has more than {MAX_BITS} bits; no operand is that wide"
            )
    return product


def _factor(cursor: Cursor, symbols: Symbols, depth: int) -> Value:
    token = cursor.take()
    if depth > MAX_DEPTH:
        raise FaultError(token, f"expression is nested more than {MAX_DEPTH} deep; use .equ")
    if token.kind == "integer":
        return Value(_integer(token))
    if token.kind == "name":
        return symbols.value(token)
    if token.kind == "mark" and token.text == "-":
        value = _factor(cursor, symbols, depth + 1)
        return Value(-value.number, -value.labels)
    if token.kind == "mark" and token.text == "(":
        value = evaluate(cursor, symbols, depth + 1)
        cursor.expect_mark(")", "to close the parenthesis")
        return value
    raise FaultError(token, "expected an integer, a name or an expression of them")


def _integer(token: Token) -> int:
    text = token.text.lower()
    if len(text) > MAX_BITS:
        raise FaultError(token, f"integer has more than {MAX_BITS} digits; no operand is that wide")
    base = {"0x": 16, "0b": 2}.get(text[:2], 10)
    return int(text, base)
