"""Bits that flip, files that are cut, clocks that jump, two writers at once."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from pipeline import askqa, command, one_line, tree

pytestmark = pytest.mark.timeout(1800)

GENERATE = ("generate", "--source", "sample", "--shard-size", "4", "--count", "30", "--out")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
ROUNDS = int(os.environ.get("ASKQA_ROUNDS", "12"))


def steps(build: Path) -> list[tuple[str | Path, ...]]:
    return [(*GENERATE, build), ("synthesize", build), ("release", build, "--version", "1.0.0")]


def made_again(build: Path) -> None:
    for step in steps(build):
        askqa(*step)


def damage(path: Path, chance: random.Random) -> str:
    """Flip a bit, cut the end off, or empty a file; the time of change stays as it was."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    kind = chance.choice(["flip", "flip", "cut", "empty", "longer"])
    if kind == "flip":
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del content[chance.randrange(len(content)) :]
    elif kind == "empty":
        content.clear()
    else:
        content += b"\n"
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return f"{kind} {path.name}"


def shards(build: Path, stages: Sequence[str]) -> list[Path]:
    return sorted(p for s in stages for p in (build / s).iterdir() if p.stat().st_size)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_damage_is_found_by_its_hash_and_mended(calm: Path, tmp_path: Path, number: int) -> None:
    """Up to four files of any stage at once; receipts, manifests and rejects among them."""
    chance = random.Random(number)
    build = tmp_path / "build"
    shutil.copytree(calm, build)
    folders = ("passages", "dialogues", "speech", "parts", "rejects")
    files = chance.sample(shards(build, folders), chance.randint(1, 4))
    done = [damage(path, chance) for path in files]
    made_again(build)
    assert tree(build) == tree(calm), done


@pytest.mark.parametrize("stage", ["dialogues", "speech"])
def test_a_release_of_damaged_shards_is_refused(calm: Path, tmp_path: Path, stage: str) -> None:
    chance = random.Random(stage)
    for suffix in (".jsonl", ".parquet") if stage == "speech" else (".jsonl",):
        build = tmp_path / suffix
        shutil.copytree(calm, build)
        path = chance.choice([p for p in shards(build, [stage]) if p.suffix == suffix])
        damage(path, chance)
        line = one_line("release", build, "--version", "1.0.1")
        assert f"{path}: damaged" in line
        assert tree(build / "release") == tree(calm / "release")


@pytest.mark.parametrize("days", [-4000, 4000])
def test_a_clock_that_jumps_changes_nothing(calm: Path, tmp_path: Path, days: int) -> None:
    if not Path(FAKETIME).is_file():
        pytest.skip("needs libfaketime")
    build = tmp_path / "build"
    environment = os.environ | {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{days:+}d"}
    for index, step in enumerate(steps(build)):
        # the clock jumps there and back between the stages
        subprocess.run(command(*step), env=environment if index != 1 else None, check=True)
    assert tree(build) == tree(calm)
    changed = {path: path.stat().st_mtime_ns for path in build.rglob("*.parquet")}
    made_again(build)
    inside = [path for path in changed if "release" not in path.parts]
    assert all(path.stat().st_mtime_ns == changed[path] for path in inside), "nothing to do"


def test_times_of_change_mean_nothing(calm: Path, tmp_path: Path) -> None:
    chance = random.Random(0)
    build = tmp_path / "build"
    shutil.copytree(calm, build)
    for path in build.rglob("*"):
        moment = chance.uniform(0, 2 * time.time())
        os.utime(path, (moment, moment))
    made_again(build)
    assert tree(build) == tree(calm)


def test_two_writers(calm: Path, tmp_path: Path) -> None:
    """Started together again and again: one works, the other says so, and both end well."""
    build = tmp_path / "build"
    refused = 0
    for step in steps(build):
        for _ in range(3):
            writers = [
                subprocess.Popen(command(*step), stderr=subprocess.PIPE, text=True)
                for _ in range(3)
            ]
            codes = []
            for writer in writers:
                said = writer.communicate()[1].strip()
                codes.append(writer.returncode)
                if writer.returncode:
                    refused += 1
                    assert "another command" in said
                    assert len(said.splitlines()) == 1, said
            assert 0 in codes
    assert refused
    assert tree(build) == tree(calm)
