"""How good is one response: answers, clarifying questions, time spans.

Every function scores one item, from 0 to 1; means, F1 over decisions and intervals are made from
these in `scores.py` and `bootstrap.py`. Imports nothing heavy, so writers can use the same answer
F1 as the evaluation. Formulas and sources: docs/evaluation.md.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from askqa_builder.errors import EvaluationError, MissingExtraError
from askqa_builder.evaluate.numbers import digits

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Between digits, a decimal point is part of the number: 1.5 is not 15.
_DECIMAL_POINT = re.compile(r"(?<=\d)\.(?=\d)")


class AnswerScores(NamedTuple):
    """What one answer is worth against its references, each from 0 to 1."""

    exact_match: float
    f1: float
    number_aware_f1: float


def normalize_answer(text: str) -> str:
    """Lower case, no ASCII punctuation, no English articles, single spaces.

    As `normalize_answer` of the official SQuAD v1.1 evaluation script (Rajpurkar et al., 2016).
    """
    bare = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def normalize_numbers(text: str) -> str:
    """`normalize_answer` after every number is written in digits, decimals kept."""
    return normalize_answer(_DECIMAL_POINT.sub("·", digits(text)))


def squad_exact_match(prediction: str, references: Sequence[str]) -> float:
    """1.0 if the prediction equals a reference after `normalize_answer`, else 0.0.

    Raises ValueError if there is no reference.
    """
    predicted = normalize_answer(prediction)
    return float(any(predicted == normalize_answer(text) for text in _checked(references)))


def squad_f1(prediction: str, references: Sequence[str]) -> float:
    """Best bag-of-words F1 over the references after `normalize_answer` (SQuAD v1.1).

    Two empty texts score 0, as in the official script, though they match exactly.
    Raises ValueError if there is no reference.
    """
    return _best_f1([normalize_answer(text) for text in (prediction, *_checked(references))])


def number_aware_f1(prediction: str, references: Sequence[str]) -> float:
    """`squad_f1` with one spelling for numbers: "3" is "three", "1,000" is "one thousand".

    A measure of our own; do not compare it with published SQuAD figures.
    """
    return _best_f1([normalize_numbers(text) for text in (prediction, *_checked(references))])


def score_answer(prediction: str, references: Sequence[str]) -> AnswerScores:
    """All answer scores of one prediction; the same as one by one, in half the time."""
    texts = [prediction, *_checked(references)]
    plain = [normalize_answer(text) for text in texts]
    numbers = [normalize_numbers(text) for text in texts]
    f1 = _best_f1(plain)
    return AnswerScores(
        exact_match=float(plain[0] in plain[1:]),
        f1=f1,
        number_aware_f1=f1 if numbers == plain else _best_f1(numbers),
    )


@dataclass(frozen=True)
class CorpusScores:
    """Means over all questions, from 0 to 1; a missing prediction counts as 0."""

    exact_match: float
    f1: float
    number_aware_f1: float
    n: int
    missing: int
    """Questions without a prediction."""


def score_answers(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> CorpusScores:
    """Score a whole set, by question id; times 100, its EM and F1 are SQuAD's official figures.

    Raises EvaluationError if there are no questions, or predictions for unknown ones.
    """
    if not references:
        raise EvaluationError("there are no questions to score")
    unknown = sorted(predictions.keys() - references.keys())
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} of {len(predictions)} predictions are for questions that are not in "
            f"this set, such as {unknown[0]!r}; give predictions made on the same data"
        )
    scores = [score_answer(text, references[key]) for key, text in predictions.items()]
    n = len(references)
    return CorpusScores(
        exact_match=sum(score.exact_match for score in scores) / n,
        f1=sum(score.f1 for score in scores) / n,
        number_aware_f1=sum(score.number_aware_f1 for score in scores) / n,
        n=n,
        missing=n - len(scores),
    )


def audio_overlap(predicted: tuple[float, float], reference: tuple[float, float]) -> float:
    """Audio overlapping score: intersection over union of two time spans, in seconds.

    From Spoken SQuAD (Li et al., 2018). Two spans of no length score 0.
    Raises ValueError if a span ends before it starts.
    """
    for start, end in (predicted, reference):
        if end < start:
            raise ValueError(f"the span ({start}, {end}) ends before it starts")
    overlap = min(predicted[1], reference[1]) - max(predicted[0], reference[0])
    if overlap <= 0:
        return 0.0
    lengths = (predicted[1] - predicted[0]) + (reference[1] - reference[0])
    return overlap / (lengths - overlap)


class BleuCounts(NamedTuple):
    """What corpus BLEU-1 is made of: the sums of these over all sentences."""

    matches: int
    """Words of the hypothesis that are in a reference (clipped)."""
    words: int
    """Words of the hypothesis."""
    reference_words: int
    """Words of the reference nearest in length."""


def bleu1_counts(hypothesis: str, references: Sequence[str]) -> BleuCounts:
    """Unigram counts by sacrebleu (tokenizer 13a, lower case).

    Raises MissingExtraError if sacrebleu is not installed.
    """
    score = _bleu().sentence_score(hypothesis, list(_checked(references)))
    return BleuCounts(score.counts[0], score.totals[0], score.ref_len)


def bleu1(hypothesis: str, references: Sequence[str]) -> float:
    """Sentence BLEU-1 by sacrebleu: clipped unigram precision times the brevity penalty."""
    return float(_bleu().sentence_score(hypothesis, list(_checked(references))).score) / 100


def rouge2(hypothesis: str, references: Sequence[str]) -> float:
    """Best ROUGE-2 F-measure over the references, by rouge-score, without stemming.

    Raises MissingExtraError if rouge-score is not installed.
    """
    scores = _rouge().score_multi(list(_checked(references)), hypothesis)
    return float(scores["rouge2"].fmeasure)


@cache
def _bleu() -> BLEU:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as error:
        raise MissingExtraError("BLEU-1", "eval") from error
    return BLEU(max_ngram_order=1, lowercase=True, effective_order=True)


@cache
def _rouge() -> RougeScorer:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise MissingExtraError("ROUGE-2", "eval") from error
    return RougeScorer(["rouge2"], use_stemmer=False)


def _best_f1(normalized: Sequence[str]) -> float:
    """Best F1 of the first text against the others."""
    predicted, *references = (text.split() for text in normalized)
    return max(_f1(predicted, reference) for reference in references)


def _f1(predicted: list[str], reference: list[str]) -> float:
    shared = set(predicted).intersection(reference)
    if not shared:
        return 0.0
    if len(shared) < 20:  # counting in lists beats Counter for the few words of an answer
        common = sum(min(predicted.count(word), reference.count(word)) for word in shared)
    else:
        common = sum((Counter(predicted) & Counter(reference)).values())
    # The official script's order of operations, so that even the last bit agrees.
    precision = common / len(predicted)
    recall = common / len(reference)
    return (2 * precision * recall) / (precision + recall)


def _checked(references: Sequence[str]) -> Sequence[str]:
    # A string is a sequence of strings too, and would be scored letter by letter.
    if isinstance(references, str):
        raise TypeError(f"references must be a sequence of texts, not the text {references!r}")
    if not references:
        raise ValueError("an answer needs one reference or more")
    return references
