"""Speech engines: one file each, all behind `Voices`; `casting.py` says who speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from askqa_builder.errors import VoiceError
from askqa_builder.schema import Speaker, Voice

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


ENGINES = ("espeak",)


@dataclass(frozen=True)
class Speech:
    """What an engine returns for one utterance."""

    samples: npt.NDArray[np.float32]
    """Mono, shape (n,), full scale ±1, as the engine made it (no loudness, no resampling)."""
    sample_rate_hz: int
    token_times: tuple[tuple[float, float], ...] = ()
    """Start and end in seconds of each whitespace token of the text; empty if unknown."""


class Voices(Protocol):
    """A speech engine. One instance per process; `speak` is a pure function of its arguments."""

    name: str
    """Name in `--voices NAME[:MODEL]`."""
    model: str
    version: str
    """Everything about the installed engine that may change a sample."""

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


def open_voices(spec: str) -> Voices:
    """Start the engine that `--voices NAME[:MODEL]` names.

    Raises VoiceError if the engine is unknown or cannot start.
    """
    name, _, model = spec.partition(":")
    if name == "espeak":
        from askqa_builder.voices.espeak import EspeakVoices

        return EspeakVoices()
    raise VoiceError(f"--voices {spec!r}: unknown engine {name!r}; expected one of {list(ENGINES)}")
