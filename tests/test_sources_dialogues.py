"""People's own dialogues come in as drafts, and go out as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from askqa_builder.errors import SourceError
from askqa_builder.generate import dialogue_of
from askqa_builder.schema import Dialogue, Passage, Reject
from askqa_builder.sources import open_source


def record(id: str = "p1-a", **fields: Any) -> dict[str, Any]:
    return {
        "id": id,
        "passage_id": "p1",
        "group": "story",
        "title": "Rome",
        "split": "test",
        "passage": "In Rome it rains.",
        "turns": [
            {"role": "user", "act": "question", "text": "Where does it rain?"},
            {"role": "assistant", "act": "answer", "text": "In Rome."},
        ],
        "ambiguous": False,
        "readings": [{"question": "Where does it rain?", "answers": ["In Rome"]}],
        "provenance": {
            "source": "mine",
            "license": "cc0-1.0",
            "writer": "me",
            "writer_version": "7",
            "details": {"mood": "good"},
        },
    } | fields


def read(folder: Path, *lines: Any) -> tuple[list[Passage], list[Reject]]:
    path = folder / "mine.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    items = list(open_source(f"dialogues:{path}"))
    return (
        [item for item in items if isinstance(item, Passage)],
        [item for item in items if isinstance(item, Reject)],
    )


def test_a_dialogue_goes_out_as_it_came_in(tmp_path: Path) -> None:
    passages, rejects = read(tmp_path, record())
    assert rejects == []
    out = dialogue_of(passages[0], passages[0].drafts[0], "import", "1")
    came = Dialogue.model_validate(record())
    assert isinstance(out, Dialogue)
    assert out.model_copy(update={"provenance": came.provenance}) == came
    assert (out.provenance.source, out.provenance.license) == ("mine", "cc0-1.0")
    assert out.provenance.details == {
        "mood": "good",
        "imported": {"id": "p1-a", "writer": "me 7"},
    }


def test_dialogues_of_one_passage_come_together_wherever_they_stand(tmp_path: Path) -> None:
    other = record("p2-a", passage_id="p2")
    passages, _ = read(tmp_path, record(), "", other, record("p1-b"), record("odd id"))
    assert [(p.id, [d.key for d in p.drafts]) for p in passages] == [
        ("p1", ["a", "b", "odd-id"]),
        ("p2", ["a"]),
    ]


def test_unusable_lines_are_rejected_and_the_others_stay(tmp_path: Path) -> None:
    passages, rejects = read(
        tmp_path,
        record(),
        record(),
        record("p1-b", passage="Another text."),
        record("p3-a", passage_id="p3", split="train"),
        record("p1-c", turns=[]),
        record("p1-d", extra=1),
        "{not json",
        "[1]",
        '"\\ud800"',
    )
    assert [len(p.drafts) for p in passages] == [1]
    assert [r.reason for r in rejects] == [
        "duplicate_dialogue",
        "passage_differs",
        "group_in_two_splits",
        *["malformed_dialogue"] * 5,
    ]
    assert rejects[0].detail.startswith("line 2: ")


def test_a_line_without_end_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("askqa_builder.sources.dialogues.MAX_LINE_BYTES", 2000)
    passages, rejects = read(tmp_path, "x" * 9000, record(), '"' + "y" * 5000)
    assert [len(p.drafts) for p in passages] == [1]
    assert [r.id for r in rejects] == ["line 1", "line 3"]


def test_ids_that_look_like_paths_are_made_safe(tmp_path: Path) -> None:
    passages, _ = read(tmp_path, record("../../x", passage_id="../../p", group="../g"))
    passage = passages[0]
    assert not any(
        "/" in id or ".." in id for id in (passage.id, passage.group, passage.drafts[0].key)
    )


@pytest.mark.parametrize("content", ["", "\n\n", "{}", '{"data": []}', "a,b\n1,2\n", "\0\0"])
def test_a_file_without_dialogues_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        open_source(f"dialogues:{path}")
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
