"""Two hundred SIGKILLs at random moments, over all stages: the same bytes as undisturbed.

ASKQA_KILLS sets another number, ASKQA_SEED other moments.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai_server import OpenAIServer
from pipeline import askqa, killed, tree
from scripted_models import good_model, write_stories
from speech_server import VOICES, speak

KILLS = int(os.environ.get("ASKQA_KILLS", "200"))
SEED = os.environ.get("ASKQA_SEED", "0")
NAMES = ("generate", "synthesize", "release", "language model", "speech endpoint", "evaluate")
PER_RUN = 4
"""Kills before a run is left to end: it may be all but done by then."""

pytestmark = pytest.mark.timeout(3000)


@dataclass(frozen=True)
class Case:
    """A command to torture."""

    before: Path | None
    """What the folder holds before it."""
    command: Callable[[Path], tuple[str | Path, ...]]
    outcome: Callable[[Path], dict[str, str]]


def paid(folder: Path) -> dict[str, str]:
    """All but the paid replies, whose file has times in it."""
    return {name: digest for name, digest in tree(folder).items() if not name.startswith("cache/")}


def judged(folder: Path) -> dict[str, str]:
    """What an evaluation came to, without how long it took."""
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    return {
        "predictions": str([json.loads(line) | {"seconds": 0} for line in lines]),
        "scores": (folder / "scores.json").read_text(),
    }


@pytest.fixture(scope="module")
def cases(calm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Case]]:
    folder = tmp_path_factory.mktemp("cases")
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
        }


def begun(case: Case, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    if case.before is not None:
        shutil.copytree(case.before, folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_random_moments(cases: dict[str, Case], tmp_path: Path, name: str) -> None:
    case, chance = cases[name], random.Random(f"{SEED}:{name}")
    undisturbed = begun(case, tmp_path / "undisturbed")
    start = time.perf_counter()
    askqa(*case.command(undisturbed))
    seconds = time.perf_counter() - start
    wanted, kills, runs = -(-KILLS // len(NAMES)), 0, 0
    while kills < wanted:
        folder = begun(case, tmp_path / "killed")
        for _ in range(PER_RUN):
            kills += killed(chance.uniform(0.2, 1.1) * seconds, *case.command(folder))
        askqa(*case.command(folder))
        assert case.outcome(folder) == case.outcome(undisturbed)
        runs += 1
    print(f"{name}: {kills} kills in {runs} runs of {seconds:.1f} s")
