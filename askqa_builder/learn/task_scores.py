"""How well a model does each form of each task, beside the best constant response.

Listening comprehension, say, can be had in part by always saying the same: `constant` is the
response that is right most often in training, form by form.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from askqa_builder.evaluate.bootstrap import Metric, difference, estimate
from askqa_builder.evaluate.responders.local import LocalModel
from askqa_builder.evaluate.scores import mean
from askqa_builder.files import write_text
from askqa_builder.learn.dialogues import Dialogues
from askqa_builder.learn.examples import Chat, Example, Examples

TASK_SCORES = "task_scores.json"
_WEIGHT = 2.0
"""Examples of each task for each of the main task's: enough for every form to occur often."""


def right(said: str, target: str) -> float:
    """1 where a response is the target, but for case, spaces and the stop at its end."""
    return float(_plain(said) == _plain(target))


def score_tasks(
    release: Path,
    model: Path,
    tasks: Iterable[str],
    *,
    split: str = "test",
    limit: int | None = None,
    batch_size: int = 16,
    max_new_tokens: int = 64,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Share of right responses by task and by form, with passage-bootstrap intervals.

    Returns, and writes to MODEL/task_scores.json, `{task or task/form: {"model": …, "constant": …,
    "difference": …}}`: estimates, the last one paired. `limit` is of dialogues.
    """
    examples = Examples(
        Dialogues(release, split, limit=limit), dict.fromkeys(tasks, _WEIGHT), seed=0
    )
    constants = constant_responses(Examples(Dialogues(release, "train"), examples.mixture, seed=0))
    responder = LocalModel(str(model), max_new_tokens=max_new_tokens)
    rows: list[tuple[str, str, float, float]] = []
    for start in range(0, len(examples), batch_size):
        batch = [examples[i] for i in range(start, min(start + batch_size, len(examples)))]
        for example, said in zip(batch, responder.respond_to(list(map(_chat, batch))), strict=True):
            own = 0.0 if isinstance(said, Exception) else right(said, example.target)
            form = f"{example.task}/{example.form}"
            best = right(constants.get(form, ""), example.target)
            rows.append((form, example.passage_id, own, best))
    content = {
        name: _scored([row for row in rows if row[0].startswith(name)], resamples)
        for name in sorted({part for form, *_ in rows for part in (form, form.split("/")[0])})
    }
    write_text(model / TASK_SCORES, json.dumps(content, indent=1))
    return content


def constant_responses(examples: Examples) -> dict[str, str]:
    """The most frequent target of each form; ties go to the first seen."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for index in range(len(examples)):
        place = examples.place(index)
        seen[f"{place.task}/{place.draft.form}"][place.draft.target] += 1
    return {form: counts.most_common(1)[0][0] for form, counts in seen.items()}


def _chat(example: Example) -> Chat:
    return example.messages[:-1]


def _scored(rows: Sequence[tuple[str, str, float, float]], resamples: int) -> dict[str, Any]:
    passages = [passage for _, passage, _, _ in rows]
    own: dict[str, Metric] = {"right": mean([x for *_, x, _ in rows])}
    best: dict[str, Metric] = {"right": mean([x for *_, x in rows])}
    return {
        "model": asdict(estimate(own, passages, resamples=resamples)["right"]),
        "constant": asdict(estimate(best, passages, resamples=resamples)["right"]),
        "difference": asdict(difference(best, own, passages, resamples=resamples)["right"]),
    }


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .?!")
