"""Speech engines: one file each, all behind `Voices`; `casting.py` says who speaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pydantic import JsonValue

from askqa_builder.config import SynthesizeSettings
from askqa_builder.errors import RefusedTextError, VoiceError
from askqa_builder.schema import Speaker, Voice

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


ENGINES = ("espeak", "coqui", "openai")


@dataclass(frozen=True)
class Speech:
    """What an engine returns for one utterance."""

    samples: npt.NDArray[np.float32]
    """Mono, shape (n,), full scale ±1, as the engine made it (no loudness, no resampling)."""
    sample_rate_hz: int
    token_times: tuple[tuple[float, float], ...] = ()
    """Start and end in seconds of each whitespace token of the text; empty if unknown."""


@dataclass(frozen=True)
class Line:
    """What is to be said by whom."""

    text: str
    """In its spoken form."""
    speaker: Speaker


class Voices(Protocol):
    """A speech engine. One instance per process; `speak` is a pure function of its arguments."""

    name: str
    """Name in `--voices NAME[:MODEL]`."""
    model: str

    @property
    def version(self) -> str:
        """Everything about the installed engine that may change a sample."""
        ...

    @property
    def settings(self) -> dict[str, JsonValue]:
        """What else shapes the sound, and is told of every clip (`Speaker.settings`)."""
        ...

    @property
    def max_processes(self) -> int | None:
        """Processes of this machine that may use it at once; None for any number."""
        ...

    def voices(self) -> Sequence[Voice]:
        """The speakers on offer, in a stable order."""
        ...

    def speak(self, text: str, speaker: Speaker) -> Speech:
        """Say `text` (already in its spoken form); same arguments, same samples.

        Raises RefusedTextError if the engine cannot say this text, VoiceError for anything that
        is no matter of the text, such as a speaker that does not exist.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


@runtime_checkable
class ManyVoices(Voices, Protocol):
    """An engine that is slow, so that what it has said is worth keeping, and that gains from
    hearing of many lines at once: a model in batches, an endpoint with many requests in flight."""

    @property
    def batch(self) -> int:
        """Lines that are spoken together, so that each may shape another's last bits: 1 if none
        does. Who wants the same bits again gives the same lines together again."""
        ...

    def speak_many(self, lines: Sequence[Line]) -> Iterator[tuple[int, Speech | RefusedTextError]]:
        """Say lines; yield the index of each with its speech, or why it is refused, in any order.

        Lines [0, batch), [batch, 2 batch) … are spoken together. Raises what `speak` raises for
        anything that is no matter of one text.
        """
        ...


def open_voices(
    spec: str, settings: SynthesizeSettings | None = None, cache: Path | None = None
) -> Voices:
    """Start the engine that `--voices NAME[:MODEL]` names.

    `cache`: folder for what an endpoint is paid for. Raises VoiceError if the engine is unknown,
    has no such model, or cannot start.
    """
    name, _, model = spec.partition(":")
    settings = settings or SynthesizeSettings()
    if name == "espeak":
        from askqa_builder.voices.espeak import EspeakVoices

        if model:
            raise VoiceError(
                f"--voices {spec!r}: espeak has no models; write 'espeak', whose voices "
                "(askqa-build voices espeak) are cast by --seed"
            )
        return EspeakVoices()
    if name == "coqui":
        from askqa_builder.voices.coqui import CoquiVoices

        return CoquiVoices(model, settings.coqui)
    if name == "openai":
        from askqa_builder.voices.openai import OpenAIVoices

        return OpenAIVoices(model, settings.openai, cache)
    raise VoiceError(f"--voices {spec!r}: unknown engine {name!r}; expected one of {list(ENGINES)}")
