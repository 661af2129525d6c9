"""Runs a model over the items of a split; a killed run goes on where it was.

RESULTS/
  run.json                     data, model and settings: what the results are results of
  predictions.partial.jsonl    while it runs: what has been done
  predictions.jsonl            every item in the order of the data, when all are done
  scores.json, report.html     written last
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.dynamic import Trajectory, converse_many
from askqa_builder.evaluate.items import Item
from askqa_builder.evaluate.responders import Responder
from askqa_builder.evaluate.simulate import SimulatedUser
from askqa_builder.schema import Record
from askqa_builder.store import read_records, storage_errors, write_records, write_text

PREDICTIONS, PARTIAL, RUN = "predictions.jsonl", "predictions.partial.jsonl", "run.json"
MAX_FAILURES = 0.5
"""Share of failed items at which a run ends; looked at once there are `_ENOUGH` of them."""
_ENOUGH = 20
_LONGEST = 4000
"""Characters of a response that are kept: a model that loops must not fill the disk."""


class Prediction(Record):
    """What a model did with one item."""

    id: str
    decision: str
    """First response: ask, answer or none."""
    exchanges: tuple[tuple[str, str, str], ...] = ()
    """(question, reply, kind of reply) of each clarification."""
    final: str = ""
    """The last response."""
    answered: bool = False
    failure: str | None = None
    """What went wrong; such an item counts as 0 in every score."""
    seconds: float = 0.0
    """Time that the model and the simulated user took for it; an even share of its batch."""

    @property
    def first(self) -> str:
        """The first response."""
        return self.exchanges[0][0] if self.exchanges else self.final


class RunSettings(Record):
    """What results are results of."""

    data: str
    """Name and version of the data."""
    digest: str
    """Hash of the data's index, so that nobody compares different data."""
    split: str
    model: str
    rounds: int
    variant: str = "clean"
    """How the user's sound was changed, if it was."""
    settings: dict[str, JsonValue]


UserSpeak = Callable[[Item, str], tuple[Any, int]]
"""Speaks a reply in the item's own user voice: (samples, rate in Hz)."""


def predict(
    responder: Responder,
    items: Iterable[Item],
    folder: Path,
    settings: RunSettings,
    *,
    speak: UserSpeak | None,
    batch_size: int = 8,
    max_failures: float = MAX_FAILURES,
    progress: Callable[[Prediction], None] = lambda prediction: None,
) -> list[Prediction]:
    """Predict every item, resuming what lies in `folder`; returns them in the order of the items.

    Raises EvaluationError if the folder holds results of something else, or if more than
    `max_failures` of the items fail.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, settings)
    if (folder / PREDICTIONS).is_file():
        return list(read_records(folder / PREDICTIONS, Prediction))
    done = {p.id: p for p in _unfinished(folder / PARTIAL)}
    order: list[str] = []
    with storage_errors(folder), (folder / PARTIAL).open("ab") as log:
        for batch in _batches(items, batch_size):
            order += [item.id for item in batch]
            missing = [item for item in batch if item.id not in done]
            for prediction in _predict_batch(responder, missing, settings.rounds, speak):
                done[prediction.id] = prediction
                log.write(prediction.model_dump_json().encode() + b"\n")
                log.flush()
                progress(prediction)
            _check_failures(done.values(), max_failures)
    predictions = [done[item_id] for item_id in order]
    write_records(folder / PREDICTIONS, predictions)
    (folder / PARTIAL).unlink()
    return predictions


def _predict_batch(
    responder: Responder, items: Sequence[Item], rounds: int, speak: UserSpeak | None
) -> list[Prediction]:
    if not items:
        return []
    start = time.perf_counter()
    users = [_user(item, speak) for item in items]
    conversations = [item.conversation for item in items]
    outcomes = converse_many(responder, conversations, users, rounds=rounds)
    seconds = round((time.perf_counter() - start) / len(items), 4)
    return [
        _prediction(item, outcome, seconds) for item, outcome in zip(items, outcomes, strict=True)
    ]


def _user(item: Item, speak: UserSpeak | None) -> SimulatedUser:
    """The user who asked the item, and answers with the item's voice."""
    questions = [reading.question for reading in item.readings]
    return SimulatedUser(questions, item.intended, partial(speak, item) if speak else None)


def _prediction(item: Item, outcome: Trajectory | Exception, seconds: float) -> Prediction:
    if isinstance(outcome, Exception):
        failure = f"{type(outcome).__name__}: {outcome}"[:500]
        return Prediction(id=item.id, decision="none", failure=failure, seconds=seconds)
    silent = not outcome.final.strip()
    return Prediction(
        id=item.id,
        decision=outcome.decision,
        exchanges=tuple(
            (e.question[:_LONGEST], e.reply.text, e.reply.kind) for e in outcome.exchanges
        ),
        final=outcome.final[:_LONGEST],
        answered=outcome.answered,
        failure="the model said nothing" if silent else None,
        seconds=seconds,
    )


def _claim(folder: Path, settings: RunSettings) -> None:
    """Note what the folder is for, or make sure that it is for the same."""
    path = folder / RUN
    text = settings.model_dump_json(indent=1)
    if not path.is_file():
        write_text(path, text)
    elif path.read_text() != text:
        try:
            there = RunSettings.model_validate_json(path.read_text())
        except ValidationError:
            raise EvaluationError(f"{path}: not readable; choose another --out folder") from None
        raise EvaluationError(
            f"{folder}: holds results of {there.model} on {there.data} {there.split} with other "
            "settings; choose another --out folder"
        )


def _unfinished(path: Path) -> Iterator[Prediction]:
    """What a killed run had done; its last line may be cut off."""
    if path.is_file():
        whole = path.read_bytes().rpartition(b"\n")[0]
        path.write_bytes(whole + b"\n" if whole else b"")
        for line in whole.splitlines():
            yield Prediction.model_validate_json(line)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _check_failures(predictions: Iterable[Prediction], allowed: float) -> None:
    failures = [p.failure for p in predictions]
    failed = [failure for failure in failures if failure is not None]
    if len(failures) >= _ENOUGH and len(failed) > allowed * len(failures):
        raise EvaluationError(
            f"{len(failed)} of {len(failures)} items failed, more than {allowed:.0%}; "
            f"the last one: {failed[-1]}"
        )
