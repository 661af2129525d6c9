"""In seconds what `make torture` does for minutes: damage, clocks, two writers, a dying server.

Kills are in test_pipeline, test_engines, test_evaluate, test_train and test_llm_generate; full and
read-only disks in test_disk; language-model servers that die in test_llm_generate.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from forked import command as process
from forked import whole
from openai_server import OpenAIServer, fail
from pipeline import command, here, one_line_here, tree
from speech_server import VOICES, speak

RELEASE = ("--version", "1.0.0", "-j", "1")


def steps(build: Path) -> list[tuple[str | Path, ...]]:
    sample = ("--source", "sample", "--count", "8", "--shard-size", "16", "-j", "1")
    return [
        ("generate", *sample, "--out", build),
        ("synthesize", build, "-j", "1"),
        ("release", build, *RELEASE),
    ]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with a release, undisturbed."""
    build = tmp_path_factory.mktemp("survival") / "build"
    for step in steps(build):
        here(*step)
    return build


@pytest.fixture
def build(calm: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(calm, tmp_path / "build"))


def changed(path: Path, how: str, chance: random.Random) -> None:
    """Damage a file as a disk does: its time of change stays."""
    times, content = path.stat(), bytearray(path.read_bytes())
    if how == "flipped":
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    else:
        del content[chance.randrange(len(content)) :]
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_damage_is_found_by_its_hash_whatever_the_clock_says(calm: Path, build: Path) -> None:
    chance = random.Random(0)
    for path in build.rglob("*"):  # as after a copy, or with a clock that jumped
        os.utime(path, (chance.uniform(0, 2 * time.time()),) * 2)
    for pattern, how in [
        ("passages/*.jsonl", "cut"),
        ("dialogues/*.jsonl", "flipped"),
        ("speech/*.receipt.json", "flipped"),
        ("speech/*.parquet", "cut"),
        ("parts/*.parquet", "flipped"),
    ]:
        changed(max(build.glob(pattern), key=lambda path: path.stat().st_size), how, chance)
    whole_one = min((build / "speech").glob("*.parquet"), key=lambda path: path.stat().st_size)
    before = whole_one.stat().st_mtime_ns
    for step in steps(build):  # in processes of their own, which remember no hash of a file
        whole(process(*step))
    assert tree(build) == tree(calm)
    assert whole_one.stat().st_mtime_ns == before, "it was not damaged"


def test_of_two_writers_one_works_and_the_other_says_so(calm: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    writers = [
        subprocess.Popen(
            command(*steps(build)[0]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = {writer.communicate()[1].strip(): writer.returncode for writer in writers}
    (refusal,) = (words for words, code in said.items() if code)
    assert "another command" in refusal
    assert len(refusal.splitlines()) == 1
    assert sorted(said.values()) == [0, 1]
    assert tree(build / "dialogues") == tree(calm / "dialogues")


def test_a_speech_endpoint_that_dies_in_the_middle(calm: Path, tmp_path: Path) -> None:
    undisturbed, build = tmp_path / "undisturbed", tmp_path / "build"
    for folder in (undisturbed, build):
        shutil.copytree(calm, folder, ignore=shutil.ignore_patterns("speech*", "parts", "release"))
    voices = [word for name in VOICES for word in ("--voice", name)]
    with OpenAIServer(speak) as server:
        speaking = ("--voices", "openai:tts-1", "--base-url", server.base_url, *voices)
        here("synthesize", undisturbed, *speaking)
        calls = len(server.calls)
        server.paid_calls.clear()
        server.script = lambda c: speak(c) if c.number < calls + calls // 2 else fail(401, "gone")
        line = one_line_here("synthesize", build, *speaking)
        assert server.base_url in line
        paid = server.paid
        assert 0 < paid < calls
        server.script = speak
        here("synthesize", build, *speaking)
        assert max(server.paid_calls.values()) == 1, "what was paid is kept"
    assert tree(build / "speech") == tree(undisturbed / "speech")
