"""Shards by a Slurm job array: task t of n makes the shards t, t + n, t + 2n …

    BUILD/.slurm.tmp/       while the job runs; on a file system that the nodes share
        job.json            the stage, its settings, how many shards and tasks
        job.sh              what is given to sbatch; every task runs `askqa-build work`
        00003.reports       what task 3 has made, a line for each shard
        00003.error         why task 3 gave up, in one line
        00003.log           what it printed

Partition, account, memory and time are sbatch's own environment variables (SBATCH_PARTITION …).
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from askqa_builder import __version__
from askqa_builder.engine import ShardReport, Stage
from askqa_builder.engines.cluster import check_version, shared_location
from askqa_builder.engines.local import Local
from askqa_builder.errors import AskqaError, BuildError, SettingsError
from askqa_builder.files import storage_errors, write_text
from askqa_builder.remote import open_build
from askqa_builder.schema import Record
from askqa_builder.store import Build

FOLDER = ".slurm.tmp"
"""Swept away by the next command on the build, which cancels the tasks that still run; those that
it does not reach end by themselves."""
STAGES = {
    "dialogues": ("askqa_builder.generate", "GenerateStage"),
    "speech": ("askqa_builder.synthesize", "SynthesizeStage"),
    "parts": ("askqa_builder.release.parts", "ReleaseStage"),
    "predicted": ("askqa_builder.evaluate.spread", "PredictStage"),
}
"""What a task may run: a job says it in words, as nothing in it is executed."""
_LOOK_S = 0.5
_SETTLE_S = 30.0
"""A shared file system may show the last lines so much later."""


class Job(Record):
    """What the tasks of an array have to do."""

    version: str
    stage: str
    settings: dict[str, Any]
    location: str
    shards: int
    tasks: int
    processes: int | None = None
    """Of a task, at most."""


@dataclass(frozen=True)
class Slurm:
    """`workers` is the number of tasks of the array."""

    workers: int = 16
    gpus: float = 0
    """Of each worker."""
    processes: int | None = None
    """Of a task, at most; its cores are one limit in any case."""

    def limited(self, processes: int) -> Slurm:
        return replace(self, processes=processes)

    def reports(self, stage: Stage, build: Build, shards: range) -> Iterator[ShardReport]:
        if not shards:
            return
        folder = (build.root / FOLDER).resolve()
        name = _name(folder)
        _cancel(name)  # of a command that was killed where there are no locks
        shutil.rmtree(folder, ignore_errors=True)
        tasks = min(self.workers, len(shards))
        job = Job(
            version=__version__,
            stage=stage.name,
            settings=TypeAdapter(type(stage)).dump_python(stage, mode="json"),
            location=shared_location(build),
            shards=len(shards),
            tasks=tasks,
            processes=self.processes,
        )
        write_text(folder / "job.json", job.model_dump_json(indent=1))
        write_text(folder / "job.sh", self._script(folder, name, tasks))
        with _submitted(folder) as process:
            try:
                yield from _followed(process, folder, tasks, set(shards))
            finally:
                if process.poll() is None:
                    _cancel(name)
                    process.kill()
        shutil.rmtree(folder, ignore_errors=True)

    def _script(self, folder: Path, name: str, tasks: int) -> str:
        lines = [
            "#!/bin/bash",
            f"#SBATCH --job-name={name}",
            f"#SBATCH --array=0-{tasks - 1}",
            "#SBATCH --open-mode=append",
            "#SBATCH --requeue",
            *([f"#SBATCH --gpus-per-task={self.gpus:g}"] if self.gpus else []),
            shlex.join(["exec", sys.executable, "-m", "askqa_builder", "work", str(folder)])
            + ' "$SLURM_ARRAY_TASK_ID"',
        ]
        return "\n".join(lines) + "\n"


def work(folder: Path, task: int) -> None:
    """Make the shards of one task; runs on a node.

    A task that is started again after its node was lost finds what it had made current.
    """
    error_path = folder / f"{task:05d}.error"
    error_path.unlink(missing_ok=True)
    try:
        job = Job.model_validate_json((folder / "job.json").read_bytes())
        check_version(job.version)
        module, name = STAGES[job.stage]
        stage = TypeAdapter(getattr(importlib.import_module(module), name)).validate_python(
            job.settings
        )
        engine = Local(int(os.environ.get("SLURM_CPUS_PER_TASK", "1")))
        if job.processes is not None:
            engine = engine.limited(job.processes)
        shards = range(task, job.shards, job.tasks)
        for report in engine.reports(stage, open_build(job.location), shards):
            with storage_errors(folder), (folder / f"{task:05d}.reports").open("a") as file:
                file.write(json.dumps(asdict(report)) + "\n")
            if not (folder / "job.json").is_file():
                return  # the command is gone, and another one has swept up behind it
    except AskqaError as error:
        if (folder / "job.json").is_file():
            write_text(error_path, str(error))
        raise


def cancel_orphans(root: Path) -> None:
    """Cancel the job that a killed command has left running on the build in a folder, if any."""
    folder = (root / FOLDER).resolve()
    if (folder / "job.json").is_file():
        _cancel(_name(folder))


def _name(folder: Path) -> str:
    return "askqa-" + hashlib.sha256(str(folder).encode()).hexdigest()[:12]


def _submitted(folder: Path) -> subprocess.Popen[str]:
    log = f"{str(folder).replace('%', '%%')}/%5a.log"  # no directive: the path may have blanks
    command = ["sbatch", "--wait", "--export=ALL", f"--output={log}", str(folder / "job.sh")]
    try:
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
    except FileNotFoundError as error:
        raise SettingsError(
            "--engine slurm: there is no sbatch here; run the command where jobs are submitted"
        ) from error


def _followed(
    process: subprocess.Popen[str], folder: Path, tasks: int, missing: set[int]
) -> Iterator[ShardReport]:
    """The reports of a job as they come; raises BuildError where it ends without all of them."""
    ended_at: float | None = None
    while missing:
        for report in _new_reports(folder, tasks, missing):
            missing.discard(report.shard)
            yield report
        _raise_error(folder, tasks)
        if process.poll() is not None and missing:
            ended_at = ended_at or time.monotonic()
            if process.returncode != 0 or time.monotonic() > ended_at + _SETTLE_S:
                raise _unfinished(folder, len(missing), process)
        if missing:
            time.sleep(_LOOK_S)
    process.wait()


def _cancel(name: str) -> None:
    """Cancel every job of this name, and wait until none is left."""
    try:
        subprocess.run(["scancel", f"--name={name}"], capture_output=True, check=False)
        for _ in range(60):
            left = subprocess.run(
                ["squeue", "--noheader", f"--name={name}"],
                capture_output=True,
                text=True,
                check=False,
            )
            if not left.stdout.strip():
                return
            time.sleep(_LOOK_S)
    except FileNotFoundError:
        return  # sbatch will be missing too, and is told of


def _new_reports(folder: Path, tasks: int, missing: set[int]) -> Iterator[ShardReport]:
    """Reports on shards that none has come of yet; a last line may be half written."""
    for task in range(tasks):
        path = folder / f"{task:05d}.reports"
        whole = path.read_text().rpartition("\n")[0] if path.is_file() else ""
        for line in whole.splitlines():
            report = ShardReport(**json.loads(line))
            if report.shard in missing:
                yield report


def _raise_error(folder: Path, tasks: int) -> None:
    for task in range(tasks):
        path = folder / f"{task:05d}.error"
        if path.is_file():
            raise BuildError(path.read_text())


def _unfinished(folder: Path, missing: int, process: subprocess.Popen[str]) -> BuildError:
    assert process.stderr is not None
    said = process.stderr.read().strip().splitlines()
    why = said[-1] if said else f"its logs are {folder}/*.log"
    return BuildError(
        f"{folder.parent}: the Slurm job ended with {missing} shards to make: {why}; what is "
        "finished is kept: run the command again"
    )
