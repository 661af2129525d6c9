"""Packaging: MB/s against a plain copy of the same bytes, peak memory by size, first streamed row.

    python benchmarks/release.py [--passages 500 2000 8000] [--workers 2]

For each size: dialogues of the closed world are spoken (not timed), released (timed from a cold
start of the command, peak memory of any one process), and the release folder is copied file by
file with fsync (timed). Then the first row of the default config is streamed from a fresh process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

FIRST_ROW = """
import sys, time
from datasets import load_dataset
rows = load_dataset(sys.argv[1], split="train", streaming=True)
start = time.perf_counter()
next(iter(rows.decode(False)))
print(time.perf_counter() - start)
"""


def askqa(*arguments: str | Path) -> tuple[float, float]:
    """Run a command; returns seconds of wall time and the peak MB of its largest process."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "askqa_builder", *map(str, arguments)])
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        parent = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                family = [parent, *parent.children(recursive=True)]
                peak = max(peak, *(p.memory_info().rss / 2**20 for p in family))
            except psutil.Error:
                pass  # it has just ended: the next look tells
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if process.wait() != 0:
        raise SystemExit(f"askqa-build {arguments[0]} failed")
    seconds = time.perf_counter() - start
    watcher.join()
    return seconds, peak


def copied(source: Path, target: Path) -> float:
    """Seconds that a plain copy of a folder takes, on disk as a release is."""
    start = time.perf_counter()
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            with copy.open("rb") as file:
                os.fsync(file.fileno())
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, nargs="+", default=[500, 2000, 8000])
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print("passages  released  release        copy     share   peak memory  first streamed row")
    for passages in options.passages:
        with tempfile.TemporaryDirectory() as folder:
            build = Path(folder) / "build"
            askqa("generate", "--source", f"world:{passages}", "--out", build, "-q")
            askqa("synthesize", build, "-q")
            wall, peak = askqa(
                *("release", build, "--version", "1.0.0", "-q", "--workers", str(options.workers))
            )
            release = build / "release"
            megabytes = sum(p.stat().st_size for p in release.rglob("*") if p.is_file()) / 2**20
            copy = copied(release, Path(folder) / "copy")
            rows = [
                float(subprocess.check_output([sys.executable, "-c", FIRST_ROW, str(release)]))
                for _ in range(3)
            ]
            print(
                f"{passages:8,} {megabytes:6,.0f} MB {megabytes / wall:5.0f} MB/s "
                f"{megabytes / copy:6.0f} MB/s {copy / wall:8.2f} {peak:10.0f} MB "
                f"{statistics.median(rows) * 1000:12.0f} ms"
            )


if __name__ == "__main__":
    main()
