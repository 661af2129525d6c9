"""report.html: one self-contained page of scores, plots, and the worst conversations.

Everything that a model or a passage said is escaped, and the page runs no script. Plots are drawn
in SVG beside the figures that they show.
"""

from __future__ import annotations

import base64
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askqa_builder.evaluate.items import speaker_of
from askqa_builder.evaluate.replies import Replies
from askqa_builder.evaluate.run import Prediction
from askqa_builder.evaluate.scoring import Asked, score_item
from askqa_builder.files import write_text
from askqa_builder.release.rows import Row

REPORT = "report.html"
WORST = 10
_LONGEST = 1_500
"""Characters of a response that the page shows."""

GROUPS = {
    "Reaching the goal": {
        "goal_completion": "goal completion",
        "goal_completion_ambiguous": "goal completion where ambiguous",
        "trajectory_em": "exact match of the last answer",
        "trajectory_f1": "F1 of the last answer",
        "trajectory_number_f1": "number-aware F1 of the last answer",
        "post_clarification_em": "exact match after a clarification",
        "post_clarification_f1": "F1 after a clarification",
    },
    "One turn, where nothing is ambiguous": {
        "single_turn_em": "exact match of the first response",
        "single_turn_f1": "F1 of the first response",
    },
    "Ask or answer": {
        "decision_accuracy": "accuracy of asking or answering",
        "decision_macro_f1": "macro F1 of the two",
        "decision_weighted_f1": "weighted F1 of the two",
        "ask_precision": "precision of asking",
        "ask_recall": "recall of asking",
        "ask_f1": "F1 of asking",
    },
    "Clarifying questions": {
        "question_names_all": "questions that name every reading",
        "question_separates": "questions that settle what is meant",
        "question_bleu1": "BLEU-1 with the data's question",
        "question_rouge2": "ROUGE-2 with the data's question",
    },
    "All of it": {"failures": "items that failed"},
}
"""What the page says of each score, in its order."""
BENCHMARK = {
    "exact_match": "exact match",
    "f1": "F1",
    "number_aware_f1": "number-aware F1 (our own)",
    "aos": "AOS",
    "failures": "items that failed",
}
"""The same of a benchmark's scores."""
JUDGED = {
    "judged_correct": "answers that are correct",
    "judged_question_settles": "questions that settle what is meant",
    "decision_agrees_with_rules": "ask or answer: verdicts that are the rules'",
}
QUANTITIES = {
    "snr_db": "SNR in dB",
    "pitch_semitones": "pitch in semitones",
    "rt60_s": "RT60 in s",
    "direct_to_reverberant_db": "direct to reverberant in dB",
    "outside_band_db": "outside the band in dB",
}
"""What is measured under a condition (docs/perturbations.md)."""


@dataclass(frozen=True)
class _Worst:
    """A conversation to read and listen to."""

    asked: Asked
    prediction: Prediction
    f1: float
    row: Row
    sound: str
    """A data URI of what was heard, up to the user's last reply."""

    @property
    def before(self) -> list[Row]:
        """The turns that the model was given."""
        turns: list[Row] = self.row["turns"][: _given(self.row)]
        return turns


def write_report(
    folder: Path,
    content: Mapping[str, Any],
    asked: Sequence[Asked],
    predictions: Sequence[Prediction],
    *,
    release: Path,
    replies: Replies,
    worst: int = WORST,
) -> None:
    """Write report.html from the content of scores.json, the predictions and the sound."""
    _write(
        folder,
        "report.html",
        run=content,
        groups=GROUPS,
        labels={name: label for group in GROUPS.values() for name, label in group.items()},
        judged=JUDGED,
        quantities=QUANTITIES,
        seconds=[p.seconds for p in predictions],
        worst=list(_worst(asked, predictions, release, replies, worst)),
    )


def write_benchmark_report(
    folder: Path,
    content: Mapping[str, Any],
    asked: Sequence[Asked],
    predictions: Sequence[Prediction],
) -> None:
    """Write report.html of a benchmark of others."""
    pairs = list(zip(asked, predictions, strict=True))
    rated = sorted((p.scores["f1"], i) for i, (_, p) in enumerate(pairs))
    worst = [pairs[i] for f1, i in rated[:WORST] if f1 < 1]
    _write(
        folder,
        "benchmark.html",
        run=content,
        labels=BENCHMARK,
        worst=worst,
        seconds=[p.seconds for p in predictions],
    )


def _write(folder: Path, template: str, **values: Any) -> None:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("askqa_builder", "evaluate/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    environment.filters["points"] = _points
    environment.filters["short"] = _short
    environment.filters["median"] = statistics.median
    write_text(folder / REPORT, environment.get_template(template).render(values))


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _worst(
    asked: Sequence[Asked],
    predictions: Sequence[Prediction],
    release: Path,
    replies: Replies,
    count: int,
) -> Iterator[_Worst]:
    """The conversations with the lowest scores; among equals, in the order of the data."""
    from askqa_builder.release.stream import pick

    rated = sorted(
        (score_item(a, p).number_aware_f1, p.decision == ("ask" if a.ambiguous else "answer"), i)
        for i, (a, p) in enumerate(zip(asked, predictions, strict=True))
    )
    chosen = [(f1, i) for f1, _, i in rated[:count] if f1 < 1]
    rows = pick(release, [asked[i].id for _, i in chosen]) if chosen else ()
    for (f1, i), (_, row) in zip(chosen, rows, strict=True):
        sound = _sound(row, predictions[i], replies)
        yield _Worst(asked[i], predictions[i], f1, row, sound)


def _sound(row: Row, prediction: Prediction, replies: Replies) -> str:
    """The passage, the conversation and the user's replies; the model's words are text."""
    from askqa_builder.release.listen import best_form, mix_down

    user = speaker_of(row["voices"]["user"])
    said = [
        {
            "role": "user",
            "act": "clarification",
            "text": reply,
            "audio": {"bytes": replies.flac(user, reply)},
            "words": [],
        }
        for _, reply, _ in prediction.exchanges
    ]
    form = best_form()
    mix = mix_down(row | {"turns": [*row["turns"][: _given(row)], *said]})
    kind = "audio/mpeg" if form == "mp3" else "audio/wav"
    return f"data:{kind};base64,{base64.b64encode(mix.encode(form)).decode()}"


def _given(row: Row) -> int:
    """How many turns the model was given: up to the last question."""
    return 1 + max(i for i, turn in enumerate(row["turns"]) if turn["act"] == "question")
