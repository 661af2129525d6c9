"""Prompts: files that people edit, rendered so that material can never speak for them.

A prompt is a Markdown file with YAML front matter and a Jinja2 body of two blocks, `system` and
`user`. What comes from passages or from a model goes in as *material*: wherever a template prints
it, it stands between two markers whose number follows from the material itself, so that no
passage can hold the marker that would end it. A template cannot get at the bare text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from askqa_builder.errors import SettingsError
from askqa_builder.files import first_problem


@dataclass(frozen=True)
class Signature:
    """What a prompt gets and what its reply must be."""

    returns: str
    material: frozenset[str]
    facts: frozenset[str]
    """Names of what we say ourselves: numbers, kinds, rules."""


def _signature(returns: str, material: str, facts: str = "") -> Signature:
    return Signature(returns, frozenset(material.split()), frozenset(facts.split()))


SIGNATURES: dict[str, Signature] = {
    "plan-ambiguous": _signature("AmbiguousPlan", "passage", "kind ideas"),
    "plan-clear": _signature("ClearPlan", "passage", "ideas"),
    "write-ambiguous": _signature("AmbiguousDialogue", "passage idea", "kind earlier"),
    "write-clear": _signature("ClearDialogue", "passage idea", "earlier"),
    "repair": _signature("AmbiguousDialogue or ClearDialogue", "passage dialogue fault", "rule"),
    "solve": _signature("Solution", "passage talk"),
    "solve-clarified": _signature("Solution", "passage talk"),
}
"""Every prompt, by the name of its file."""

_README = "README.md"  # may lie beside the prompts


class _FrontMatter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int = Field(ge=1)
    returns: str
    purpose: str


@dataclass(frozen=True)
class Rendered:
    """A prompt as it is sent."""

    name: str
    system: str
    user: str

    @property
    def messages(self) -> list[dict[str, JsonValue]]:
        return [
            {"role": "system", "content": self.system},
            {"role": "user", "content": self.user},
        ]

    @property
    def sha256(self) -> str:
        """Hash of both parts: 16 hex digits."""
        return _hash(f"{self.system}\0{self.user}")


class Prompt:
    """One prompt file, compiled."""

    def __init__(self, path: Path, name: str) -> None:
        """Read and check it. Raises SettingsError, naming the line where there is one."""
        from jinja2 import StrictUndefined, TemplateSyntaxError
        from jinja2.sandbox import SandboxedEnvironment

        self.path, self._signature = path, SIGNATURES[name]
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: cannot read the prompt: {error}") from error
        self.front, body, lines_before = _split(path, text)
        if (self.front.name, self.front.returns) != (name, self._signature.returns):
            raise SettingsError(
                f"{path}: this file must say 'name: {name}' and "
                f"'returns: {self._signature.returns}', which the program relies on"
            )
        self.sha256 = _hash(text)
        environment = SandboxedEnvironment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        try:
            tree = environment.parse(body)
            self._template = environment.from_string(body)
        except TemplateSyntaxError as error:
            raise SettingsError(f"{path}:{error.lineno + lines_before}: {error.message}") from error
        self._check(tree)

    def _check(self, tree: Any) -> None:
        """Find now what would else fail after the first calls have been paid."""
        from jinja2.meta import find_undeclared_variables

        missing = {"system", "user"} - self._template.blocks.keys()
        if missing:
            raise SettingsError(
                f"{self.path}: has no {{% block {min(missing)} %}}; a prompt has the blocks system "
                "and user"
            )
        used, given = find_undeclared_variables(tree), self._signature
        unknown = used - given.material - given.facts
        if unknown:
            raise SettingsError(
                f"{self.path}: uses {min(unknown)!r}, which it does not get; it gets "
                f"{sorted(given.material | given.facts)}"
            )
        if unused := given.material - used:
            raise SettingsError(f"{self.path}: does not use {min(unused)!r}; add {{{{ … }}}}")

    def render(self, material: Mapping[str, str], facts: Mapping[str, JsonValue]) -> Rendered:
        """Fill it in. Raises SettingsError where the template fails."""
        from jinja2 import TemplateError

        assert material.keys() == self._signature.material, f"{self.path}: {sorted(material)}"
        assert facts.keys() == self._signature.facts, f"{self.path}: {sorted(facts)}"
        number = marker_number(material.values())
        fenced = {name: _Material(name, text, number) for name, text in material.items()}
        context = self._template.new_context({**facts, **fenced})
        try:
            system, user = (
                "".join(self._template.blocks[block](context)).strip()
                for block in ("system", "user")
            )
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise SettingsError(f"{self.path}: cannot be filled in: {error}") from error
        return Rendered(self.front.name, system, user)


class Prompts:
    """The prompts of a run: those that are shipped, each replaced by the user's own if there is."""

    def __init__(self, folder: Path | None = None) -> None:
        """Read them all. Raises SettingsError for a file that cannot be used or is no prompt."""
        shipped = _shipped_folder()
        own = _own(folder) if folder is not None else {}
        self._prompts = {
            name: Prompt(own.get(name, shipped / f"{name}.md"), name) for name in SIGNATURES
        }

    def __getitem__(self, name: str) -> Prompt:
        return self._prompts[name]

    def digests(self) -> dict[str, str]:
        """Hash of each file, by name."""
        return {name: prompt.sha256 for name, prompt in self._prompts.items()}


def marker_number(texts: Iterable[str]) -> str:
    """Return 16 hex digits that follow from the texts and stand in none of them.

    To forge it, a text would have to hold a part of its own SHA-256.
    """
    held = list(texts)
    number = _hash("\0".join(held))
    while any(number in text for text in held):
        number = _hash(number)
    return number


def fenced(material: Mapping[str, str]) -> list[str]:
    """Each text, by its name, between markers that none of them can hold."""
    number = marker_number(material.values())
    return [f"<{name} {number}>\n{text}\n</{name} {number}>" for name, text in material.items()]


class _Material:
    """Text that others wrote: printed, it always stands between its markers."""

    __slots__ = ("__name", "__number", "__text")  # out of the sandbox's reach

    def __init__(self, name: str, text: str, number: str) -> None:
        self.__name, self.__text, self.__number = name, text, number

    def __str__(self) -> str:
        marker = f"{self.__name} {self.__number}"
        return f"<{marker}>\n{self.__text}\n</{marker}>"


def _split(path: Path, text: str) -> tuple[_FrontMatter, str, int]:
    """Part front matter and body; also return how many lines stand before the body."""
    import yaml

    start, separator, rest = text.removeprefix("\ufeff").partition("---\n")
    front, end, body = rest.partition("\n---\n")
    if start or not separator or not end:
        raise SettingsError(f"{path}: a prompt begins with front matter between two lines of ---")
    try:
        matter = _FrontMatter.model_validate(yaml.safe_load(front))
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise SettingsError(f"{path}: the front matter is no YAML: {problem}") from error
    except ValidationError as error:
        raise SettingsError(f"{path}: front matter: {first_problem(error)}") from error
    return matter, body, front.count("\n") + 3


def _shipped_folder() -> Path:
    package = Path(__file__).parent
    inside = package / "data" / "prompts"  # in a wheel; beside the package in a checkout
    return inside if inside.is_dir() else package.parent / "prompts"


def _own(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise SettingsError(f"--prompts {str(folder)!r}: no such folder")
    own = {path.stem: path for path in sorted(folder.glob("*.md")) if path.name != _README}
    unknown = own.keys() - SIGNATURES.keys()
    if unknown:
        raise SettingsError(
            f"{own[min(unknown)]}: no prompt has this name; expected one of {sorted(SIGNATURES)}"
        )
    return own


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
