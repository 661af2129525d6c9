"""A disk that fills up or cannot be written to: one line, and nothing that was made is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import askqa, one_line, tree

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


def test_a_read_only_disk_is_one_line(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "read-only" in one_line(*GENERATE, small_disk / "build")


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file, not a folder" in one_line(*GENERATE, tmp_path / "file" / "build")
    assert "a file" in one_line(*GENERATE, tmp_path / "file")
