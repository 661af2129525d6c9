"""Coqui TTS models on one's own machine: VITS (VCTK's 109 speakers, say), YourTTS, XTTS.

    --voices coqui                                  the VCTK model by name, downloaded once
    --voices coqui:tts_models/en/ljspeech/vits      another one by name
    --voices coqui:models/mine                      a folder with config.json and weights

The model is loaded when something is to be said, not before: listing speakers, and finding out
that a build is up to date, take no torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from askqa_builder.config import CoquiSettings
from askqa_builder.errors import MissingExtraError, RefusedTextError, VoiceError
from askqa_builder.schema import Speaker, Voice
from askqa_builder.segment import segments, sentences
from askqa_builder.voices import Line, Speech
from askqa_builder.voices.coqui_files import Facts, find_model, read_facts

if TYPE_CHECKING:
    from askqa_builder.voices.coqui_speech import Model, Reading, Sentence, Spoken

_REVISION = 1
"""Raise it when the same speaker would sound different because of this file or its neighbours."""
_PAUSE_S = 0.3
"""Between sentences, on top of what the model leaves at their ends."""
_GPU_BATCH = 16
_SOUNDS = (".wav", ".flac", ".mp3", ".ogg")
_PACKAGES = ("coqui-tts", "torch", "espeakng-loader")


class CoquiVoices:
    """A Coqui model behind the `ManyVoices` seam.

    Speakers are those of the model, by name; or, with `references`, the clips of a folder, each
    (or each sub-folder) a speaker that the model imitates.
    """

    name = "coqui"

    def __init__(self, model: str = "", settings: CoquiSettings | None = None) -> None:
        """Raises VoiceError if there is no such model or its folder is not whole,
        MissingExtraError without the extra."""
        self._settings = settings or CoquiSettings()
        if importlib.util.find_spec("TTS") is None:
            raise MissingExtraError("--voices coqui", "coqui")
        self._files = find_model(model)
        self.model = self._files.name
        self._references = _references(self._settings.references)
        if self._files.kind == "xtts" and not (self._references or self._files.speaker_names):
            raise VoiceError(
                f"{self._files.folder}: the model comes without speakers of its own; give a "
                "folder of clips to imitate: --references DIR"
            )
        table = Path(self._settings.references or self._files.folder)
        self._facts: Mapping[str, Facts] = read_facts(table)

    @cached_property
    def version(self) -> str:
        """Packages, model files, reference clips."""
        clips = hashlib.sha256()
        for name, paths in self._references.items():
            for path in paths:
                clips.update(f"{name}\0".encode() + path.read_bytes())
        return "-".join(
            (
                *(f"{package}-{version(package)}" for package in _PACKAGES),
                self._files.digest[:12],
                *([clips.hexdigest()[:12]] if self._references else []),
                str(_REVISION),
            )
        )

    @cached_property
    def device(self) -> str:
        if self._settings.device != "auto":
            return self._settings.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def batch(self) -> int:
        if self._files.kind == "xtts":
            return 1  # it samples from one random stream
        return self._settings.batch or (_GPU_BATCH if self.device == "cuda" else 1)

    @property
    def max_processes(self) -> int | None:
        """A GPU holds one copy of the model."""
        return 1 if self.device == "cuda" else None

    @property
    def settings(self) -> dict[str, JsonValue]:
        """What else shapes the sound."""
        return {
            "device": self.device,
            "threads": self._settings.threads,
            "batch": self.batch,
            "language": self._settings.language,
        }

    def voices(self) -> Sequence[Voice]:
        """The speakers on offer: where a table says something of them, those in the table."""
        by_id = {_id(name): name for name in self._names()}
        offered = [id for id in by_id if self._fact(id)] or list(by_id)
        return tuple(self._voice(id or self.model, by_id[id]) for id in offered)

    def speak(self, text: str, speaker: Speaker) -> Speech:
        """Say `text`, sentence by sentence."""
        ((_, speech),) = self.speak_many([Line(text, speaker)])
        if isinstance(speech, RefusedTextError):
            raise speech
        return speech

    def speak_many(self, lines: Sequence[Line]) -> Iterator[tuple[int, Speech | RefusedTextError]]:
        """Say lines, `batch` of them together; their sentences share the matrices."""
        for start in range(0, len(lines), self.batch):
            yield from self._speak_together(
                {i: lines[i] for i in range(start, min(start + self.batch, len(lines)))}
            )

    def close(self) -> None:
        """Free the model's memory."""
        self.__dict__.pop("_loaded", None)

    def _speak_together(
        self, lines: Mapping[int, Line]
    ) -> Iterator[tuple[int, Speech | RefusedTextError]]:
        cut: dict[int, list[Sentence]] = {}
        for index, line in lines.items():
            try:
                cut[index] = self._sentences(line)
            except RefusedTextError as error:
                yield index, error
        # of like length together, or short ones would mostly be padding
        queue = sorted(
            ((index, at) for index, row in cut.items() for at in range(len(row))),
            key=lambda place: len(cut[place[0]][place[1]].reading.text),
        )
        said: dict[tuple[int, int], Spoken] = {}
        for start in range(0, len(queue), self.batch):
            places = queue[start : start + self.batch]
            spoken = self._loaded.say([cut[index][at] for index, at in places])
            said.update(zip(places, spoken, strict=True))
        for index, row in cut.items():
            yield index, self._join(row, [said[index, at] for at in range(len(row))])

    @cached_property
    def _loaded(self) -> Model:
        from askqa_builder.voices import coqui_speech

        settings = self._settings
        return coqui_speech.load(self._files, self.device, settings.threads, settings.language)

    def _sentences(self, line: Line) -> list[Sentence]:
        from askqa_builder.voices.coqui_speech import Sentence

        speaker = line.speaker
        if speaker.pitch:
            raise VoiceError(f"pitch {speaker.pitch:+g}: Coqui models cannot shift the pitch")
        name = self._model_name(speaker.id)
        model = self._loaded
        pieces = [p for s in sentences(line.text) for p in segments(s, model.chars)]
        if self._files.kind == "xtts":
            pieces = segments(line.text, model.chars)  # it paces several sentences by itself
        return [
            Sentence(
                model.read(piece),
                name,
                self._references.get(speaker.id, ()),
                speaker.rate,
                _seed(piece, speaker, at),
            )
            for at, piece in enumerate(pieces)
        ]

    def _join(self, row: Sequence[Sentence], said: Sequence[Spoken]) -> Speech:
        """Put the sentences of a line behind each other."""
        import numpy as np

        rate_hz = self._loaded.sample_rate_hz
        pause = np.zeros(round(_PAUSE_S * rate_hz), np.float32)
        parts: list[object] = []
        times: list[tuple[float, float]] = []
        at = 0
        for sentence, spoken in zip(row, said, strict=True):
            if parts:
                parts.append(pause)
                at += len(pause)
            times += [
                (start + at / rate_hz, end + at / rate_hz)
                for start, end in self._token_times(sentence.reading, spoken)
            ]
            parts.append(spoken.samples)
            at += len(spoken.samples)
        known = all(spoken.starts_s for spoken in said)
        return Speech(np.concatenate(parts), rate_hz, tuple(times) if known else ())  # type: ignore[arg-type]

    def _token_times(self, reading: Reading, spoken: Spoken) -> list[tuple[float, float]]:
        from askqa_builder.voices.coqui_words import token_times

        if not spoken.starts_s:
            return []
        lengths = [self._length(token) for token in reading.text.split()]
        return token_times(lengths, reading.symbols, spoken.starts_s)

    @lru_cache(maxsize=8192)  # noqa: B019  (an engine lives as long as its process)
    def _length(self, token: str) -> int:
        """Symbols of a token by itself; 0 if it is not spoken."""
        try:
            symbols = self._loaded.read(token).symbols
        except RefusedTextError:
            return 0
        return sum(map(str.isalnum, symbols))

    def _names(self) -> Sequence[str]:
        return tuple(self._references) or self._files.speaker_names

    def _model_name(self, id: str) -> str:
        """What the model calls a speaker. Raises VoiceError if it has none of this id."""
        for name in self._names():
            if id in (_id(name), name) or (not name and id == self.model):
                return name
        known = [_id(name) for name in self._names()]
        some = f"{known[:12]} and {len(known) - 12} more" if len(known) > 12 else f"{known}"
        raise VoiceError(
            f"coqui:{self.model} has no speaker {id!r}; expected one of {some} "
            f"(all: askqa-build voices coqui:{self.model})"
        )

    def _fact(self, id: str) -> Facts | None:
        # YourTTS has VCTK's speakers as "VCTK_p225"
        return self._facts.get(id) or self._facts.get(id.rpartition("_")[2])

    def _voice(self, id: str, name: str) -> Voice:
        facts = self._fact(id) or Facts()
        return Voice(
            id=id,
            engine=self.name,
            name=name.strip() or self.model,
            language=self._settings.language,
            accent=facts.accent,
            sex=facts.sex,
            description=facts.description,
            rate_range=(0.9, 1.1) if self._files.kind == "vits" else (1.0, 1.0),
        )


def _id(name: str) -> str:
    """VCTK's model has a speaker "ED" with a line feed at the end."""
    return " ".join(name.split())


def _seed(text: str, speaker: Speaker, place: int) -> int:
    """Of a sentence: follows from what is said by whom, so no run or order changes it."""
    what = f"{text}\0{speaker.id}\0{speaker.rate}\0{place}"
    return int.from_bytes(hashlib.sha256(what.encode()).digest()[:4], "big")


def _references(folder: str | None) -> dict[str, tuple[Path, ...]]:
    """Clips to imitate, by speaker: `DIR/NAME.wav`, or all of `DIR/NAME/`."""
    if folder is None:
        return {}
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise VoiceError(f"--references {folder}: no such folder")
    found: dict[str, tuple[Path, ...]] = {}
    for path in sorted(root.iterdir()):
        clips = sorted(path.iterdir()) if path.is_dir() else [path]
        clips = [clip for clip in clips if clip.suffix.lower() in _SOUNDS]
        if clips:
            found[path.name if path.is_dir() else path.stem] = tuple(clips)
    if not found:
        raise VoiceError(f"--references {folder}: no clips in it ({', '.join(_SOUNDS)})")
    return found
