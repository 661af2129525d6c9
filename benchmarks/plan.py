"""What a million dialogues take: rates measured here, hours and bytes worked out from them.

    python benchmarks/plan.py [--source squad:FILE] [--dialogues 1000000] [--count 200]

Makes a small build on one core and reads the processor's clock, not the wall's: so it may run
beside other work. The table of docs/scale.md is what it prints. How fast Coqui's VITS is on a
core it takes from docs/benchmarks.json. For a language model it counts the characters of every
request that one dialogue takes (four of them to a token), with a model by script that never has
to be asked twice.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from results import result

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from openai_server import OpenAIServer
from scripted_models import good_model, good_reply, write_stories

VITS_ON_A_GPU = 67.12
"""× real time, one sentence at a time on a V100: Kim, Kong, Son (2021), VITS, table 3."""
ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "docs" / "benchmarks.json"
PRICES, WRITER = ROOT / "askqa_builder" / "llm" / "prices.toml", "gpt-4.1-mini"
CORE_HOUR_USD, GPU_HOUR_USD, GB_MONTH_USD = 0.04, 2.5, 0.023
"""List prices of the size that clouds ask in 2026; put in your own."""


def askqa(*arguments: str | Path) -> float:
    """Run a command; returns seconds of processor time, of its children as well."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "askqa_builder", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def size(*folders: Path) -> int:
    return sum(p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file())


def vits_on_a_core(path: Path = BENCHMARKS) -> float:
    """× real time of Coqui's VITS with one thread, all of the stage's work included: of
    `benchmarks/run.py coqui`. Ends the script where that has not been measured."""
    results = json.loads(path.read_text()) if path.is_file() else {}
    for row in results.get("coqui", {}).get("rows", []):
        if row["what"].endswith("1 thread: clips"):
            return float(row["value"])
    raise SystemExit(
        f"{path}: no row of Coqui's VITS with 1 thread; run python benchmarks/run.py coqui"
    )


def requests_of_one_dialogue(folder: Path, count: int = 24) -> tuple[float, float, float]:
    """Requests, tokens in and tokens out of an accepted dialogue, with two solvers."""
    source = write_stories(folder / "stories.json", count)
    with OpenAIServer(good_model) as server:
        askqa(
            *("generate", "--writer", "llm", "--model", "m", "--count", str(count), "-q"),
            *("--source", source, "--base-url", server.base_url, "--out", folder / "llm"),
        )
        read = sum(len(m["content"]) for body in server.bodies for m in body["messages"])
        told = sum(len(json.dumps(good_reply(call))) for call in server.calls)
        calls = len(server.calls)
    return calls / count, read / 4 / count, told / 4 / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="sample")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--dialogues", type=int, default=1_000_000)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    on_a_core = vits_on_a_core()  # before the work: it may be missing
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build"
        start_s = askqa("check", "--help")
        common = ("-q", "-j", "1")
        spent = {
            "generate": askqa(
                *("generate", "--source", given.source, "--count", str(given.count)),
                *("--shard-size", "500", "--out", build, *common),
            ),
            "synthesize": askqa("synthesize", build, *common),
            "release": askqa("release", build, "--version", "1.0.0", *common),
        }
        counts = json.loads((build / "speech/manifest.json").read_text())["counts"]
        made = counts["accepted"]
        stored = {
            "build": size(build / "dialogues", build / "speech", build / "parts"),
            "release": size(build / "release"),
        }
        print(f"{made} dialogues")
        speech_s = counts["milliseconds"] / 1000 / made
        cpu_s = {name: (seconds - start_s) / made for name, seconds in spent.items()}
        asked, tokens_in, tokens_out = requests_of_one_dialogue(Path(folder))
    for name, seconds in cpu_s.items():
        result(f"{name}, one core", 1000 * seconds, "ms/dialogue")
    result("speech of a dialogue, narrations counted once", speech_s, "s")
    for name, count in stored.items():
        result(f"disk: {name}", count / made / 1000, "kB/dialogue")
    result("language-model writer, requests", asked, "per dialogue")
    million = given.dialogues
    spoken_hours = speech_s * million / 3600
    titles = {
        "generate": "generate, offline writers",
        "synthesize": "synthesize, espeak",
        "release": "release",
    }
    rows = [
        (titles[name], f"{1000 * seconds:.0f} ms", seconds * million / 3600)
        for name, seconds in cpu_s.items()
    ]
    every_s = sum(cpu_s.values())
    rows += [
        ("**all**", f"{1000 * every_s:.0f} ms", every_s * million / 3600),
        (
            "VITS instead of espeak, on cores",
            f"{on_a_core:.2f} × real time",
            spoken_hours / on_a_core,
        ),
    ]
    print(f"\n{million:,} dialogues:\n")
    print("| stage | measured | 2 cores | 64 cores | core hours | dollars |")
    print("|---|---|---|---|---|---|")
    for name, measured, hours in rows:
        print(
            f"| {name} | {measured} | {hours / 2:,.1f} h | {hours / 64:,.2f} h | {hours:,.1f} "
            f"| {hours * CORE_HOUR_USD:,.2f} |"
        )
    gpu_hours = spoken_hours / VITS_ON_A_GPU
    print(
        f"| VITS instead of espeak, on 8 GPUs | not measured | | {gpu_hours / 8:,.1f} h "
        f"| {gpu_hours:,.0f} GPU hours | {gpu_hours * GPU_HOUR_USD:,.0f} |"
    )
    price = tomllib.loads(PRICES.read_text())["api.openai.com"][WRITER]
    paid = (tokens_in * price["input"] + tokens_out * price["output"]) * million / 1e6
    print(
        f"| language-model writer | {asked:.0f} requests, {tokens_in:,.0f} tokens in, "
        f"{tokens_out:,.0f} out | | | | {paid:,.0f} |"
    )
    print(f"\nspeech: {spoken_hours:,.0f} hours, {speech_s:.1f} s a dialogue")
    for name, count in stored.items():
        gigabytes = count / made * million / 1e9
        print(f"disk: {name} {gigabytes:,.0f} GB, {gigabytes * GB_MONTH_USD:,.0f} dollars a month")


if __name__ == "__main__":
    main()
