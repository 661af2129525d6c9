"""The simulated user's voice: replies spoken on the fly, as the data set was spoken."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, ValidationError

from askqa_builder.audio import decode
from askqa_builder.clips import make_clip
from askqa_builder.config import CoquiSettings, SpeechSettings, SynthesizeSettings
from askqa_builder.errors import EvaluationError, VoiceError
from askqa_builder.evaluate.items import Item, speaker_of
from askqa_builder.files import first_problem
from askqa_builder.llm.endpoint import OPENAI_URL
from askqa_builder.release.stream import stream_columns
from askqa_builder.schema import Speaker
from askqa_builder.synthesize import engine_of
from askqa_builder.voices import Voices

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class VoicesHere:
    """Where the user's voices are on this machine, as far as the data cannot know."""

    spec: str = ""
    """Engine and model, where a model has no name that is known everywhere: coqui:/models/vctk."""
    references: str | None = None
    """Folder of clips whose voices are imitated."""
    budget_usd: float | None = None
    """Of a speech endpoint."""


class Replies:
    """Speaks the simulated user's replies, in the voices and by the engines of the data."""

    def __init__(self, cache: Path, here: VoicesHere | None = None) -> None:
        """`cache` is a folder for what speech endpoints were paid for."""
        self._cache = cache
        self._here = here or VoicesHere()
        self._spoken: dict[tuple[str, str], bytes] = {}
        """FLAC by text and speaker, who may be under a condition."""

    def check(self, release: Path, split: str) -> None:
        """Start every engine that users of the split speak with, and look for their voices.

        Raises VoiceError, MissingExtraError or EvaluationError: before a run, not in its middle.
        """
        users = {
            user.id: user
            for _, row in stream_columns(release, ["voices"], split)
            if (user := speaker_of(row["voices"]["user"]))
        }
        for name, user in sorted(users.items()):
            if name not in {voice.id for voice in self._engine(user).voices()}:
                raise EvaluationError(
                    f"{release}: the user's voice {name!r} is not among those of {user.engine} "
                    "here, so replies cannot be spoken; install the version that the release "
                    "names, or evaluate without replies: --rounds 0"
                )

    def speak(self, item: Item, text: str) -> tuple[npt.NDArray[np.float32], int]:
        """A reply in the voice of the item's user, made like every clip of the set."""
        return decode(self.flac(item.user, text))

    def flac(self, user: Speaker, text: str) -> bytes:
        """The same as a file; each is made once."""
        key = (text, user.model_dump_json())
        if key not in self._spoken:
            _, self._spoken[key] = make_clip(self._engine(user), text, user)
        return self._spoken[key]

    def _engine(self, user: Speaker) -> Voices:
        """The engine that spoke as this user, set as it was.

        Raises EvaluationError where what the data say of it cannot be met.
        """
        spec = f"{user.engine}:{user.model}" if user.model else user.engine
        if self._here.spec:
            engine, _, model = self._here.spec.partition(":")
            if (engine, Path(model).name) != (user.engine, Path(user.model).name):
                raise EvaluationError(
                    f"--user-voices {self._here.spec}: the data were spoken by {spec}; give the "
                    "place of that model"
                )
            spec = self._here.spec
        try:
            settings = self._settings(user)
        except ValidationError as error:
            raise EvaluationError(
                f"settings of the user's voice {user.id!r}: {first_problem(error)}"
            ) from error
        try:
            return engine_of(spec, settings, self._cache)
        except VoiceError as error:
            if user.engine != "coqui" or self._here.spec:
                raise
            raise EvaluationError(
                f"the user's voice {user.id!r} was spoken by the model {user.model!r}, which has "
                "no name that is known everywhere; say where it is: --user-voices coqui:FOLDER"
            ) from error

    def _settings(self, user: Speaker) -> SynthesizeSettings:
        """Those of the user's own engine alone, so that users of one engine share it."""
        if user.engine == "coqui":
            kept = _kept(user, "language", "threads")
            return SynthesizeSettings(coqui=CoquiSettings(references=self._here.references, **kept))
        if user.engine == "openai":
            _check_address(user)
            kept = _kept(user, "instructions", "response_format")
            return SynthesizeSettings(
                openai=SpeechSettings(voices=(user.id,), budget_usd=self._here.budget_usd, **kept)
            )
        return SynthesizeSettings()


def _kept(user: Speaker, *names: str) -> dict[str, Any]:
    return {name: user.settings[name] for name in names if name in user.settings}


def _check_address(user: Speaker) -> None:
    """Replies are asked for where the environment says, as everywhere; data may come from anybody:
    the address that they name gets no key, and no text, unasked.

    Raises EvaluationError where the environment says nothing, and the data something else.
    """
    told: JsonValue = user.settings.get("base_url")
    if "OPENAI_BASE_URL" not in os.environ and told != OPENAI_URL:
        raise EvaluationError(
            f"the user's voice {user.id!r} was spoken at {told}; set OPENAI_BASE_URL to that "
            "address, or to where the same voices are now, or evaluate without replies: --rounds 0"
        )
