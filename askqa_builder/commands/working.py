"""work: what a cluster's job runs; nobody types it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def work(
    job: Annotated[Path, typer.Argument(help="The job's folder.")],
    task: Annotated[int, typer.Argument(help="Number of the task in its array.")],
) -> None:
    """Make the shards of one task of a Slurm job array."""
    from askqa_builder.engines import slurm

    slurm.work(job, task)
