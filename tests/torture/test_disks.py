"""Disks that fill up or turn read-only at random points: one line, and nothing is lost."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest
from cases import NAMES, Case, begun
from conftest import Disk, remount
from pipeline import askqa, command, one_line, tree

pytestmark = pytest.mark.timeout(1800)

GENERATE = ("generate", "--source", "sample", "--shard-size", "4", "--count", "30", "--out")
RELEASE = ("--version", "1.0.0")


def steps(build: Path) -> list[tuple[str | Path, ...]]:
    return [(*GENERATE, build), ("synthesize", build), ("release", build, *RELEASE)]


def used(folder: Path) -> int:
    """Bytes; a release's files are links to its parts."""
    files = {
        path.stat().st_ino: path.stat().st_size for path in folder.rglob("*") if path.is_file()
    }
    return sum(files.values())


def test_a_disk_that_is_full_at_random_points(calm: Path, disk: Disk) -> None:
    """It begins too small and grows by random steps, until all fits."""
    chance = random.Random(0)
    room = 0.05
    folder = disk(f"{int(room * used(calm))}")
    build, full = folder / "build", 0
    todo = steps(build)
    while todo:
        done = subprocess.run(command(*todo[0]), capture_output=True, text=True)
        if done.returncode == 0:
            todo.pop(0)
            continue
        line = done.stderr.strip().splitlines()
        assert len(line) == 1, done.stderr
        assert "disk is full" in line[0] or "make room" in line[0], line
        full += 1
        room += chance.uniform(0.03, 0.15)
        remount(folder, f"size={int(room * used(calm))}")
    assert full >= 4
    assert tree(build) == tree(calm)


@pytest.mark.parametrize("name", NAMES[3:])
def test_a_disk_that_is_full_at_random_points_of(
    name: str, cases: dict[str, Case], disk: Disk, tmp_path: Path
) -> None:
    """What asks others, evaluates or trains; trained weights and paid replies are not lost."""
    case, chance = cases[name], random.Random(name)
    undisturbed = begun(case, tmp_path / "undisturbed")
    before = used(undisturbed) if case.before else 0
    askqa(*case.command(undisturbed))
    room = 0.05 * (used(undisturbed) - before)
    folder = disk(f"{2 * before + 65536}")  # of small files, each takes a page
    build, full = begun(case, folder / "build"), 0
    taken = used(folder)
    while True:
        remount(folder, f"size={int(2 * taken + room)}")
        done = subprocess.run(command(*case.command(build)), capture_output=True, text=True)
        if done.returncode == 0:
            break
        line = done.stderr.strip().splitlines()
        assert "Traceback" not in done.stderr
        assert "disk" in line[-1], line
        full += 1
        room *= chance.uniform(1.2, 2.0)
    assert full >= 3
    assert case.outcome(build) == case.outcome(undisturbed)


@pytest.mark.parametrize("step", range(3))
def test_a_disk_that_turns_read_only_under_a_command(
    calm: Path, disk: Disk, tmp_path: Path, step: int
) -> None:
    chance = random.Random(step)
    before = tmp_path / "before"
    for done in steps(before)[:step]:
        askqa(*done)

    def fresh(folder: Path) -> Path:
        if before.exists():
            subprocess.run(["cp", "-r", before, folder], check=True)
        return folder

    undisturbed = fresh(tmp_path / "undisturbed")
    start = time.perf_counter()
    askqa(*steps(undisturbed)[step])
    seconds = time.perf_counter() - start
    hits = 0
    for _ in range(3):
        folder = disk("100m")
        build = fresh(folder / "build")
        todo = steps(build)[step:]
        process = subprocess.Popen(
            command(*todo[0]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        time.sleep(chance.uniform(0.3, 0.9) * seconds)
        # the disk itself refuses while a file is open for writing, as a build's lock always is:
        # so a read-only view is laid over it, which whoever opens or renames a file meets
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        frozen = ["mount", "-o", "remount,bind,ro", str(folder)]
        while subprocess.run(frozen, capture_output=True).returncode != 0:
            assert process.poll() is None, "nobody writes, and still it is refused"
        said = process.communicate()[1].strip()
        subprocess.run(["umount", "-l", folder], check=True)
        if process.returncode == 0:
            continue  # it had written everything: not hit
        hits += 1
        assert process.returncode == 1, said
        assert len(said.splitlines()) == 1, said
        assert "read-only" in said
        for again in todo:
            askqa(*again)
        assert tree(build) == tree(calm)
    assert hits >= 1


@pytest.mark.parametrize("part", ["", "passages", "dialogues", "speech", "release"])
def test_a_folder_that_may_not_be_written_to(calm: Path, tmp_path: Path, part: str) -> None:
    """Mounted read-only: permissions alone do not stop root."""
    build = tmp_path / "build"
    subprocess.run(["cp", "-r", calm, build], check=True)
    frozen = build / part
    if subprocess.run(["mount", "--bind", frozen, frozen], capture_output=True).returncode != 0:
        pytest.skip("mounting needs root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", frozen], check=True)
        changed = {
            "passages": (*GENERATE[:-3], "--shard-size", "5", "--out", build),
            "dialogues": (*GENERATE[:-1], "--seed", "1", "--out", build),
            "speech": ("synthesize", build, "--seed", "1"),
            "release": ("release", build, "--version", "1.0.1"),
            "": ("synthesize", build, "--seed", "1"),
        }[part]
        line = one_line(*changed)
        assert "read-only" in line or "busy" in line, line
    finally:
        subprocess.run(["umount", frozen], check=True)
    if part == "speech":  # options are remembered before the work: back to those of the calm build
        askqa("synthesize", build, "--seed", "0")
    for step in steps(build):
        askqa(*step)
    assert tree(build) == tree(calm)
