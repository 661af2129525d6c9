"""Synthesis end to end, in × real time: speak, level, resample, FLAC, parquet.

    python benchmarks/synthesis.py [--source sample] [--repeats 3]

Times `askqa-build synthesize` with one and with two worker processes on the same dialogues, and
beside it, in the same run, what a user would write instead: an espeak-ng process per utterance
(the binary must be on PATH), resampled and encoded by the same functions, in two processes.
Seconds are those of distinct audio: a narration counts once.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from results import result

from askqa_builder import audio
from askqa_builder.files import read_records
from askqa_builder.schema import Clip, SpokenDialogue


def askqa(*arguments: str | Path) -> float:
    """Run a command; returns seconds of wall time, start of the interpreter included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "askqa_builder", *map(str, arguments)], check=True)
    return time.perf_counter() - start


def spawned(text: str) -> float:
    """One utterance by a process of its own; returns seconds of audio."""
    wav = subprocess.run(
        ["espeak-ng", "-v", "en-us", "--stdout", text], capture_output=True, check=True
    ).stdout
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    level = audio.normalise_loudness(audio.resample(samples, rate, 16_000), 16_000)
    audio.encode_flac(level)
    return len(level) / 16_000


def clips_of(build: Path) -> list[Clip]:
    clips: dict[str, Clip] = {}
    for path in sorted((build / "speech").glob("*.jsonl")):
        for spoken in read_records(path, SpokenDialogue):
            for clip in (*spoken.narration, *(turn.clip for turn in spoken.turns)):
                clips[clip.key] = clip
    return list(clips.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="sample")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build"
        askqa("generate", "--source", options.source, "--shard-size", "10", "--out", build, "-q")
        for _ in range(options.repeats):
            for workers in (1, 2):
                shutil.rmtree(build / "speech", ignore_errors=True)
                wall = askqa("synthesize", build, "--workers", str(workers), "-q")
                counts = json.loads((build / "speech/manifest.json").read_text())["counts"]
                seconds = counts["milliseconds"] / 1000
                rates.setdefault(f"askqa-build, {workers} processes", []).append(seconds / wall)
        print(f"{counts['clips']:,} clips, {seconds / 3600:.2f} hours of audio")
        if shutil.which("espeak-ng"):
            texts = [clip.spoken_text for clip in clips_of(build)]
            for _ in range(options.repeats):
                start = time.perf_counter()
                with ProcessPoolExecutor(2) as pool:
                    seconds = sum(pool.map(spawned, texts, chunksize=32))
                wall = time.perf_counter() - start
                rates.setdefault("a process an utterance, 2 at a time", []).append(seconds / wall)
    ours = statistics.median(rates["askqa-build, 2 processes"])
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:40} {median:8.0f} × real time   ours is {ours / median:.2f} ×")
    peer = next((name for name in rates if name.startswith("a process")), None)
    result(
        "speech synthesised, FLAC and parquet, 2 processes",
        ours,
        "× real time",
        peer=peer,
        peer_value=statistics.median(rates[peer]) if peer else None,
    )


if __name__ == "__main__":
    main()
