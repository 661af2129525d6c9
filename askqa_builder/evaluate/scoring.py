"""Predictions → scores with intervals, overall and by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from askqa_builder.evaluate.bootstrap import Difference, Estimate, Metric, difference, estimate
from askqa_builder.evaluate.decision import Decision, classify, held_out_responses
from askqa_builder.evaluate.items import Item
from askqa_builder.evaluate.metrics import score_answer
from askqa_builder.evaluate.questions import clarifying_coverage
from askqa_builder.evaluate.run import Prediction
from askqa_builder.evaluate.scores import decision_metrics, mean
from askqa_builder.evaluate.slices import estimate_slices, facets
from askqa_builder.schema import Record

ITEMS = "items.jsonl"
GOAL_F1 = 0.5
"""A goal is reached when the final answer has at least this number-aware F1 with a reference of
the intended reading."""


class Asked(Record):
    """What is needed of an item once it has been predicted: a line of items.jsonl."""

    id: str
    passage_id: str
    answers: tuple[str, ...]
    questions: tuple[str, ...]
    """The readings' questions."""
    intended: int
    ambiguous: bool
    reference_question: str | None
    facets: dict[str, str]
    """The slices that it belongs to, by dimension."""

    @classmethod
    def of(cls, item: Item) -> Asked:
        """Forget the conversation of an item."""
        return cls(
            id=item.id,
            passage_id=item.passage_id,
            answers=item.answers,
            questions=tuple(reading.question for reading in item.readings),
            intended=item.intended,
            ambiguous=item.ambiguous,
            reference_question=item.question,
            facets=facets(
                kind=item.kind,
                speaker=item.user.id,
                accent=item.user.accent,
                rate=item.user.rate,
                pitch=item.user.pitch,
                source=item.source,
            ),
        )


@dataclass(frozen=True)
class ItemScores:
    """Scores of one item; None where a score does not apply."""

    exact_match: float
    """Of the final answer with the intended reading's references; 0 if the model never answered."""
    f1: float
    number_aware_f1: float
    goal: float
    names_all: float | None
    """Of the model's clarifying question, where it asked and should have."""
    separates: float | None
    rounds: int


def score_item(asked: Asked, prediction: Prediction) -> ItemScores:
    """Score what the model did with one item."""
    answer = prediction.final if prediction.answered and prediction.failure is None else ""
    scores = score_answer(answer, asked.answers)
    coverage = None
    if asked.ambiguous and prediction.decision == "ask":
        coverage = clarifying_coverage(prediction.asked, asked.questions, asked.intended)
    return ItemScores(
        exact_match=scores.exact_match,
        f1=scores.f1,
        number_aware_f1=scores.number_aware_f1,
        goal=float(scores.number_aware_f1 >= GOAL_F1),
        names_all=None if coverage is None else float(coverage.names_all),
        separates=None if coverage is None else float(coverage.separates),
        rounds=len(prediction.exchanges),
    )


def answer_scores(item: Item, prediction: Prediction) -> dict[str, float]:
    """What predictions.jsonl says about one item."""
    scores = score_item(Asked.of(item), prediction)
    return {
        "exact_match": scores.exact_match,
        "f1": scores.f1,
        "number_aware_f1": scores.number_aware_f1,
        "goal": scores.goal,
    }


def metrics_of(asked: Sequence[Asked], predictions: Sequence[Prediction]) -> dict[str, Metric]:
    """Every metric over the items; see docs/evaluation.md for the formulas."""
    scores = [score_item(a, p) for a, p in zip(asked, predictions, strict=True)]
    gold: list[Decision] = ["ask" if a.ambiguous else "answer" for a in asked]
    said: list[Any] = [p.decision if p.failure is None else "none" for p in predictions]
    plain = [not a.ambiguous for a in asked]
    clarified = [a.ambiguous and s.rounds > 0 for a, s in zip(asked, scores, strict=True)]

    def over(values: Sequence[float | None], where: Sequence[bool] | None = None) -> Metric:
        if where is None:
            return mean(values)
        return mean([v if keep else None for v, keep in zip(values, where, strict=True)])

    exact, f1 = [s.exact_match for s in scores], [s.f1 for s in scores]
    goal = [s.goal for s in scores]
    # single turn: where nothing is ambiguous, the first response is to be the answer
    direct = [p.decision == "answer" for p in predictions]
    first_exact = [value * went for value, went in zip(exact, direct, strict=True)]
    first_f1 = [value * went for value, went in zip(f1, direct, strict=True)]
    return {
        "goal_completion": over(goal),
        "goal_completion_ambiguous": over(goal, [a.ambiguous for a in asked]),
        "trajectory_em": over(exact),
        "trajectory_f1": over(f1),
        "trajectory_number_f1": over([s.number_aware_f1 for s in scores]),
        "single_turn_em": over(first_exact, plain),
        "single_turn_f1": over(first_f1, plain),
        "post_clarification_em": over(exact, clarified),
        "post_clarification_f1": over(f1, clarified),
        **decision_metrics(gold, said),
        "question_names_all": over([s.names_all for s in scores]),
        "question_separates": over([s.separates for s in scores]),
        **_wording(asked, predictions),
        "rounds": over([float(s.rounds) for s in scores]),
        "failures": over([float(p.failure is not None) for p in predictions]),
    }


def _wording(asked: Sequence[Asked], predictions: Sequence[Prediction]) -> dict[str, Metric]:
    """BLEU-1 and ROUGE-2 of clarifying questions, where the extra [eval] is installed."""
    from importlib.util import find_spec

    if find_spec("sacrebleu") is None or find_spec("rouge_score") is None:
        return {}
    from askqa_builder.evaluate.metrics import bleu1_counts, rouge2
    from askqa_builder.evaluate.scores import corpus_bleu1

    pairs = [
        (p.asked, a.reference_question)
        if a.ambiguous and a.reference_question and p.decision == "ask"
        else None
        for a, p in zip(asked, predictions, strict=True)
    ]
    return {
        "question_bleu1": corpus_bleu1([bleu1_counts(x[0], [x[1]]) if x else None for x in pairs]),
        "question_rouge2": mean([rouge2(x[0], [x[1]]) if x else None for x in pairs]),
    }


def scored(
    asked: Sequence[Asked], predictions: Sequence[Prediction], *, resamples: int, seed: int = 0
) -> dict[str, Any]:
    """The content of scores.json: overall, and by slice, each with its interval."""
    metrics = metrics_of(asked, predictions)
    passages = [a.passage_id for a in asked]
    dimensions = {name: [a.facets[name] for a in asked] for name in asked[0].facets}
    return {
        "items": len(asked),
        "passages": len(set(passages)),
        "goal_threshold": GOAL_F1,
        "scores": _plain(estimate(metrics, passages, resamples=resamples, seed=seed)),
        "slices": {
            dimension: {value: _plain(by_metric) for value, by_metric in values.items()}
            for dimension, values in estimate_slices(
                metrics, passages, dimensions, resamples=resamples, seed=seed
            ).items()
        },
    }


def rules_on_labelled() -> dict[str, Any]:
    """How often the rules tell asking from answering as people do, on responses held out."""
    labelled = held_out_responses()
    right = sum(classify(one.text) == one.label for one in labelled)
    return {"n": len(labelled), "right": right, "accuracy": right / len(labelled)}


def compared(
    asked: Sequence[Asked],
    before: Sequence[Prediction],
    after: Sequence[Prediction],
    *,
    resamples: int,
    seed: int = 0,
) -> dict[str, Difference]:
    """Score by score, how the second predictions of the same items differ from the first."""
    passages = [a.passage_id for a in asked]
    one, two = metrics_of(asked, before), metrics_of(asked, after)
    return difference(one, two, passages, resamples=resamples, seed=seed)


def _plain(estimates: dict[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(value) for name, value in estimates.items()}
