"""askqa.toml and command-line options → settings, parsed once.

The file lies in the build folder and always says how the build was last made: a command reads
it, lays its own options over it, and writes it back. Secrets are never among the settings.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from askqa_builder.errors import SettingsError
from askqa_builder.store import first_problem, storage_errors, write_text

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


class SynthesizeSettings(_Section):
    """[synthesize]: who speaks."""

    narrator: str = "espeak"
    user: str = "espeak"
    assistant: str = "espeak"
    seed: int = 0


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
    synthesize: SynthesizeSettings = SynthesizeSettings()
    release: ReleaseSettings = ReleaseSettings()


SectionT = TypeVar("SectionT", bound=_Section)


def load_settings(build: Path) -> Settings:
    """Read askqa.toml; defaults where there is none.

    Raises SettingsError naming the key that is wrong.
    """
    path = build / FILE_NAME
    try:
        with storage_errors(path):
            return Settings.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError:
        return Settings()
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}; mend or delete the file") from error
    except ValidationError as error:
        raise SettingsError(f"{path}: {first_problem(error)}; mend or delete the line") from error


def save_settings(build: Path, settings: Settings) -> None:
    """Write askqa.toml atomically, without what is left at its default."""
    import tomli_w

    path = build / FILE_NAME
    text = tomli_w.dumps(settings.model_dump(mode="json", exclude_defaults=True, exclude_none=True))
    if not path.is_file() or path.read_text() != text:
        write_text(path, text)


def overlaid(section: SectionT, **options: object) -> SectionT:
    """The section with the options that were given (not None) laid over it.

    Raises SettingsError naming the option that is wrong.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return type(section).model_validate(section.model_dump() | given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        option = "--" + str(problem["loc"][0]).replace("_", "-")
        raise SettingsError(f"{option} {problem['input']!r}: {problem['msg']}") from error
