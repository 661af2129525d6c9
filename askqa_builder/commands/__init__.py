"""The commands of `askqa-build`, by what they are for; options that several share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BuildArgument = Annotated[Path, typer.Argument(metavar="BUILD", help="The build folder.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", "-j", help="Processes; as many as cores by default.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
