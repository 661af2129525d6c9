"""Runs a model on a benchmark, scores it by the benchmark's protocol, and writes the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.benchmarks import Benchmark
from askqa_builder.evaluate.bootstrap import RESAMPLES, Metric, estimate
from askqa_builder.evaluate.items import Item
from askqa_builder.evaluate.metrics import AnswerScores, score_answer
from askqa_builder.evaluate.responders import Responder
from askqa_builder.evaluate.run import Prediction, RunSettings, predict
from askqa_builder.evaluate.scores import mean
from askqa_builder.evaluate.scoring import Asked
from askqa_builder.evaluate.slices import estimate_slices
from askqa_builder.store import write_text

SCORES, REPORT = "scores.json", "report.html"
_WORST = 12
_MOST_VALUES = 40
"""Of a slice; more are no slices."""
_FAILED = AnswerScores(exact_match=0.0, f1=0.0, number_aware_f1=0.0)


def evaluate_benchmark(
    benchmark: Benchmark,
    responder: Responder,
    out: Path,
    *,
    limit: int | None = None,
    batch_size: int = 8,
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
        model=responder.name,
        rounds=0,
        settings={"prompt": benchmark.prompt, **getattr(responder, "settings", {})},
    )
    asked: list[Asked] = []

    def noted() -> Iterator[Item]:
        asked.clear()
        for item in islice(benchmark.items(), limit):
            asked.append(Asked.of(item))
            yield item

    predictions = predict(
        responder, noted(), out, settings, speak=None, batch_size=batch_size, progress=progress
    )
    if len(asked) < len(predictions):  # the run was complete already: nothing was read
        asked.extend(Asked.of(item) for item in islice(benchmark.items(), limit))
    if not asked:
        raise EvaluationError(f"{benchmark.data}: there is no question to ask")
    content = {
        **settings.model_dump(mode="json"),
        "protocol": benchmark.protocol,
        "skipped": dict(benchmark.skipped),
        **_scored(benchmark, asked, predictions, resamples),
        "published": [figure.model_dump(exclude_none=True) for figure in benchmark.published],
    }
    write_text(out / SCORES, json.dumps(content, indent=1))
    _write_report(out / REPORT, content, asked, predictions)
    return content


def metrics_of(
    benchmark: Benchmark, asked: Sequence[Asked], predictions: Sequence[Prediction]
) -> dict[str, Metric]:
    """EM and F1 of SQuAD v1.1, number-aware F1, AOS where word times are known; a failed item
    counts as 0."""
    scores = [_score(a, p) for a, p in zip(asked, predictions, strict=True)]
    metrics = {
        "exact_match": mean([s.exact_match for s in scores]),
        "f1": mean([s.f1 for s in scores]),
        "number_aware_f1": mean([s.number_aware_f1 for s in scores]),
        "failures": mean([float(p.failure is not None) for p in predictions]),
    }
    overlaps = [
        timeline.overlap(_text(p), a.answers)
        if (timeline := benchmark.times(a.passage_id)) is not None
        else None
        for a, p in zip(asked, predictions, strict=True)
    ]
    if any(overlap is not None for overlap in overlaps):
        metrics["aos"] = mean(overlaps)
    return metrics


def _score(asked: Asked, prediction: Prediction) -> AnswerScores:
    # nothing said is no article left out, which would match a reference such as "The"
    failed = prediction.failure is not None
    return _FAILED if failed else score_answer(prediction.final, asked.answers)


def _text(prediction: Prediction) -> str:
    return prediction.final if prediction.failure is None else ""


def _scored(
    benchmark: Benchmark, asked: Sequence[Asked], predictions: Sequence[Prediction], resamples: int
) -> dict[str, Any]:
    metrics = metrics_of(benchmark, asked, predictions)
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


def _write_report(
    path: Path, content: dict[str, Any], asked: Sequence[Asked], predictions: Sequence[Prediction]
) -> None:
    """One page without scripts; what a model or a passage said is escaped."""
    from jinja2 import Environment, StrictUndefined

    pairs = list(zip(asked, predictions, strict=True))
    rated = [(_score(a, p).f1, i) for i, (a, p) in enumerate(pairs)]
    worst = [pairs[i] for f1, i in sorted(rated)[:_WORST] if f1 < 1]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["percent"] = lambda v: "–" if v is None else f"{100 * v:.1f}"
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    text = environment.from_string(template).render(run=content, worst=worst)
    write_text(path, text)
