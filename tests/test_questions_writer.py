"""The questions writer: every human question is spoken, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from askqa_builder import checks
from askqa_builder.generate import dialogue_of
from askqa_builder.schema import Answer, Dialogue, Draft, Passage, Question, Reject
from askqa_builder.sources import open_source
from askqa_builder.writers import open_writer
from askqa_builder.writers.utterances import said, tidy_answer, tidy_question

TEXT = "The bridge was opened in 1932. Its arch is 503 metres long."


def passage(*questions: tuple[str, str]) -> Passage:
    return Passage(
        id="p",
        group="g",
        text=TEXT,
        source="test",
        questions=tuple(
            Question(
                id=f"q{number}",
                text=asked,
                answers=(
                    Answer(text=answer, start=TEXT.index(answer) if answer in TEXT else None),
                ),
            )
            for number, (asked, answer) in enumerate(questions)
        ),
    )


def test_question_becomes_a_question_and_its_answer() -> None:
    (draft,) = open_writer("questions").write(passage(("when was the bridge opened", "1932")))
    assert isinstance(draft, Draft)
    assert [(turn.role, turn.text) for turn in draft.turns] == [
        ("user", "When was the bridge opened?"),
        ("assistant", "1932."),
    ]
    assert not draft.ambiguous
    assert draft.readings[0].evidence == "1932"
    assert draft.readings[0].evidence_start == TEXT.index("1932")


def test_answer_that_the_transcript_lost_has_no_evidence() -> None:
    (draft,) = open_writer("questions").write(passage(("How long is the arch?", "504 metres")))
    assert isinstance(draft, Draft)
    assert draft.readings[0].answers == ("504 metres",)
    assert draft.readings[0].evidence is None
    assert draft.turns[-1].text == "504 metres."


@pytest.mark.parametrize(
    ("asked", "answer", "reason"),
    [
        (" ?? ", "1932", "empty_question"),
        ("The bridge.", "1932", "not_a_question"),
        ("Opened", "1932", "not_a_question"),
        ("How long is the arch?", "...", "empty_answer"),
    ],
)
def test_unusable_question_is_refused_with_the_reason(asked: str, answer: str, reason: str) -> None:
    (item,) = open_writer("questions").write(passage((asked, answer)))
    assert isinstance(item, Reject)
    assert item.reason == reason
    assert item.id == "p-q0"
    assert item.raw is not None


def test_question_asked_twice_is_spoken_once() -> None:
    same = ("When was the bridge opened?", "1932")
    first, second = open_writer("questions").write(
        passage(same, ("when was the bridge opened", "1932"))
    )
    assert isinstance(first, Draft)
    assert isinstance(second, Reject)
    assert second.reason == "duplicate_question"
    assert "q0" in second.detail


@pytest.mark.parametrize(
    ("typed", "tidy"),
    [
        ("  WHen was   it opened ?", "When was it opened?"),
        ("Where is the U.S.?", "Where is the U.S.?"),
        ("Who opened it.", "Who opened it?"),
        ("What's its length??", "What is its length?"),
        ("iPods are made where?", "iPods are made where?"),
        ("What was it worth at it's peak?", "What was it worth at its peak?"),
        ("", ""),
    ],
)
def test_question_is_tidied(typed: str, tidy: str) -> None:
    assert tidy_question(typed) == tidy


@pytest.mark.parametrize(
    ("span", "spoken"),
    [
        ("Maria Sarah Whitehead,", "Maria Sarah Whitehead."),
        ("the Canuts.", "The Canuts."),
        ("Apple Inc.", "Apple Inc."),
        ("in the U.S.", "In the U.S."),
        ('"pure sense perception"', "Pure sense perception."),
        ('"pure sense', "Pure sense."),
        ("24 °C (75 °F)", "24 °C (75 °F)."),
        ("(about half", "About half."),
        ("iPod", "iPod."),
    ],
)
def test_answer_is_tidied(span: str, spoken: str) -> None:
    assert said(tidy_answer(span)) == spoken


@pytest.mark.parametrize("noise", ["clean", "wer54"])
def test_spoken_squad_is_spoken_whole(noise: str, shared_data: Path) -> None:
    file = shared_data / "spoken-squad" / f"spoken-squad-test-8-articles-{noise}.json"
    passages = [item for item in open_source(f"squad:{file}") if isinstance(item, Passage)]
    writer = open_writer("questions")
    asked = spoken = 0
    for one in passages:
        drafts = list(writer.write(one))
        assert len(drafts) == len(one.questions)
        asked += len(drafts)
        for draft in drafts:
            if isinstance(draft, Draft):
                made = dialogue_of(one, draft, writer.name, writer.version)
                assert isinstance(made, Dialogue)
                spoken += checks.check(made) is None
    assert spoken > 0.97 * asked
