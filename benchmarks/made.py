"""A small data set to measure on, made by the commands that a user gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def make(source: str, build: Path) -> Path:
    """Generate, speak and release; returns the release's folder."""
    for command in (
        ("generate", "--source", source, "--out", build),
        ("synthesize", build),
        ("release", build, "--version", "1.0.0"),
    ):
        words = [sys.executable, "-m", "askqa_builder", *map(str, command), "--quiet"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return build / "release"
