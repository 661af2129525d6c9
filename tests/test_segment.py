"""Passages are cut where a reader would breathe, and no word is lost."""

from __future__ import annotations

from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from askqa_builder.schema import Speaker
from askqa_builder.segment import CHARS_PER_S, segments, sentences
from askqa_builder.voices import open_voices


def test_abbreviations_and_initials_do_not_end_a_sentence() -> None:
    text = (
        'Dr. Osei met J. R. Hale of the U.S. Army. "Why?" she asked. They left at 5 p.m. No. 3 won.'
    )
    assert sentences(text) == [
        "Dr. Osei met J. R. Hale of the U.S. Army.",
        '"Why?" she asked.',
        "They left at 5 p.m.",
        "No. 3 won.",
    ]


def test_paragraphs_end_a_sentence() -> None:
    assert sentences("A heading\n\nThe text.") == ["A heading", "The text."]


def test_segments_are_of_similar_length() -> None:
    text = " ".join(f"This is sentence number {i} of the passage." for i in range(20))
    lengths = [len(piece) for piece in segments(text, 320)]
    assert max(lengths) <= 320
    assert min(lengths) > 0.6 * max(lengths)


def test_a_long_sentence_is_cut_at_clauses_then_at_words() -> None:
    clause = "the river rose again and again in that wet year"
    text = f"{clause}, {clause}, {clause}, {clause}."
    assert segments(text, 110)[0].endswith(",")
    assert all(len(piece) <= 20 for piece in segments("word " * 50, 20))


def test_a_date_is_not_cut_at_its_comma() -> None:
    text = "The charter was signed and sealed by all of them on July 4, 1776, in the old town hall."
    assert segments(text, 75) == [text[: text.index("in the")].strip(), "in the old town hall."]
    assert segments(text, 66)[0].endswith("July 4, 1776,")
    assert segments(text, 64)[1].startswith("July 4, 1776,")


@given(st.text(alphabet="ab .,;!?\n\"'DrA1", max_size=400), st.integers(10, 120))
def test_no_word_is_lost(text: str, limit: int) -> None:
    assert " ".join(segments(text, limit)).split() == text.split()


def test_the_slowest_speaker_reads_faster_than_is_reckoned_with() -> None:
    text = (
        "The ferry leaves the northern harbour every morning, and the crew drinks its coffee on "
        "the upper deck while the islands come into sight one after the other. On the way back "
        "they count the seals on the rocks, write the number into an old book, and argue about it."
    )
    with closing(open_voices("espeak")) as engine:
        for voice in engine.voices():
            slowest = Speaker(id=voice.id, engine="espeak", rate=voice.rate_range[0])
            speech = engine.speak(text, slowest)
            seconds = len(speech.samples) / speech.sample_rate_hz
            assert len(text) / seconds > CHARS_PER_S, voice.id
