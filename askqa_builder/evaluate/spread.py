"""An evaluation's responses, made in shards by any engine.

A shard is a run of whole batches of the split: so a model gets the same conversations together as
in one process, and says the same. What the shards hold is laid down as a killed run would have
left it; the evaluation then goes on from there and finds nothing more to ask.

Endpoints are not spread: one process has their limits and their budget in its hands.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path

from pydantic import JsonValue

from askqa_builder import __version__
from askqa_builder.engine import Engine, ShardReport, run_stage
from askqa_builder.errors import ReleaseError, SettingsError
from askqa_builder.evaluate.evaluation import Device, data_digest, run_settings
from askqa_builder.evaluate.items import read_items
from askqa_builder.evaluate.replies import Replies, VoicesHere
from askqa_builder.evaluate.responders import Responder
from askqa_builder.evaluate.responders.opening import ModelSettings, open_responder, splits_of
from askqa_builder.evaluate.run import (
    PARTIAL,
    PREDICTIONS,
    RUN,
    Manners,
    Prediction,
    RunSettings,
    claim,
    predict,
)
from askqa_builder.evaluate.scoring import answer_scores
from askqa_builder.files import digest, read_records, write_records
from askqa_builder.release.fetch import release_folder
from askqa_builder.release.index import read_index
from askqa_builder.store import Build, ShardOutput

ITEMS = 32
"""In a shard, at least: opening a model takes longer than a few responses."""


@dataclass(frozen=True)
class PredictStage:
    """What a model responds to a shard of a split's dialogues."""

    release: str
    """A folder, the same on every machine, or a Hub id or URL, of which each has a copy."""
    data: str
    """`data_digest` of it."""
    model: str
    split: str
    rounds: int
    limit: int | None
    batch_size: int
    max_new_tokens: int
    device: Device
    voices: VoicesHere
    about: str = ""
    """Hash of what the model says of itself, so that another one makes other shards."""
    name: str = "predicted"

    @property
    def size(self) -> int:
        """Items of a shard: whole batches."""
        return -(-ITEMS // self.batch_size) * self.batch_size

    def folder(self) -> Path:
        """Where this machine has the release. Raises ReleaseError if it is another one."""
        return _folder(self.release, self.data, self.model, self.split, self.limit)

    def settings(self) -> dict[str, JsonValue]:
        return {"model": self.model, "split": self.split}

    def shards(self, build: Build) -> int:
        found = sum(split == self.split for split, _ in read_index(self.folder()))
        return -(-min(found, self.limit or found) // self.size)

    def inputs(self, build: Build, shard: int) -> dict[str, str]:
        return {}

    def fingerprint(self, build: Build, shard: int) -> str:
        return digest(
            __version__,
            self.data,
            [
                self.model,
                self.rounds,
                self.batch_size,
                self.max_new_tokens,
                self.device,
                self.about,
            ],
        )

    def run(self, build: Build, shard: int, output: ShardOutput, counts: Counter[str]) -> None:
        responder, replies = _opened(self, build.root)
        first = shard * self.size
        last = min(first + self.size, self.limit or first + self.size)
        with tempfile.TemporaryDirectory() as folder:
            predictions = predict(
                responder,
                islice(read_items(self.folder(), self.split, first), last - first),
                Path(folder),
                RunSettings(
                    data="",
                    digest="",
                    split=self.split,
                    model=responder.name,
                    rounds=self.rounds,
                    settings={},
                ),
                Manners(speak=replies.speak, score=answer_scores),
                batch_size=self.batch_size,
                max_failures=1,  # of the whole run: looked at when it is put together
            )
        counts["items"] = write_records(output.path(".jsonl"), predictions)


@cache
def _folder(release: str, data: str, model: str, split: str, limit: int | None) -> Path:
    folder = release_folder(release, splits=splits_of(model, split))
    if data_digest(folder, split, limit) != data:
        raise ReleaseError(
            f"{release}: on {os.uname().nodename} not what it was where the command began; run it "
            "again"
        )
    return folder


@cache
def _opened(stage: PredictStage, root: Path) -> tuple[Responder, Replies]:
    """The model of this process, opened once for all of its shards and until it ends."""
    return _opening(stage).__enter__(), Replies(root / "cache", stage.voices)


def _opening(stage: PredictStage) -> AbstractContextManager[Responder]:
    settings = ModelSettings(max_new_tokens=stage.max_new_tokens, device=stage.device)
    return open_responder(stage.model, stage.folder(), split=stage.split, settings=settings)


def _settings(stage: PredictStage) -> RunSettings:
    """What the model itself says of the run. It is closed again: workers need the memory."""
    with _opening(stage) as responder:
        return run_settings(
            stage.folder(), responder, split=stage.split, rounds=stage.rounds, limit=stage.limit
        )


def spread(
    stage: PredictStage,
    out: Path,
    engine: Engine,
    progress: Callable[[ShardReport, int], None] = lambda report, total: None,
) -> None:
    """Let an engine make the responses, and leave them in `out` for the evaluation.

    Raises SettingsError for a model that is an endpoint, EvaluationError if `out` holds results
    of something else, and what the engine raises.
    """
    if (kind := stage.model.partition(":")[0]) in ("openai", "cascade"):
        raise SettingsError(
            f"--model {kind}: an endpoint is asked by one process, many requests at a "
            "time; leave --engine and --workers away"
        )
    if (out / PREDICTIONS).is_file():
        return
    build = Build(out)
    with build.locked():
        settings = _settings(stage)
        stage = replace(stage, about=digest(settings.model_dump(mode="json")))
        is_new = claim(out, settings)
        try:
            manifest = run_stage(stage, build, engine=engine, progress=progress)
        except BaseException:
            if is_new and not any((out / stage.name).glob("*.receipt.json")):
                (out / RUN).unlink()  # nothing was done: it must not stand in another's way
            raise
        paths = [build.shard_path(stage.name, shard) for shard in range(manifest.shards)]
        write_records(out / PARTIAL, (p for path in paths for p in read_records(path, Prediction)))
