"""Runs a model over the items of a split; a killed run goes on where it was.

RESULTS/
  run.json                     data, model and settings: what the results are results of
  items.jsonl                  what was asked, and what is right
  predictions.partial.jsonl    while it runs: what has been done
  predictions.jsonl            every item in the order of the data, when all are done
  scores.json, report.html     written last
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationError

from askqa_builder.errors import EvaluationError, told
from askqa_builder.evaluate import faults
from askqa_builder.evaluate.dynamic import Fault, Talks, Trajectory
from askqa_builder.evaluate.items import Item
from askqa_builder.evaluate.responders import Responder
from askqa_builder.evaluate.simulate import Answer, SimulatedUser, by_rules
from askqa_builder.files import read_records, storage_errors, sweep, write_records, write_text
from askqa_builder.lock import LOCK, lock
from askqa_builder.schema import Record

PREDICTIONS, PARTIAL, RUN = "predictions.jsonl", "predictions.partial.jsonl", "run.json"
MAX_FAILURES = 0.5
"""Share of failed items above which a run ends; in its middle once `_ENOUGH` items are done."""
_ENOUGH = 20
_LONGEST = 20_000
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
    crashed: bool = False
    """The model raised: a run that goes on tries such an item again."""
    scores: dict[str, float] = Field(default_factory=dict)
    """What the last response is worth by itself, such as exact_match, f1 and goal."""
    seconds: float = 0.0
    """Time that the model took for it; an even share of its batch's."""

    @property
    def first(self) -> str:
        """The first response."""
        return self.exchanges[0][0] if self.exchanges else self.final

    @property
    def asked(self) -> str:
        """The clarifying question that counts; "" if the item is a failure."""
        return self.first if self.decision == "ask" and self.failure is None else ""


class RunSettings(Record):
    """What results are results of."""

    data: str
    """Name and version of the data."""
    digest: str
    """Hash of the data's index, so that nobody compares different data."""
    split: str
    kind: Literal["dialogues", "questions"] = "dialogues"
    """A split of a release, or a benchmark of others, scored by its own protocol."""
    model: str
    rounds: int
    user: str = "rules"
    """Who answers clarifying questions."""
    variant: str = "clean"
    """How the user's sound was changed, if it was."""
    settings: dict[str, JsonValue]


UserSpeak = Callable[[Item, str], tuple[Any, int]]
"""Speaks a reply in the item's own user voice: (samples, rate in Hz)."""

Score = Callable[[Item, Prediction], dict[str, float]]
"""What a prediction is worth by itself."""


@dataclass(frozen=True)
class Manners:
    """How conversations are led, and responses looked at."""

    speak: UserSpeak | None = None
    """None: replies are text."""
    answer: Answer = by_rules
    fault: Fault = faults.fault
    score: Score = lambda item, prediction: {}


def predict(
    responder: Responder,
    items: Iterable[Item],
    folder: Path,
    settings: RunSettings,
    manners: Manners,
    *,
    batch_size: int = 8,
    max_failures: float = MAX_FAILURES,
    progress: Callable[[Prediction], None] = lambda prediction: None,
) -> list[Prediction]:
    """Predict every item, resuming what lies in `folder`; returns them in the order of the items.

    Raises EvaluationError if the folder holds results of something else, or if more than
    `max_failures` of the items fail; BuildError while another command is at work in it. If
    nothing at all was done, it leaves nothing behind.
    """
    with storage_errors(folder):
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    with lock(folder):
        sweep(folder)
        claim(folder, settings)
        if (folder / PREDICTIONS).is_file():
            (folder / PARTIAL).unlink(missing_ok=True)
            return list(read_records(folder / PREDICTIONS, Prediction))
        done = {p.id: p for p in _unfinished(folder / PARTIAL) if not p.crashed}
        order: list[str] = []
        try:
            with (
                storage_errors(folder),
                (folder / PARTIAL).open("ab") as log,
                _thread("reader") as reader,
                _thread("voice") as voice,
            ):
                talk = partial(_Batch, responder, settings.rounds, manners, voice)
                for batch in _side_by_side(_ahead(_batches(items, batch_size), reader), done, talk):
                    order += [item.id for item in batch.items]
                    for prediction in batch.predictions():
                        done[prediction.id] = prediction
                        log.write(prediction.model_dump_json().encode() + b"\n")
                        log.flush()
                        progress(prediction)
                    if len(done) >= _ENOUGH:
                        _check_failures(done.values(), max_failures)
            if not order:
                raise EvaluationError(f"{settings.data}: there is nothing to ask")
        except BaseException:
            if not done:
                _leave(folder, is_new)
            raise
        predictions = [done[item_id] for item_id in order]
        _check_failures(predictions, max_failures)
        write_records(folder / PREDICTIONS, predictions)
        (folder / PARTIAL).unlink()
        return predictions


class _Batch:
    """Items that the model is asked about together, those that are done left out."""

    def __init__(
        self,
        responder: Responder,
        rounds: int,
        manners: Manners,
        voice: Executor,
        items: Sequence[Item],
        done: Container[str],
    ) -> None:
        self.items = items
        self._missing = [item for item in items if item.id not in done]
        self._score = manners.score
        self._talks = Talks(
            responder,
            [item.conversation for item in self._missing],
            [_user(item, manners.speak) for item in self._missing],
            rounds=rounds,
            answer=manners.answer,
            fault=manners.fault,
            voice=voice,
        )

    def step(self) -> bool:
        """Let the model respond once; False when there is no more to respond to."""
        return bool(self._missing) and self._talks.step()

    def predictions(self) -> Iterator[Prediction]:
        """What became of each item that was not done."""
        if not self._missing:
            return
        seconds = round(self._talks.model_s / len(self._missing), 4)
        for item, outcome in zip(self._missing, self._talks.outcomes(), strict=True):
            prediction = _prediction(item, outcome, seconds)
            yield prediction.model_copy(update={"scores": self._score(item, prediction)})


def _side_by_side(
    batches: Iterable[list[Item]],
    done: Container[str],
    talk: Callable[[Sequence[Item], Container[str]], _Batch],
) -> Iterator[_Batch]:
    """Each batch, finished. The model responds to the next one while replies are being spoken."""
    waiting: _Batch | None = None
    for items in batches:
        batch = talk(items, done)
        goes_on = batch.step()
        if waiting is not None:
            yield _finished(waiting)
        waiting = batch
        if not goes_on:
            yield batch
            waiting = None
    if waiting is not None:
        yield _finished(waiting)


def _finished(batch: _Batch) -> _Batch:
    while batch.step():
        pass
    return batch


@contextmanager
def _thread(name: str) -> Iterator[Executor]:
    """A thread for work beside the model's; what it has not begun is dropped at the end."""
    executor = ThreadPoolExecutor(1, name)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _user(item: Item, speak: UserSpeak | None) -> SimulatedUser:
    """The user who asked the item, and answers with the item's voice."""
    questions = [reading.question for reading in item.readings]
    return SimulatedUser(questions, item.intended, partial(speak, item) if speak else None)


def _prediction(item: Item, outcome: Trajectory, seconds: float) -> Prediction:
    failure = outcome.fault
    if outcome.error is not None:
        failure = _kept(told(outcome.error))
    return Prediction(
        id=item.id,
        decision=outcome.decision,
        exchanges=tuple((_kept(e.question), e.reply.text, e.reply.kind) for e in outcome.exchanges),
        final=_kept(outcome.final),
        answered=outcome.answered,
        failure=failure,
        crashed=outcome.error is not None,
        seconds=seconds,
    )


def _kept(text: str) -> str:
    return text[:_LONGEST].encode("utf-8", "replace").decode()  # a lone surrogate is no character


def claim(folder: Path, settings: RunSettings) -> bool:
    """Note what the folder is for (True), or make sure that it is for the same (False).

    Raises EvaluationError if it holds results of something else.
    """
    path = folder / RUN
    text = settings.model_dump_json(indent=1)
    if not path.is_file():
        write_text(path, text)
        return True
    if path.read_text() != text:
        there = settings_of(folder)
        raise EvaluationError(
            f"{folder}: holds results of {there.model} on {there.data} {there.split} with other "
            "settings, or from before its files were changed; choose another --out folder"
        )
    return False


def settings_of(folder: Path) -> RunSettings:
    """What the results in a folder are results of. Raises EvaluationError if nothing says it."""
    path = folder / RUN
    try:
        return RunSettings.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise EvaluationError(f"{path}: missing; run askqa-build evaluate again") from None
    except ValidationError:
        raise EvaluationError(f"{path}: not readable; choose another --out folder") from None


def _leave(folder: Path, is_new: bool) -> None:
    """A run that did nothing must not stand in the way of the next one."""
    for name in (PARTIAL, RUN, LOCK):
        (folder / name).unlink(missing_ok=True)
    if is_new and not any(folder.iterdir()):
        folder.rmdir()


def _unfinished(path: Path) -> Iterator[Prediction]:
    """What a killed run had done; its last line may be cut off."""
    if path.is_file():
        whole = path.read_bytes().rpartition(b"\n")[0]
        os.truncate(path, len(whole) + 1 if whole else 0)  # what is whole stays, come what may
        for line in whole.splitlines():
            with suppress(ValidationError):  # a damaged one: that item is asked again
                yield Prediction.model_validate_json(line)


def _ahead(batches: Iterator[list[Item]], reader: Executor) -> Iterator[list[Item]]:
    """The same, each read and decoded while the one before is in use."""
    coming = reader.submit(next, batches, None)
    while (batch := coming.result()) is not None:
        coming = reader.submit(next, batches, None)
        yield batch


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _check_failures(predictions: Iterable[Prediction], allowed: float) -> None:
    failures = [p.failure for p in predictions]
    failed = [failure for failure in failures if failure is not None]
    if len(failed) > allowed * len(failures):
        raise EvaluationError(
            f"{len(failed)} of {len(failures)} items failed, more than {allowed:.0%} "
            f"(--max-failures): the last one: {failed[-1]}"
        )
