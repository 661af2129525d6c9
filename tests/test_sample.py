"""The bundled sample: exact spans, speakable text, and pairs that the contrast writer can merge."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from itertools import combinations, takewhile

import pytest

from askqa_builder.schema import Passage
from askqa_builder.sources import open_source

SAMPLE = json.loads((files("askqa_builder") / "data" / "sample.json").read_text(encoding="utf-8"))
ARTICLES = {article["title"]: article["paragraphs"] for article in SAMPLE["data"]}
PARAGRAPHS = [paragraph for paragraphs in ARTICLES.values() for paragraph in paragraphs]
QUESTIONS = [qa for paragraph in PARAGRAPHS for qa in paragraph["qas"]]


def shared_words(first: str, second: str) -> tuple[int, int]:
    """Words common to both at the beginning and at the end, and the longer rest between them."""
    a, b = first.rstrip("?").split(), second.rstrip("?").split()
    head = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))))
    rest_a, rest_b = a[head:][::-1], b[head:][::-1]
    tail = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(rest_a, rest_b, strict=False))))
    return head + tail, max(len(a), len(b)) - head - tail


def parallel(first: dict, second: dict) -> bool:
    """Same question but for one short phrase, with different answers."""
    shared, differing = shared_words(first["question"], second["question"])
    answers = first["answers"][0]["text"], second["answers"][0]["text"]
    return shared >= 3 and 1 <= differing <= 4 and answers[0] != answers[1]


def test_parallel_measure_tells_a_pair_from_two_unrelated_questions():
    old = {"question": "When was the old oven built?", "answers": [{"text": "1895"}]}
    new = {"question": "When was the new oven built?", "answers": [{"text": "1974"}]}
    other = {"question": "Why do rye loaves go into it?", "answers": [{"text": "heat"}]}
    assert parallel(old, new)
    assert not parallel(old, other)
    assert not parallel(old, {**new, "answers": old["answers"]})
    assert not parallel(old, old)


def test_forty_articles_of_one_passage_under_one_free_licence():
    assert len(ARTICLES) == len(SAMPLE["data"]) == len(PARAGRAPHS) == 40
    assert SAMPLE["license"] == "cc0-1.0"


def test_the_source_takes_every_passage_and_every_question_with_its_span():
    items = list(open_source("sample"))
    passages = [item for item in items if isinstance(item, Passage)]
    assert len(passages) == len(items) == len({p.group for p in passages}) == 40
    taken = [q for passage in passages for q in passage.questions]
    assert [q.id for q in taken] == [qa["id"] for qa in QUESTIONS]
    assert all(answer.start is not None for q in taken for answer in q.answers)
    assert {(p.source, p.license) for p in passages} == {("sample", "cc0-1.0")}


def test_question_ids_and_questions_are_unique():
    ids = [qa["id"] for qa in QUESTIONS]
    texts = [(p["context"], qa["question"].casefold()) for p in PARAGRAPHS for qa in p["qas"]]
    assert len(set(ids)) == len(ids)
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("title", ARTICLES)
def test_passage(title: str):
    (paragraph,) = ARTICLES[title]
    context, qas = paragraph["context"], paragraph["qas"]
    assert 70 <= len(context.split()) <= 130
    assert 6 <= len(qas) <= 10
    for qa in qas:
        (answer,) = qa["answers"]
        start, text = answer["answer_start"], answer["text"]
        end = start + len(text)
        assert context[start:end] == text, qa["id"]
        # A span holds whole words: not "16" of "2016", not "48" of "£48" or of "48.9%".
        assert not re.match(r"[\w$£]", context[start - 1 : start]), qa["id"]
        assert not re.match(r"\w|%|[.,]\d", context[end:]), qa["id"]
        assert re.fullmatch(r"[A-Z].*\S\?", qa["question"]), qa["id"]
    pairs = sum(parallel(first, second) for first, second in combinations(qas, 2))
    assert pairs >= 2


def test_text_is_speakable_without_markup():
    texts = [p["context"] for p in PARAGRAPHS] + [qa["question"] for qa in QUESTIONS]
    for text in texts:
        assert re.fullmatch(r"[A-Za-z0-9 .,;:'?$£%-]+", text), text
        assert "  " not in text
        assert text == text.strip()


def test_numbers_of_every_spoken_kind_occur():
    contexts = " ".join(paragraph["context"] for paragraph in PARAGRAPHS)
    for kind in (
        r"\b1[6-9]\d\d\b",  # year
        r"\$\d+\.\d\d\b",  # dollars and cents
        r"£\d+\.\d\d\b",
        r"\d+ euros",
        r"[$£]\d+(\.\d+)? million",
        r"\b\d+(\.\d)?%",
        r"\b\d+:\d\d [ap]\.m\.",
        r"\b\d+(st|nd|rd|th)\b",
        r"\b\d,\d{3}\b",
        r"\b\d+(\.\d)? k[mg]\b",
        r"\b(King|Queen) \w+ [IV]+\b",
        r"\b(Dr|Mr|Mrs|St)\. [A-Z]",
    ):
        assert re.search(kind, contexts), kind
