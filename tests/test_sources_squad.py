"""SQuAD's form: real files whole, wrong offsets mended, broken input told in one line."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from askqa_builder.errors import SettingsError, SourceError
from askqa_builder.schema import Passage, Reject
from askqa_builder.sources import open_source
from askqa_builder.sources.common import slug

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SQUAD = DATA / "squad" / "squad-44-articles.json"
SPOKEN = DATA / "spoken-squad"

needs_squad = pytest.mark.skipif(not SQUAD.exists(), reason=f"needs {SQUAD}")
needs_spoken = pytest.mark.skipif(not SPOKEN.exists(), reason=f"needs {SPOKEN}")


def read(path: Path) -> tuple[list[Passage], list[Reject]]:
    items = list(open_source(f"squad:{path}"))
    return (
        [item for item in items if isinstance(item, Passage)],
        [item for item in items if isinstance(item, Reject)],
    )


def qa(question: str = "Where?", id: str = "q1", **fields: Any) -> dict[str, Any]:
    return {"id": id, "question": question, "answers": [{"text": "Rome", "answer_start": 3}]} | (
        fields
    )


def article(*paragraphs: Any, title: Any = "City") -> dict[str, Any]:
    return {"title": title, "paragraphs": list(paragraphs)}


def paragraph(context: Any = "In Rome it rains.", *qas: Any) -> dict[str, Any]:
    return {"context": context, "qas": list(qas)}


def write(folder: Path, *articles: Any, **top: Any) -> Path:
    path = folder / "squad.json"
    path.write_text(json.dumps({"data": list(articles), **top}), encoding="utf-8")
    return path


@needs_squad
def test_the_44_articles_come_in_whole_with_exact_offsets() -> None:
    passages, rejects = read(SQUAD)
    assert (len(passages), len(rejects)) == (2429, 1)
    assert rejects[0].reason == "duplicate_passage"
    assert len({p.id for p in passages}) == 2429
    assert len({p.group for p in passages}) == 44
    questions = [q for p in passages for q in p.questions]
    assert len(questions) == 11_876  # the other one is in the reject's raw content
    assert all(a.start is not None for q in questions for a in q.answers)
    titles = {p.title for p in passages}
    assert {"Saint Barthélemy", "Financial crisis of 2007–08"} <= titles
    assert "squad-saint-barthelemy" in {p.group for p in passages}


@needs_spoken
@pytest.mark.parametrize("name", ["clean", "wer44", "wer54"])
def test_spoken_squad_keeps_every_question_though_offsets_are_wrong(name: str) -> None:
    path = SPOKEN / f"spoken-squad-test-8-articles-{name}.json"
    passages, rejects = read(path)
    assert rejects == []
    assert len(passages) == 483
    assert sum(not p.questions for p in passages) == 27
    questions = [q for p in passages for q in p.questions]
    assert len(questions) == 1553
    known = sum(q.answers[0].start is not None for q in questions)
    assert known == 1553 if name == "clean" else 0 < known < 1553


def test_a_wrong_offset_is_mended_where_the_answer_occurs_once(tmp_path: Path) -> None:
    answers = [
        {"text": "Rome", "answer_start": 0},
        {"text": "rains", "answer_start": None},
        {"text": "in", "answer_start": 1},  # twice, but only inside other words
        {"text": " Rome ", "answer_start": 2},
        {"text": "Paris", "answer_start": True},
        {"text": "it", "answer_start": -9},
    ]
    path = write(tmp_path, article(paragraph("In Rome it rains.", qa(answers=answers))))
    passages, rejects = read(path)
    found = {a.text: a.start for a in passages[0].questions[0].answers}
    assert found == {"Rome": 3, "rains": 11, "in": None, "Paris": None, "it": 8}
    assert rejects == []


def test_an_answer_that_occurs_twice_keeps_no_offset(tmp_path: Path) -> None:
    wrong = [{"text": "Rome", "answer_start": 1}]
    path = write(tmp_path, article(paragraph("Rome is Rome.", qa(answers=wrong))))
    assert read(path)[0][0].questions[0].answers[0].start is None


def test_white_space_around_a_passage_goes_and_offsets_follow(tmp_path: Path) -> None:
    answers = [{"text": "Rome", "answer_start": 6}]
    path = write(tmp_path, article(paragraph("\n  In Rome it\u0007rains. ", qa(answers=answers))))
    passage = read(path)[0][0]
    assert passage.text == "In Rome it rains."
    assert passage.questions[0].answers[0].start == 3


def test_ids_stay_when_articles_and_paragraphs_are_added(tmp_path: Path) -> None:
    old = article(paragraph("In Rome it rains.", qa()), paragraph("In Oslo it snows."))
    before, _ = read(write(tmp_path, old))
    new = article(paragraph("A new first one."), *old["paragraphs"])
    after, _ = read(write(tmp_path, article(paragraph("X."), title="Other"), new))
    assert {p.id for p in before} < {p.id for p in after}
    assert {p.group for p in before} < {p.group for p in after}


def test_unusable_records_are_rejected_and_the_others_stay(tmp_path: Path) -> None:
    good = qa()
    path = write(
        tmp_path,
        "no article",
        {"title": "no paragraphs"},
        article(
            paragraph("In Rome it rains.", good, qa(id="q1"), qa(id="q2", is_impossible=True)),
            paragraph("In Rome it rains."),
            paragraph("   "),
            paragraph("word " * 5000),
            paragraph(17),
            "no paragraph",
            {"context": "In Bonn.", "qas": {"a": 1}},
            paragraph(
                "In Rome it snows.",
                qa(question="  ", id="q3"),
                qa(id="q4", answers=[]),
                qa(id="q5", answers=[{"text": 5}, {"text": "Rome"}]),
                ["no question"],
                qa(id="q6", answers="Rome"),
            ),
        ),
    )
    passages, rejects = read(path)
    assert [len(p.questions) for p in passages] == [1, 1]
    assert Counter(r.reason for r in rejects) == {
        "malformed_article": 2,
        "duplicate_question": 1,
        "unanswerable": 1,
        "duplicate_passage": 1,
        "passage_empty": 1,
        "passage_too_long": 1,
        "malformed_passage": 3,
        "malformed_question": 2,
        "no_answer": 2,
        "malformed_answer": 1,
    }
    assert all(r.stage == "source" and r.raw is not None for r in rejects)


@pytest.mark.parametrize(
    "title", ["../../etc/passwd", "a/b\\c", "\x00\x07", "🙂", "北京", "x" * 500, "", None, 7, "con"]
)
def test_ids_are_safe_file_names_whatever_the_title(tmp_path: Path, title: object) -> None:
    path = write(tmp_path, article(paragraph("In Rome it rains."), title=title))
    passages, _ = read(path)
    for name in (passages[0].id, passages[0].group):
        assert len(name) < 80
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_foreign_question_ids_are_made_safe_and_stay_apart(tmp_path: Path) -> None:
    questions = [qa(id=id) for id in ("../../x", "..", "ok_1|2", 7, None, "東", "京")]
    passages, rejects = read(write(tmp_path, article(paragraph("In Rome.", *questions))))
    ids = [q.id for q in passages[0].questions]
    assert rejects == []
    assert len(set(ids)) == 7
    assert "ok_1|2" in ids
    assert not any("/" in id or ".." in id for id in ids)


def test_different_names_never_share_a_slug_for_lost_letters() -> None:
    assert slug("Beyoncé") == "beyonce"
    assert slug("北京") != slug("東京")
    assert slug("x" * 60) != slug("x" * 61)


def test_text_that_utf8_cannot_write_becomes_writable(tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    text = '{"data": [{"title": "\\ud800", "paragraphs": [{"context": "In \\udfff Rome.", "qas": ['
    path.write_text(text + '{"question": "\\ud83d", "answers": []}]}]}]}', encoding="utf-8")
    passages, rejects = read(path)
    for record in (*passages, *rejects):
        record.model_dump_json().encode("utf-8")
    assert passages[0].text == "In   Rome."


def test_a_file_can_state_its_own_licence(tmp_path: Path) -> None:
    item = article(paragraph("In Rome."))
    assert read(write(tmp_path, item))[0][0].license == "cc-by-sa-4.0"
    path = write(tmp_path, item, license="cc0-1.0")
    assert read(path)[0][0].license == "cc0-1.0"


BROKEN = {
    "missing": (None, "No such file"),
    "empty": (b"", "is empty"),
    "truncated": (b'{"data": [{"title": "Ci', "truncated"),
    "truncated list": (b'{"data": [{"title": "City"},', "truncated"),
    "not json": (b"title,context\nCity,In Rome", "line 1 column 1"),
    "binary": (b"\x89PNG\r\n\xff\xfe", "byte 0"),
    "list": (b"[1, 2]", "found a list"),
    "other object": (b'{"rows": []}', "found null"),
    "empty data": (b'{"data": []}', "none of the 0 articles"),
    "abg-coqa": (b'{"data": [{"story": "x"}]}', "has 'paragraphs'"),
    "bottomless": (b"[" * 200_000, "JSON"),
    "huge number": (b'{"data": ' + b"9" * 5000 + b"}", "JSON"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_clear_line(tmp_path: Path, case: str) -> None:
    content, told = BROKEN[case]
    path = tmp_path / "in.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        open_source(f"squad:{path}")
    message = str(caught.value)
    assert message.startswith(str(path))
    assert told in message
    assert ";" in message, "no remedy"
    assert "\n" not in message


def test_a_path_of_two_lines_is_told_in_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(f"squad:{tmp_path}/a\nb.json")
    assert "\n" not in str(caught.value)


def test_the_sample_is_read_whole_with_its_own_licence() -> None:
    items = list(open_source("sample"))
    passages = [item for item in items if isinstance(item, Passage)]
    assert len(passages) == len(items) >= 40
    assert {p.license for p in passages} == {"cc0-1.0"}
    assert {p.source for p in passages} == {"sample"}
    assert all(len(p.questions) >= 6 for p in passages)
    assert all(a.start is not None for p in passages for q in p.questions for a in q.answers)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        open_source(f"squad:{tmp_path}")


def test_a_path_with_a_nul_character_is_one_line() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        open_source("squad:a\x00b.json")


@pytest.mark.parametrize(
    "spec", ["", "squad", "squad:", "squad: ", "nosuch:x", "x.json", "sample:x"]
)
def test_an_unknown_spec_names_the_known_ones(spec: str) -> None:
    with pytest.raises(SettingsError, match=r"expected one of squad:FILE.*sample"):
        open_source(spec)
