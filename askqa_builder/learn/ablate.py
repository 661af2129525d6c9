"""`askqa-build ablate`: which task matters, and at how much data?

main alone, all tasks, each auxiliary task left out in turn, each alone with main; times fractions,
times seeds; every run of equally many optimiser steps, scored by the evaluator on the test split.

ABLATION/
  <variant>/<fraction>/seed-<n>/   a model folder each, with its scores
  ablation.json, ablation.md, ablation.png
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askqa_builder.errors import TrainingError
from askqa_builder.files import read_records, write_text
from askqa_builder.learn.tasks import MAIN

if TYPE_CHECKING:
    from askqa_builder.evaluate.bootstrap import Estimate, Metric
    from askqa_builder.learn.settings import TrainSettings

ALL, ONLY = "all", MAIN
RESULT, TABLE, PLOT = "ablation.json", "ablation.md", "ablation.png"
SHOWN = {
    "goal_completion": "goal completion",
    "trajectory_f1": "F1 of the last answer",
    "decision_macro_f1": "macro F1 of ask or answer",
    "single_turn_em": "exact match where nothing is ambiguous",
}
"""The scores of the table, and what it calls them."""


@dataclass(frozen=True)
class Cell:
    """A variant at a fraction: its scores over all seeds."""

    variant: str
    fraction: float
    seeds: int
    scores: dict[str, Estimate]
    against_main: dict[str, Estimate]
    """Differences from main alone at the same fraction, run for run; empty for main itself."""


def variants(tasks: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The mixtures that are compared, by name; one that equals an earlier one is left out.

    Raises TrainingError if main is not among the tasks, or is alone.
    """
    auxiliary = [name for name in tasks if name != MAIN]
    if MAIN not in tasks or not auxiliary:
        raise TrainingError(
            f"tasks {list(tasks)}: an ablation needs the main task and at least one other"
        )
    wanted = {ONLY: {MAIN: tasks[MAIN]}, ALL: dict(tasks)}
    for name in auxiliary:
        wanted[f"without-{name}"] = {t: w for t, w in tasks.items() if t != name}
    for name in auxiliary:
        wanted[f"main-and-{name}"] = {MAIN: tasks[MAIN], name: tasks[name]}
    found: dict[str, dict[str, float]] = {}
    for name, mixture in wanted.items():
        if mixture not in found.values():
            found[name] = mixture
    return found


def ablate(
    release: Path,
    out: Path,
    settings: TrainSettings,
    *,
    fractions: Sequence[float],
    seeds: int,
    only: Sequence[str] = (),
    limit: int | None = None,
    workers: int | None = None,
    resamples: int = 1000,
    say: Callable[[str, dict[str, Any]], None] = lambda name, entry: None,
) -> list[Cell]:
    """Train and score every run that is not there yet, then write the table and the plot.

    `settings` are those of every run, but for tasks, fraction and seed; its tasks are the ones to
    ablate. `only` names the variants to run (none: all); `limit` so many dialogues are scored. Of
    several processes, the main one scores and returns the cells, the others none.
    Raises what `train` and `evaluate` raise: the runs that are done stay done.
    """
    from askqa_builder.evaluate.items import check_data
    from askqa_builder.learn.hf import processes
    from askqa_builder.learn.scoring import score_model
    from askqa_builder.learn.train import train
    from askqa_builder.learn.watch import curve

    if settings.steps is None:
        raise TrainingError("--steps is needed: the runs of an ablation take equally many")
    mixtures = variants(settings.tasks)
    strange = set(only) - set(mixtures)
    if strange:
        raise TrainingError(f"variants {sorted(strange)} unknown; expected of {list(mixtures)}")
    check_data(release, "test")  # before the first training, not after it
    names = [name for name in mixtures if not only or name in only]
    for fraction in fractions:
        for seed in range(seeds):
            for name in names:
                folder = _folder(out, name, fraction, seed)
                alone = _folder(out, ONLY, fraction, seed)
                run = settings.model_copy(
                    update={"tasks": mixtures[name], "fraction": fraction, "seed": seed}
                )
                compare = name != ONLY and ONLY in names
                label = folder.relative_to(out).as_posix()
                train(
                    release,
                    folder,
                    run,
                    main_curve=curve(alone, MAIN) if compare else None,
                    workers=workers,
                    say=lambda entry, label=label: say(label, entry),  # type: ignore[misc]
                )
                if processes().is_main_process:
                    score_model(release, folder, limit=limit, resamples=resamples, worst=0)
                processes().wait_for_everyone()
    if not processes().is_main_process:
        return []
    cells = collect(out, names, fractions, seeds, resamples=resamples)
    write_text(out / RESULT, json.dumps([asdict(cell) for cell in cells], indent=1))
    write_text(out / TABLE, table(cells))
    from askqa_builder.learn.plots import draw_ablation

    draw_ablation(out / PLOT, cells)
    return cells


def collect(
    out: Path,
    names: Sequence[str],
    fractions: Sequence[float],
    seeds: int,
    *,
    resamples: int = 1000,
) -> list[Cell]:
    """The scores of finished runs: means over seeds, with intervals over seeds and passages."""
    from askqa_builder.evaluate.bootstrap import estimate_runs

    cells = []
    for fraction in fractions:
        alone, passages = _runs(out, ONLY, fraction, seeds) if ONLY in names else ([], [])
        for name in names:
            runs, passages = _runs(out, name, fraction, seeds)
            against = (
                estimate_runs(runs, passages, minus=alone, resamples=resamples)
                if alone and name != ONLY
                else {}
            )
            scores = estimate_runs(runs, passages, resamples=resamples)
            cells.append(Cell(name, fraction, seeds, scores, against))
    return cells


def table(cells: Sequence[Cell]) -> str:
    """The scores as a table in Markdown; bold where an interval excludes main alone."""
    first = next(iter(cells[0].scores.values()))
    lines = [
        f"Mean of {cells[0].seeds} seeds with 95 % intervals over seeds and passages; "
        f"{first.items:,} test dialogues on {first.passages:,} passages. Bold: the interval of the "
        "difference from main alone, same fraction, excludes 0.",
        "",
        f"| fraction | tasks | {' | '.join(SHOWN.values())} |",
        f"|{'---|' * (2 + len(SHOWN))}",
    ]
    for cell in cells:
        figures = []
        for name in SHOWN:
            text = _figure(cell.scores[name])
            change = cell.against_main.get(name)
            differs = (
                change is not None
                and change.low is not None
                and change.high is not None
                and not change.low <= 0 <= change.high
            )
            figures.append(f"**{text}**" if differs else text)
        lines.append(f"| {cell.fraction:g} | {cell.variant} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def _figure(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    interval = "" if estimate.low is None else f" ({estimate.low:.3f}–{estimate.high:.3f})"
    return f"{estimate.value:.3f}{interval}"


def _runs(
    out: Path, name: str, fraction: float, seeds: int
) -> tuple[list[dict[str, Metric]], list[str]]:
    """The metrics of each seed's run, and the passage of each item."""
    from askqa_builder.evaluate.run import PREDICTIONS, Prediction
    from askqa_builder.evaluate.scoring import ITEMS, Asked, metrics_of
    from askqa_builder.learn.scoring import FOLDER

    runs, passages = [], []
    for seed in range(seeds):
        folder = _folder(out, name, fraction, seed) / FOLDER
        asked = list(read_records(folder / ITEMS, Asked))
        metrics = metrics_of(asked, list(read_records(folder / PREDICTIONS, Prediction)))
        runs.append({shown: metrics[shown] for shown in SHOWN})
        passages = [a.passage_id for a in asked]
    return runs, passages


def _folder(out: Path, name: str, fraction: float, seed: int) -> Path:
    return out / name / f"{fraction:g}" / f"seed-{seed}"
