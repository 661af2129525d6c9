"""Scores over many items, as functions of sums: means, ratios, ask-or-answer F1, corpus BLEU-1.

Each builder returns `bootstrap.Metric`s, so the figure and its interval come from one formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from askqa_builder.evaluate.bootstrap import Metric
from askqa_builder.evaluate.decision import Decision
from askqa_builder.evaluate.metrics import BleuCounts

if TYPE_CHECKING:
    from askqa_builder.evaluate.bootstrap import Floats


def mean(values: Sequence[float | None] | Floats) -> Metric:
    """Mean over the items that have a value; null (or nan) means that the score does not apply."""
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    applies = np.isfinite(numbers).astype(np.float64)
    return Metric((np.where(applies > 0, numbers, 0.0), applies), _divide, applies)


def decision_metrics(gold: Sequence[Decision], said: Sequence[str]) -> dict[str, Metric]:
    """Accuracy, macro and weighted F1, and precision, recall and F1 of "ask".

    `gold` holds "ask" or "answer" for each item. A response that does neither ("none") is wrong:
    a miss of its gold class and no false alarm of the other. Any other word, such as "unparsed",
    takes an item out. Undefined (0/0) is null, except that
    the precision of a model that never asks, though it should, is 0, as its F1.
    Raises ValueError if a gold label is neither.
    """
    import numpy as np

    strange = set(gold) - {"ask", "answer"}
    if strange:
        raise ValueError(f"gold decisions must be 'ask' or 'answer', not {sorted(strange)}")
    wanted, done = np.asarray(gold), np.asarray(said)
    cells = tuple(
        ((wanted == label) & (done == response)).astype(np.float64)
        for label in ("ask", "answer")
        for response in ("ask", "answer", "none")
    )
    applies = sum(cells[1:], start=cells[0])
    formulas = {
        "decision_accuracy": _accuracy,
        "decision_macro_f1": _macro_f1,
        "decision_weighted_f1": _weighted_f1,
        "ask_precision": _ask_precision,
        "ask_recall": _ask_recall,
        "ask_f1": _ask_f1,
    }
    return {name: Metric(cells, formula, applies) for name, formula in formulas.items()}


def decision_scores(gold: Sequence[Decision], said: Sequence[Decision]) -> dict[str, float | None]:
    """`decision_metrics` of a whole set, without intervals."""
    return totals(decision_metrics(gold, said))


def corpus_bleu1(counts: Sequence[BleuCounts | None]) -> Metric:
    """Corpus BLEU-1 (Papineni et al., 2002) of the items that have counts, from 0 to 1."""
    import numpy as np

    table = np.array([item or (0, 0, 0) for item in counts], dtype=np.float64).reshape(-1, 3)
    applies = np.array([item is not None for item in counts], dtype=np.float64)
    return Metric((table[:, 0], table[:, 1], table[:, 2]), _bleu1, applies)


def totals(metrics: Mapping[str, Metric]) -> dict[str, float | None]:
    """The metrics over all items; null where undefined."""
    import numpy as np

    values = {
        name: float(metric.formula(*(np.sum(part, keepdims=True) for part in metric.parts)).item())
        for name, metric in metrics.items()
    }
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """Elementwise quotient, nan where the denominator is 0."""
    import numpy as np

    undefined = np.full(np.shape(denominator), np.nan)
    quotient: Floats = np.divide(numerator, denominator, out=undefined, where=denominator != 0)
    return quotient


# Cells of the confusion table, "gold as response": ask as ask, ask as answer, ask as none,
# answer as ask, answer as answer, answer as none.
def _accuracy(*cells: Floats) -> Floats:
    return _divide(cells[0] + cells[4], sum(cells[1:], start=cells[0]))


def _ask_precision(*cells: Floats) -> Floats:
    import numpy as np

    precision = _divide(cells[0], cells[0] + cells[3])
    should_ask = cells[0] + cells[1] + cells[2] > 0
    return np.where(np.isnan(precision) & should_ask, 0.0, precision)


def _ask_recall(*cells: Floats) -> Floats:
    return _divide(cells[0], cells[0] + cells[1] + cells[2])


def _ask_f1(*cells: Floats) -> Floats:
    return _divide(2 * cells[0], 2 * cells[0] + cells[1] + cells[2] + cells[3])


def _answer_f1(*cells: Floats) -> Floats:
    return _divide(2 * cells[4], 2 * cells[4] + cells[3] + cells[5] + cells[1])


def _macro_f1(*cells: Floats) -> Floats:
    """Mean F1 of the classes that occur, in the data or among the responses."""
    import numpy as np

    both = np.stack([_ask_f1(*cells), _answer_f1(*cells)])
    occurs = ~np.isnan(both)
    return _divide(np.where(occurs, both, 0.0).sum(axis=0), occurs.sum(axis=0).astype(float))


def _weighted_f1(*cells: Floats) -> Floats:
    """Mean F1 of the classes, weighted by how often each is right."""
    import numpy as np

    asks = cells[0] + cells[1] + cells[2]
    answers = cells[3] + cells[4] + cells[5]
    ask_f1, answer_f1 = np.nan_to_num(_ask_f1(*cells)), np.nan_to_num(_answer_f1(*cells))
    return _divide(asks * ask_f1 + answers * answer_f1, asks + answers)


def _bleu1(matches: Floats, words: Floats, reference_words: Floats) -> Floats:
    """exp(min(0, 1 - reference words / words)) x matches / words."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.exp(np.minimum(0.0, 1 - reference_words / words)) * matches / words
    # Nothing said where something should have been is 0; nothing to say is undefined.
    return np.where(words > 0, score, np.where(reference_words > 0, 0.0, np.nan))
