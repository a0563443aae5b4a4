"""Topologies from a checkpoint's names and shapes alone, and what these leave open."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from spusim.frontend.errors import TopologyError
from spusim.frontend.modules import Module, Unsettled, modules_of

MOST_ORDERED = 8  # modules whose orders are tried
_RNN = ("rnn", "rnn_cell")


@dataclass(frozen=True)
class Starter:
    """A network file's text, and the questions that names and shapes leave open; none: settled.

    told: the layers in words.
    """

    text: str
    questions: tuple[str, ...]
    told: str


def starter_of(
    tensors: dict[str, np.ndarray], checkpoint: str | Path, folder: Path | None = None
) -> Starter:
    """Return the network file that a checkpoint's tensors suggest.

    It is settled for one or more LSTMs or GRUs whose sizes chain in one order only, and a linear
    layer alone or after them. Between linear layers an activation is usual and not stored, so
    several of them are not. folder: where the file will be, if it shall name its weights.
    """
    found = modules_of(tensors)
    modules = [each for each in found if isinstance(each, Module)]
    orders = list(islice(_orders(modules), 2)) if len(modules) <= MOST_ORDERED else []
    chain = list(orders[0]) if len(orders) == 1 else modules
    unsettled = [each for each in found if isinstance(each, Unsettled)]
    questions = [*_order_questions(modules, orders), *_module_questions(chain)]
    questions += [f"{', '.join(each.keys)}: {each.why}" for each in unsettled]
    names = _names(chain)
    lines = [f"name: {_file_name(Path(checkpoint))}"]
    if folder is not None:
        lines.append(f"weights: {_quoted(os.path.relpath(checkpoint, folder))}")
    lines.append(f"input: {{size: {chain[0].inputs if chain else 1}}}")
    lines += ["layers:", *_layer_lines(chain, names)]
    text = "".join(f"{line}\n" for line in (*_comments(questions), *lines))
    told = ", ".join(map(_told, names, chain))
    return Starter(text, tuple(questions), told)


def settled_text(tensors: dict[str, np.ndarray], checkpoint: str | Path) -> tuple[str, str]:
    """Return a network file's text, and a note on it, where names and shapes settle it.

    Raises TopologyError naming what they do not settle.
    """
    starter = starter_of(tensors, checkpoint)
    if starter.questions:
        raise TopologyError(
            f"{checkpoint}: names and shapes do not settle what it computes:\n"
            + "".join(f"  {question}\n" for question in starter.questions)
            + f"say it in a network file and name that with --network; `spusim inspect "
            f"{checkpoint} --starter net.yaml` writes one to complete"
        )
    note = (
        f"topology inferred from names and shapes: {starter.told}; with nothing between or after "
        "them (else give a network file)"
    )
    return starter.text, note


def _orders(
    modules: Sequence[Module], chain: tuple[Module, ...] = ()
) -> Iterator[tuple[Module, ...]]:
    """Yield the orders, from `chain` on, in which every module takes what the one before gives."""
    if chain and len(chain) == len(modules):
        yield chain
    for each in modules:
        if each not in chain and (not chain or chain[-1].outputs == each.inputs):
            yield from _orders(modules, (*chain, each))


def _order_questions(
    modules: Sequence[Module], orders: Sequence[tuple[Module, ...]]
) -> Iterator[str]:
    """Yield why the order is open, if it is."""
    if not modules:
        yield "no LSTM, GRU or linear layer is among its tensors"
    elif len(modules) > MOST_ORDERED:
        yield f"the order of {len(modules)} modules"
    elif not orders:
        sizes = ", ".join(f"{_label(each)} {each.inputs} to {each.outputs}" for each in modules)
        yield f"no order fits, in which each takes what the one before gives: {sizes}"
    elif len(orders) > 1:
        told = " or ".join(", ".join(map(_label, order)) for order in orders)
        yield f"their order: {told}; the sizes fit both"


def _module_questions(chain: Sequence[Module]) -> Iterator[str]:
    """Yield what is open about single modules."""
    for each, after in pairwise(chain):
        if not each.recurrent:
            yield (
                f"what stands between {_label(each)} and {_label(after)}: an activation, or nothing"
            )
    for each in chain:
        if each.kind in _RNN:
            yield f"{_label(each)}: an RNN's nonlinearity, tanh or relu"
        if each.kind.endswith("_cell"):
            yield f"{_label(each)}: a cell, and what its loop does beside it"
        if not each.recurrent and not each.bias:
            yield f"{_label(each)}: a linear layer without bias, or an embedding's table"


def _layer_lines(chain: Sequence[Module], names: Sequence[str]) -> Iterator[str]:
    """Yield the layers' lines, with a remark where sizes do not fit or an activation may be."""
    if not chain:
        yield "  []  # e.g. - {type: linear, name: fc, outputs: 10}"
    before: Module | None = None
    for name, each in zip(names, chain, strict=True):
        if before and before.outputs != each.inputs:
            yield f"  # gives {before.outputs}, and {name} takes {each.inputs}"
        elif before and not before.recurrent:
            yield f"  # - {{type: relu, name: {name}_relu}}"
        yield f"  - {{{', '.join(_keys(name, each))}}}"
        before = each


def _keys(name: str, each: Module) -> Iterator[str]:
    """Yield the keys of a layer that are not their defaults."""
    yield f"type: {each.kind}"
    yield f"name: {name}"
    if name != each.prefix:
        yield f"prefix: {_quoted(each.prefix)}"
    if each.recurrent:
        yield f"hidden: {each.hidden}"
        if each.hidden != each.outputs:
            yield f"projection: {each.outputs}"
        if each.layers > 1:
            yield f"layers: {each.layers}"
    else:
        yield f"outputs: {each.outputs}"
    if not each.bias:
        yield "bias: false"


def _comments(questions: Sequence[str]) -> Iterator[str]:
    yield "# Made from a checkpoint's names and shapes; the layer types are in docs/networks.md."
    if questions:
        yield "# They do not settle:"
    yield from (f"# - {question}" for question in questions)


def _names(chain: Sequence[Module]) -> list[str]:
    """Return short and unique names: the last part of a prefix, or all of it."""
    last = [each.prefix.rpartition(".")[2] for each in chain]
    names: list[str] = []
    for each, short in zip(chain, last, strict=True):
        name = short if last.count(short) == 1 else each.prefix.replace(".", "_")
        name = name if re.match(r"[A-Za-z_]", name) else f"{each.kind}{name}"
        name = _allowed(name)
        names.append(name if name not in ("input", *names) else f"{name}_{len(names)}")
    return names


def _file_name(path: Path) -> str:
    stem = path.name.partition(".")[0]
    return _allowed(stem if re.match(r"[A-Za-z_]", stem) else f"_{stem}")


def _allowed(name: str) -> str:
    """Return a name with nothing in it that a network file's names cannot have."""
    return re.sub(r"[^A-Za-z0-9_\-]", "_", name)


def _quoted(text: str) -> str:
    """Return text as a YAML string."""
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./\-]*", text) else _single_quoted(text)


def _single_quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _label(each: Module) -> str:
    """Return what messages call a module: a linear one by its weight's key, others by prefix."""
    if each.recurrent:
        return each.prefix or each.kind
    return f"{each.prefix}.weight".lstrip(".")


def _told(name: str, each: Module) -> str:
    stack = f", {each.layers} layers" if each.layers > 1 else ""
    return f"{name} ({each.kind} {each.inputs} to {each.outputs}{stack})"
