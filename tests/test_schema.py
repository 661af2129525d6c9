"""Records refuse what is not a conversation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from pydantic import ValidationError

from askqa_builder.schema import (
    Answer,
    Dialogue,
    Passage,
    Question,
    Reading,
    SpokenDialogue,
    Turn,
    json_schema,
)

PASSAGE = "The motto was adopted in 1895. The state flower was adopted in 1903."


def ambiguous(**changes: Any) -> dict[str, Any]:
    """A good ambiguous dialogue, with changes."""
    fields: dict[str, Any] = {
        "id": "montana-1",
        "passage_id": "montana",
        "group": "montana",
        "split": "train",
        "passage": PASSAGE,
        "turns": [
            {"role": "user", "act": "question", "text": "When was it adopted?"},
            {
                "role": "assistant",
                "act": "clarifying_question",
                "text": "Do you mean the motto or the state flower?",
            },
            {"role": "user", "act": "clarification", "text": "The state flower."},
            {"role": "assistant", "act": "answer", "text": "1903."},
        ],
        "ambiguous": True,
        "ambiguity_kind": "referent",
        "readings": [
            {
                "question": "When was the motto adopted?",
                "answers": ["1895"],
                "evidence": "1895",
                "evidence_start": 25,
            },
            {
                "question": "When was the state flower adopted?",
                "answers": ["1903"],
                "evidence": "1903",
                "evidence_start": 63,
            },
        ],
        "intended": 1,
        "provenance": {
            "source": "test",
            "license": "cc0-1.0",
            "writer": "hand",
            "writer_version": "1",
        },
    }
    return fields | changes


def turns(*acts: str) -> list[dict[str, str]]:
    role = {"question": "user", "clarification": "user"}
    return [{"role": role.get(act, "assistant"), "act": act, "text": act} for act in acts]


def test_a_good_dialogue_survives_json() -> None:
    dialogue = Dialogue.model_validate(ambiguous())
    assert Dialogue.model_validate_json(dialogue.model_dump_json()) == dialogue


def test_earlier_turns_may_come_before_the_request() -> None:
    fields = ambiguous()
    fields["turns"] = turns("question", "answer") + fields["turns"]
    assert len(Dialogue.model_validate(fields).turns) == 6


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"turns": turns("answer", "question")}, "first turn must be a question"),
        ({"turns": turns("question", "clarifying_question")}, "last turn must be an answer"),
        ({"turns": turns("question", "question", "answer")}, "'question' cannot follow"),
        (
            {"turns": turns("question", "clarifying_question", "answer")},
            "'answer' cannot follow 'clarifying_question'",
        ),
        ({"turns": turns("question", "answer")}, "ends clarifying_question, clarification"),
        ({"intended": 2}, "intended is 2, but there are 2 readings"),
        ({"ambiguity_kind": None}, "needs an ambiguity_kind"),
        ({"ambiguity_kind": "mood"}, "Input should be"),
        ({"ambiguous": False, "ambiguity_kind": None}, "an unambiguous dialogue ends"),
        ({"readings": ambiguous()["readings"][:1], "intended": 0}, "two readings or more"),
        ({"passage": "Another text."}, "passage has '' at offset 25, not '1895'"),
        ({"split": "dev"}, "Input should be"),
        ({"mood": "good"}, "Extra inputs are not permitted"),
        ({"turns": [{"role": "assistant", "act": "question", "text": "x"}] * 2}, "belongs to"),
    ],
)
def test_what_is_not_a_conversation_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Dialogue.model_validate(ambiguous(**changes))


def test_readings_with_one_answer_are_no_ambiguity() -> None:
    readings = [{"question": q, "answers": ["In  1895"]} for q in "ab"]
    readings[1]["answers"] = ["in 1895"]
    with pytest.raises(ValidationError, match="same answer"):
        Dialogue.model_validate(ambiguous(readings=readings))


def test_an_unambiguous_dialogue_has_one_reading() -> None:
    plain = ambiguous(
        ambiguous=False,
        ambiguity_kind=None,
        turns=turns("question", "answer"),
        readings=ambiguous()["readings"][:1],
        intended=0,
    )
    assert not Dialogue.model_validate(plain).ambiguous
    with pytest.raises(ValidationError, match="exactly one reading"):
        Dialogue.model_validate(plain | {"readings": ambiguous()["readings"]})


def test_records_cannot_be_changed() -> None:
    turn = Turn(role="user", act="question", text="Why?")
    with pytest.raises(ValidationError, match="frozen"):
        turn.text = "How?"  # type: ignore[misc]


@pytest.mark.parametrize(
    "fields",
    [
        {"evidence": "1895"},
        {"evidence_start": 3},
        {"evidence": "", "evidence_start": 3},
        {"answers": []},
        {"answers": [" "]},
    ],
)
def test_a_reading_is_whole(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Reading.model_validate({"question": "When?", "answers": ["1895"]} | fields)


def test_answers_lie_where_their_offsets_say() -> None:
    good = Question(id="q", text="When?", answers=(Answer(text="1895", start=25),))
    bad = Question(id="q", text="When?", answers=(Answer(text="1895", start=24),))
    whole = Passage(id="p", group="g", text=PASSAGE, source="test", questions=(good,))
    assert whole.questions == (good,)
    with pytest.raises(ValidationError, match="question 'q': passage has"):
        Passage(id="p", group="g", text=PASSAGE, source="test", questions=(bad,))
    with pytest.raises(ValidationError, match="question id 'q' occurs twice"):
        Passage(id="p", group="g", text=PASSAGE, source="test", questions=(good, good))


def test_spoken_turns_are_those_of_the_dialogue() -> None:
    dialogue = ambiguous()
    clip = {"key": "k", "text": "x", "spoken_text": "x", "duration_s": 1.0}
    spoken = {
        "dialogue": dialogue,
        **{role: {"id": "x", "engine": "test"} for role in ("narrator", "user", "assistant")},
        "narration": [clip],
        "turns": [
            {"role": t["role"], "act": t["act"], "clip": clip | {"text": t["text"]}}
            for t in dialogue["turns"]
        ],
    }
    assert SpokenDialogue.model_validate(spoken).turns[2].clip.text == "The state flower."
    spoken["turns"] = spoken["turns"][2:]
    with pytest.raises(ValidationError, match="spoken turns differ"):
        SpokenDialogue.model_validate(spoken)


def test_the_json_schema_in_the_docs_is_current(golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "docs" / "schema.json", json.dumps(json_schema(), indent=1) + "\n")
