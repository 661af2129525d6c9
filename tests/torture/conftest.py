"""What the torture tests share: a build made in peace, to be compared with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from cases import Case, all_cases
from pipeline import askqa

Disk = Callable[[str], Path]


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with a release, undisturbed."""
    build = tmp_path_factory.mktemp("calm") / "build"
    askqa("generate", "--source", "sample", "--shard-size", "4", "--count", "30", "--out", build)
    askqa("synthesize", build)
    askqa("release", build, "--version", "1.0.0")
    return build


@pytest.fixture(scope="module")
def cases(calm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Case]]:
    with all_cases(calm, tmp_path_factory.mktemp("cases")) as found:
        yield found


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mounts a file system of the size that is asked for, such as "5m"."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("mounting a small disk needs root")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change a mounted disk: "size=60m"."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
