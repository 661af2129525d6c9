"""The same speech under other conditions: rate, pitch, noise, room, telephone.

    perturbation = parse("noise=10")
    samples, measured = perturbation.apply(samples, 16_000, seed="0:dialogue-7")

The build (`synthesize --perturb`) and the evaluator (`evaluate --perturb`) share this module. What
was asked for is in the specification; what came out is measured on the result and stored beside
it. Definitions and sources: docs/perturbations.md.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, JsonValue, ValidationError

from askqa_builder import audio
from askqa_builder.errors import MissingExtraError, SettingsError
from askqa_builder.files import first_problem
from askqa_builder.schema import Record, Speaker, SpeakerRole

if TYPE_CHECKING:
    from askqa_builder.audio import Samples

VERSION = 1
"""Raise it when the same perturbation with the same seed would give other samples."""
SETTING = "perturbation"
"""Where a `Speaker` holds its perturbation, among its settings."""

Measured = dict[str, float]
"""What came out, by name with unit; a name is absent where it cannot be told."""


class Perturbation(Record, ABC):
    """A condition; frozen, and known by its specification (`str(perturbation)`)."""

    package: ClassVar[str | None] = None
    """What it needs beyond numpy and the core."""

    @property
    def time_scale(self) -> float:
        """By what word times are multiplied."""
        return 1.0

    def apply(self, samples: Samples, sample_rate_hz: int, seed: str) -> tuple[Samples, Measured]:
        """The speech under this condition, as loud as before, and what is measured on it.

        A pure function: same samples, rate and seed, same bits. Conditions without chance (rate,
        pitch, telephone) ignore the seed. The peak stays under -1 dBFS, if need be by less
        loudness. Silence comes back as silence, of which nothing is measured.
        Raises MissingExtraError.
        """
        self.check_installed()
        loudness = audio.loudness_lufs(samples, sample_rate_hz)
        if loudness == float("-inf"):
            return self._silence(samples), {}
        perturbed, measured = self._perturbed(samples, sample_rate_hz, seed)
        level = audio.normalise_loudness(perturbed, sample_rate_hz, loudness)
        return level, {name: round(value, 4) + 0.0 for name, value in measured.items()}

    def check_installed(self) -> None:
        """Raise MissingExtraError unless what it needs is installed."""
        from importlib.util import find_spec

        if self.package is not None and find_spec(self.package) is None:
            raise MissingExtraError(f"--perturb {self}", "perturb")

    def made_with(self) -> str:
        """What determines the samples beside the specification and the seed."""
        from importlib.metadata import version

        return f"{VERSION}" if self.package is None else f"{VERSION} {version(self.package)}"

    def _silence(self, samples: Samples) -> Samples:
        return samples

    @abstractmethod
    def _perturbed(
        self, samples: Samples, sample_rate_hz: int, seed: str
    ) -> tuple[Samples, Measured]: ...

    @abstractmethod
    def __str__(self) -> str: ...


class Rate(Perturbation):
    """Faster or slower, at the same pitch. Measures `rate`: duration before / after."""

    package = "python_stretch"
    rate: float = Field(ge=0.5, le=2)

    @property
    def time_scale(self) -> float:
        return 1 / self.rate

    def _silence(self, samples: Samples) -> Samples:
        return samples[:1].repeat(round(len(samples) / self.rate))

    def _perturbed(
        self, samples: Samples, sample_rate_hz: int, seed: str
    ) -> tuple[Samples, Measured]:
        from askqa_builder.perturb.stretch import stretched

        result = stretched(samples, sample_rate_hz, self.rate)
        return result, {"rate": len(samples) / len(result)}

    def __str__(self) -> str:
        return f"rate={self.rate:g}"


class Pitch(Perturbation):
    """Higher or lower, at the same rate and with the same formants.

    Measures `pitch_semitones`, where enough is voiced to tell.
    """

    package = "python_stretch"
    semitones: float = Field(ge=-6, le=6)

    def _perturbed(
        self, samples: Samples, sample_rate_hz: int, seed: str
    ) -> tuple[Samples, Measured]:
        from askqa_builder.perturb.stretch import pitch_difference, transposed

        result = transposed(samples, sample_rate_hz, self.semitones)
        shift = pitch_difference(samples, result, sample_rate_hz)
        return result, {} if shift is None else {"pitch_semitones": shift}

    def __str__(self) -> str:
        return f"pitch={self.semitones:+g}"


class Noise(Perturbation):
    """Stationary noise behind the speech. Measures `snr_db` over the speech-active parts."""

    snr_db: float = Field(ge=-20, le=60)
    colour: Literal["speech", "pink"] = "speech"
    """`speech`: the long-term spectrum of the clip itself; `pink`: equal power per octave."""

    def _perturbed(
        self, samples: Samples, sample_rate_hz: int, seed: str
    ) -> tuple[Samples, Measured]:
        from askqa_builder.perturb.noise import in_noise

        result, snr_db = in_noise(samples, sample_rate_hz, self.snr_db, self.colour, seed)
        return result, {"snr_db": snr_db}

    def __str__(self) -> str:
        return f"noise={self.snr_db:g}" + (":pink" if self.colour == "pink" else "")


class Reverberation(Perturbation):
    """A room, and the speaker at some distance in it; the clip grows by the room's last echoes.

    Measures `rt60_s` and `direct_to_reverberant_db` of the room response.
    """

    package = "pyroomacoustics"
    rt60_s: float = Field(ge=0.2, le=1.5)

    def _perturbed(
        self, samples: Samples, sample_rate_hz: int, seed: str
    ) -> tuple[Samples, Measured]:
        from askqa_builder.perturb.room import in_room

        return in_room(samples, sample_rate_hz, self.rt60_s, seed)

    def __str__(self) -> str:
        return f"reverb={self.rt60_s:g}"


class Telephone(Perturbation):
    """A telephone line: 300 to 3400 Hz at 8 kHz, with `mu-law` also 8-bit G.711.

    Measures `outside_band_db`: the power outside 300 to 3400 Hz, relative to all of it.
    """

    coding: Literal["linear", "mu-law"] = "linear"

    def _perturbed(
        self, samples: Samples, sample_rate_hz: int, seed: str
    ) -> tuple[Samples, Measured]:
        from askqa_builder.perturb.telephone import by_telephone, outside_band_db

        result = by_telephone(samples, sample_rate_hz, mu_law=self.coding == "mu-law")
        return result, {"outside_band_db": outside_band_db(result, sample_rate_hz)}

    def __str__(self) -> str:
        return "telephone" if self.coding == "linear" else f"telephone={self.coding}"


def _noise(value: str) -> Perturbation:
    snr_db, _, colour = value.partition(":")
    return Noise.model_validate({"snr_db": snr_db, "colour": colour or "speech"})


_READERS: dict[str, Callable[[str], Perturbation]] = {
    "rate": lambda value: Rate.model_validate({"rate": value}),
    "pitch": lambda value: Pitch.model_validate({"semitones": value}),
    "noise": _noise,
    "reverb": lambda value: Reverberation.model_validate({"rt60_s": value}),
    "telephone": lambda value: Telephone.model_validate({"coding": value or "linear"}),
}
FORMS = "rate=1.2, pitch=+3, noise=10, noise=10:pink, reverb=0.6, telephone, telephone=mu-law"
"""One specification of each kind."""


def parse(spec: str) -> Perturbation:
    """Read a specification such as "rate=1.2". Raises SettingsError naming what is wrong."""
    kind, _, value = spec.strip().partition("=")
    if kind not in _READERS:
        raise SettingsError(f"perturbation {spec!r} is unknown; expected one like {FORMS}")
    try:
        return _READERS[kind](value)
    except ValidationError as error:
        raise SettingsError(f"perturbation {spec!r}: {first_problem(error)}") from None


def draw(
    perturbations: Sequence[Perturbation], share: float, seed: int, record_id: str
) -> Perturbation | None:
    """Which of the perturbations a record gets: any of them alike, and none for 1 - `share`.

    The same seed and record give the same, whatever else is drawn.
    """
    chance = random.Random(f"{seed}:{record_id}:perturbation")
    if not perturbations or chance.random() >= share:
        return None
    return chance.choice(perturbations)


def given(speaker: Speaker, perturbation: Perturbation | None, seed: str) -> Speaker:
    """The speaker under a condition: what its clips are made with, and what is published."""
    if perturbation is None:
        return speaker
    about: dict[str, JsonValue] = {
        "spec": str(perturbation),
        "seed": seed,
        "made_with": perturbation.made_with(),
    }
    return speaker.model_copy(update={"settings": speaker.settings | {SETTING: about}})


def of(speaker: Speaker) -> tuple[Perturbation, str] | None:
    """The speaker's perturbation and its seed, if it has one."""
    about = speaker.settings.get(SETTING)
    if not isinstance(about, dict):
        return None
    return parse(str(about["spec"])), str(about["seed"])


def without(speaker: Speaker) -> Speaker:
    """The speaker as the engine should hear of it: the same voice under any condition."""
    if SETTING not in speaker.settings:
        return speaker
    settings = {name: value for name, value in speaker.settings.items() if name != SETTING}
    return speaker.model_copy(update={"settings": settings})


@dataclass(frozen=True)
class Conditions:
    """Under which conditions a build's dialogues are spoken; by default under none."""

    perturbations: tuple[Perturbation, ...] = ()
    share: float = 1.0
    """Of the records that get one of the perturbations."""
    roles: tuple[SpeakerRole, ...] = ("user",)
    seed: int = 0

    def described(self) -> dict[str, JsonValue]:
        """What they are and what they are made with, for manifests and fingerprints."""
        return {
            "specs": {str(item): item.made_with() for item in self.perturbations},
            "share": self.share,
            "roles": list(self.roles),
        }

    def given(self, speaker: Speaker, role: SpeakerRole, record_id: str) -> Speaker:
        """The speaker under the condition drawn for the record (passage or dialogue), if any."""
        if role not in self.roles:
            return speaker
        drawn = draw(self.perturbations, self.share, self.seed, record_id)
        return given(speaker, drawn, f"{self.seed}:{record_id}")
