"""A command that is refused leaves what was finished, and what is not ours, as it was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from openai_server import OpenAIServer
from pipeline import command, here, one_line_here, tree
from scripted_models import good_model, write_stories

from askqa_builder.files import read_records
from askqa_builder.schema import Dialogue

SAMPLE = ("--source", "sample", "--count", "4", "--shard-size", "40", "-j", "1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with speech and no release."""
    build = tmp_path_factory.mktemp("finished") / "build"
    here("generate", *SAMPLE, "--out", build)
    here("synthesize", build, "-j", "1")
    return build


@pytest.fixture
def build(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "build"))


@pytest.mark.parametrize("theirs", ["notes.txt", "manifest.json"])
def test_a_release_folder_that_is_not_ours_is_not_replaced(build: Path, theirs: str) -> None:
    (build / "release").mkdir()
    (build / "release" / theirs).write_text('{"name": "my browser extension"}')
    before = tree(build)
    told = one_line_here("release", build, "--version", "1.0.0", "-j", "1")
    assert f"{build}/release: holds something that is no release" in told
    assert "move it away" in told
    assert tree(build) == before
    assert "move it away" in one_line_here("demo", "--out", build, "-j", "1")
    assert tree(build) == before


def test_a_demo_in_a_build_keeps_its_release_history(build: Path) -> None:
    (build / "release").mkdir()  # empty: no obstacle
    here("release", build, "--version", "2.3.4", "--title", "Mine", "-j", "1")
    before = tree(build / "release")
    assert "2.3.4" in one_line_here("demo", "--out", build, "-j", "1")
    assert tree(build / "release") == before


def test_a_demo_of_before_is_made_again(build: Path) -> None:
    here("release", build, "--version", "1.0.0", "--title", "ASK-QA demo", "-j", "1")
    here("generate", "--count", "2", "-j", "1", "--out", build)  # as if by an earlier version
    here("demo", "--out", build, "-j", "1")
    assert "First release" in (build / "release" / "CHANGELOG.md").read_text()


def test_a_writer_that_can_write_nothing_leaves_the_dialogues(build: Path) -> None:
    before = tree(build)
    told = one_line_here("generate", "--writer", "import", "-j", "1", "--out", build)
    assert "no dialogue could be written" in told
    assert "human dialogues" in told
    assert tree(build) == before
    here("synthesize", build, "-j", "1")
    assert tree(build) == before


def test_paid_dialogues_stay_where_an_offline_writer_can_write_nothing(tmp_path: Path) -> None:
    build, source = tmp_path / "build", write_stories(tmp_path / "stories.json", 6)
    with OpenAIServer(good_model) as server:
        here(
            *("generate", "--writer", "llm", "--model", "m", "--count", "3", "--verify", "0"),
            *("--source", source, "--base-url", server.base_url, "--out", build),
        )
    before = tree(build)
    told = one_line_here("generate", "--writer", "contrast", "-j", "1", "--out", build)
    assert "human questions" in told
    assert tree(build) == before


def test_a_correction_of_no_dialogue_is_named(build: Path) -> None:
    dialogue = next(read_records(build / "dialogues/00000.jsonl", Dialogue))
    lines = [{"id": dialogue.id, "reject": "dull"}, {"id": "sqad-typo", "reject": "dull"}]
    (build / "corrections.jsonl").write_text("\n".join(map(json.dumps, lines)))
    told = here("generate", "--out", build, "-j", "1")
    assert "corrections.jsonl: no dialogue of this build is called sqad-typo\n" in told


def test_the_next_command_can_be_pasted(tmp_path: Path) -> None:
    build = tmp_path / "a build"
    last = here("generate", *SAMPLE, "--out", build).splitlines()[-1]
    assert last == f"next: askqa-build synthesize '{build}'"


def test_an_interrupted_command_says_that_it_goes_on(tmp_path: Path) -> None:
    given = ("generate", "--source", "world:100000,facts=6", "--out", tmp_path / "build", "-j", "1")
    process = subprocess.Popen(
        command(*given),
        stderr=subprocess.PIPE,
        text=True,
        # where the tests run in the background, Ctrl-C is ignored, and that is inherited
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (tmp_path / "build").is_dir():
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the same command goes on where it was" in told
    assert "Traceback" not in told
