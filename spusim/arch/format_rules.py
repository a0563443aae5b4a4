"""Rules on sparse formats: which are stored, and the rows that a PE owns of them."""

from spusim.arch.rule import Rule

# a preset whose decoder understands each format
FORMAT_PRESETS = {
    "dense": "spu001_dense",
    "bitmap": "row64",
    "run_length": "eie64",
    "pencil": "spu001",
    "block": "micronpu",
    "n_of_m": "n2m4",
}

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
    Rule(
        "pencil_rows",
        ("core.sparse.pencil", "core.accumulators", "core.sparse.formats"),
        "A PE has an accumulator for every row of a pencil.",
        lambda a: (
            "pencil" not in a.core.sparse.formats or a.core.sparse.pencil <= a.core.accumulators
        ),
        lambda a: (
            f"core.sparse.pencil (={a.core.sparse.pencil}) must be at most "
            f"core.accumulators (={a.core.accumulators}): a PE owns whole pencils"
        ),
        lambda a: f"try {a.core.accumulators} rows, or more accumulators",
    ),
    Rule(
        "block_rows",
        ("core.sparse.block.rows", "core.accumulators", "core.sparse.formats"),
        "A PE has an accumulator for every row of a block.",
        lambda a: (
            "block" not in a.core.sparse.formats or a.core.sparse.block.rows <= a.core.accumulators
        ),
        lambda a: (
            f"core.sparse.block.rows (={a.core.sparse.block.rows}) must be at most "
            f"core.accumulators (={a.core.accumulators}): a PE owns whole blocks"
        ),
        lambda a: f"try {a.core.accumulators} rows, or more accumulators",
    ),
    Rule(
        "group_rows",
        ("core.sparse.n_of_m.group", "core.accumulators", "core.sparse.formats"),
        "A PE has an accumulator for every row of an N:M group.",
        lambda a: (
            "n_of_m" not in a.core.sparse.formats
            or a.core.sparse.n_of_m.group <= a.core.accumulators
        ),
        lambda a: (
            f"core.sparse.n_of_m.group (={a.core.sparse.n_of_m.group}) must be at most "
            f"core.accumulators (={a.core.accumulators}): a PE owns whole groups"
        ),
        lambda a: f"try {a.core.accumulators} rows, or more accumulators",
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
