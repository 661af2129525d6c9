"""Options of `synthesize` for how its speech is heard: under which conditions, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

_CONDITIONS = "Conditions (docs/perturbations.md)"
_GATE = "Check by a recogniser (docs/voices.md)"

PerturbOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SPEC",
        help="Speak under a condition: rate=1.2, pitch=+3, noise=10, reverb=0.6, telephone. May be "
        "repeated: a dialogue gets one of them. `none` to end it.",
        rich_help_panel=_CONDITIONS,
    ),
]
PerturbShareOption = Annotated[
    float | None,
    typer.Option(
        help="Share of the dialogues that get one, 0 to 1; default 1.", rich_help_panel=_CONDITIONS
    ),
]
PerturbRolesOption = Annotated[
    str | None,
    typer.Option(
        metavar="ROLES",
        help="Whose clips: user (default), assistant, narrator; several with commas.",
        rich_help_panel=_CONDITIONS,
    ),
]

AsrOption = Annotated[
    str | None,
    typer.Option(
        help="Reject what a recogniser does not understand: faster-whisper[:FOLDER|NAME] or "
        "openai:MODEL[@URL]. `none` to end it.",
        rich_help_panel=_GATE,
    ),
]
MaxWerOption = Annotated[
    float | None,
    typer.Option(
        help="Highest word error rate of a clip; default 0.3. One error is always let pass, "
        "unless this is 0.",
        rich_help_panel=_GATE,
    ),
]


def none_or_all(values: Sequence[str] | None) -> Sequence[str] | None:
    """The values of a repeated option; the one value `none` takes back what was set before."""
    return [] if values is not None and list(values) == ["none"] else values


def names(values: str | None) -> list[str] | None:
    """The names in a list with commas."""
    return None if values is None else [name.strip() for name in values.split(",")]


def print_word_errors(counts: Mapping[str, int], recogniser: str) -> None:
    """Say how much of what was kept is misheard, if a recogniser listened."""
    if words := counts.get("asr_words", 0):
        errors = counts.get("asr_errors", 0)
        typer.echo(f"{errors / words:.1%} of {words:,} words misheard by {recogniser}")
