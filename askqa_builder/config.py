"""askqa.toml and command-line options → settings, parsed once.

The file lies in the build folder and always says how the build was last made: a command reads
it, lays its own options over it, and writes it back. Secrets are never among the settings.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from askqa_builder.errors import SettingsError
from askqa_builder.files import first_problem
from askqa_builder.llm.endpoint import checked_url
from askqa_builder.perturb import Conditions
from askqa_builder.perturb import parse as parse_perturbation
from askqa_builder.schema import SpeakerRole
from askqa_builder.store import Build

FILE_NAME = "askqa.toml"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GenerateSettings(_Section):
    """[generate]: which passages, and who writes the dialogues."""

    sources: tuple[str, ...] = ()
    writer: Literal["contrast", "questions", "import", "llm"] | None = None
    """None: `import` for passages that come with human dialogues, else `contrast`."""
    seed: int = 0
    ambiguous_share: float = Field(default=0.5, ge=0, le=1)
    count: int | None = Field(default=None, ge=1)
    """Stop at this many accepted dialogues; None: all that can be made."""
    shard_size: int = Field(default=50, ge=1, le=10_000)
    """Passages per shard."""


class LlmSettings(_Section):
    """[llm]: which model writes and verifies, how it is asked, and what it may cost.

    The key is not among the settings: it comes from the environment variable OPENAI_API_KEY.
    """

    model: str | None = None
    base_url: str | None = None
    """None: the environment variable OPENAI_BASE_URL, else OpenAI's."""
    params: dict[str, JsonValue] = {}
    """Sent with every request as they are: temperature, top_p, reasoning_effort …"""
    max_tokens: int = Field(default=4096, ge=1)
    """Longest reply."""
    prompts: str | None = None
    """A folder with prompts of one's own."""
    verify: int = Field(default=2, ge=0, le=20)
    """Independent solvers for each question; 0: none."""
    verify_model: str | None = None
    """None: the writer's."""
    candidates: int | None = Field(default=None, ge=1)
    """Dialogues to try at most; None: three times as many as are wanted."""
    budget_usd: float | None = Field(default=None, gt=0)
    prices: str | None = None
    """A table of one's own, laid over askqa_builder/llm/prices.toml."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    concurrency: int = Field(default=100, ge=1, le=10_000)
    timeout_s: float = Field(default=180.0, gt=0)
    batch: bool = False
    """Use the provider's Batch API."""


class CoquiSettings(_Section):
    """[synthesize.coqui]: how Coqui models run."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU where torch finds one."""
    threads: int = Field(default=1, ge=1, le=256)
    """Of each process on the CPU; another number gives other last bits."""
    batch: int | None = Field(default=None, ge=1, le=1024)
    """Lines spoken together; None: one on the CPU, 16 on a GPU."""
    language: str = "en"
    """For models that speak several."""
    references: str | None = None
    """Folder of clips whose voices are imitated (XTTS, YourTTS)."""


class SpeechSettings(_Section):
    """[synthesize.openai]: a speech endpoint. Its key is in OPENAI_API_KEY and nowhere else."""

    base_url: str | None = None
    """None: OPENAI_BASE_URL, else OpenAI's own."""
    voices: tuple[str, ...] = (
        *("alloy", "ash", "ballad", "coral", "echo", "fable"),
        *("nova", "onyx", "sage", "shimmer", "verse"),
    )
    """Names of the endpoint's voices; OpenAI's by default."""
    instructions: str = ""
    """How to speak, in words, for models that follow such."""
    response_format: Literal["wav", "flac", "pcm", "mp3"] = "wav"
    """pcm: 16-bit samples at 24 kHz without a header."""
    concurrency: int = Field(default=100, ge=1, le=10_000)
    """Requests in flight, at most."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    timeout_s: float = Field(default=180.0, gt=0)
    attempts: int = Field(default=8, ge=1, le=100)
    """Tries of a request that ends in 429, 5xx, a timeout or nonsense."""
    budget_usd: float | None = Field(default=None, gt=0)
    """Of the whole build, its language model included."""
    prices: str | None = None
    """A table of one's own, over the one that is shipped."""


class SynthesizeSettings(_Section):
    """[synthesize]: who speaks."""

    narrator: str = "espeak"
    """Engine, or engine and model: espeak, coqui:FOLDER, openai:MODEL."""
    user: str = "espeak"
    assistant: str = "espeak"
    seed: int = 0
    perturb: tuple[str, ...] = ()
    """Conditions of which a dialogue gets one: rate=1.2, noise=10 … (docs/perturbations.md)."""
    perturb_share: float = Field(default=1.0, ge=0, le=1)
    """Of the dialogues that get one."""
    perturb_roles: tuple[SpeakerRole, ...] = ("user",)
    asr: str = "none"
    """Recogniser that must understand every clip: none, faster-whisper[:MODEL], openai:MODEL[@URL].
    It shares device, threads and language with [synthesize.coqui], and limits, budget and prices
    with [synthesize.openai]."""
    max_wer: float = Field(default=0.3, ge=0)
    """Highest word error rate of a clip."""
    coqui: CoquiSettings = CoquiSettings()
    openai: SpeechSettings = SpeechSettings()

    @field_validator("perturb")
    @classmethod
    def _conditions_are_known(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(parse_perturbation(spec)) for spec in specs)
        except SettingsError as error:
            raise ValueError(str(error)) from None

    @property
    def conditions(self) -> Conditions:
        """What `perturb`, its share and roles come to, drawn by the seed of the casting."""
        perturbations = tuple(map(parse_perturbation, self.perturb))
        return Conditions(perturbations, self.perturb_share, self.perturb_roles, self.seed)


class ReleaseSettings(_Section):
    """[release]: how the data set is presented."""

    name: str = "askqa"
    title: str = "ASK-QA"
    repo: str | None = None
    """Hub id under which it is to be published, for the card's examples."""
    card: str = "default"
    """Template of the card: a name in data_cards/, or the path of a file of one's own."""
    license: str | None = None
    """None: the strictest licence among the sources."""


class Settings(_Section):
    """Everything that shapes a build."""

    generate: GenerateSettings = GenerateSettings()
    llm: LlmSettings = LlmSettings()
    synthesize: SynthesizeSettings = SynthesizeSettings()
    release: ReleaseSettings = ReleaseSettings()


SectionT = TypeVar("SectionT", bound=_Section)


def without_folder(spec: str) -> str:
    """`squad:/home/ann/train.json` or `coqui:/models/vctk` as the world may see it: without the
    folders of this machine, where it names a path of it."""
    scheme, colon, rest = spec.partition(":")
    path = Path(rest)
    return f"{scheme}{colon}{path.name}" if path.is_absolute() or path.exists() else spec


def load_settings(build: Build) -> Settings:
    """Read askqa.toml; defaults where there is none.

    Raises SettingsError naming the key that is wrong.
    """
    where = f"{build.location}/{FILE_NAME}"
    try:
        return Settings.model_validate(tomllib.loads((build.read(FILE_NAME) or b"").decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: not valid TOML: {error}; mend or delete the file") from error
    except ValidationError as error:
        raise SettingsError(f"{where}: {first_problem(error)}; mend or delete the line") from error


def save_settings(build: Build, settings: Settings) -> None:
    """Write askqa.toml atomically, without what is left at its default."""
    import tomli_w

    text = tomli_w.dumps(settings.model_dump(mode="json", exclude_defaults=True, exclude_none=True))
    build.write(FILE_NAME, text)


def overlaid(section: SectionT, **options: object) -> SectionT:
    """The section with the options that were given (not None) laid over it.

    Raises SettingsError naming the option that is wrong.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if "base_url" in given:  # before it is saved, whether or not this run asks anybody there
        checked_url(str(given["base_url"]))
    try:
        return type(section).model_validate(section.model_dump() | given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        option = "--" + str(problem["loc"][0]).replace("_", "-")
        raise SettingsError(f"{option} {problem['input']!r}: {problem['msg']}") from error
