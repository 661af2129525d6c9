"""`askqa-build evaluate`: data + model → predictions, scores, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import JsonValue

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.embeddings import Embedder, question_similarity
from askqa_builder.evaluate.items import Item, check_data, read_items
from askqa_builder.evaluate.judge import Judge, judge_run
from askqa_builder.evaluate.llm_user import LlmUser
from askqa_builder.evaluate.replies import Replies, VoicesHere
from askqa_builder.evaluate.report import WORST, write_report
from askqa_builder.evaluate.responders import Responder
from askqa_builder.evaluate.responders.opening import ModelSettings, addressed, open_room
from askqa_builder.evaluate.run import (
    MAX_FAILURES,
    Manners,
    Prediction,
    RunSettings,
    predict,
)
from askqa_builder.evaluate.scoring import (
    ITEMS,
    Asked,
    answer_scores,
    compared,
    rules_on_labelled,
    scored,
)
from askqa_builder.evaluate.simulate import by_rules
from askqa_builder.evaluate.variants import Variant
from askqa_builder.files import digest, read_records, write_records, write_text
from askqa_builder.release.folder import read_manifest
from askqa_builder.release.index import read_index

Device = Literal["auto", "cpu", "cuda"]

T = TypeVar("T")

SCORES = "scores.json"
MEASURED = "measured.json"
"""In a variant's folder: what was asked for, and what was measured on each utterance of a user."""


@dataclass(frozen=True)
class Helpers:
    """Language models that take part, each on request."""

    user: LlmUser | None = None
    judge: Judge | None = None
    embedder: Embedder | None = None


def open_helpers(
    stack: ExitStack,
    settings: ModelSettings,
    *,
    user: str | None = None,
    judge: str | None = None,
    embeddings: str | None = None,
) -> Helpers:
    """The language models that MODEL[@URL] name, with the limits, budget and cache of the run."""
    if user is judge is embeddings is None:
        return Helpers()
    room = stack.enter_context(open_room(settings))

    def opened(what: Callable[..., T], spec: str | None) -> T | None:
        if spec is None:
            return None
        model, base_url = addressed(spec)
        return what(room, model, base_url=base_url or settings.base_url)

    return Helpers(opened(LlmUser, user), opened(Judge, judge), opened(Embedder, embeddings))


def evaluate(
    release: Path,
    responder: Responder,
    out: Path,
    *,
    split: str = "test",
    rounds: int = 1,
    limit: int | None = None,
    batch_size: int = 8,
    variants: Sequence[Variant] = (),
    helpers: Helpers | None = None,
    voices: VoicesHere | None = None,
    max_failures: float = MAX_FAILURES,
    resamples: int = 1000,
    worst: int = WORST,
    progress: Callable[[Prediction], None] = lambda prediction: None,
) -> dict[str, Any]:
    """Evaluate a model on a split and return the content of scores.json.

    Each variant is run in a folder of its own and compared, item by item, with the clean run.
    `worst` conversations stand in the report, with their sound. Raises EvaluationError before the
    run if the split is missing or if replies cannot be spoken.
    """
    helpers = helpers or Helpers()
    check_data(release, split)
    check_ids = getattr(responder, "check_ids", None)
    if check_ids is not None:  # predictions made elsewhere
        check_ids(row["id"] for part, row in read_index(release) if part == split)
    replies = Replies(out / "cache", voices)
    if rounds:
        replies.check(release, split)
    settings = run_settings(release, responder, split=split, rounds=rounds, limit=limit)
    if helpers.user is not None:
        settings = settings.model_copy(update={"user": helpers.user.name})
    manners = Manners(
        speak=replies.speak,
        answer=helpers.user.answer if helpers.user else by_rules,
        score=answer_scores,
    )

    def items() -> Iterator[Item]:
        return islice(read_items(release, split), limit)

    def run(over: Iterator[Item], folder: Path, settings: RunSettings) -> list[Prediction]:
        return predict(
            responder,
            over,
            folder,
            settings,
            manners,
            batch_size=batch_size,
            max_failures=max_failures,
            progress=progress,
        )

    asked: list[Asked] = []
    clean = run(_noted(items(), asked), out, settings)
    asked = _asked(out, asked, len(clean), items)
    content = settings.model_dump(mode="json") | scored(asked, clean, resamples=resamples)
    content["decided_by_rules"] = rules_on_labelled()
    content["variants"] = {}
    for variant in variants:
        folder = out / "variants" / variant.name
        changed = run(
            variant.change(items()), folder, settings.model_copy(update={"variant": variant.name})
        )
        content["variants"][variant.name] = {
            "measured": _measured(variant, folder, items, len(clean)),
            "scores": {
                name: asdict(change)
                for name, change in compared(asked, clean, changed, resamples=resamples).items()
            },
        }
    if helpers.judge is not None:
        content["judge"] = judge_run(helpers.judge, asked, clean, out, resamples=resamples)
    if helpers.embedder is not None:
        content["embeddings"] = question_similarity(
            helpers.embedder, asked, clean, resamples=resamples
        )
    write_text(out / SCORES, json.dumps(content, indent=1))
    write_report(out, content, asked, clean, release=release, replies=replies, worst=worst)
    return content


def device_of(name: str) -> Device:
    """Check a device's name. Raises EvaluationError naming those that exist."""
    for known in get_args(Device):
        if name == known:
            device: Device = known
            return device
    raise EvaluationError(f"--device {name!r}: expected one of {list(get_args(Device))}")


def run_settings(
    release: Path, responder: Responder, *, split: str, rounds: int, limit: int | None
) -> RunSettings:
    """What the results of a model on a split are results of; the user is one by rules."""
    manifest = read_manifest(release)
    return RunSettings(
        data=f"{manifest.name} {manifest.version}",
        digest=data_digest(release, split, limit),
        split=split,
        model=responder.name,
        rounds=rounds,
        settings=getattr(responder, "settings", {}),
    )


def data_digest(release: Path, split: str, limit: int | None) -> str:
    """Hash of what is evaluated: ids, texts and sounds of the split's dialogues."""
    rows: list[JsonValue] = [
        [row["id"], row["text"], row["audio"]] for part, row in read_index(release) if part == split
    ]
    return digest(limit, *rows)


def _noted(items: Iterator[Item], asked: list[Asked]) -> Iterator[Item]:
    for item in items:
        asked.append(Asked.of(item))
        yield item


def _asked(
    out: Path, asked: list[Asked], count: int, items: Callable[[], Iterator[Item]]
) -> list[Asked]:
    """What was asked: just now, or by the run that had been complete already."""
    path = out / ITEMS
    if len(asked) < count:
        if path.is_file():
            return list(read_records(path, Asked))
        asked = [Asked.of(item) for item in items()]
    write_records(path, asked)
    return asked


def _measured(
    variant: Variant, folder: Path, items: Callable[[], Iterator[Item]], count: int
) -> dict[str, Any]:
    """Mean, least and most of each quantity measured on the users' utterances."""
    if variant.measured is None:
        return {}
    path = folder / MEASURED
    if not path.is_file():
        if len(variant.measured) < count:  # the run had been complete, but for this file
            for _ in variant.change(items()):
                pass
        write_text(
            path,
            json.dumps({"requested": variant.name, "measured": variant.measured}, indent=1),
        )
    rows = [row for rows in json.loads(path.read_text())["measured"].values() for row in rows]
    names = sorted({name for row in rows for name in row})
    values = {name: [row[name] for row in rows if name in row] for name in names}
    return {
        name: {"mean": sum(v) / len(v), "min": min(v), "max": max(v), "n": len(v)}
        for name, v in values.items()
    }
