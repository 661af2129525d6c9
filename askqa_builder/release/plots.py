"""The pictures of the card: what a release holds, at a glance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from askqa_builder.files import atomic_file
from askqa_builder.release.stats import Durations, Statistics
from askqa_builder.schema import SPLITS

FOLDER = "images"
_COLOURS = {"train": "#3b6ea5", "validation": "#e0a030", "test": "#b5484f"}
_ONE = "#3b6ea5"


def draw(statistics: Statistics, folder: Path) -> dict[str, str]:
    """Draw durations, turns, kinds and speakers as PNG files under images/.

    Returns each picture's path relative to the folder → its description for those who cannot see
    it. The same figures give the same bytes (for one version of matplotlib).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pictures = {
        "durations": (_durations, "Histograms of the durations of turns and of narrations"),
        "turns": (_turns, "Bars: dialogues by their number of turns"),
        "kinds": (_kinds, "Bars: dialogues by kind of ambiguity and split"),
        "speakers": (_speakers, "Bars: speaking parts by accent and by sex of the voice"),
    }
    described: dict[str, str] = {}
    for name, (paint, description) in pictures.items():
        figure = Figure(figsize=(8, 2.8), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure, statistics)
        path = folder / FOLDER / f"{name}.png"
        with atomic_file(path) as file:
            figure.savefig(file, format="png", metadata={"Software": None})
        described[f"{FOLDER}/{name}.png"] = description
    return described


def _durations(figure: Any, statistics: Statistics) -> None:
    left, right = figure.subplots(1, 2)
    for axes, seconds, title in (
        (left, statistics.turn_seconds, "Turns"),
        (right, statistics.narration_seconds, "Narrations of passages"),
    ):
        clips = sum(seconds.values())
        edges = _edges(seconds, min(40, max(5, math.isqrt(clips))))
        axes.hist(list(seconds), bins=edges, weights=list(seconds.values()), color=_ONE)
        _dress(axes, f"{title} ({clips:,})", "seconds", "count")


def _edges(seconds: Durations, bins: int) -> list[float]:
    """Edges of some `bins` bins, each of which holds as many of the tenths that are counted."""
    tenths = [round(value * 10) for value in seconds]
    width = max(1, math.ceil((max(tenths) - min(tenths)) / bins))
    return [tenth / 10 - 0.05 for tenth in range(min(tenths), max(tenths) + width + 1, width)]


def _turns(figure: Any, statistics: Statistics) -> None:
    axes = figure.subplots()
    lengths = statistics.turns_per_dialogue
    axes.bar(list(map(str, lengths)), list(lengths.values()), color=_ONE)
    _dress(axes, "Length of the dialogues", "turns", "dialogues")


def _kinds(figure: Any, statistics: Statistics) -> None:
    axes = figure.subplots()
    plain = {s: n - statistics.ambiguous.get(s, 0) for s, n in statistics.dialogues.items()}
    bars = {"unambiguous": plain, **statistics.kinds}
    left = [0] * len(bars)
    for split in SPLITS:
        widths = [counts.get(split, 0) for counts in bars.values()]
        axes.barh(list(bars), widths, left=left, color=_COLOURS[split], label=split)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8)
    _dress(axes, "Kinds of ambiguity", "dialogues", "")


def _speakers(figure: Any, statistics: Statistics) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    _bars(left, statistics.accents, "Accents")
    _bars(right, statistics.sexes, "Sex of the voice")


def _bars(axes: Any, counts: Mapping[str, int], title: str) -> None:
    top = list(counts.items())[:12]
    # an engine's own words: a dollar sign would begin a formula
    names = [(name or "unknown").replace("$", r"\$") for name, _ in top]
    axes.barh(names, [count for _, count in top], color=_ONE)
    axes.invert_yaxis()
    _dress(axes, title, "speaking parts", "")


def _dress(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
