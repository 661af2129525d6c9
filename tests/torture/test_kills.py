"""Two hundred SIGKILLs at random moments, over all stages: the same bytes as undisturbed.

ASKQA_KILLS sets another number, ASKQA_SEED other moments.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai_server import OpenAIServer
from pipeline import askqa, command, tree
from scripted_models import good_model, write_stories
from speech_server import VOICES, speak

KILLS = int(os.environ.get("ASKQA_KILLS", "200"))
SEED = os.environ.get("ASKQA_SEED", "0")
NAMES = (
    *("generate", "synthesize", "release", "language model", "speech endpoint"),
    *("evaluate", "train"),
)
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
            "train": Case(
                None,
                lambda out: (
                    *("train", calm / "release", "--base", "tiny", "--tasks", "main,listening"),
                    *("--steps", "6", "--evaluate-every", "2", "--batch-size", "2"),
                    *("--validation", "4", "--no-score", "--workers", "0", "--out", out),
                ),
                learnt,
                begins=0.6,
            ),
        }


def begun(case: Case, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    if case.before is not None:
        shutil.copytree(case.before, folder)
    return folder


def state(folder: Path) -> dict[Path, int]:
    """Sizes of what is there, half-written files among them."""
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of the workers that a command has started."""
    found = []
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


def struck(after_s: float, whom: str, *arguments: str | Path) -> bool:
    """Start a command and kill it, all of it or a part; False if it had already ended well.

    `whom`: "all"; "main", as one kills by a process id, whose workers must not write on behind
    the next command's back; "worker", one of them, as the kernel does when memory is short.
    """
    with tempfile.TemporaryFile("w+") as errors:  # a pipe would be open as long as the workers are
        process = subprocess.Popen(
            command(*arguments),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            assert process.wait(timeout=after_s) == 0
            return False
        workers = workers_of(process) if whom == "worker" else []
        if whom == "all":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(workers[-1] if workers else process.pid, signal.SIGKILL)
        process.wait()
        if workers:
            errors.seek(0)
            said = errors.read().strip()
            assert process.returncode in (0, 1), said
            assert process.returncode == 0 or "died" in said.splitlines()[-1], said
            assert "Traceback" not in said
    return True


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_random_moments(cases: dict[str, Case], tmp_path: Path, name: str) -> None:
    case, chance = cases[name], random.Random(f"{SEED}:{name}")
    undisturbed = begun(case, tmp_path / "undisturbed")
    start = time.perf_counter()
    askqa(*case.command(undisturbed))
    seconds = time.perf_counter() - start
    wanted, kills, runs, at_work = -(-KILLS // len(NAMES)), 0, 0, 0
    while kills < wanted:
        folder = begun(case, tmp_path / "killed")
        for again in range(PER_RUN):
            before, start = state(folder), time.perf_counter()
            moment = chance.uniform(case.begins, 1.1) * seconds
            whom = chance.choice(("all", "all", "main", "worker"))
            if not struck(moment, whom, *case.command(folder)):
                if not again:  # the machine has more time for us than it had
                    seconds = time.perf_counter() - start
                break
            kills += 1
            at_work += state(folder) != before
        askqa(*case.command(folder))
        assert case.outcome(folder) == case.outcome(undisturbed)
        runs += 1
    print(f"{name}: {kills} kills, {at_work} at work, in {runs} runs of {seconds:.1f} s")
    assert at_work >= kills // 4, "most kills hit nothing"
