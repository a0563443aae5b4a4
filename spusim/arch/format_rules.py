"""Rules on sparse formats: which are stored, and the rows that a PE owns of them."""

from collections.abc import Callable

from spusim.arch.rule import Rule
from spusim.arch.spec import Arch

# a preset whose decoder understands each format
FORMAT_PRESETS = {
    "dense": "spu001_dense",
    "bitmap": "row64",
    "run_length": "eie64",
    "pencil": "spu001",
    "block": "micronpu",
    "n_of_m": "n2m4",
}


def _owned(name: str, form: str, field: str, what: str, rows: Callable[[Arch], int]) -> Rule:
    """Return the rule that a PE has an accumulator for every row of what a format keeps whole."""
    return Rule(
        name,
        (field, "core.accumulators", "core.sparse.formats"),
        f"A PE has an accumulator for every row of {'an' if what[0] == 'N' else 'a'} {what}.",
        lambda a: form not in a.core.sparse.formats or rows(a) <= a.core.accumulators,
        lambda a: (
            f"{field} (={rows(a)}) must be at most core.accumulators (={a.core.accumulators}): "
            f"a PE owns whole {what.removeprefix('N:M ')}s"
        ),
        lambda a: f"try {a.core.accumulators} rows, or more accumulators",
    )


FORMAT_RULES: tuple[Rule, ...] = (
    Rule(
        "format_understood",
        ("core.sparse.format", "core.sparse.formats"),
        "The format matrices are stored in is one that the decoder understands, or `auto`.",
        lambda a: a.core.sparse.format in (*a.core.sparse.formats, "auto"),
        lambda a: (
            f"core.sparse.format (={a.core.sparse.format}) must be one of "
            f"core.sparse.formats (={', '.join(a.core.sparse.formats)}) or auto"
        ),
        lambda a: (
            f"try {a.core.sparse.formats[0]}, add {a.core.sparse.format} to the formats, or take "
            f"preset {FORMAT_PRESETS[a.core.sparse.format]}, which has it"
        ),
    ),
    Rule(
        "formats_once",
        ("core.sparse.formats",),
        "No format is listed twice.",
        lambda a: len(set(a.core.sparse.formats)) == len(a.core.sparse.formats),
        lambda a: (
            f"core.sparse.formats (={', '.join(a.core.sparse.formats)}) must name each format once"
        ),
        lambda a: f"write [{', '.join(dict.fromkeys(a.core.sparse.formats))}]",
    ),
    Rule(
        "dense_format",
        ("core.sparse.weights", "core.sparse.formats"),
        "`core.sparse.weights: dense` stores matrices in the format `dense`.",
        lambda a: a.core.sparse.weights != "dense" or "dense" in a.core.sparse.formats,
        lambda a: (
            "core.sparse.weights (=dense) stores matrices dense, which core.sparse.formats "
            f"(={', '.join(a.core.sparse.formats)}) must include"
        ),
        lambda a: "add dense to the formats, or try skip",
    ),
    _owned("pencil_rows", "pencil", "core.sparse.pencil", "pencil", lambda a: a.core.sparse.pencil),
    _owned(
        "block_rows", "block", "core.sparse.block.rows", "block", lambda a: a.core.sparse.block.rows
    ),
    _owned(
        "group_rows",
        "n_of_m",
        "core.sparse.n_of_m.group",
        "N:M group",
        lambda a: a.core.sparse.n_of_m.group,
    ),
    Rule(
        "kept_of_group",
        ("core.sparse.n_of_m.kept", "core.sparse.n_of_m.group"),
        "N of N:M is at most M.",
        lambda a: a.core.sparse.n_of_m.kept <= a.core.sparse.n_of_m.group,
        lambda a: (
            f"core.sparse.n_of_m.kept (={a.core.sparse.n_of_m.kept}) must be at most "
            f"core.sparse.n_of_m.group (={a.core.sparse.n_of_m.group}), of which it keeps them"
        ),
        lambda a: "try 2 of 4",
    ),
)
