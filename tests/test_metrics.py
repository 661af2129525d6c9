"""Answer scores against the official SQuAD figures, and by hand where there is no official one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.metrics import (
    audio_overlap,
    bleu1,
    bleu1_counts,
    number_aware_f1,
    rouge2,
    score_answer,
    score_answers,
    squad_exact_match,
    squad_f1,
)
from askqa_builder.evaluate.numbers import digits

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
NOISE_LEVELS = ("clean", "wer44", "wer54")


def official(level: str) -> tuple[dict[str, list[str]], dict[str, object]]:
    """References by question id and the official scorer's figures for one Spoken-SQuAD file."""
    if not (SHARED / "scoring").is_dir():
        pytest.skip(f"the official scores are not at {SHARED / 'scoring'}")
    figures = json.loads((SHARED / "scoring" / f"squad-v1.1-official-{level}.json").read_text())
    name = f"spoken-squad-test-8-articles-{level}.json"
    articles = json.loads((SHARED / "spoken-squad" / name).read_text())["data"]
    references = {
        qa["id"]: [answer["text"] for answer in qa["answers"]]
        for article in articles
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    }
    return references, figures


@pytest.mark.parametrize("level", NOISE_LEVELS)
def test_totals_equal_the_official_squad_scorer(level: str) -> None:
    references, figures = official(level)
    scores = score_answers(figures["predictions"], references)
    assert 100 * scores.exact_match == pytest.approx(figures["official_exact_match"], abs=1e-6)
    assert 100 * scores.f1 == pytest.approx(figures["official_f1"], abs=1e-6)
    assert scores.n == len(references)
    assert scores.missing == len(references) - len(figures["predictions"]) > 0


@pytest.mark.parametrize("level", NOISE_LEVELS)
def test_each_question_equals_the_official_squad_scorer(level: str) -> None:
    references, figures = official(level)
    predictions = figures["predictions"]
    for key, (exact_match, f1) in figures["per_question_exact_match_and_f1"].items():
        assert squad_exact_match(predictions[key], references[key]) == exact_match, key
        assert squad_f1(predictions[key], references[key]) == pytest.approx(f1, abs=1e-6), key


def test_empty_after_normalization_matches_exactly_but_has_no_f1() -> None:
    assert squad_exact_match("the", ["a an"]) == 1.0
    assert squad_f1("the", ["a an"]) == 0.0  # the official script's own quirk


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("3", "three"),
        ("1,000", "1000"),
        ("1,000 men", "a thousand men"),
        ("21", "twenty-one"),
        ("twenty one", "Twenty-One"),
        ("1984", "nineteen eighty-four"),
        ("1905", "nineteen oh five"),
        ("2.5 million", "2,500,000"),
        ("two point five million", "2.5 million"),
        ("the 19th century", "nineteenth century"),
        ("the 1980s", "the nineteen eighties"),
        ("5-year-old", "five-year-old"),
        ("one hundred and five", "105"),
        ("3.0", "3"),
    ],
)
def test_number_aware_f1_sees_one_number_in_two_spellings(prediction: str, reference: str) -> None:
    assert number_aware_f1(prediction, [reference]) == 1.0
    assert number_aware_f1(reference, [prediction]) == 1.0


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [("1.5", "15"), ("two three", "twenty-three"), ("two and three", "5"), ("thirteen", "30")],
)
def test_number_aware_f1_keeps_different_numbers_apart(prediction: str, reference: str) -> None:
    assert number_aware_f1(prediction, [reference]) == 0.0


def test_squad_f1_stays_unaware_of_numbers() -> None:
    assert squad_f1("3", ["three"]) == 0.0
    assert squad_f1("1.5", ["15"]) == 1.0  # punctuation goes, as in the official script


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No numbers here", "No numbers here"),
        ("Twenty-one men and 3 dogs", "21 men and 3 dogs"),
        ("two three", "2 3"),
        ("1.5.2", "1.5.2"),
        ("555-1234", "555 1234"),
        ("nineteen hundred", "1900"),
        ("five hundred thousand two hundred", "500200"),
        ("thousand thousand", "1000 1000"),
        ("twenty-second", "22nd"),
        ("one hundred and eleventh", "111th"),
        ("9" * 50, "9" * 50),
    ],
)
def test_numbers_are_written_in_digits(text: str, expected: str) -> None:
    assert digits(text) == expected


@given(st.integers(min_value=0, max_value=10**12))
def test_every_cardinal_reads_back(value: int) -> None:
    assert digits(num2words(value).replace(",", "")) == str(value)


@given(st.integers(min_value=0, max_value=10**6))
def test_every_ordinal_reads_back(value: int) -> None:
    assert digits(num2words(value, to="ordinal").replace(",", "")) == num2words(
        value, to="ordinal_num"
    )


@given(st.integers(min_value=1100, max_value=2099))
def test_every_year_reads_back(value: int) -> None:
    assert digits(num2words(value, to="year")) == str(value)


@given(st.text(), st.lists(st.text(), min_size=1, max_size=3))
def test_any_text_scores_between_zero_and_one(prediction: str, references: list[str]) -> None:
    scores = score_answer(prediction, references)
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert scores == (
        squad_exact_match(prediction, references),
        squad_f1(prediction, references),
        number_aware_f1(prediction, references),
    )


@given(st.lists(st.sampled_from([*"and point oh five twenty hundred million 3 1,000".split()])))
def test_any_run_of_number_words_is_rewritten_once(words: list[str]) -> None:
    once = digits(" ".join(words))
    assert "twenty" not in once
    assert "hundred" not in once


def test_references_must_be_a_list_with_a_member() -> None:
    with pytest.raises(TypeError, match="not the text 'abc'"):
        squad_f1("a", "abc")
    with pytest.raises(ValueError, match="one reference or more"):
        squad_exact_match("a", [])


def test_predictions_for_other_questions_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"1 of 2 predictions .* such as 'q9'"):
        score_answers({"q1": "a", "q9": "b"}, {"q1": ["a"]})
    with pytest.raises(EvaluationError, match="no questions"):
        score_answers({}, {})


@pytest.mark.parametrize(
    ("predicted", "reference", "expected"),
    [
        ((1.0, 3.0), (1.0, 3.0), 1.0),
        ((1.0, 3.0), (2.0, 4.0), 1 / 3),
        ((0.0, 4.0), (1.0, 2.0), 1 / 4),
        ((0.0, 1.0), (1.0, 2.0), 0.0),
        ((0.0, 1.0), (5.0, 6.0), 0.0),
        ((1.0, 1.0), (1.0, 1.0), 0.0),
    ],
)
def test_audio_overlap_is_intersection_over_union(
    predicted: tuple[float, float], reference: tuple[float, float], expected: float
) -> None:
    assert audio_overlap(predicted, reference) == pytest.approx(expected)
    assert audio_overlap(reference, predicted) == pytest.approx(expected)


def test_audio_overlap_refuses_a_span_that_runs_backwards() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        audio_overlap((2.0, 1.0), (0.0, 1.0))


def test_bleu1_counts_make_the_librarys_corpus_score() -> None:
    bleu = pytest.importorskip("sacrebleu.metrics").BLEU(max_ngram_order=1, lowercase=True)
    hypotheses = ["Do you mean the motto?", "Which one do you mean exactly, please?", "Who?"]
    references = [
        ["Do you mean the motto or the flower?", "The motto or the flower?"],
        ["Which one do you mean?", "Which of the songs do you mean?"],
        ["Who are you referring to?", "Who do you mean?"],
    ]
    counts = [bleu1_counts(h, r) for h, r in zip(hypotheses, references, strict=True)]
    corpus = bleu.corpus_score(
        hypotheses, [list(stream) for stream in zip(*references, strict=True)]
    )
    assert sum(c.matches for c in counts) == corpus.counts[0]
    assert sum(c.words for c in counts) == corpus.sys_len
    assert sum(c.reference_words for c in counts) == corpus.ref_len


def test_bleu1_and_rouge2_by_hand() -> None:
    pytest.importorskip("sacrebleu")
    pytest.importorskip("rouge_score")
    # 4 of 5 tokens (the question mark counts as one) match, and no brevity penalty.
    assert bleu1("do you mean Rome?", ["do you mean Paris?"]) == pytest.approx(4 / 5)
    assert bleu1("", ["do you mean Paris?"]) == 0.0
    # Bigrams "do you", "you mean" of three.
    assert rouge2("do you mean Rome?", ["x y", "do you mean Paris?"]) == pytest.approx(2 / 3)


def test_answer_metrics_load_nothing_heavy() -> None:
    heavy = ("numpy", "sacrebleu", "rouge_score", "torch", "pydantic")
    code = (
        "import sys, askqa_builder.evaluate.metrics as m; m.squad_f1('a b', ['a']);"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
