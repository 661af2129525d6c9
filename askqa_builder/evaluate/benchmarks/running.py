"""Runs a model on a benchmark, scores it by the benchmark's protocol, and writes the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from askqa_builder.evaluate.benchmarks import Benchmark
from askqa_builder.evaluate.bootstrap import RESAMPLES, Metric, estimate
from askqa_builder.evaluate.faults import silence
from askqa_builder.evaluate.items import Item
from askqa_builder.evaluate.judge import Judge, judge_run
from askqa_builder.evaluate.metrics import AnswerScores, score_answer
from askqa_builder.evaluate.report import write_benchmark_report
from askqa_builder.evaluate.responders import Responder
from askqa_builder.evaluate.run import MAX_FAILURES, Manners, Prediction, RunSettings, predict
from askqa_builder.evaluate.scores import mean
from askqa_builder.evaluate.scoring import ITEMS, Asked
from askqa_builder.evaluate.slices import estimate_slices
from askqa_builder.files import write_records, write_text

SCORES = "scores.json"
_MOST_VALUES = 40
"""Of a slice; more are no slices."""


def evaluate_benchmark(
    benchmark: Benchmark,
    responder: Responder,
    out: Path,
    *,
    limit: int | None = None,
    batch_size: int = 8,
    max_failures: float = MAX_FAILURES,
    judge: Judge | None = None,
    resamples: int = RESAMPLES,
    progress: Callable[[Prediction], None] = lambda prediction: None,
) -> dict[str, Any]:
    """Evaluate a model and return the content of scores.json; report.html shows the same.

    Each question is asked once: nobody answers a model that asks back. Raises EvaluationError if
    `out` holds results of something else, or if there is nothing to evaluate.
    """
    settings = RunSettings(
        data=f"{benchmark.name}: {benchmark.data}",
        digest=benchmark.digest if limit is None else f"{benchmark.digest} first {limit}",
        split="test",
        kind="questions",
        model=responder.name,
        rounds=0,
        settings={"prompt": benchmark.prompt, **getattr(responder, "settings", {})},
    )
    check_ids = getattr(responder, "check_ids", None)
    if check_ids is not None:  # predictions made elsewhere
        check_ids(name for item in benchmark.items() for name in (item.id, item.id.split("#")[0]))
    asked: list[Asked] = []

    def noted() -> Iterator[Item]:
        for item in islice(benchmark.items(), limit):
            asked.append(Asked.of(item))
            yield item

    predictions = predict(
        responder,
        noted(),
        out,
        settings,
        Manners(fault=silence, score=partial(_scores, benchmark)),
        batch_size=batch_size,
        max_failures=max_failures,
        progress=progress,
    )
    if len(asked) < len(predictions):  # the run was complete already: nothing was read
        asked.extend(Asked.of(item) for item in islice(benchmark.items(), limit))
    write_records(out / ITEMS, asked)
    content = {
        **settings.model_dump(mode="json"),
        "protocol": benchmark.protocol,
        "skipped": dict(benchmark.skipped),
        **_scored(asked, predictions, resamples),
        "published": [figure.model_dump(exclude_none=True) for figure in benchmark.published],
    }
    if judge is not None:
        # whatever was said is an answer here, in any language
        said = [p.model_copy(update={"answered": p.failure is None}) for p in predictions]
        content["judge"] = judge_run(
            judge, asked, said, out, resamples=resamples, only_answers=True
        )
    write_text(out / SCORES, json.dumps(content, indent=1))
    write_benchmark_report(out, content, asked, predictions)
    return content


def metrics_of(predictions: Sequence[Prediction]) -> dict[str, Metric]:
    """EM and F1 of SQuAD v1.1, number-aware F1, AOS where word times are known; a failed item
    counts as 0."""
    metrics = {
        name: mean([p.scores[name] for p in predictions])
        for name in ("exact_match", "f1", "number_aware_f1")
    }
    metrics["failures"] = mean([float(p.failure is not None) for p in predictions])
    if any("aos" in p.scores for p in predictions):
        metrics["aos"] = mean([p.scores.get("aos") for p in predictions])
    return metrics


def _scores(benchmark: Benchmark, item: Item, prediction: Prediction) -> dict[str, float]:
    # nothing said is no article left out, which would match a reference such as "The"
    failed = prediction.failure is not None
    scores = dict.fromkeys(AnswerScores._fields, 0.0)
    if not failed:
        scores = score_answer(prediction.final, item.answers)._asdict()
    timeline = benchmark.times(item.passage_id)
    text = "" if failed else prediction.final
    overlap = None if timeline is None else timeline.overlap(text, item.answers)
    return scores if overlap is None else scores | {"aos": overlap}


def _scored(
    asked: Sequence[Asked], predictions: Sequence[Prediction], resamples: int
) -> dict[str, Any]:
    metrics = metrics_of(predictions)
    passages = [a.passage_id for a in asked]
    dimensions = {
        name: [a.facets[name] for a in asked]
        for name in ("accent", "speaker")
        if 1 < len({a.facets[name] for a in asked}) <= _MOST_VALUES
    }
    slices = estimate_slices(metrics, passages, dimensions, resamples=resamples)
    return {
        "items": len(asked),
        "passages": len(set(passages)),
        "scores": {
            name: asdict(value)
            for name, value in estimate(metrics, passages, resamples=resamples).items()
        },
        "slices": {
            dimension: {
                value: {name: asdict(one) for name, one in by_metric.items()}
                for value, by_metric in values.items()
            }
            for dimension, values in slices.items()
        },
    }
