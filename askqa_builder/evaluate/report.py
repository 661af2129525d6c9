"""report.html: one self-contained page of scores, plots, and the worst conversations."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from askqa_builder.evaluate.run import Prediction
from askqa_builder.evaluate.scoring import Asked, score_item
from askqa_builder.store import write_text

REPORT = "report.html"
_WORST = 12
HEADLINES = (
    "goal_completion",
    "goal_completion_ambiguous",
    "trajectory_em",
    "trajectory_f1",
    "single_turn_em",
    "single_turn_f1",
    "post_clarification_f1",
    "decision_accuracy",
    "decision_macro_f1",
    "ask_precision",
    "ask_recall",
    "ask_f1",
    "question_names_all",
    "question_separates",
)


def write_report(
    folder: Path,
    content: Mapping[str, Any],
    asked: Sequence[Asked],
    predictions: Sequence[Prediction],
) -> None:
    """Write report.html from the content of scores.json and the predictions.

    Everything that a model or a passage said is escaped, and the page runs no script.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["figure"] = _figure
    template = (Path(__file__).parent / "templates" / "report.html").read_text()
    text = environment.from_string(template).render(
        run=content,
        headlines=[name for name in HEADLINES if name in content["scores"]],
        plots={
            "Scores with 95 % intervals": _plot(content["scores"]),
            "Goal completion by slice": _slices_plot(content["slices"]),
        },
        worst=_worst(asked, predictions),
    )
    write_text(folder / REPORT, text)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _worst(asked: Sequence[Asked], predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The conversations with the lowest scores; among equals, in the order of the data."""
    rated = [
        (score_item(a, p).number_aware_f1, p.decision != ("ask" if a.ambiguous else "answer"), i)
        for i, (a, p) in enumerate(zip(asked, predictions, strict=True))
    ]
    rated.sort(key=lambda one: (one[0], not one[1], one[2]))
    return [
        {"asked": asked[i], "prediction": predictions[i], "f1": f1}
        for f1, _, i in rated[:_WORST]
        if f1 < 1
    ]


def _plot(scores: Mapping[str, Mapping[str, Any]]) -> str:
    names = [name for name in HEADLINES if name in scores and scores[name]["value"] is not None]
    rows = [(name.replace("_", " "), scores[name]) for name in names]
    return _dots(rows)


def _slices_plot(slices: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    rows = [
        (f"{dimension}: {value}", by_metric["goal_completion"])
        for dimension, values in slices.items()
        if dimension != "speaker" and 1 < len(values) <= 12
        for value, by_metric in values.items()
        if by_metric["goal_completion"]["value"] is not None
    ]
    return _dots(rows)


def _dots(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Points with intervals from 0 to 1, as a PNG data URI."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.6 + 0.27 * max(len(rows), 1)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for position, (_, estimate) in enumerate(rows):
        if estimate["low"] is not None:
            axes.plot(
                [estimate["low"], estimate["high"]], [position, position], color="#9db7d5", lw=4
            )
        axes.plot(estimate["value"], position, "o", color="#24507f", ms=5)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.set_xlim(-0.02, 1.02)
    axes.invert_yaxis()
    axes.grid(axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
