"""How often the rules tell an ask from an answer, on labelled responses and on human ones.

decision_labelled.jsonl was written by hand. Its "held_out" half was never printed while the rules
were tuned on "tune"; if you improve the rules, write new held-out examples first.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askqa_builder.evaluate import decision
from askqa_builder.evaluate.decision import classify

LABELLED = Path(decision.__file__).with_name("decision_labelled.jsonl")
SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def labelled(half: str) -> list[dict[str, str]]:
    rows = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["half"] == half]


def accuracy(rows: list[tuple[str, str]]) -> float:
    """Share of (label, text) pairs that are classified as labelled."""
    return sum(classify(text) == label for label, text in rows) / len(rows)


def test_labelled_set_is_large_and_both_halves_hold_every_label() -> None:
    tune, held_out = labelled("tune"), labelled("held_out")
    assert len(tune) + len(held_out) >= 200
    for half in (tune, held_out):
        assert {row["label"] for row in half} == {"ask", "answer", "none"}
    assert len({row["id"] for row in tune + held_out}) == len(tune) + len(held_out)


def test_every_response_of_the_tuning_half_is_right() -> None:
    wrong = [row for row in labelled("tune") if classify(row["text"]) != row["label"]]
    assert wrong == []


def test_held_out_half_is_nearly_all_right() -> None:
    # Measured 0.9875 (158 of 160); the failing ones are not printed, to keep the half unseen.
    assert accuracy([(row["label"], row["text"]) for row in labelled("held_out")]) >= 0.97


def test_human_clarifying_questions_and_answers_are_told_apart() -> None:
    path = SHARED / "abg-coqa" / "abg-coqa-val.json"
    if not path.is_file():
        pytest.skip(f"Abg-CoQA is not at {path}")
    asks: set[str] = set()
    answers: set[str] = set()
    for item in json.loads(path.read_text(encoding="utf-8"))["data"]:
        answers.update(turn["answer"] for turn in (*item["history_turns"], item["target_turn"]))
        for name, turn in item.items():
            if name.startswith("clarification_turn") and turn:
                asks.add(turn["question"])
                for reading in turn["answers"]:
                    answers.update(text for key, text in reading.items() if key != "clr_ans")
    assert len(asks) > 70
    assert len(answers) > 700
    assert accuracy([("ask", text) for text in asks]) >= 0.98  # measured: all
    assert accuracy([("answer", text) for text in answers]) >= 0.99  # all but 2 spoken questions


def test_human_answers_to_squad_questions_are_answers() -> None:
    path = SHARED / "squad" / "squad-44-articles.json"
    if not path.is_file():
        pytest.skip(f"SQuAD is not at {path}")
    answers = {
        answer["text"]
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
        for answer in qa["answers"]
    }
    assert accuracy([("answer", text) for text in answers]) >= 0.999  # measured: 8,776 of 8,778


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("Do you mean the motto or the flower?", "ask"),
        ("I'm not sure which you mean — the motto or the flower.", "ask"),
        ("do you mean the motto", "ask"),
        ("Who won? The Broncos did. Anything else?", "answer"),
        ("Do you mean the tower? It was finished in 1889.", "answer"),
        ("Do you mean the tower? The passage mentions two.", "ask"),
        ('He asked, "Which one do you mean?"', "answer"),
        ("", "none"),
        (" \n\t", "none"),
        ("...", "none"),
        ("Вы имеете в виду девиз?", "none"),
        ("Je ne sais pas ce que vous voulez dire.", "none"),
        ("π", "answer"),
        ("1849", "answer"),
    ],
)
def test_what_the_last_sentence_does_decides(response: str, expected: str) -> None:
    assert classify(response) == expected


@given(st.text(max_size=300))
def test_any_text_is_classified(response: str) -> None:
    assert classify(response) in ("ask", "answer", "none")


@pytest.mark.parametrize(
    "loop", ["which ", "do you ", "a", '"', "'a ", "know which you ", "A.", "- \n", "<"]
)
def test_ten_thousand_words_take_no_time(loop: str) -> None:
    started = time.process_time()
    classify(loop * 10_000)
    assert time.process_time() - started < 2  # measured 0.1 s
