"""Shards on a Ray cluster: on whatever node has a free core.

The cluster is one that runs already (`ray start`, RAY_ADDRESS): on a single machine, the local
engine does the same without one. Ray's own tasks are used, not datatrove's executor over them;
docs/scale.md says why.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from askqa_builder import __version__
from askqa_builder.engine import ShardReport, Stage, run_shard
from askqa_builder.engines.cluster import check_version, shared_location
from askqa_builder.engines.local import SHARDS_PER_PROCESS, worker_died
from askqa_builder.errors import MissingExtraError, SettingsError
from askqa_builder.store import Build

_TRIES = 20
"""Of a shard whose node or process was lost: on a cluster of machines that come and go."""


@dataclass(frozen=True)
class Ray:
    """As many shards at a time as `workers`; None: as the cluster has cores (or GPUs)."""

    workers: int | None = None
    gpus: float = 0
    """Of each worker."""

    def limited(self, processes: int) -> Ray:
        return self  # a task is one process

    def reports(self, stage: Stage, build: Build, shards: range) -> Iterator[ShardReport]:
        ray = _connected()
        make = ray.remote(
            num_cpus=1, num_gpus=self.gpus, max_retries=_TRIES, max_calls=SHARDS_PER_PROCESS
        )(_make)
        arguments = (__version__, os.getcwd(), stage, shared_location(build))
        waiting = iter(shards)
        running: list[Any] = []
        try:
            while True:
                room = self.workers or 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
                for shard in waiting:
                    running.append(make.remote(*arguments, shard))
                    if len(running) >= room:
                        break
                if not running:
                    return
                done, running = ray.wait(running)
                for report in done:
                    yield _result(ray, report, build, stage)
        finally:
            for task in running:
                ray.cancel(task, force=True)
            ray.shutdown()


def _connected() -> Any:
    """The package, connected to the cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--engine ray", "cluster") from error
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise SettingsError(
            "--engine ray: no Ray cluster here; start one with `ray start --head`, or set "
            "RAY_ADDRESS"
        ) from error
    return ray


def _result(ray: Any, task: Any, build: Build, stage: Stage) -> ShardReport:
    try:
        report: ShardReport = ray.get(task)
        return report
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None  # as it was raised where the shard was made
    except ray.exceptions.RayError as error:
        raise worker_died(build, stage) from error


def _make(version: str, folder: str, stage: Stage, location: str, shard: int) -> ShardReport:
    """Runs on a node of the cluster."""
    check_version(version)
    if os.path.isdir(folder):
        os.chdir(folder)  # models and references may be named from there
    return run_shard(stage, location, shard)
