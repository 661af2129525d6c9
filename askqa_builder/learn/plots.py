"""Pictures of a run and of an ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askqa_builder.files import atomic_file
from askqa_builder.learn.watch import Entry

if TYPE_CHECKING:
    from askqa_builder.learn.ablate import Cell

LOSSES = "loss.png"
_COLOURS = ("#b5484f", "#e0a030", "#5b8c5a", "#7d5ba6", "#4f9da6", "#888888")
_TRAIN = "#3b6ea5"


def draw_losses(
    folder: Path, log: Sequence[Entry], main_curve: Mapping[int, float] | None = None
) -> None:
    """Training loss, and validation loss by task, over the steps."""
    figure, axes = _figure()
    points = [(e["step"], e["loss"]) for e in log if "loss" in e]
    heard = any("transcription_loss" in e for e in log)
    label = "training, all tasks" + (" and transcription of every clip" if heard else "")
    axes.plot(*_columns(points), color=_TRAIN, linewidth=1, alpha=0.6, label=label)
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


def draw_ablation(path: Path, cells: Sequence[Cell]) -> None:
    """Goal completion and the decision of each variant, with intervals, by fraction."""
    from askqa_builder.learn.ablate import SHOWN

    scores = ("goal_completion", "decision_macro_f1")
    figure, panels = _figure(len(scores))
    fractions = list(dict.fromkeys(cell.fraction for cell in cells))
    names = list(dict.fromkeys(cell.variant for cell in cells))
    for axes, score in zip(panels, scores, strict=True):
        for number, fraction in enumerate(fractions):
            for cell in cells:
                estimate = cell.scores[score]
                if cell.fraction != fraction or estimate.value is None:
                    continue
                place = names.index(cell.variant) + 0.8 * (number + 0.5) / len(fractions) - 0.4
                low, high = (
                    estimate.value if x is None else x for x in (estimate.low, estimate.high)
                )
                first = cell.variant == names[0]
                colour = [_TRAIN, *_COLOURS][number % (1 + len(_COLOURS))]
                axes.plot([place, place], [low, high], color=colour, linewidth=1.5)
                label = f"{fraction:g} of the data" if first else None
                axes.plot([place], [estimate.value], "o", color=colour, label=label)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_title(SHOWN[score], fontsize=10)
        axes.set_ylim(0, 1)
    panels[0].legend(frameon=False, fontsize=8)
    save(figure, path)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _figure(panels: int = 1) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    found = figure.subplots(1, panels, squeeze=False)[0]
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, found if panels > 1 else found[0]


def save(figure: Any, path: Path) -> None:
    """Write a picture whole or not at all."""
    with atomic_file(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})
