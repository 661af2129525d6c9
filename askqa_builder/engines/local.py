"""Shards in this process, or in worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace

from askqa_builder.engine import ShardReport, Stage, run_shard
from askqa_builder.errors import BuildError, SettingsError
from askqa_builder.store import Build

SHARDS_PER_PROCESS = 16
"""A worker process is replaced after so many shards: native libraries leak a little."""


@dataclass(frozen=True)
class Local:
    """As many processes as `workers`; one is this process itself."""

    workers: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 256:
            raise SettingsError(f"--workers {self.workers}: give a number from 1 to 256")

    def limited(self, processes: int) -> Local:
        return replace(self, workers=min(self.workers, processes))

    def reports(self, stage: Stage, build: Build, shards: range) -> Iterator[ShardReport]:
        if self.workers == 1 or len(shards) <= 1:
            for shard in shards:
                yield run_shard(stage, build.location, shard)
            return
        with ProcessPoolExecutor(
            max_workers=min(self.workers, len(shards)),
            # not fork: the parent has threads, and native libraries with state of their own
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_die_with_parent,
            initargs=(os.getpid(),),
            max_tasks_per_child=SHARDS_PER_PROCESS,
        ) as pool:
            waiting = iter(shards)
            running: set[Future[ShardReport]] = set()
            try:
                while True:
                    # a short queue: an error must not leave thousands of shards still to run
                    for shard in waiting:
                        running.add(pool.submit(run_shard, stage, build.location, shard))
                        if len(running) >= 2 * self.workers:
                            break
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            except KeyboardInterrupt:
                for worker in multiprocessing.active_children():
                    worker.kill()  # shards in flight are lost, as after any kill: nobody waits
                raise
            except BrokenProcessPool as error:
                raise worker_died(build, stage) from error
            finally:
                for future in running:
                    future.cancel()


def worker_died(build: Build, stage: Stage) -> BuildError:
    """What to tell when a process that made a shard is gone for good."""
    return BuildError(
        f"{build.location}: a worker process of {stage.name}/ died (out of memory?); what is "
        "finished is kept: run the command again, with fewer --workers if it dies again"
    )


def default_workers() -> int:
    """As many processes as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
