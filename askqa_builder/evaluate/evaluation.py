"""`askqa-build evaluate`: data + model → predictions, scores, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import JsonValue

from askqa_builder.audio import decode
from askqa_builder.clips import make_clip
from askqa_builder.config import SynthesizeSettings
from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.items import Item, read_items
from askqa_builder.evaluate.judge import Judge, judge_run
from askqa_builder.evaluate.responders import Responder
from askqa_builder.evaluate.responders.opening import ModelSettings
from askqa_builder.evaluate.responders.room import Room
from askqa_builder.evaluate.run import PREDICTIONS, RUN, Prediction, RunSettings, predict
from askqa_builder.evaluate.scoring import Asked, compared, scored
from askqa_builder.evaluate.variants import Variant
from askqa_builder.release.folder import read_manifest
from askqa_builder.release.index import read_index
from askqa_builder.release.stream import stream_columns
from askqa_builder.store import digest, read_records, write_text
from askqa_builder.synthesize import engine_of
from askqa_builder.voices import Voices

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Device = Literal["auto", "cpu", "cuda"]

SCORES = "scores.json"
MEASURED = "measured.json"
"""In a variant's folder: what was measured on each utterance of the user, by item."""


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
    judge: Judge | None = None,
    resamples: int = 1000,
    progress: Callable[[Prediction], None] = lambda prediction: None,
) -> dict[str, Any]:
    """Evaluate a model on a split and return the content of scores.json.

    Each variant is run in a folder of its own and compared, item by item, with the clean run.
    Raises EvaluationError before the run if the split is missing or if replies cannot be spoken.
    """
    replies = Replies(out / "cache")
    replies.check(release, split)
    manifest = read_manifest(release)
    settings = RunSettings(
        data=f"{manifest.name} {manifest.version}",
        digest=data_digest(release, split, limit),
        split=split,
        model=responder.name,
        rounds=rounds,
        settings=getattr(responder, "settings", {}),
    )
    asked: list[Asked] = []

    def items() -> Iterator[Item]:
        return islice(read_items(release, split), limit)

    def noted() -> Iterator[Item]:
        for item in items():
            asked.append(Asked.of(item))
            yield item

    clean = predict(
        responder,
        noted(),
        out,
        settings,
        speak=replies.speak,
        batch_size=batch_size,
        progress=progress,
    )
    if len(asked) < len(clean):  # the run was complete already: nothing was read
        asked = [Asked.of(item) for item in items()]
    content = settings.model_dump(mode="json") | scored(asked, clean, resamples=resamples)
    content["variants"] = {}
    for variant in variants:
        changed = predict(
            responder,
            variant.change(items()),
            out / "variants" / variant.name,
            settings.model_copy(update={"variant": variant.name}),
            speak=replies.speak,
            batch_size=batch_size,
            progress=progress,
        )
        content["variants"][variant.name] = {
            name: asdict(change)
            for name, change in compared(asked, clean, changed, resamples=resamples).items()
        }
        if variant.measured:
            folder = out / "variants" / variant.name
            write_text(folder / MEASURED, json.dumps(variant.measured, indent=1))
    if judge is not None:
        content["judge"] = judge_run(judge, asked, clean, out, resamples=resamples)
    write_text(out / SCORES, json.dumps(content, indent=1))
    from askqa_builder.evaluate.report import write_report

    write_report(out, content, asked, clean)
    return content


def compare(one: Path, two: Path, release: Path, *, resamples: int = 1000) -> dict[str, Any]:
    """Whether two results of the same data differ: B minus A with a paired interval.

    Raises EvaluationError if they are results of different data.
    """
    runs = [_finished(folder) for folder in (one, two)]
    (first, before), (second, after) = runs
    if (first.digest, first.split) != (second.digest, second.split):
        raise EvaluationError(
            f"{one} is of {first.data} {first.split}, {two} of {second.data} {second.split}: "
            "only results of the same data can be compared"
        )
    asked = [Asked.of(item) for item in islice(read_items(release, first.split), len(before))]
    if [a.id for a in asked] != [p.id for p in before] or [p.id for p in before] != [
        p.id for p in after
    ]:
        raise EvaluationError(f"{release}: not the data that {one} and {two} are results of")
    return {
        "a": first.model,
        "b": second.model,
        "scores": {
            name: asdict(change) | {"clear": change.is_clear}
            for name, change in compared(asked, before, after, resamples=resamples).items()
        },
    }


def judge_of(spec: str, settings: ModelSettings) -> Judge:
    """The judge that MODEL[@URL] names, with the limits, budget and cache of the models."""
    model, _, base_url = spec.partition("@")
    room = Room(
        settings.cache,
        limits=settings.limits,
        budget_usd=settings.budget_usd,
        prices=settings.prices,
    )
    return Judge(room, model, base_url=base_url or settings.base_url)


def split_of_results(folder: Path) -> str:
    """The split that finished results are of. Raises EvaluationError if there are none."""
    return _finished(folder)[0].split


def device_of(name: str) -> Device:
    """Check a device's name. Raises EvaluationError naming those that exist."""
    for known in get_args(Device):
        if name == known:
            device: Device = known
            return device
    raise EvaluationError(f"--device {name!r}: expected one of {list(get_args(Device))}")


def _finished(folder: Path) -> tuple[RunSettings, list[Prediction]]:
    if not (folder / PREDICTIONS).is_file():
        raise EvaluationError(f"{folder}: no finished results; run askqa-build evaluate")
    settings = RunSettings.model_validate_json((folder / RUN).read_bytes())
    return settings, list(read_records(folder / PREDICTIONS, Prediction))


def data_digest(release: Path, split: str, limit: int | None) -> str:
    """Hash of what is evaluated: ids, texts and sounds of the split's dialogues."""
    rows: list[JsonValue] = [
        [row["id"], row["text"], row["audio"]] for part, row in read_index(release) if part == split
    ]
    return digest(limit, *rows)


class Replies:
    """Speaks the simulated user's replies, in the voices and by the engines of the data."""

    def __init__(self, cache: Path) -> None:
        """`cache` is a folder for what speech endpoints were paid for."""
        self._cache = cache
        self._spoken: dict[tuple[str, str], bytes] = {}

    def check(self, release: Path, split: str) -> None:
        """Start every engine that users of the split speak with, and look for their voices.

        Raises VoiceError, MissingExtraError or EvaluationError: before a run, not in its middle.
        """
        speakers = {
            (voice["engine"], voice["model"], voice["speaker"])
            for part, row in stream_columns(release, ["voices"])
            if part == split and (voice := row["voices"]["user"])
        }
        for engine, model, speaker in sorted(speakers):
            if speaker not in {voice.id for voice in self._engine(engine, model).voices()}:
                raise EvaluationError(
                    f"{release}: the user's voice {speaker!r} is not among those of {engine} here, "
                    "so replies cannot be spoken; install the version that the release names"
                )

    def speak(self, item: Item, text: str) -> tuple[npt.NDArray[np.float32], int]:
        """A reply in the voice of the item's user, made like every clip of the set."""
        key = (text, item.user.model_dump_json())
        if key not in self._spoken:
            engine = self._engine(item.user.engine, item.user.model)
            _, self._spoken[key] = make_clip(engine, text, item.user)
        return decode(self._spoken[key])

    def _engine(self, engine: str, model: str) -> Voices:
        spec = f"{engine}:{model}" if model else engine
        return engine_of(spec, SynthesizeSettings(), self._cache)
