"""The model card: what a model is the result of, and how it scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from askqa_builder import __version__
from askqa_builder.files import write_text
from askqa_builder.learn.base import is_new
from askqa_builder.learn.settings import Trained, TrainRun

CARD = "README.md"


def write_card(
    folder: Path,
    run: TrainRun,
    trained: Trained,
    scores: Mapping[str, Any] | None = None,
    tasks: Mapping[str, Any] | None = None,
) -> None:
    """Write README.md; `scores` is the content of an evaluation's scores.json, `tasks` that of
    task_scores.json."""
    write_text(folder / CARD, _card(run, trained, scores, tasks or {}))


def _card(
    run: TrainRun,
    trained: Trained,
    scores: Mapping[str, Any] | None,
    tasks: Mapping[str, Any],
) -> str:
    s = run.settings
    new = is_new(s.base)
    front = {
        "library_name": "transformers",
        "pipeline_tag": "audio-text-to-text",
        "tags": ["speech", "question-answering", "clarifying-questions", "askqa-builder"],
        **({} if new or Path(s.base).exists() else {"base_model": s.base.partition("@")[0]}),
    }
    mixture = ", ".join(name if w == 1 else f"{name} ×{w:g}" for name, w in s.tasks.items())
    kept = "the last" if trained.best_step is None else f"step {trained.best_step:,}, the best"
    rows = [
        ("base", "new, from scratch" if new else f"`{s.base}`"),
        ("data", run.data),
        ("share of the training passages", f"{s.fraction:.4g}"),
        ("tasks", mixture),
        ("seed", str(s.seed)),
        ("optimiser steps", f"{trained.steps:,}" + (" (stopped early)" * trained.stopped_early)),
        ("examples a step on each device", str(s.batch_size * s.accumulate)),
        ("learning rate", f"{s.rate:g}"),
        ("trained parameters", f"{trained.trained_parameters:,} of {trained.parameters:,}"),
        ("weights kept", f"{kept} on validation" if trained.best_step is not None else kept),
        ("made with", f"askqa_builder {__version__}"),
    ]
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# Trained on {run.data}",
        "It hears a narrated passage and a spoken question; it answers, or, where the question "
        "could mean more than one thing, asks back.",
        _table(("", ""), rows),
        "## Validation loss a token",
        _table(
            ("task", "loss"),
            [
                ("main, sound of other passages" if n == "swapped" else n, f"{x:.4f}")
                for n, x in trained.validation.items()
            ],
        ),
        "![Loss over the steps](loss.png)",
        *_scores(scores),
        *_task_scores(tasks),
        *(["## Warnings", "\n".join(f"- {w}" for w in trained.warnings)] * bool(trained.warnings)),
        "## Use",
        _use(new),
    ]
    return "\n\n".join(parts) + "\n"


def _scores(scores: Mapping[str, Any] | None) -> list[str]:
    if scores is None:
        return ["## Scores", "Not evaluated yet: `askqa-build evaluate DATA --model hf:FOLDER`."]
    from askqa_builder.evaluate.report import GROUPS

    shown = []
    named = {name: title for group in GROUPS.values() for name, title in group.items()}
    for name, words in named.items():
        estimate = scores["scores"].get(name)
        if estimate and estimate["value"] is not None:
            low, high = estimate["low"], estimate["high"]
            interval = "" if low is None else f"{low:.3f}–{high:.3f}"
            shown.append((words, f"{estimate['value']:.3f}", interval))
    title = f"## Scores on {scores['data']}, {scores['split']}: {scores['items']:,} dialogues"
    return [title, _table(("score", "value", "95 % interval"), shown)]


def _task_scores(tasks: Mapping[str, Any]) -> list[str]:
    if not tasks:
        return []
    rows = []
    for name, found in tasks.items():
        model, constant, change = found["model"], found["constant"], found["difference"]
        interval = "" if change["low"] is None else f"{change['low']:+.3f} to {change['high']:+.3f}"
        rows.append(
            (
                name,
                str(model["items"]),
                f"{model['value']:.3f}",
                f"{constant['value']:.3f}",
                interval,
            )
        )
    head = ("task or form", "examples", "right", "best constant", "difference, 95 % interval")
    return ["## The other tasks: share of right responses", _table(head, rows)]


def _use(new: bool) -> str:
    lines = [
        "from transformers import AutoModelForMultimodalLM, AutoProcessor",
        "",
        'processor = AutoProcessor.from_pretrained("FOLDER")',
        'model = AutoModelForMultimodalLM.from_pretrained("FOLDER")',
    ]
    if new:
        lines.insert(1, "import askqa_builder.learn.tiny  # registers this architecture")
    note = (
        "Clips are 16 kHz mono, 30 s at most: longer ones are cut by most feature extractors "
        "without a word."
    )
    return f"```python\n{chr(10).join(lines)}\n```\n\n{note}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(_cell(c) for c in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def read_scores(path: Path) -> dict[str, Any] | None:
    """The content of a scores.json; None if there is none."""
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text())
    return content
