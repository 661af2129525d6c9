"""The simulated user's voice: replies spoken on the fly, as the data set was spoken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from askqa_builder.audio import decode
from askqa_builder.clips import make_clip
from askqa_builder.config import SynthesizeSettings
from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.items import Item
from askqa_builder.release.stream import stream_columns
from askqa_builder.schema import Speaker
from askqa_builder.synthesize import engine_of
from askqa_builder.voices import Voices

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Replies:
    """Speaks the simulated user's replies, in the voices and by the engines of the data."""

    def __init__(self, cache: Path) -> None:
        """`cache` is a folder for what speech endpoints were paid for."""
        self._cache = cache
        self._spoken: dict[tuple[str, str], bytes] = {}
        """FLAC by text and speaker, who may be under a condition."""

    def check(self, release: Path, split: str) -> None:
        """Start every engine that users of the split speak with, and look for their voices.

        Raises VoiceError, MissingExtraError or EvaluationError: before a run, not in its middle.
        """
        speakers = {
            (voice["engine"], voice["model"], voice["speaker"])
            for part, row in stream_columns(release, ["voices"])
            if part == split and (voice := row["voices"]["user"])
        }
        for engine, model, speaker in sorted(speakers):
            if speaker not in {voice.id for voice in self._engine(engine, model).voices()}:
                raise EvaluationError(
                    f"{release}: the user's voice {speaker!r} is not among those of {engine} here, "
                    "so replies cannot be spoken; install the version that the release names, or "
                    "evaluate without replies: --rounds 0"
                )

    def speak(self, item: Item, text: str) -> tuple[npt.NDArray[np.float32], int]:
        """A reply in the voice of the item's user, made like every clip of the set."""
        return decode(self.flac(item.user, text))

    def flac(self, user: Speaker, text: str) -> bytes:
        """The same as a file; each is made once."""
        key = (text, user.model_dump_json())
        if key not in self._spoken:
            _, self._spoken[key] = make_clip(self._engine(user.engine, user.model), text, user)
        return self._spoken[key]

    def _engine(self, engine: str, model: str) -> Voices:
        spec = f"{engine}:{model}" if model else engine
        return engine_of(spec, SynthesizeSettings(), self._cache)
