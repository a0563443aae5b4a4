"""From a tree of entries to a frozen spec; every mistake is told with place, value and remedy."""

import difflib
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from spusim.arch.document import Entry
from spusim.arch.spec import Spec
from spusim.errors import SpusimError

AnySpec = TypeVar("AnySpec", bound=Spec)

# pydantic's error type -> the rule that was broken, filled in from the error's context
_RULES = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of keys to values",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "model_type": "must be a mapping of keys to values",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
}


@dataclass(frozen=True)
class Made:
    """A tree's entry and the section of a spec that was made of it."""

    entry: Entry
    section: BaseModel


MadeSections = Mapping[int, Made]  # by the id of the entry, which stays alive with it
_NOTHING_MADE: MadeSections = {}


def build(
    model: type[AnySpec], tree: Entry, error: type[SpusimError], made: MadeSections = _NOTHING_MADE
) -> AnySpec:
    """Make a spec of a tree; raises `error` with one line per mistake.

    made: sections that were made of entries of this very tree before, and are taken as they are.
    """
    tree = drop_nulls(tree, model)
    try:
        return model.model_validate(_with_made(tree, made) if made else tree.plain)
    except ValidationError as failure:
        problems = _innermost(failure.errors(include_url=False))
        raise error("\n".join(_describe(problem, tree, model) for problem in problems)) from None


def made_sections(spec: BaseModel, tree: Entry) -> dict[int, Made]:
    """Return the sections of a spec with the entries that they were made of."""
    found: dict[int, Made] = {}
    for key, entry in tree.value.items():
        section = getattr(spec, key, None)
        if isinstance(section, BaseModel) and isinstance(entry.value, dict):
            found |= {id(entry): Made(entry, section), **made_sections(section, entry)}
    return found


def _with_made(tree: Entry, made: MadeSections) -> Any:
    """Return what a tree says, with what was made of its entries in their places."""
    if id(tree) in made:
        return made[id(tree)].section
    if isinstance(tree.value, dict):
        return {key: _with_made(entry, made) for key, entry in tree.value.items()}
    return tree.plain


def drop_nulls(tree: Entry, model: type[BaseModel]) -> Entry:
    """Remove nulls over sections and over entries of open mappings: the default holds."""
    if not isinstance(tree.value, dict) or not tree.has_null:
        return tree
    kept: dict[str, Entry] = {}
    for key, entry in tree.value.items():
        field = model.model_fields.get(key)
        section = section_of(field) if field else None
        if section is not None:
            if entry.value is not None:
                kept[key] = drop_nulls(entry, section)
        elif field and get_origin(field.annotation) is dict and isinstance(entry.value, dict):
            left = {k: v for k, v in entry.value.items() if v.value is not None}
            kept[key] = Entry(left, entry.origin, entry.layer)
        else:
            kept[key] = entry
    return Entry(kept, tree.origin, tree.layer)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model that a field holds (also `Model | None`), or None for other fields."""
    annotation = field.annotation
    options = (
        get_args(annotation)
        if get_origin(annotation) in (Union, types.UnionType)
        else (annotation,)
    )
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field's dotted path with its description, sections included."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field
        section = section_of(field)
        if section is not None:
            yield from leaves(section, f"{prefix}{name}.")


def _innermost(problems: list[ErrorDetails]) -> list[ErrorDetails]:
    """Drop mistakes that only follow from one deeper inside the same value."""
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem in problems
        if not any(
            len(place) > len(problem["loc"]) and place[: len(problem["loc"])] == problem["loc"]
            for place in places
        )
    ]


def _describe(problem: ErrorDetails, tree: Entry, model: type[Spec]) -> str:
    steps = [step for step in problem["loc"] if step != "[key]"]
    where = ".".join(str(step) for step in steps) or "the file"
    origin = tree.deepest(steps).origin
    if problem["type"] == "extra_forbidden":
        return f"{origin}: {_unknown(steps, model)}"
    if problem["type"] == "missing":
        return f"{origin}: {where} is missing; {_remedy(where, model)}"
    if problem["loc"][-1:] == ("[key]",):
        rule = _RULES["literal_error"].format(**problem.get("ctx", {}))
        return f"{origin}: {where} is not a known key: it {rule}; remove or rename it"
    if problem["type"] == "value_error":  # a spec's own validator, which words it all
        return f"{origin}: {where} {problem['ctx']['error']}"
    value = problem["input"]
    if value is None:
        one = f"one of {', '.join(choices)}" if (choices := _choices(problem)) else "one"
        return f"{origin}: {where} has no value; give {one}, or leave the key out"
    template = _RULES.get(problem["type"])
    rule = template.format(**problem.get("ctx", {})) if template else problem["msg"]
    remedy = _nearest(problem) or _remedy(where, model)
    return f"{origin}: {where} (={_shown(value)}) {rule}; {remedy}"


def _choices(problem: ErrorDetails) -> list[str]:
    """Return the words that a value may be; YAML takes `null` for none of them."""
    expected = problem.get("ctx", {}).get("expected", "")
    return re.findall(r"'([^']*)'", expected) if problem["type"] == "literal_error" else []


def _unknown(steps: list[int | str], model: type[Spec]) -> str:
    where = ".".join(str(step) for step in steps)
    parent, _, key = where.rpartition(".")
    known = {path: field for path, field in leaves(model)}
    beside = {path.rpartition(".")[2]: path for path in known if path.rpartition(".")[0] == parent}
    elsewhere = [path for path in known if path.rpartition(".")[2] == key]
    close = [beside[name] for name in difflib.get_close_matches(key, beside, n=2)]
    nearest = close or elsewhere[:3] or difflib.get_close_matches(where, known, n=2, cutoff=0.75)
    if nearest:
        return f"{where} is not a known key; did you mean {' or '.join(nearest)}?"
    return f"{where} is not a known key; the keys here are {', '.join(sorted(beside))}"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        value = list(value)
    text = "true" if value is True else "false" if value is False else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nearest(problem: ErrorDetails) -> str:
    """Name the legal value nearest to the one given, where there is one."""
    context = problem.get("ctx", {})
    for bound in ("ge", "le"):
        if bound in context:
            return f"try {context[bound]}"
    choices = re.findall(r"[^\s',]+", str(context.get("expected", "")))
    close = difflib.get_close_matches(str(problem["input"]), set(choices) - {"or"}, n=1)
    return f"did you mean {close[0]}?" if close else ""


def _remedy(where: str, model: type[Spec]) -> str:
    field = dict(leaves(model)).get(where)
    if field is None:
        return "correct the value"
    if field.default is not PydanticUndefined and field.default is not None:
        return f"the default is {_shown(field.default)}"
    about = f" ({field.description})" if field.description else ""
    return f"give it a value{about}, or start from a preset with `base:`"
