"""Runs the benchmarks and writes docs/benchmarks.md: one table, with peers, machine and date.

    python benchmarks/run.py                   all of them (make bench)
    python benchmarks/run.py scaling overhead  these; the others' last results stay
    python benchmarks/run.py --table           only the table, from docs/benchmarks.json

A benchmark is a script of its own that tells its figures with `results.result`. One that fails
keeps its last results, and the exit code is 1; so it is when a figure is not what is claimed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from results import MARK

GPU = "_gpu"
HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
SQUAD = HERE.parent.parent / "shared" / "data" / "squad" / "squad-44-articles.json"

BENCHMARKS: dict[str, list[str]] = {
    "contrast_speed": [str(SQUAD)],
    "world_speed": [],
    "llm_throughput": ["--peers"],
    "llm_generate": ["--dialogues", "4000"],
    "synthesis": [],
    "coqui": [],
    "scaling": ["--repeats", "2"],
    "overhead": [],
    "perturbations": [],
    "release": [],
    "evaluation_scoring": [],
    "evaluation_overhead": [],
    "training": [],
    "training_gpu": "--base qwen2-audio --lora 16 --batch-size 8 --workers 4 --steps 15 "
    "--repeats 2 --peak-tflops 989".split(),
}
"""Script and its arguments, in the order of the table; `X_gpu` is script X, where a GPU is."""

HEAD = """# Benchmarks

Measured by `make bench` (scripts and their conditions: `benchmarks/`); this page is written by
`benchmarks/run.py` from `benchmarks.json`. A peer is what one would use instead, measured in the
same run. A claim is what the script checks: its run fails where the figure is not so.

| what | figure | peer | ours against it | claim | holds |
|---|---|---|---|---|---|
"""


def gpu_name() -> str | None:
    """The first GPU's name; None where there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    return names[0] if names else None


def machine() -> str:
    """GPU, processor, cores, memory, system and interpreter."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = f"{name}, " if (name := gpu_name()) else ""
    processor = (models or [platform.processor() or platform.machine()])[0]
    return (
        f"{gpu}{processor}, {os.cpu_count()} cores, "
        f"{gigabytes:.0f} GB, {platform.system()}, Python {platform.python_version()}"
    )


def run(name: str) -> list[dict[str, Any]] | None:
    """The figures of a benchmark, which prints as it goes; None if it failed."""
    script = HERE / f"{name.removesuffix(GPU)}.py"
    command = [sys.executable, str(script), *BENCHMARKS[name]]
    print(f"== {name}", flush=True)
    rows: list[dict[str, Any]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(MARK):
                rows.append(json.loads(line.removeprefix(MARK)))
            else:
                print(line, end="", flush=True)
    return rows if process.returncode == 0 else None


def holds(row: dict[str, Any]) -> bool | None:
    """Whether a figure is what is claimed of it; None if nothing is."""
    least, most = row.get("at_least"), row.get("at_most")
    if least is None and most is None:
        return None
    return (least is None or row["value"] >= least) and (most is None or row["value"] <= most)


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(results: dict[str, Any]) -> str:
    """The page; what was measured on which machine and day stands below."""
    lines, made = [], []
    for name in BENCHMARKS:
        if name not in results:
            continue
        entry = results[name]
        note = f"; {entry['note']}" if "note" in entry else ""  # written by hand
        made.append(f"- `{name}`: {entry['date']}, {entry['machine']}{note}")
        for row in entry["rows"]:
            peer = row.get("peer_value")
            against = f"{row['value'] / peer:.2f} ×" if peer else ""
            beside = f"{row['peer']}: {number(peer)} {row['unit']}" if peer is not None else ""
            claims = [f"≥ {row['at_least']:g}"] if "at_least" in row else []
            claims += [f"≤ {row['at_most']:g}"] if "at_most" in row else []
            mark = {True: "yes", False: "**no**", None: ""}[holds(row)]
            lines.append(
                f"| {row['what']} | {number(row['value'])} {row['unit']} | {beside} | {against} "
                f"| {', '.join(claims)} | {mark} |"
            )
    return HEAD + "\n".join(lines) + "\n\nWhen and where:\n\n" + "\n".join(made) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    path = DOCS / "benchmarks.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    failed = []
    here = [name for name in BENCHMARKS if gpu_name() or not name.endswith(GPU)]
    for name in [] if given.table else given.names or here:
        rows = run(name)
        if rows is None:
            failed.append(name)
            continue
        failed += [f"{name}: {row['what']}" for row in rows if holds(row) is False]
        results[name] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "rows": rows}
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        (DOCS / "benchmarks.md").write_text(table(results))
    if given.table:
        (DOCS / "benchmarks.md").write_text(table(results))
    if failed:
        raise SystemExit(f"not as it should be: {', '.join(failed)}")


if __name__ == "__main__":
    main()
