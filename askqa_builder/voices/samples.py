"""One spoken line of each voice, and a page to compare them by ear.

DIR/index.html      works offline, from the disk
DIR/001-<id>.flac   …
DIR/speakers.csv    speaker, sex, accent, description and the measured pitch: correct it by
                    ear and put it into the folder of a Coqui model
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from askqa_builder import measures
from askqa_builder.clips import ClipFault, finish_clip, read_script
from askqa_builder.errors import RefusedTextError
from askqa_builder.files import write_text
from askqa_builder.schema import Speaker, Voice
from askqa_builder.voices import Line, ManyVoices, Speech, Voices

TEXT = "Would you tell me when the old stone bridge near the harbour was finally opened?"


@dataclass(frozen=True)
class Sample:
    """A voice as it was heard."""

    voice: Voice
    file: str
    """Beside the page; empty if there is nothing to hear."""
    duration_s: float = 0.0
    pitch_hz: float = math.nan
    """Median fundamental frequency; NaN where nothing is voiced."""
    fault: str = ""
    """Why there is nothing to hear."""


def write_samples(engine: Voices, folder: Path, text: str = TEXT) -> Path:
    """Let every voice say `text`; returns the page.

    A voice that cannot say it stands on the page with the reason. Raises RefusedTextError if
    nobody could.
    """
    try:
        script = read_script(text)
    except ClipFault as fault:
        raise RefusedTextError(f"--text {text!r}: {fault.detail}") from fault
    folder.mkdir(parents=True, exist_ok=True)
    voices = engine.voices()
    speakers = [Speaker(id=voice.id, engine=voice.engine) for voice in voices]
    heard: dict[int, Sample] = {}
    for index, speech in _said(engine, [Line(script.spoken_text, one) for one in speakers]):
        try:
            if isinstance(speech, RefusedTextError):
                raise ClipFault("refused_by_engine", str(speech))
            clip, flac = finish_clip(script, speakers[index], speech)
        except ClipFault as fault:
            heard[index] = Sample(voices[index], "", fault=f"{fault.reason}: {fault.detail}")
            continue
        name = f"{index + 1:03d}-{re.sub(r'[^A-Za-z0-9_-]+', '-', voices[index].id)[:60]}.flac"
        (folder / name).write_bytes(flac)
        pitch = measures.pitch(speech.samples, speech.sample_rate_hz)
        heard[index] = Sample(voices[index], name, clip.duration_s, pitch.median_hz)
    samples = [heard[index] for index in range(len(voices))]
    write_text(folder / "speakers.csv", _table(samples))
    page = folder / "index.html"
    write_text(page, _page(engine, text, samples))
    return page


def _said(engine: Voices, lines: Sequence[Line]) -> Iterator[tuple[int, Speech | RefusedTextError]]:
    if isinstance(engine, ManyVoices):
        yield from engine.speak_many(lines)
        return
    for index, line in enumerate(lines):
        try:
            yield index, engine.speak(line.text, line.speaker)
        except RefusedTextError as error:
            yield index, error


def _table(samples: Sequence[Sample]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("speaker", "sex", "accent", "description", "pitch_hz"))
    for sample in samples:
        voice = sample.voice
        pitch = "" if math.isnan(sample.pitch_hz) else f"{sample.pitch_hz:.0f}"
        rows.writerow((voice.id, voice.sex, voice.accent, voice.description, pitch))
    return text.getvalue()


def _page(engine: Voices, text: str, samples: Sequence[Sample]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("askqa_builder", "voices/templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    script, _, _ = loader.get_source(environment, "voices.js")
    # the script is our own file and its hash stands in the policy: the one text not escaped
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page: str = environment.get_template("voices.html").render(
        engine=engine, text=text, samples=samples, script=script, script_sha256=digest
    )
    return page
