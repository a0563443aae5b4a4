"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

ArchName = Annotated[
    str | None, typer.Option("--arch", metavar="A", help="A preset or an architecture file.")
]
NetworkName = Annotated[
    str | None, typer.Option("--network", metavar="N", help="A shipped network or a network file.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="core.queue.depth=2 for the architecture, prune.density=0.2 for the network; "
        "may be repeated.",
    ),
]
SparsityProfile = Annotated[
    str | None,
    typer.Option(
        "--sparsity-profile",
        metavar="CSV",
        help="Prune the network to a profile's nonzeros: a CSV file or a shipped name, such as "
        "resnet50_pruned_83; masks have its zero kernels and filters too, or, with --set "
        "prune.structured=false, are plainly random.",
    ),
]
NoBaseline = Annotated[
    bool, typer.Option("--no-baseline", help="Leave out the dense baseline, and the speedup.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Folder = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="DIR", help="Folder for result.json, outputs.npz and the figure."
    ),
]
AllUnits = Annotated[
    bool, typer.Option("--all-units", help="Show every PE and bank in a row of its own.")
]
