"""Abg-CoQA: every clarification answer is a conversation, nothing vanishes, words are tidied."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from askqa_builder.errors import SourceError
from askqa_builder.schema import Draft, Passage, Reject
from askqa_builder.sources import open_source
from askqa_builder.sources.abg_wording import full_question, kind_of_ambiguity, sentence

FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "abg-coqa" / "abg-coqa-val.json"
needs_file = pytest.mark.skipif(not FILE.exists(), reason=f"needs {FILE}")

STORY = "Ann met Bob in Rome. Ann left at six, and Bob left at nine."


def item(**fields: Any) -> dict[str, Any]:
    plain = {
        "id": "abc|3|1",
        "story": STORY,
        "history_turns": [{"question": "where did they meet", "answer": "rome", "turn_id": 1}],
        "target_turn": {
            "question": "when did she leave?",
            "answer": "six",
            "rationale": "Ann left at six",
            "span_start": 21,
            "span_end": 36,
        },
        "ambiguity": "non_ambiguous",
        "clarification_turn": {},
        "source": "wikipedia",
    }
    return plain | fields


def ambiguous(*answers: Any, second: Any = None, **fields: Any) -> dict[str, Any]:
    turns: dict[str, Any] = {
        "clarification_turn": {"question": "Do you mean Ann?", "answers": list(answers)}
    }
    if second is not None:
        turns["clarification_turn_2"] = {"question": "Ann or Bob", "answers": second}
    return item(ambiguity="ambiguous", **turns, **fields)


ANN = {"clr_ans": "Yes", "org_ans": "at six.", "org_ans_2": "Six", "org_ans_3": "unknown"}
BOB = {"clr_ans": "No, I mean Bob", "org_ans": "at nine"}


def read(folder: Path, *items: Any) -> tuple[list[Passage], list[Reject]]:
    path = folder / "abg.json"
    path.write_text(json.dumps({"version": "1", "data": list(items)}), encoding="utf-8")
    found = list(open_source(f"abg-coqa:{path}"))
    return (
        [one for one in found if isinstance(one, Passage)],
        [one for one in found if isinstance(one, Reject)],
    )


@needs_file
def test_every_conversation_of_the_file_is_a_draft_or_a_reject() -> None:
    data = json.loads(FILE.read_text(encoding="utf-8"))["data"]
    came_in = sum(
        1
        if one["ambiguity"] == "non_ambiguous"
        else sum(
            len(one[name]["answers"]) for name in ("clarification_turn", "clarification_turn_2")
        )
        for one in data
    )
    items = list(open_source(f"abg-coqa:{FILE}"))
    passages = [one for one in items if isinstance(one, Passage)]
    rejects = [one for one in items if isinstance(one, Reject)]
    drafts = [draft for passage in passages for draft in passage.drafts]
    assert len(passages) == len({one["story"] for one in data}) == 200
    assert len(drafts) + len(rejects) == came_in
    assert sum(draft.ambiguous for draft in drafts) > 150
    assert set(Counter(one.reason for one in rejects)) == {
        "unanswerable_reading",
        "readings_share_an_answer",
        "one_reading",
    }
    kinds = {draft.ambiguity_kind for draft in drafts if draft.ambiguous}
    assert kinds == {"referent", "attribute", "time", "place", "event", "other"}


@needs_file
def test_history_and_alternative_references_are_kept() -> None:
    drafts = {
        draft.key: draft
        for passage in open_source(f"abg-coqa:{FILE}")
        if isinstance(passage, Passage)
        for draft in passage.drafts
    }
    draft = drafts["3pxx5px6lxyuqm3uo2o1yddekb4ab3-9-2-c1-2"]
    assert [turn.text for turn in draft.turns] == [
        "Where did the path lead?",
        "Dense thicket.",
        "Which way was fastest?",
        "The shore.",
        "What did they remove?",
        "Do you mean what did they remove before heading for the path?",
        "No, I mean what did they remove after heading for the path.",
        "The dense brush-wood.",
    ]
    assert [reading.question for reading in draft.readings] == [
        "What did they remove before heading for the path?",
        "What did they remove after heading for the path?",
    ]
    assert draft.readings[0].answers == ("Rope", "the dense brush-wood", "ropes")
    assert draft.intended == 1
    assert draft.details["as_typed"][1] == "dense thicket"  # type: ignore[index]


def test_a_clarification_answer_makes_a_dialogue_with_evidence(tmp_path: Path) -> None:
    passages, rejects = read(tmp_path, ambiguous(ANN, BOB))
    assert rejects == []
    first, second = passages[0].drafts
    assert (first.intended, second.intended) == (0, 1)
    assert [t.text for t in second.turns[-4:]] == [
        "When did she leave?",
        "Do you mean Ann?",
        "No, I mean Bob.",
        "At nine.",
    ]
    ann, bob = second.readings
    assert (ann.question, ann.answers) == ("When did Ann leave?", ("at six", "Six"))
    assert (ann.evidence, ann.evidence_start) == ("Ann left at six", 21)
    assert (bob.question, bob.evidence) == ("When did Bob leave?", "at nine")
    assert second.ambiguity_kind == "referent"


def test_the_same_story_is_one_passage_whose_id_stays(tmp_path: Path) -> None:
    one, _ = read(tmp_path, item())
    more, _ = read(tmp_path, item(id="x", story="Other."), item(), ambiguous(ANN, BOB, id="y"))
    assert [len(p.drafts) for p in more] == [1, 3]
    assert more[1].id == one[0].id == one[0].group
    assert more[1].drafts[0] == one[0].drafts[0]


def test_one_reading_is_joined_by_the_other_annotators_or_rejected(tmp_path: Path) -> None:
    joined, rejects = read(tmp_path, ambiguous(ANN, second=[{"clr_ans": "Bob", "org_ans": "nine"}]))
    assert rejects == []
    assert [d.details.get("annotators") for d in joined[0].drafts] == ["joined", "joined"]
    assert [len(d.readings) for d in joined[0].drafts] == [2, 2]
    passages, rejects = read(
        tmp_path, ambiguous(ANN, second=[{"clr_ans": "Ann", "org_ans": "six"}])
    )
    assert [r.reason for r in rejects] == ["one_reading", "one_reading"]
    assert passages[0].drafts == ()


def test_a_reading_that_the_story_does_not_answer_is_kept_but_never_intended(
    tmp_path: Path,
) -> None:
    unknown = {"clr_ans": "No, Eve.", "org_ans": "Unknown.", "org_ans_2": "unkown"}
    passages, rejects = read(tmp_path, ambiguous(ANN, unknown))
    assert [r.reason for r in rejects] == ["unanswerable_reading"]
    (draft,) = passages[0].drafts
    assert draft.readings[1].answers == ("unknown",)
    assert draft.intended == 0


def test_unusable_items_are_rejected_and_the_others_stay(tmp_path: Path) -> None:
    passages, rejects = read(
        tmp_path,
        item(),
        item(),
        item(id="b", story=" \n "),
        item(id="c", story="word " * 5000),
        item(id="d", story=3),
        item(id="e", history_turns=[{"question": "?", "answer": "x"}]),
        item(id="f", history_turns="no list"),
        item(id="g", target_turn={"question": "who?", "answer": None}),
        item(id="h", ambiguity="perhaps"),
        item(id="i", ambiguity="ambiguous"),
        ambiguous(ANN, {"clr_ans": " ", "org_ans": "x"}, BOB, "x", id="j"),
        ambiguous(ANN, {"clr_ans": "No, Bob", "org_ans": "At six"}, id="k"),
        "no item",
    )
    assert Counter(r.reason for r in rejects) == {
        "duplicate_item": 1,
        "passage_empty": 1,
        "passage_too_long": 1,
        "malformed_item": 4,
        "malformed_turn": 5,
        "readings_share_an_answer": 2,
    }
    assert len(passages) == 1
    assert len(passages[0].drafts) == 3


def test_wrong_offsets_of_a_rationale_are_mended_or_dropped(tmp_path: Path) -> None:
    def evidence(**fields: Any) -> str | None:
        turn = item()["target_turn"] | fields
        passages, _ = read(tmp_path, item(target_turn=turn, story=f"\n {STORY}"))
        reading = passages[0].drafts[0].readings[0]
        return reading.evidence

    assert evidence(span_start=23) == "Ann left at six"
    assert evidence(span_start=5) == "Ann left at six"
    assert evidence(span_start=-4, rationale="left") is None
    assert evidence(rationale="nowhere") is None
    assert evidence(rationale=None) is None


@pytest.mark.parametrize(
    ("asked", "clarifying", "reply", "expected"),
    [
        ("did he go?", "Do you mean Williams?", "Yes", "Did Williams go?"),
        (
            "What's his name?",
            "x",
            "No, I mean the older brother.",
            "What's the older brother's name?",
        ),
        ("where were they going?", "x", "the prospectors", "Where were the prospectors going?"),
        ("How big was it?", "What year", "1849", "How big was it in 1849?"),
        ("Why?", "x", "I mean why did he go", "Why did he go?"),
        ("Why?", "x", "I want to know why he went.", "Can you tell me why he went?"),
        ("Was it cold?", "x", "before the war", "Was it cold before the war?"),
        ("What else?", "Do you mean another river?", "Yes.", "What else? I mean another river."),
        ("name one", "x", "besides oil", "Name one besides oil."),
        ("who won?", "Who?", "Yes", "Who won?"),
    ],
)
def test_a_full_question_is_made_of_what_the_annotators_typed(
    asked: str, clarifying: str, reply: str, expected: str
) -> None:
    assert full_question(asked, clarifying, reply, ("x",)) == expected


@pytest.mark.parametrize(
    ("typed", "end", "expected"),
    [
        (", Isabel,", ".", "Isabel."),
        ("dense brush- wood.", ".", "Dense brush-wood."),
        ("what  year", "?", "What year?"),
        ("Tom or Jack.", "?", "Tom or Jack?"),
        ("name another", "?", "Name another."),
        ('"a good chum"', ".", '"a good chum".'),
        ("can i go", "?", "Can I go?"),
        ("two- and three-storey", ".", "Two- and three-storey."),
    ],
)
def test_turns_are_tidied_for_speech(typed: str, end: str, expected: str) -> None:
    assert sentence(typed, end) == expected


@pytest.mark.parametrize(
    ("meant", "kind"),
    [
        (["before dinner", "after dinner"], "time"),
        (["in Japan", "in many cultures"], "place"),
        (["the cheer", "the howl"], "event"),
        (["Tom", "the old man"], "referent"),
        (["what is his age", "what is his name"], "attribute"),
        (["yes and no", "something"], "other"),
    ],
)
def test_kinds_follow_simple_rules(meant: list[str], kind: str) -> None:
    assert kind_of_ambiguity(meant) == kind


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"data": []}', '{"data": [{"paragraphs": []}]}', '{"data": [{"sto']
)
def test_a_foreign_or_truncated_file_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        open_source(f"abg-coqa:{path}")
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_drafts_are_drafts(tmp_path: Path) -> None:
    passages, _ = read(tmp_path, item())
    assert isinstance(passages[0].drafts[0], Draft)
    assert passages[0].license == "cc-by-sa-4.0"
    assert passages[0].domain == "wikipedia"
