"""Where the time of synthesis goes: processor time of each step of one process.

    python benchmarks/synthesis_steps.py [--utterances 400]

Utterances are questions, answers and narrated segments of the bundled passages, as many of each
role as a data set has, by speakers of the whole bank. Time is processor time, children included,
so that another busy process disturbs less (it still does, up to twofold); the steps are those of
`clips.make_clip`. Beside them: the engine with a forked process per utterance, and a spawned
espeak-ng binary if one is on PATH.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from askqa_builder import audio, spoken
from askqa_builder.clips import ClipWriter, make_clip
from askqa_builder.schema import Passage, Speaker
from askqa_builder.segment import segments
from askqa_builder.sources import open_source
from askqa_builder.voices import Speech
from askqa_builder.voices.espeak import EspeakVoices

T = TypeVar("T")


class Stopwatch:
    """Adds up processor time by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def __call__(self, step: str, work: Callable[[], T]) -> T:
        start = time.process_time()
        result = work()
        self.seconds[step] += time.process_time() - start
        return result


def jobs(engine: EspeakVoices, count: int) -> list[tuple[str, Speaker]]:
    """Texts and speakers, drawn like those of a data set: one narrated segment, four turns."""
    passages = [item for item in open_source("sample") if isinstance(item, Passage)]
    narration = [text for passage in passages for text in segments(passage.text, 320)]
    questions = [question for passage in passages for question in passage.questions]
    turns = [text for q in questions for text in (q.text, q.answers[0].text)]
    draw = random.Random(1)
    bank = engine.voices()
    result = []
    for index in range(count):
        voice = draw.choice(bank)
        speaker = Speaker(
            id=voice.id,
            engine="espeak",
            rate=round(draw.uniform(*voice.rate_range), 2),
            pitch=round(draw.uniform(*voice.pitch_range), 1),
        )
        result.append((draw.choice(turns if index % 5 else narration), speaker))
    return result


def measure_steps(engine: EspeakVoices, work: list[tuple[str, Speaker]]) -> float:
    """Time each step of every clip and print them; returns the seconds of audio made."""
    watch = Stopwatch()
    heard = 0.0

    def level_and_check(speech: Speech, text: str) -> audio.Samples:
        samples, _ = watch(
            "trim silence", lambda: audio.trim_silence(speech.samples, speech.sample_rate_hz)
        )
        fault = watch("look for faults", lambda: audio.fault(samples, speech.sample_rate_hz, text))
        assert fault is None, (fault, text)
        samples = watch(
            "resample", lambda: audio.resample(samples, speech.sample_rate_hz, audio.SAMPLE_RATE_HZ)
        )
        return watch("loudness", lambda: audio.normalise_loudness(samples, audio.SAMPLE_RATE_HZ))

    for text, speaker in work:
        said = watch("spoken form", lambda text=text: spoken.spoken_form(text))
        speech = watch("speak", lambda said=said, who=speaker: engine.speak(said, who))
        samples = level_and_check(speech, said)
        watch("FLAC", lambda samples=samples: audio.encode_flac(samples))
        heard += audio.duration_s(samples, audio.SAMPLE_RATE_HZ)
    for step, seconds in watch.seconds.items():
        print(f"{step:24} {1000 * seconds / heard:6.3f} ms a second  {heard / seconds:8.0f} ×")
    total = sum(watch.seconds.values())
    print(
        f"{'sum of the steps':24} {1000 * total / heard:6.3f} ms a second  {heard / total:8.0f} ×"
    )
    return heard


def measure_whole(engine: EspeakVoices, work: list[tuple[str, Speaker]], heard: float) -> None:
    """Time clips and their parquet file as synthesis makes them."""
    start = time.process_time()
    with (
        TemporaryDirectory() as folder,
        (Path(folder) / "clips.parquet").open("wb") as file,
        ClipWriter(file) as writer,
    ):
        for text, speaker in work:
            writer.put(*make_clip(engine, text, speaker))
    seconds = time.process_time() - start
    name = "make_clip and parquet"
    print(f"{name:24} {1000 * seconds / heard:6.3f} ms a second  {heard / seconds:8.0f} ×")


def measure_engine(name: str, speak: Callable[[str], float], texts: list[str]) -> None:
    """Time an engine that may work in child processes."""
    before = os.times()
    heard = sum(map(speak, texts))
    after = os.times()
    seconds = sum(after[:4]) - sum(before[:4])  # user and system, own and children's
    print(f"{name:24} {1000 * seconds / heard:6.3f} ms a second  {heard / seconds:8.0f} ×")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--utterances", type=int, default=400)
    options = parser.parse_args()
    engine = EspeakVoices()
    work = jobs(engine, options.utterances)
    for text, speaker in work[:20]:  # caches and imports
        make_clip(engine, text, speaker)
    heard = measure_steps(engine, work)
    print(f"({len(work)} utterances, {heard:.0f} s of audio)")
    measure_whole(engine, work, heard)

    texts = [spoken.spoken_form(text) for text, _ in work]
    who = Speaker(id="en-us+f2", engine="espeak", rate=0.85)
    forking = EspeakVoices(fork=True)
    for name, voices in (("speak, in process", engine), ("speak, forked", forking)):

        def say(text: str, voices: EspeakVoices = voices) -> float:
            speech = voices.speak(text, who)
            return audio.duration_s(speech.samples, speech.sample_rate_hz)

        measure_engine(name, say, texts)
    if not shutil.which("espeak-ng"):
        print("speak, espeak-ng binary: skipped, there is none on PATH")
        return

    def spawn(text: str) -> float:
        command = ["espeak-ng", "-v", "en-us+f2", "-s", "149", "--stdin", "--stdout"]
        wav = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
        return audio.duration_s(*audio.decode(wav))

    measure_engine("speak, espeak-ng binary", spawn, texts)


if __name__ == "__main__":
    main()
