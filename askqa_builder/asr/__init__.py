"""A gate on what is heard: a recogniser writes down every clip, and too many errors reject it.

    faster-whisper | openai ─▶ transcript ─▶ word errors (words.py) ─▶ `Gate` ─▶ clip, or ClipFault

One file for each recogniser, all behind `Recogniser`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from askqa_builder.asr.words import word_errors
from askqa_builder.clips import ClipFault
from askqa_builder.config import SynthesizeSettings
from askqa_builder.errors import MissingExtraError, RecogniserError, RefusedClipError
from askqa_builder.schema import Clip

VERSION = 1
"""Raise it when the same transcript would be judged otherwise."""
RECOGNISERS = ("faster-whisper", "openai")


class Recogniser(Protocol):
    """Writes down what it hears. One instance per process."""

    @property
    def name(self) -> str:
        """Which recogniser, model and version: stored with every clip."""
        ...

    @property
    def max_processes(self) -> int | None:
        """Processes of this machine that may use it at once; None for any number."""
        ...

    def transcribe(
        self, sounds: Iterable[tuple[str, bytes]]
    ) -> Iterator[tuple[str, str | RefusedClipError]]:
        """Write down FLAC clips; yields the name of each with its words, in any order.

        Takes no more of `sounds` than it can use. Raises an AskqaError for what is no matter of
        one clip.
        """
        ...


def open_recogniser(settings: SynthesizeSettings, cache: Path) -> Recogniser | None:
    """Start the recogniser that `--asr NAME[:MODEL]` names; None for `none`.

    `cache`: folder for what an endpoint is paid for. Raises RecogniserError if it is unknown or
    cannot start, MissingExtraError if its packages are not installed.
    """
    name, _, model = settings.asr.partition(":")
    if name == "none":
        return None
    _check_jiwer(settings.asr)
    if name == "faster-whisper":
        from askqa_builder.asr.whisper import FasterWhisper

        return FasterWhisper(model, settings.coqui)
    if name == "openai":
        from askqa_builder.asr.openai import OpenAIRecogniser

        return OpenAIRecogniser(model, settings.openai, cache, language=settings.coqui.language)
    raise RecogniserError(
        f"--asr {settings.asr!r}: unknown recogniser {name!r}; expected none or one of "
        f"{list(RECOGNISERS)}"
    )


class Gate:
    """Lets a clip pass whose words are heard."""

    def __init__(self, recogniser: Recogniser, max_wer: float) -> None:
        """`max_wer`: highest word error rate of a clip. A single error is let pass where even that
        is above it (a name that a recogniser cannot spell), unless it is 0."""
        self._recogniser, self._max_wer = recogniser, max_wer

    def heard(self, clips: Iterable[tuple[Clip, bytes]]) -> Iterator[tuple[Clip, bytes]]:
        """The clips, each once, with what is heard among their measures, in any order.

        Clips that this recogniser has heard before are not given to it again.
        """
        waiting: dict[str, tuple[Clip, bytes]] = {}
        known: list[tuple[Clip, bytes]] = []
        seen: set[str] = set()

        def unheard() -> Iterator[tuple[str, bytes]]:
            for clip, flac in clips:
                if clip.key in seen:
                    continue
                seen.add(clip.key)
                if clip.measures.get("asr") == self._recogniser.name:
                    known.append((clip, flac))
                else:
                    waiting[clip.key] = clip, flac
                    yield clip.key, flac

        for key, text in self._recogniser.transcribe(unheard()):
            clip, flac = waiting.pop(key)
            yield self._with_transcript(clip, text), flac
        assert not waiting, "a recogniser left clips out"
        yield from known

    def check(self, clip: Clip, flac: bytes) -> Clip:
        """The clip as `heard` gives it. Raises ClipFault if its words are not heard."""
        ((clip, _),) = self.heard([(clip, flac)])
        if "asr_refused" in clip.measures:
            raise ClipFault("asr_refused", f"{clip.measures['asr_refused']}: {clip.text[:80]!r}")
        errors, words = word_errors(clip.text, clip.spoken_text, str(clip.measures["asr_text"]))
        if words and not clip.measures["asr_text"]:
            raise ClipFault("asr_heard_nothing", f"in {clip.text[:80]!r}")
        allowed = max(self._max_wer * words, 1.0) if self._max_wer else 0.0
        if errors > allowed:
            raise ClipFault(
                "asr_word_errors",
                f"{errors} in {words} words: heard {str(clip.measures['asr_text'])[:80]!r} in "
                f"{clip.text[:80]!r}",
            )
        measures = clip.measures | {"asr_errors": errors, "asr_words": words}
        if words:
            measures["wer"] = round(errors / words, 4)
        return clip.model_copy(update={"measures": measures})

    def _with_transcript(self, clip: Clip, text: str | RefusedClipError) -> Clip:
        found = {"asr_text": text} if isinstance(text, str) else {"asr_refused": str(text)}
        measures = forgotten(clip).measures | {"asr": self._recogniser.name} | found
        return clip.model_copy(update={"measures": measures})


def forgotten(clip: Clip) -> Clip:
    """The clip without what a recogniser has found."""
    if "asr" not in clip.measures:
        return clip
    measures = {
        name: value
        for name, value in clip.measures.items()
        if name != "wer" and not name.startswith("asr")
    }
    return clip.model_copy(update={"measures": measures})


def _check_jiwer(spec: str) -> None:
    from importlib.util import find_spec

    if find_spec("jiwer") is None:
        raise MissingExtraError(f"--asr {spec}", "asr")
