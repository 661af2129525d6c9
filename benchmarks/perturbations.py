"""Perturbations in × real time, on one core, measuring included.

    python benchmarks/perturbations.py [FOLDER of audio files] [--repeats 5]

Without a folder: two minutes of the embedded engine's speech. Rooms are simulated beforehand and
timed apart: each of the 32 is simulated once a process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from results import result

from askqa_builder import audio
from askqa_builder.perturb import parse
from askqa_builder.perturb.room import room_response
from askqa_builder.schema import Speaker
from askqa_builder.voices.espeak import EspeakVoices

SPECS = (
    "rate=0.8 rate=1.25 pitch=-3 pitch=+3 noise=10 noise=10:pink reverb=0.6 telephone "
    "telephone=mu-law"
).split()
RATE = audio.SAMPLE_RATE_HZ
TEXT = "The old stone bridge over the river was finished in the spring of that year, and stands."


def recordings(folder: Path | None) -> list[audio.Samples]:
    if folder is not None:
        decoded = [audio.decode(path.read_bytes()) for path in sorted(folder.rglob("*.flac"))]
    else:
        engine = EspeakVoices()
        speakers = [Speaker(id=voice.id, engine="espeak") for voice in engine.voices()[:24]]
        speeches = [engine.speak(TEXT, speaker) for speaker in speakers]
        decoded = [(speech.samples, speech.sample_rate_hz) for speech in speeches]
    resampled = [audio.resample(samples, rate, RATE) for samples, rate in decoded]
    return [audio.normalise_loudness(samples, RATE) for samples in resampled]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    clips = recordings(options.folder)
    seconds = sum(len(clip) for clip in clips) / RATE
    print(f"{len(clips)} clips, {seconds:.0f} s of speech; CPU time, median of {options.repeats}")
    start = time.process_time()
    for number in range(32):
        room_response(0.6, number, RATE)
    print(f"simulating a room (RT60 0.6 s): {(time.process_time() - start) / 32:.2f} s")
    for spec in SPECS:
        perturbation, times = parse(spec), []
        for _ in range(options.repeats):
            start = time.process_time()
            for number, clip in enumerate(clips):
                perturbation.apply(clip, RATE, str(number))
            times.append(time.process_time() - start)
        rate = seconds / statistics.median(times)
        print(f"{spec:18} {rate:6.0f} × real time")
        result(f"perturbation {spec}, one core", rate, "× real time")


if __name__ == "__main__":
    main()
