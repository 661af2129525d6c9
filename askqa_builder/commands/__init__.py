"""The commands of `askqa-build`, by what they are for; options that several share."""

from __future__ import annotations

from typing import Annotated

import typer

BuildArgument = Annotated[
    str, typer.Argument(metavar="BUILD", help="The build folder, or its fsspec URL.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", "-j", help="Processes (as many as cores by default), or workers of a cluster."
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(help="Where the work is done: local, ray or slurm (docs/scale.md)."),
]
GpusOption = Annotated[
    float, typer.Option("--gpus", min=0, help="GPUs of each worker, with ray or slurm.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
