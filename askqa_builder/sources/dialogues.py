"""People's own dialogues: JSON lines of `schema.Dialogue`, such as a build's dialogues/*.jsonl.

They come in as passages with drafts, so that the checks, the voices and the release treat them
like any others. The file is read twice: once to check every line and to see which dialogues stand
on one passage, once to yield them; only line offsets stay in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from askqa_builder.errors import SourceError
from askqa_builder.files import first_problem
from askqa_builder.schema import Dialogue, Draft, Passage, Reject
from askqa_builder.sources.common import (
    SourceItem,
    digest,
    one_line,
    open_file,
    reject,
    safe_id,
    unreadable,
)

MAX_LINE_BYTES = 4 * 1024 * 1024
"""A longer line is cut here, and so no dialogue."""


def read_dialogues(path: str) -> Iterator[SourceItem]:
    """Yield the passages of a file of dialogues, each with its dialogues as drafts.

    A passage keeps the split, the licence and the source of its first dialogue. Rejects:
    `malformed_dialogue`, `duplicate_dialogue`, `passage_differs` (another text under a known
    passage id), `group_in_two_splits`.

    Raises:
        SourceError: the file cannot be read, or no line of it is a dialogue.
    """
    file = open_file(Path(path))
    try:
        index = _Index(file)
    except OSError as error:
        raise unreadable(file, error) from error
    if not index.lines:
        why = index.rejects[0].detail if index.rejects else "it is blank"
        raise SourceError(
            f"{one_line(path)}: no line is a dialogue ({one_line(why)}); "
            "give dialogues in the form of docs/schema.json, one a line"
        )
    return index.items()


class _Index:
    """Which lines of a file hold the dialogues of each passage, and what is wrong with the rest."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.lines: dict[str, list[int]] = {}
        """Passage id → offsets of its dialogues."""
        self.rejects: list[Reject] = []
        self._ids: set[str] = set()
        self._texts: dict[str, str] = {}
        self._splits: dict[str, str] = {}
        with file.open("rb") as stream:
            number = 0
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                offset = stream.tell() - len(line)
                if line.strip():
                    self._add(line, offset, number)
                while line and not line.endswith(b"\n"):  # the rest of a line without end
                    line = stream.readline(MAX_LINE_BYTES)

    def _add(self, line: bytes, offset: int, number: int) -> None:
        where = f"line {number}"
        try:
            dialogue = Dialogue.model_validate_json(line)
        except ValidationError as error:
            detail = f"{where}: {first_problem(error)}"
            content = line.decode("utf-8", "replace")
            self.rejects.append(reject(where, "malformed_dialogue", detail, content))
            return
        split = self._splits.setdefault(dialogue.group, dialogue.split)
        text = self._texts.setdefault(dialogue.passage_id, digest(dialogue.passage))
        reason, detail = "", ""
        key = f"{dialogue.passage_id} {_key(dialogue)}"
        if key in self._ids:
            reason, detail = "duplicate_dialogue", "an earlier line has this id"
        elif text != digest(dialogue.passage):
            reason, detail = "passage_differs", f"from another {dialogue.passage_id!r}"
        elif split != dialogue.split:
            reason = "group_in_two_splits"
            detail = f"{dialogue.group!r} is in {split!r} before, in {dialogue.split!r} here"
        if reason:
            raw = dialogue.model_dump(mode="json", exclude_defaults=True)
            self.rejects.append(reject(dialogue.id, reason, f"{where}: {detail}", raw))
            return
        self._ids.add(key)
        self.lines.setdefault(dialogue.passage_id, []).append(offset)

    def items(self) -> Iterator[SourceItem]:
        yield from self.rejects
        with self._file.open("rb") as stream:
            for offsets in self.lines.values():
                dialogues = []
                for offset in offsets:
                    stream.seek(offset)
                    dialogues.append(Dialogue.model_validate_json(stream.readline()))
                yield _passage(dialogues)


def _passage(dialogues: list[Dialogue]) -> Passage:
    first = dialogues[0]
    return Passage(
        id=safe_id(first.passage_id),
        group=safe_id(first.group),
        title=first.title,
        text=first.passage,
        source=first.provenance.source,
        license=first.provenance.license,
        domain=first.domain,
        language=first.language,
        split=first.split,
        drafts=tuple(_draft(dialogue) for dialogue in dialogues),
    )


def _key(dialogue: Dialogue) -> str:
    return safe_id(dialogue.id.removeprefix(f"{dialogue.passage_id}-"))


def _draft(dialogue: Dialogue) -> Draft:
    """Make a draft that becomes a dialogue of the same id, where it began with the passage's."""
    made = dialogue.provenance
    return Draft(
        key=_key(dialogue),
        turns=dialogue.turns,
        ambiguous=dialogue.ambiguous,
        ambiguity_kind=dialogue.ambiguity_kind,
        readings=dialogue.readings,
        intended=dialogue.intended,
        question_ids=made.question_ids,
        details={
            **made.details,
            "imported": {"id": dialogue.id, "writer": f"{made.writer} {made.writer_version}"},
        },
    )
