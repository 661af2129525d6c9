"""Every command that is tortured: what is there before it, and what it must come to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openai_server import OpenAIServer
from pipeline import tree
from scripted_models import good_model, write_stories
from speech_server import VOICES, speak

NAMES = (
    *("generate", "synthesize", "release", "language model", "speech endpoint"),
    *("evaluate", "train"),
)


@dataclass(frozen=True)
class Case:
    """A command to torture."""

    before: Path | None
    """What the folder holds before it."""
    command: Callable[[Path], tuple[str | Path, ...]]
    outcome: Callable[[Path], dict[str, str]]
    begins: float = 0.2
    """Share of its time after which it may have begun to write: before, it imports."""


def paid(folder: Path) -> dict[str, str]:
    """All but the paid replies, whose file has times in it."""
    return {name: digest for name, digest in tree(folder).items() if not name.startswith("cache/")}


def learnt(folder: Path) -> dict[str, str]:
    """The model and how it came about, without how long it took."""
    done = json.loads((folder / "trained.json").read_text()) | {"seconds": 0}
    return tree(folder) | {"trained.json": json.dumps(done)}


def judged(folder: Path) -> dict[str, str]:
    """What an evaluation came to, without how long it took."""
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    return {
        "predictions": str([json.loads(line) | {"seconds": 0} for line in lines]),
        "scores": (folder / "scores.json").read_text(),
    }


@contextmanager
def all_cases(calm: Path, folder: Path) -> Iterator[dict[str, Case]]:
    """By name, made from an undisturbed build; `folder` is for what they need."""
    written, spoken = folder / "written", folder / "spoken"
    parts = shutil.ignore_patterns("speech", "parts", "release", "speech-*", "parts-*")
    shutil.copytree(calm, written, ignore=parts)
    shutil.copytree(calm, spoken, ignore=shutil.ignore_patterns("parts", "release", "parts-*"))
    stories = write_stories(folder / "stories.json", 20)
    voices = [word for name in VOICES for word in ("--voice", name)]
    with (
        OpenAIServer(good_model, latency_s=0.02) as model,
        OpenAIServer(speak, latency_s=0.02) as speech,
    ):
        yield {
            "generate": Case(
                None,
                lambda out: (
                    *("generate", "--source", "sample", "--shard-size", "4", "--count", "30"),
                    *("--out", out, "-j", "2"),
                ),
                tree,
            ),
            "synthesize": Case(written, lambda out: ("synthesize", out, "-j", "2"), tree),
            "release": Case(
                spoken, lambda out: ("release", out, "--version", "1.0.0", "-j", "2"), tree
            ),
            "language model": Case(
                None,
                lambda out: (
                    *("generate", "--writer", "llm", "--model", "m", "--count", "16"),
                    *("--source", stories, "--shard-size", "5", "--concurrency", "4"),
                    *("--base-url", model.base_url, "--out", out),
                ),
                paid,
            ),
            "speech endpoint": Case(
                written,
                lambda out: (
                    *("synthesize", out, "--voices", "openai:tts-1", "--concurrency", "4"),
                    *("--base-url", speech.base_url, *voices),
                ),
                paid,
            ),
            "evaluate": Case(
                None,
                lambda out: (
                    *("evaluate", calm / "release", "--model", "oracle-text", "--split", "train"),
                    *("--batch-size", "2", "--out", out),
                ),
                judged,
            ),
            "train": Case(
                None,
                lambda out: (
                    *("train", calm / "release", "--base", "tiny", "--tasks", "main,listening"),
                    *("--steps", "6", "--evaluate-every", "2", "--batch-size", "2"),
                    *("--validation", "4", "--no-score", "--workers", "0", "--out", out),
                ),
                learnt,
                begins=0.7,
            ),
        }


def begun(case: Case, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    if case.before is not None:
        shutil.copytree(case.before, folder)
    return folder
