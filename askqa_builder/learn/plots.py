"""Pictures of a run and of an ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from askqa_builder.learn.watch import Entry
from askqa_builder.store import atomic_file

LOSSES = "loss.png"
_COLOURS = ("#b5484f", "#e0a030", "#5b8c5a", "#7d5ba6", "#4f9da6", "#888888")
_TRAIN = "#3b6ea5"


def draw_losses(
    folder: Path, log: Sequence[Entry], main_curve: Mapping[int, float] | None = None
) -> None:
    """Training loss, and validation loss by task, over the steps."""
    figure, axes = _figure()
    points = [(e["step"], e["loss"]) for e in log if "loss" in e]
    axes.plot(*_columns(points), color=_TRAIN, linewidth=1, alpha=0.6, label="training, all tasks")
    validations = [e for e in log if "validation" in e]
    names = list(dict.fromkeys(name for e in validations for name in e["validation"]))
    for name, colour in zip(names, _COLOURS, strict=False):
        points = [
            (e["step"], e["validation"][name]) for e in validations if name in e["validation"]
        ]
        label = "main, sound of others" if name == "swapped" else name
        style = ":" if name == "swapped" else "-"
        axes.plot(*_columns(points), style, marker="o", markersize=3, color=colour, label=label)
    if main_curve:
        axes.plot(*_columns(sorted(main_curve.items())), "--", color="black", label="main alone")
    axes.set_xlabel("optimiser steps")
    axes.set_ylabel("loss a token")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    save(figure, folder / LOSSES)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _figure() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Any, path: Path) -> None:
    """Write a picture whole or not at all."""
    with atomic_file(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})
