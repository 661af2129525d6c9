"""Coqui VITS of full size at random weights, in × real time: alone, in our engine, in batches.

    python benchmarks/coqui.py [--lines 4] [--repeats 3] [--batches 4] [--threads 1,2]

What random weights say is noise, but it takes as long as speech does: the work follows from the
frames, and × real time counts those. Three ways, in turn, on the same lines:

    Coqui   `model.synthesize` of Coqui's own package, sentence by sentence (its own `TTS.tts()`
            does the same and appends silence)
    engine  `CoquiVoices.speak_many`: one by one, and in batches
    clips   the engine and all that the stage does around it: spoken form, level, resampling,
            checks, word times, FLAC, journal

Durations are random, so two ways never say the same sound, and their difference tells little.
Overhead is therefore taken within `clips`: processor time outside the engine's calls beside that
inside them. With a GPU everything is measured on it as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.resources import files
from pathlib import Path

from results import result

from askqa_builder.clips import ClipFault, finish_clip, read_script
from askqa_builder.config import CoquiSettings
from askqa_builder.errors import RefusedTextError
from askqa_builder.journal import Journal
from askqa_builder.schema import Speaker
from askqa_builder.segment import segments, sentences
from askqa_builder.voices import Line, coqui_cpu
from askqa_builder.voices.coqui import CoquiVoices

SPEAKERS = [f"p{number}" for number in range(225, 334)]
"""109, as in VCTK."""


def build(folder: Path) -> Path:
    """A VITS as Coqui trains it on VCTK, but for the training."""
    import torch
    from TTS.tts.configs.vits_config import VitsConfig
    from TTS.tts.models.vits import Vits, VitsArgs

    names = folder / "speaker_ids.json"
    names.write_text(json.dumps({name: number for number, name in enumerate(SPEAKERS)}))
    arguments = VitsArgs(use_speaker_embedding=True, speakers_file=str(names))
    config = VitsConfig(
        model_args=arguments,
        use_speaker_embedding=True,
        speakers_file=str(names),
        use_phonemes=True,
        phonemizer="espeak",
        phoneme_language="en-us",
        text_cleaner="english_cleaners",
        compute_input_seq_cache=False,
    )
    torch.manual_seed(0)
    model = Vits(config)
    count = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("disc"))
    print(f"VITS: {count / 1e6:.1f} million parameters without the discriminator")
    torch.save({"model": model.state_dict()}, folder / "model_file.pth")
    config.save_json(str(folder / "config.json"))
    return folder


def texts(count: int) -> list[str]:
    """Questions, and what is narrated in a breath or two, of the bundled passages, in turn."""
    data = json.loads(files("askqa_builder").joinpath("data/sample.json").read_text())["data"]
    found: list[str] = []
    for article in data:
        paragraph = article["paragraphs"][0]
        found += [paragraph["qas"][0]["question"], segments(paragraph["context"], 120)[0]]
    return found[:count]


def timed(work: Callable[[], float]) -> tuple[float, float, float]:
    """Seconds of sound, of the wall clock, and of this process's processor."""
    wall, processor = time.perf_counter(), time.process_time()
    heard_s = work()
    return heard_s, time.perf_counter() - wall, time.process_time() - processor


def coquis_own(engine: CoquiVoices, lines: list[Line]) -> float:
    model, heard_s = engine._loaded._model, 0.0  # type: ignore[attr-defined]
    model.length_scale = 1.0
    for line in lines:
        for sentence in sentences(line.text):
            wav = model.synthesize(text=sentence, speaker=line.speaker.id)["wav"]
            heard_s += len(wav) / engine._loaded.sample_rate_hz
    return heard_s


def in_engine(engine: CoquiVoices, lines: list[Line]) -> float:
    heard_s = 0.0
    for _, speech in engine.speak_many(lines):
        assert not isinstance(speech, RefusedTextError)
        heard_s += len(speech.samples) / speech.sample_rate_hz
    return heard_s


def in_clips(
    engine: CoquiVoices, written: list[str], speakers: list[Speaker], around: list[float]
) -> float:
    """Also appends the processor time that our own work takes for each of the engine's."""
    heard_s = inside = 0.0
    began = time.process_time()
    scripts = [read_script(text) for text in written]
    lines = [Line(s.spoken_text, who) for s, who in zip(scripts, speakers, strict=True)]
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal") as journal:
        spoken = engine.speak_many(lines)
        while True:
            asked = time.process_time()
            index, speech = next(spoken, (None, None))
            inside += time.process_time() - asked
            if index is None or speech is None:
                break
            assert not isinstance(speech, RefusedTextError)
            with suppress(ClipFault):  # random durations may be implausible; the work is done
                journal.put(*finish_clip(scripts[index], speakers[index], speech))
            heard_s += len(speech.samples) / speech.sample_rate_hz
    around.append((time.process_time() - began - inside) / inside)
    return heard_s


def ways_of(
    engines: dict[int, CoquiVoices],
    written: list[str],
    speakers: list[Speaker],
    around: list[float],
) -> dict[str, Callable[[], float]]:
    """What is measured, by name; each returns the seconds of sound that it made."""
    scripts = [read_script(text) for text in written]
    lines = [Line(s.spoken_text, who) for s, who in zip(scripts, speakers, strict=True)]
    ways: dict[str, Callable[[], float]] = {"Coqui": partial(coquis_own, engines[1], lines)}
    for batch, engine in engines.items():
        ways[f"engine, {batch} at a time"] = partial(in_engine, engine, lines)
    for batch in (1, max(engines)):
        ways[f"clips, {batch} at a time"] = partial(
            in_clips, engines[batch], written, speakers, around
        )
    return ways


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batches", default="4")
    parser.add_argument("--threads", default="1,2")
    options = parser.parse_args()
    coqui_cpu.prepare()
    import torch

    written = texts(options.lines)
    speakers = [
        Speaker(id=SPEAKERS[7 * index % 109], engine="coqui") for index in range(len(written))
    ]
    devices = [("cpu", int(count)) for count in options.threads.split(",")]
    if torch.cuda.is_available():
        devices.append(("cuda", 1))
        print(torch.cuda.get_device_name())
    batches = [1, *map(int, options.batches.split(","))]
    with tempfile.TemporaryDirectory() as folder:
        model = str(build(Path(folder)))
        for device, threads in devices:
            name = (
                "GPU" if device != "cpu" else "1 thread" if threads == 1 else f"{threads} threads"
            )
            engines = {
                batch: CoquiVoices(
                    model, CoquiSettings(device=device, threads=threads, batch=batch)
                )
                for batch in batches
            }
            around: list[float] = []
            ways = ways_of(engines, written, speakers, around)
            # warm: models are loaded, and a GPU has chosen its kernels
            few = 1 if device == "cpu" else len(written)
            for way in ways_of(engines, written[:few], speakers[:few], []).values():
                way()
            found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
            for _ in range(options.repeats):
                for way, work in ways.items():
                    found[way].append(timed(work))
            speeds: dict[str, float] = {}
            for way, runs in found.items():
                speed = statistics.median(heard / wall for heard, wall, _ in runs)
                speeds[way] = speed
                cpu = statistics.median(cpu / heard for heard, _, cpu in runs)
                print(
                    f"{name:10} {way:24} {speed:8.2f} × real time, "
                    f"{cpu:.3f} processor s per s of sound"
                )
            ours = 100 * statistics.median(around)
            print(f"{name:10} our work around the engine {ours:.2f} %")
            what = f"Coqui VITS of full size, {name}"
            result(
                f"{what}: clips",
                speeds["clips, 1 at a time"],
                "× real time",
                peer="Coqui's own synthesize",
                peer_value=speeds["Coqui"],
            )
            result(f"{what}: our work around the engine", ours, "% of its time", at_most=5)
            for engine in engines.values():
                engine.close()


if __name__ == "__main__":
    main()
