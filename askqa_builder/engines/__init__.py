"""Where the shards of a stage are made: one file per engine."""

from __future__ import annotations

from askqa_builder.engine import Engine
from askqa_builder.errors import SettingsError

ENGINES = ("local", "ray", "slurm")


def open_engine(name: str = "local", workers: int | None = None, gpus: float = 0) -> Engine:
    """The engine that `--engine` names, with `workers` shards at a time (None: its own default).

    `gpus`: of each worker, on a cluster.

    Raises SettingsError for a name or a number that cannot be, MissingExtraError where the engine
    is not installed.
    """
    if workers is not None and not 1 <= workers <= 1000:
        raise SettingsError(f"--workers {workers}: give a number from 1 to 1000")
    if gpus and name == "local":
        raise SettingsError("--gpus is for a cluster's --engine: here, --device says it")
    if name == "local":
        from askqa_builder.engines.local import Local, default_workers

        return Local(default_workers() if workers is None else workers)
    if name == "ray":
        from askqa_builder.engines.ray import Ray

        return Ray(workers, gpus)
    if name == "slurm":
        from askqa_builder.engines.slurm import Slurm

        return Slurm(workers or 16, gpus)
    raise SettingsError(f"--engine {name!r}: expected one of {list(ENGINES)}")
