"""A training that takes seconds, and what its tests ask of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_audio_model import build_tiny_qwen2_audio
from tiny_release import PASSAGE, dialogue, tone, write_release

from askqa_builder.errors import AskqaError
from askqa_builder.learn.settings import TrainSettings
from askqa_builder.learn.tasks import mixture_of
from askqa_builder.learn.train import train
from askqa_builder.learn.watch import read_log

Entry = dict[str, Any]


def short_release(folder: Path) -> Path:
    """Six passages, two dialogues on each; a passage sounds like itself alone."""
    rows = [dialogue(f"d{n}", passage=f"p{n // 2}", ambiguous=bool(n % 2)) for n in range(12)]
    for number, row in enumerate(rows):
        row["narration"] = row["narration"][:1]
        row["narration"][0]["audio"]["bytes"] = tone(1.0, 200 + 40 * (number // 2), 0.2)
    return write_release(folder, {"train": rows[:8], "validation": rows[8:]})


def short_base(folder: Path) -> Path:
    return build_tiny_qwen2_audio(folder, [PASSAGE] * 3, window_s=2)


def settings_for(base: Path, **changes: Any) -> TrainSettings:
    fields: dict[str, Any] = {
        "base": str(base),
        "tasks": mixture_of("main,listening"),
        "steps": 4,
        "evaluate_every": 2,
        "batch_size": 3,
        "learning_rate": 3e-3,
        "keep": "last",
        "validation": 4,
    }
    return TrainSettings(**fields | changes)


def log_of(folder: Path) -> list[Entry]:
    return read_log(folder / "log.jsonl")


def fails(release: Path, out: Path, settings: TrainSettings, kind: type[AskqaError]) -> str:
    """The one line of a run that cannot be."""
    with pytest.raises(kind) as caught:
        train(release, out, settings)
    line = str(caught.value)
    assert len(line.splitlines()) == 1, line
    return line
