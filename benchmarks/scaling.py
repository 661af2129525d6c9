"""Does synthesis scale? One process, two processes, and a Ray cluster of two nodes.

    python benchmarks/scaling.py [--shards 6] [--dialogues 500] [--repeats 1] [--without-ray]

Times `askqa-build synthesize` from start to end on shards of 500 dialogues of the closed world.
The cluster (package `ray`; on the loopback, a core a node) runs before the clock starts, as one
would in use; connecting to it and starting its workers is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from results import result

sys.path.append(str(Path(__file__).parent.parent / "tests"))
import ray_cluster


def askqa(*arguments: str | Path, environment: dict[str, str] | None = None) -> float:
    """Run a command; returns seconds of wall time."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "askqa_builder", *map(str, arguments)]
    subprocess.run(command, check=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=6)
    parser.add_argument("--dialogues", type=int, default=500, help="in a shard")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--without-ray", action="store_true")
    given = parser.parse_args()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        build = Path(folder) / "build"
        per_shard = given.dialogues // 2
        source = f"world:{given.shards * per_shard},dialogues=2"
        askqa("generate", "--source", source, "--shard-size", str(per_shard), "--out", build, "-q")
        ways: dict[str, tuple[tuple[str, ...], dict[str, str] | None]] = {
            "1 process": (("-j", "1"), None),
            "2 processes": (("-j", "2"), None),
        }
        if not given.without_ray and find_spec("ray") is not None:
            nodes = stack.enter_context(ray_cluster.two_nodes())
            ways["Ray"] = (("--engine", "ray"), nodes.environment)
        for _ in range(given.repeats):
            for name, (options, environment) in ways.items():
                shutil.rmtree(build / "speech", ignore_errors=True)
                wall = askqa(
                    "synthesize", build, "-q", *options, environment=environment or os.environ
                )
                times.setdefault(name, []).append(wall)
                print(f"{name:12} {wall:6.1f} s", flush=True)
        counts = json.loads((build / "speech/manifest.json").read_text())["counts"]
        size = sum(p.stat().st_size for p in (build / "speech").iterdir())
    hours = counts["milliseconds"] / 3_600_000
    print(f"{counts['accepted']:,} dialogues, {counts['clips']:,} clips, {hours:.1f} h, {size:,} B")
    best = {name: min(values) for name, values in times.items()}
    one, two = best["1 process"], best["2 processes"]
    result("synthesis, 1 process", counts["accepted"] / one, "dialogues/s")
    result("synthesis, 2 processes against 1", one / two, "×", at_least=1.8)
    result("speech on disk", size / counts["accepted"] / 1000, "kB/dialogue")
    result("speech", counts["milliseconds"] / 1000 / counts["accepted"], "s/dialogue")
    if "Ray" in best:
        result(
            f"Ray against 2 processes, shards of {given.dialogues}",
            100 * (best["Ray"] / two - 1),
            "% more time",
            at_most=10,
        )
    print({name: round(statistics.median(values), 1) for name, values in times.items()})


if __name__ == "__main__":
    main()
