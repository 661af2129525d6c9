"""What a stage is, and the map over its shards.

A stage is a pure map over shards, so whatever can call `run_shard(stage, location, i)` somewhere
can scale it: an engine (`engines/`) does nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from askqa_builder.files import digest
from askqa_builder.remote import open_build
from askqa_builder.store import Build, Manifest, ShardOutput


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


class Engine(Protocol):
    """Calls `run_shard` for every shard, somewhere."""

    def limited(self, processes: int) -> Engine:
        """The same engine with at most so many processes on one machine.

        On a cluster: in one task. How many tasks a machine can bear is for its scheduler to know,
        which hands out cores and GPUs.
        """
        ...

    def reports(self, stage: Stage, build: Build, shards: range) -> Iterator[ShardReport]:
        """Make the shards; yield each report as it comes, in any order, each shard once.

        Raises the first error of a shard once the shards in flight have ended, and BuildError
        when a machine or a process failed for good.
        """
        ...


def run_shard(stage: Stage, location: Path | str, shard: int) -> ShardReport:
    """Make one shard unless it is current."""
    build = open_build(location)
    try:
        return _made(stage, build, shard)
    finally:
        build.drop_copies()


def _made(stage: Stage, build: Build, shard: int) -> ShardReport:
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
    engine: Engine | None = None,
    progress: Callable[[ShardReport, int], None] = lambda report, total: None,
) -> Manifest:
    """Make every shard that is missing or stale, then write the stage's manifest.

    Without an engine, in this process. `progress(report, total)` is called after each shard, in
    this process. Raises what the engine raises; shards already made stay.
    """
    from askqa_builder.engines.local import Local

    engine = engine or Local()
    total = stage.shards(build)
    build.open_stage(stage.name)
    counts: Counter[str] = Counter()
    for report in engine.reports(stage, build, range(total)):
        counts.update(report.counts)
        progress(report, total)
    return build.close_stage(stage.name, total, stage.settings(), counts)
