"""A disk that fills up or cannot be written to: one line, and nothing that was made is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import askqa, one_line, tree

from askqa_builder.errors import StorageError
from askqa_builder.journal import Journal
from askqa_builder.schema import Clip, Reject
from askqa_builder.spool import Spool

GENERATE = ("generate", "--source", "sample", "--count", "16", "--shard-size", "1", "--out")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_keeps_what_was_made_and_space_mends_it(
    small_disk: Path, tmp_path: Path
) -> None:
    build, elsewhere = small_disk / "build", tmp_path / "elsewhere"
    askqa(*GENERATE, elsewhere)
    askqa("synthesize", elsewhere, "--workers", "1")
    askqa(*GENERATE, build)
    assert "disk is full" in one_line("synthesize", build, "--workers", "1")
    made = tree(build / "speech")
    assert any(name.endswith(".parquet") for name in made), "the first shards fit"
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    askqa("synthesize", build, "--workers", "1")
    assert made.items() <= tree(build / "speech").items(), "and they were not made again"
    assert tree(build) == tree(elsewhere)


def test_a_full_disk_is_one_line_of_files_to_work_with(small_disk: Path) -> None:
    """Also where what was refused is tried again when the file is closed."""
    reject = Reject(id="r", stage="generate", reason="too_long", raw={"text": "words " * 500})
    clip = Clip(key="k", text="a", spoken_text="a", duration_s=1.0)

    def spooled() -> None:
        with Spool(small_disk / ".spool.tmp") as spool:
            for number in range(10_000):
                spool.put(number, 0, 0, reject)

    def noted() -> None:
        with Journal(small_disk / "journal") as journal:
            for _ in range(100_000):
                journal.put(clip, b"sound" * 50)

    with pytest.raises(StorageError, match="make room and run again"):
        spooled()
    with pytest.raises(StorageError, match="the disk is full"):
        noted()


def test_a_read_only_disk_is_one_line(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "read-only" in one_line(*GENERATE, small_disk / "build")


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file, not a folder" in one_line(*GENERATE, tmp_path / "file" / "build")
    assert "a file" in one_line(*GENERATE, tmp_path / "file")
