"""Where passages come from: one small reader per kind of input.

    squad:FILE        SQuAD v1.1 / v2.0 JSON, Spoken-SQuAD's files
    abg-coqa:FILE     human-written ambiguous conversations about stories
    text:DIR          a folder of plain text and Markdown
    dialogues:FILE    people's own dialogues, as JSON lines of `schema.Dialogue`
    sdialog:DIR       SDialog's dialogue files, ours (`export --to sdialog`) and others'
    world:N           a closed synthetic world of our own, N stories with their dialogues
    sample            the passages that come with the package

A source yields passages and rejects, one after the other: what came in is accepted or told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from askqa_builder.errors import SettingsError
from askqa_builder.sources.abg_coqa import read_abg_coqa
from askqa_builder.sources.common import SourceItem
from askqa_builder.sources.dialogues import read_dialogues
from askqa_builder.sources.sample import read_sample
from askqa_builder.sources.sdialog import read_sdialog
from askqa_builder.sources.squad import read_squad
from askqa_builder.sources.text import read_text_folder
from askqa_builder.sources.world import FORM as WORLD_FORM
from askqa_builder.sources.world import read_world

SOURCES: dict[str, Callable[[str], Iterator[SourceItem]]] = {
    "squad": read_squad,
    "abg-coqa": read_abg_coqa,
    "text": read_text_folder,
    "dialogues": read_dialogues,
    "sdialog": read_sdialog,
    "world": read_world,
}
"""Scheme of a spec → its reader, which gets what follows the colon."""

FORMS = (
    "squad:FILE",
    "abg-coqa:FILE",
    "text:DIR",
    "dialogues:FILE",
    "sdialog:DIR",
    WORLD_FORM,
    "sample",
)
"""Every spec that `open_source` understands, as it is written in messages and help."""


def open_source(spec: str) -> Iterator[SourceItem]:
    """Open a source by its spec, such as `squad:train-v1.1.json`.

    The input is opened and checked at once, its records are read as they are asked for.

    Raises:
        SettingsError: the spec is not one of `FORMS`.
        SourceError: the file or folder cannot be read, or is of another kind.
    """
    scheme, colon, argument = spec.partition(":")
    if scheme == "sample" and not colon:
        return read_sample()
    if scheme in SOURCES and argument.strip():
        return SOURCES[scheme](argument)
    raise SettingsError(f"unknown source {spec!r}; expected one of {', '.join(FORMS)}")
