"""Runs a stage over its shards: in this process or in local worker processes.

A stage is a pure map over shards, so whatever can call `run_shard(stage, root, i)` somewhere can
scale it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from askqa_builder.errors import BuildError, SettingsError
from askqa_builder.store import Build, Manifest, ShardOutput, digest

SHARDS_PER_WORKER = 16
"""A worker is replaced after so many shards: native libraries leak a little."""


class Stage(Protocol):
    """One step of the pipeline; picklable, so that it can travel to a worker."""

    @property
    def name(self) -> str:
        """The folder that the stage writes."""
        ...

    def settings(self) -> dict[str, JsonValue]:
        """What the manifest says about how the stage was run."""
        ...

    def shards(self, build: Build) -> int:
        """How many shards there are to make."""
        ...

    def inputs(self, build: Build, shard: int) -> dict[str, str]:
        """sha256 of every file of the build that the shard is made from, by its name.

        Raises BuildError if one is missing or damaged.
        """
        ...

    def fingerprint(self, build: Build, shard: int) -> str:
        """Digest of everything else that shapes the output: settings, prompts, versions."""
        ...

    def run(self, build: Build, shard: int, output: ShardOutput, counts: Counter[str]) -> None:
        """Read shard `shard` of the stage before, write this stage's files, fill the counts."""
        ...


@dataclass(frozen=True)
class ShardReport:
    """What became of one shard."""

    shard: int
    counts: dict[str, int]
    """Properties of the result, as in the receipt."""
    work: dict[str, int]
    """What this run had to do for it; empty if the shard was current."""


def run_shard(stage: Stage, root: Path, shard: int) -> ShardReport:
    """Make one shard unless it is current."""
    build = Build(root)
    inputs = stage.inputs(build, shard)
    fingerprint = digest(stage.fingerprint(build, shard), dict(inputs))
    receipt = build.current(stage.name, shard, fingerprint)
    if receipt is not None:
        return ShardReport(shard, receipt.counts, {})
    with build.shard(stage.name, shard, fingerprint, inputs) as (output, counts):
        stage.run(build, shard, output, counts)
    return ShardReport(shard, dict(counts), dict(output.work))


def run_stage(
    stage: Stage,
    build: Build,
    *,
    workers: int = 1,
    progress: Callable[[ShardReport, int], None] = lambda report, total: None,
) -> Manifest:
    """Make every shard that is missing or stale, then write the stage's manifest.

    `progress(report, total)` is called after each shard, in this process. Raises the first error
    of a shard once the shards in flight have ended; shards already made stay.
    """
    check_workers(workers)
    total = stage.shards(build)
    build.open_stage(stage.name)
    counts: Counter[str] = Counter()
    for report in _reports(stage, build.root, range(total), workers):
        counts.update(report.counts)
        progress(report, total)
    return build.close_stage(stage.name, total, stage.settings(), counts)


def check_workers(workers: int) -> None:
    """Raise SettingsError unless `workers` is a usable number of processes."""
    if not 1 <= workers <= 256:
        raise SettingsError(f"--workers {workers}: give a number from 1 to 256")


def default_workers() -> int:
    """As many processes as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _reports(
    stage: Stage, root: Path, shards: Sequence[int], workers: int
) -> Iterator[ShardReport]:
    if workers == 1 or len(shards) <= 1:
        for shard in shards:
            yield run_shard(stage, root, shard)
        return
    with ProcessPoolExecutor(
        max_workers=min(workers, len(shards)),
        # not fork: the parent has threads, and native libraries with state of their own
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_die_with_parent,
        initargs=(os.getpid(),),
        max_tasks_per_child=SHARDS_PER_WORKER,
    ) as pool:
        waiting = iter(shards)
        running: set[Future[ShardReport]] = set()
        try:
            while True:
                # a short queue: an error must not leave thousands of shards still to run
                for shard in waiting:
                    running.add(pool.submit(run_shard, stage, root, shard))
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except KeyboardInterrupt:
            for worker in multiprocessing.active_children():
                worker.kill()  # shards in flight are lost, as after any kill: nobody waits for them
            raise
        except BrokenProcessPool as error:
            raise BuildError(
                f"{root / stage.name}: a worker process died (out of memory?); what is finished "
                "is kept: run the command again, with fewer --workers if it dies again"
            ) from error
        finally:
            for future in running:
                future.cancel()


def _die_with_parent(parent: int) -> None:
    """End this worker when the main process is killed: an orphan would write on behind its back.

    Ctrl-C reaches the whole group of processes; the main one alone handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
