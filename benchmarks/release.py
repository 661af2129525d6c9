"""Packaging: MB/s against a plain copy of the same bytes, peak memory by size, first streamed row.

    python benchmarks/release.py [--passages 400 1300 4300] [--workers 2]
    python benchmarks/release.py --builds FOLDER …      # measure builds that are there

For each size: dialogues of the closed world are spoken (not timed), released (timed from a cold
start of the command, peak memory of any one process), and the release folder is copied file by
file with fsync (timed). Then the first row of the default config is streamed from a fresh process.
The speech of 4,300 passages is 2 GB; it takes minutes to make. --builds makes release/ and parts/
of its folders again.
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
from results import result

FIRST_ROW = """
import os, sys, time
from datasets import load_dataset
rows = load_dataset(sys.argv[1], split="train", streaming=True)
start = time.perf_counter()
next(iter(rows.decode(False)))
print(time.perf_counter() - start, flush=True)
os._exit(0)  # threads that read ahead would abort an orderly end
"""


def askqa(*arguments: str | Path) -> tuple[float, float, float]:
    """Run a command; returns seconds of wall time and of CPU, and the peak MB of its largest
    process."""
    start, before = time.perf_counter(), os.times()
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
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])  # of children, and theirs
    return seconds, cpu, peak


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


def measured(build: Path, workers: int) -> tuple[float, float]:
    """Release a build, tell how fast it went; returns GB of its speech and peak MB of memory."""
    for made in ("parts", "release"):
        shutil.rmtree(build / made, ignore_errors=True)
    wall, cpu, peak = askqa(
        *("release", build, "--version", "1.0.0", "-q", "--workers", str(workers))
    )
    release = build / "release"
    megabytes = size_mb(release)
    with tempfile.TemporaryDirectory(dir=build.parent) as target:
        copy = copied(release, Path(target))
    rows = [
        float(subprocess.check_output([sys.executable, "-c", FIRST_ROW, str(release)]))
        for _ in range(3)
    ]
    print(
        f"{size_mb(build / 'speech'):6,.0f} MB {megabytes:6,.0f} MB {megabytes / wall:5.0f} MB/s "
        f"{cpu:6.0f} s {megabytes / copy:6.0f} MB/s {copy / wall:8.2f} {peak:10.0f} MB "
        f"{statistics.median(rows) * 1000:12.0f} ms",
        flush=True,
    )
    result(
        f"release of {megabytes:,.0f} MB, {workers} processes",
        megabytes / wall,
        "MB/s",
        peer="plain copy",
        peer_value=megabytes / copy,
    )
    return size_mb(build / "speech") / 1024, peak


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, nargs="+", default=[400, 1300, 4300])
    parser.add_argument("--builds", type=Path, nargs="+")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print("   speech  released  release      CPU       copy     share   peak memory  first row")
    found = []
    for build in options.builds or ():
        found.append(measured(build, options.workers))
    for passages in () if options.builds else options.passages:
        with tempfile.TemporaryDirectory() as folder:
            build = Path(folder) / "build"
            askqa("generate", "--source", f"world:{passages}", "--out", build, "-q")
            askqa("synthesize", build, "-q")
            found.append(measured(build, options.workers))
    if len(found) > 1:
        slope = statistics.linear_regression(*zip(*found, strict=True)).slope
        print(f"peak memory grows by {slope:.0f} MB with each GB of speech")


if __name__ == "__main__":
    main()
