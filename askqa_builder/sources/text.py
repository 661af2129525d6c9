"""A folder of plain text and Markdown files, cut into passages at paragraph boundaries.

Markdown is parsed (CommonMark and tables, by markdown-it-py): headings become titles, links and
emphasis become their text, while code, tables, pictures, HTML and footnotes, which nobody reads
aloud, are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from askqa_builder.errors import SourceError
from askqa_builder.schema import Passage
from askqa_builder.segment import segments
from askqa_builder.sources.common import (
    MAX_PASSAGE_CHARS,
    SourceItem,
    digest,
    one_line,
    readable,
    reject,
    slug,
    unreadable,
)

if TYPE_CHECKING:
    from markdown_it.token import Token

MIN_WORDS, MAX_WORDS = 80, 300
"""A passage is about half a minute to two minutes of narration."""

TOO_FEW_WORDS = 20
"""A shorter rest at the end of a file is too little to talk about."""

MAX_BYTES = 16 * 1024 * 1024
"""A file is read at once; a whole encyclopedia volume has less."""

_MARKDOWN = (".md", ".markdown")
_CHARS_A_WORD = 6
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_FOOTNOTE = re.compile(r"^\[\^[^\]]+\]:.*$|\[\^[^\]]+\]", re.MULTILINE)

Paragraph = tuple[str, str]
"""The heading that a paragraph stands under (empty where there is none), and its text."""


def read_text_folder(path: str) -> Iterator[SourceItem]:
    """Yield passages of the .txt and .md files in and under a folder, in the order of their paths.

    A file is a group: its passages share a split. Rejects: `not_utf8`, `not_text`,
    `file_too_large`, `file_unreadable`, `file_empty`, `passage_too_short`,
    `passage_too_long`, `duplicate_passage`.

    Raises:
        SourceError: there is no such folder, or no text in it.
    """
    root = Path(path)
    try:
        if not root.is_dir():
            what = "is no folder" if root.exists() else "does not exist"
            raise SourceError(f"{one_line(path)}: {what}; give a folder of .txt or .md files")
        files = _files(root)
    except (OSError, ValueError) as error:
        raise unreadable(root, error) from error
    if not files:
        raise SourceError(f"{one_line(path)}: holds no .txt or .md file; put some in, as UTF-8")
    return _passages(root, files)


def _files(root: Path) -> list[Path]:
    """All text files under a folder; hidden ones and links to folders are left out."""

    def fail(error: OSError) -> None:
        raise error

    found: list[Path] = []
    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(folder, name)
            for name in names
            if name.lower().endswith((".txt", *_MARKDOWN)) and not name.startswith(".")
        ]
    return sorted(found, key=lambda file: file.relative_to(root).as_posix())


def _passages(root: Path, files: list[Path]) -> Iterator[SourceItem]:
    seen: set[str] = set()
    for file in files:
        name = os.fsencode(file.relative_to(root).as_posix()).decode("utf-8", "replace")
        group = f"text-{slug(name)}"
        try:
            size = file.stat().st_size
            content = file.read_bytes() if size <= MAX_BYTES else b""
        except OSError as error:
            yield reject(group, "file_unreadable", f"{name}: {error.strerror}")
            continue
        if size > MAX_BYTES:
            yield reject(group, "file_too_large", f"{name}: {size:,} bytes, limit {MAX_BYTES:,}")
            continue
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            yield reject(group, "not_utf8", f"{name}: byte {error.start}: {error.reason}")
            continue
        if "\0" in text:
            yield reject(group, "not_text", f"{name}: byte {content.index(0)} is NUL")
            continue
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        split = markdown_paragraphs if file.suffix.lower() in _MARKDOWN else paragraphs
        packed = list(pack(split(text)))
        if not packed:
            yield reject(group, "file_empty", f"{name}: nothing in it can be read aloud")
        for heading, passage in packed:
            id = f"{group}-{digest(passage)}"
            if len(passage) > MAX_PASSAGE_CHARS:
                yield reject(id, "passage_too_long", f"{name}: a word without end", passage)
            elif _words(passage) < TOO_FEW_WORDS:
                yield reject(id, "passage_too_short", f"{name}: a rest of a few words", passage)
            elif digest(passage) in seen:
                yield reject(id, "duplicate_passage", f"{name}: stands elsewhere too", passage)
            else:
                seen.add(digest(passage))
                yield Passage(
                    id=id,
                    group=group,
                    title=heading or one_line(re.sub(r"[-_]+", " ", Path(name).stem)),
                    text=passage,
                    source="text",
                )


def paragraphs(text: str) -> Iterator[Paragraph]:
    """Split plain text at blank lines; a paragraph's own line breaks become spaces."""
    for block in re.split(r"\n[ \t]*\n", readable(text)):
        if joined := one_line(block):
            yield "", joined


def markdown_paragraphs(text: str) -> Iterator[Paragraph]:
    """Yield what can be read aloud of a Markdown text, with the heading that it stands under."""
    from markdown_it import MarkdownIt

    body = _FOOTNOTE.sub("", _FRONT_MATTER.sub("", readable(text)))
    heading, inside = "", ""
    for token in MarkdownIt("commonmark").enable("table").parse(body):
        if token.type in ("heading_open", "table_open"):
            inside = token.type
        elif token.type in ("heading_close", "table_close"):
            inside = ""
        elif token.type == "inline" and inside == "heading_open":
            heading = _plain(token)
        elif token.type == "inline" and not inside and (joined := _plain(token)):
            yield heading, joined


def _plain(inline: Token) -> str:
    """Text of an inline token without its markup; pictures and HTML are left out."""
    spoken = {"text": None, "code_inline": None, "softbreak": " ", "hardbreak": " "}
    parts = [
        spoken[child.type] or child.content
        for child in inline.children or []
        if child.type in spoken
    ]
    return one_line("".join(parts))


def pack(blocks: Iterator[Paragraph]) -> Iterator[Paragraph]:
    """Join paragraphs to passages of `MIN_WORDS` to `MAX_WORDS`, cutting only what is longer.

    A passage begins anew under a new heading once it is long enough; a short rest at the end
    joins the passage before it where there is room.
    """
    done: Paragraph | None = None  # held back: a short rest may still join it
    heading, lines, words = "", list[str](), 0
    for title, paragraph in blocks:
        pieces = [paragraph]
        if len(paragraph.split()) > MAX_WORDS or len(paragraph) > MAX_WORDS * _CHARS_A_WORD:
            pieces = segments(paragraph, MAX_WORDS * _CHARS_A_WORD)
        for piece in pieces:
            size = _words(piece)
            full = words + size > MAX_WORDS or (words >= MIN_WORDS and title != heading)
            if lines and full:
                if done:
                    yield done
                done, lines, words = (heading, "\n".join(lines)), [], 0
            if not lines:
                heading = title
            lines.append(piece)
            words += size
            if words >= MIN_WORDS and words + MIN_WORDS > MAX_WORDS:
                if done:
                    yield done
                done, lines, words = (heading, "\n".join(lines)), [], 0
    rest = "\n".join(lines)
    if done and rest and words < MIN_WORDS and _words(done[1]) + words <= MAX_WORDS:
        done, rest = (done[0], f"{done[1]}\n{rest}"), ""
    if done:
        yield done
    if rest:
        yield heading, rest


def _words(text: str) -> int:
    """Words, counting as many as there is room for where a script has no spaces."""
    return max(len(text.split()), len(text) // (2 * _CHARS_A_WORD))
