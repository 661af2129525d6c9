"""A conversation as people hear it: one sound file, and a page that follows it word by word.

The page is one HTML file with the sound inside: it works offline, from any disk, in light and
dark, with keyboard and screen reader. Every text in it is data from strangers: the template
escapes all of it, and the page's content security policy runs no script but our own.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import io
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from askqa_builder import audio
from askqa_builder.errors import ReleaseError
from askqa_builder.files import atomic_file, storage_errors, write_text
from askqa_builder.release.rows import Row
from askqa_builder.release.stream import file_name, pick, stream_columns
from askqa_builder.schema import SpeakerRole, Word

if TYPE_CHECKING:
    from pydub import AudioSegment

Form = Literal["mp3", "wav"]

_PAUSES_S = {
    "narration": 0.35,  # between the passage's own segments
    "question": 0.9,
    "clarifying_question": 0.6,
    "clarification": 0.7,
    "answer": 0.6,
}
"""Silence before an utterance, by its act; the passage is followed by 1.2 s."""
_AFTER_NARRATION_S = 1.2
_SOFTEST_LUFS = -30.0
"""One faint clip must not pull all the others down to it."""


@dataclass(frozen=True)
class Utterance:
    """A clip of the mix; all times in seconds from the start of the mix."""

    role: SpeakerRole
    act: str
    """As in the schema, or `narration`."""
    speaker: str
    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]
    """Empty where the engine did not tell them."""


@dataclass(frozen=True)
class Mix:
    """A conversation mixed down."""

    sound: AudioSegment
    """16 kHz, mono, 16 bit."""
    utterances: tuple[Utterance, ...]

    def encode(self, form: Form) -> bytes:
        """The sound as a WAV or MP3 file. Raises ReleaseError if it cannot be encoded as MP3."""
        buffer = io.BytesIO()
        if form == "wav":
            self.sound.export(buffer, format="wav")
        else:
            _write_mp3(self.sound, buffer)
        return buffer.getvalue()


@dataclass(frozen=True)
class Listening:
    """What `listen` wrote."""

    sound: Path
    page: Path


def listen(release: Path, dialogue_id: str, out: Path, *, form: Form | None = None) -> Listening:
    """Write `<id>.mp3` (or .wav) and `<id>.html` of one dialogue into the folder `out`.

    Without `form` it is MP3 where this machine can encode it, else WAV. Raises ReleaseError for
    an unknown id or a folder that is no release.
    """
    form = form or best_form()
    ((split, row),) = pick(release, [dialogue_id])
    heard = hear(split, row, form)
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    name = file_name(dialogue_id)
    sound, page = out / f"{name}.{form}", out / f"{name}.html"
    with atomic_file(sound) as file:
        file.write(heard.sound)
    write_text(page, render_page([heard]))
    return Listening(sound, page)


def write_samples(release: Path, page: Path, *, count: int = 6, form: Form | None = None) -> int:
    """Write one page with a handful of a release's dialogues; returns how many.

    Every kind of ambiguity and the unambiguous ones come in turn; which dialogue speaks for its
    kind follows from the ids alone, so the same release gives the same page.
    """
    ids = _handful(release, count)
    form = form or best_form()
    write_text(page, render_page(hear(split, row, form) for split, row in pick(release, ids)))
    return len(ids)


def best_form() -> Form:
    """`mp3` where something here can encode it, else `wav`."""
    return "mp3" if _soundfile_writes_mp3() or _ffmpeg() else "wav"


def mix_down(row: Row, *, turns: int | None = None) -> Mix:
    """Mix a row of the config `dialogues`: the narration, then its turns (the first `turns`).

    All clips come to the loudness of the softest (they are released near -23 LUFS, less where a
    peak forbade it), so nobody is louder than anybody else and nothing is clipped.
    """
    clips = [*row["narration"], *row["turns"][:turns]]
    decoded = [audio.decode(clip["audio"]["bytes"]) for clip in clips]
    loudness = [audio.loudness_lufs(samples, rate_hz) for samples, rate_hz in decoded]
    target = max(min(loudness, default=_SOFTEST_LUFS), _SOFTEST_LUFS)
    segment = _pydub()
    sound = segment.AudioSegment.silent(duration=200, frame_rate=audio.SAMPLE_RATE_HZ)
    utterances: list[Utterance] = []
    for index, (clip, (samples, rate_hz), lufs) in enumerate(
        zip(clips, decoded, loudness, strict=True)
    ):
        act = clip.get("act", "narration")
        if index:
            first_turn = index == len(row["narration"])
            pause_s = _AFTER_NARRATION_S if first_turn else _PAUSES_S[act]
            sound += segment.AudioSegment.silent(pause_s * 1000, frame_rate=audio.SAMPLE_RATE_HZ)
        start_s = sound.frame_count() / audio.SAMPLE_RATE_HZ
        spoken = _segment(audio.resample(samples, rate_hz, audio.SAMPLE_RATE_HZ))
        sound += spoken.apply_gain(min(target - lufs, 0.0)) if lufs > target else spoken
        utterances.append(_utterance(row, clip, act, start_s, start_s + len(samples) / rate_hz))
    return Mix(sound, tuple(utterances))


@dataclass(frozen=True)
class Heard:
    """A conversation with its sound, ready for a page."""

    split: str
    row: Row
    utterances: tuple[Utterance, ...]
    sound: bytes
    form: Form

    @property
    def data_uri(self) -> str:
        kind = {"mp3": "audio/mpeg", "wav": "audio/wav"}[self.form]
        return f"data:{kind};base64,{base64.b64encode(self.sound).decode()}"


def hear(split: str, row: Row, form: Form) -> Heard:
    """Mix and encode a row of the config `dialogues`."""
    mix = mix_down(row)
    return Heard(split, row, mix.utterances, mix.encode(form), form)


def render_page(dialogues: Iterable[Heard]) -> str:
    """One HTML page of some dialogues, with their sound inside."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("askqa_builder", "release/templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters["pieces"] = _pieces
    script, _, _ = loader.get_source(environment, "listen.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # The script is our own file and its hash stands in the policy: the one text not escaped.
    page: str = environment.get_template("listen.html").render(
        dialogues=list(dialogues), script=script, script_sha256=digest
    )
    return page


def _utterance(row: Row, clip: Row, act: str, start_s: float, end_s: float) -> Utterance:
    role: SpeakerRole = clip.get("role", "narrator")
    words = tuple(
        Word(text=word["text"], start=start_s + word["start"], end=start_s + word["end"])
        for word in clip["words"]
    )
    speaker = row["voices"][role]["speaker"]
    return Utterance(role, act, speaker, clip["text"], start_s, end_s, words)


def _pieces(utterance: Utterance) -> Iterator[tuple[str, Word | None]]:
    """The written text in pieces: each spoken word with its times, and what stands between."""
    position = 0
    for word in utterance.words:
        found = utterance.text.find(word.text, position)
        if found < 0:
            break  # the engine's words are not the text's: show the rest without times
        if found > position:
            yield utterance.text[position:found], None
        yield word.text, word
        position = found + len(word.text)
    if position < len(utterance.text):
        yield utterance.text[position:], None


def _handful(release: Path, count: int) -> list[str]:
    """Ids of `count` dialogues: the kinds take turns, the unambiguous are the second of them."""
    best: dict[str, list[tuple[str, str]]] = {}
    for _, row in stream_columns(release, ["id", "ambiguous", "ambiguity_kind"]):
        kind = row["ambiguity_kind"] or ""
        key = hashlib.sha256(row["id"].encode()).hexdigest()
        best[kind] = heapq.nsmallest(count, [*best.get(kind, []), (key, row["id"])])
    kinds = sorted(best)
    kinds[:2] = reversed(kinds[:2])
    rounds = [
        best[kind][place][1] for place in range(count) for kind in kinds if place < len(best[kind])
    ]
    return rounds[:count]


def _segment(samples: audio.Samples) -> AudioSegment:
    import numpy as np

    pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()
    return _pydub().AudioSegment(
        data=pcm, sample_width=2, frame_rate=audio.SAMPLE_RATE_HZ, channels=1
    )


def _pydub() -> Any:
    with warnings.catch_warnings():
        # pydub warns at import where ffmpeg is missing, and of Python's own audioop
        warnings.simplefilter("ignore")
        import pydub
    return pydub


def _soundfile_writes_mp3() -> bool:
    import soundfile

    return "MP3" in soundfile.available_formats()


def _ffmpeg() -> bool:
    import shutil

    return shutil.which("ffmpeg") is not None


def _write_mp3(sound: AudioSegment, buffer: io.BytesIO) -> None:
    """Encode through libsndfile, which gives the same bytes on every machine, or ffmpeg."""
    if _soundfile_writes_mp3():
        import numpy as np
        import soundfile

        pcm = np.frombuffer(sound.raw_data, dtype="<i2")
        soundfile.write(buffer, pcm, sound.frame_rate, format="MP3")
    elif _ffmpeg():
        sound.export(buffer, format="mp3", bitrate="48k")
    else:
        raise ReleaseError("no MP3 encoder here; install ffmpeg, or ask for wav")
