"""Scores of a trained model, by the evaluator, and on the auxiliary tasks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from askqa_builder.evaluate.evaluation import SCORES, data_digest, evaluate
from askqa_builder.evaluate.report import WORST
from askqa_builder.evaluate.responders.local import LocalModel
from askqa_builder.evaluate.run import RUN as RUN_OF_SCORES
from askqa_builder.learn.card import read_scores, write_card
from askqa_builder.learn.settings import Trained, TrainRun
from askqa_builder.learn.tasks import MAIN

FOLDER = "scores"


def score_model(
    release: Path,
    model: Path,
    *,
    split: str = "test",
    limit: int | None = None,
    batch_size: int = 16,
    max_new_tokens: int = 64,
    resamples: int = 1000,
    worst: int = WORST,
) -> dict[str, Any]:
    """Evaluate a model folder on a split, on its other tasks too, and put all into its card.

    Results are in MODEL/scores and MODEL/task_scores.json; a killed evaluation goes on, a finished
    one is only read. Raises EvaluationError as `evaluate`.
    """
    from askqa_builder.learn.task_scores import TASK_SCORES, score_tasks
    from askqa_builder.learn.train import DONE, RUN

    out = model / FOLDER
    wanted = data_digest(release, split, limit)
    asked = read_scores(out / RUN_OF_SCORES)
    if asked is not None and (asked["split"], asked["digest"]) != (split, wanted):
        (model / TASK_SCORES).unlink(missing_ok=True)  # scores of other dialogues, or of more
        shutil.rmtree(out)
    content = read_scores(out / SCORES)
    if content is None:
        content = evaluate(
            release,
            LocalModel(str(model), max_new_tokens=max_new_tokens),
            out,
            split=split,
            limit=limit,
            batch_size=batch_size,
            resamples=resamples,
            worst=worst,
            max_failures=1.0,  # a model that has learnt little loops: that is a score, and no error
        )
    run = TrainRun.model_validate_json((model / RUN).read_bytes())
    trained = Trained.model_validate_json((model / DONE).read_bytes())
    others = [task for task in run.settings.tasks if task != MAIN]
    tasks = read_scores(model / TASK_SCORES)
    if others and tasks is None:
        tasks = score_tasks(
            release,
            model,
            others,
            split=split,
            limit=limit,
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            resamples=resamples,
        )
    write_card(model, run, trained, content, tasks)
    return content
