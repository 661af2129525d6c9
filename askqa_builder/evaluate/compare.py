"""`askqa-build compare`: whether two results on the same data differ."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.bootstrap import difference
from askqa_builder.evaluate.run import PREDICTIONS, Prediction, RunSettings, settings_of
from askqa_builder.evaluate.scoring import ITEMS, Asked, metrics_of
from askqa_builder.files import read_records


def compare(one: Path, two: Path, *, resamples: int = 1000) -> dict[str, Any]:
    """B minus A for every score, with a paired interval over passages.

    Raises EvaluationError if one of the folders holds no finished results, or if they are results
    of different data.
    """
    (first, asked, before), (second, also, after) = _finished(one), _finished(two)
    if (first.digest, first.split, first.kind) != (second.digest, second.split, second.kind):
        same_name = (first.data, first.split) == (second.data, second.split)
        raise EvaluationError(
            f"{one} is of {first.data} {first.split}, {two} of "
            + ("other dialogues of it" if same_name else f"{second.data} {second.split}")
            + ": only results of the same data can be compared"
        )
    ids = [a.id for a in asked]
    for folder, found in ((one, before), (two, after)):
        if [p.id for p in found] != ids:
            raise EvaluationError(f"{folder}: {PREDICTIONS} is for other items than {ITEMS}")
    if asked != also:
        raise EvaluationError(f"{one} and {two}: {ITEMS} differs, though the data are the same")
    if first.kind == "questions":
        from askqa_builder.evaluate.benchmarks.running import metrics_of as metrics_of_questions

        metrics = metrics_of_questions(before), metrics_of_questions(after)
    else:
        metrics = metrics_of(asked, before), metrics_of(asked, after)
    passages = [a.passage_id for a in asked]
    return {
        "data": f"{first.data}, split {first.split}",
        "a": _name(first),
        "b": _name(second),
        "items": len(asked),
        "passages": len(set(passages)),
        "scores": {
            name: asdict(change) | {"clear": change.is_clear}
            for name, change in difference(*metrics, passages, resamples=resamples).items()
        },
    }


def _name(run: RunSettings) -> str:
    return run.model if run.variant == "clean" else f"{run.model} ({run.variant})"


def _finished(folder: Path) -> tuple[RunSettings, list[Asked], list[Prediction]]:
    items = folder / ITEMS
    above = folder.resolve().parent
    if not items.is_file() and above.name == "variants":
        items = above.parent / ITEMS  # a variant is of the same items as the clean run
    if not (folder / PREDICTIONS).is_file() or not items.is_file():
        raise EvaluationError(f"{folder}: no finished results; run askqa-build evaluate")
    return (
        settings_of(folder),
        list(read_records(items, Asked)),
        list(read_records(folder / PREDICTIONS, Prediction)),
    )
