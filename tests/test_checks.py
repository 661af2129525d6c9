"""Each check refuses what it names and lets the like of it pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from askqa_builder import checks
from askqa_builder.generate import dialogue_of
from askqa_builder.schema import Act, Dialogue, Passage, Provenance, Reading, Role, Turn
from askqa_builder.sources import open_source
from askqa_builder.writers import open_writer

PASSAGE = "The motto was adopted in 1865. The state flower was adopted in 1895."
SPEAKER: dict[Act, Role] = {
    "question": "user",
    "clarifying_question": "assistant",
    "clarification": "user",
    "answer": "assistant",
}
ACTS: tuple[Act, ...] = ("question", "clarifying_question", "clarification", "answer")


def reading(question: str, *answers: str, evidence: str | None = None) -> Reading:
    start = PASSAGE.index(evidence) if evidence else None
    return Reading(question=question, answers=answers, evidence=evidence, evidence_start=start)


MOTTO = reading("When was the motto adopted?", "1865", evidence="1865")
FLOWER = reading("When was the state flower adopted?", "1895", evidence="1895")


def turns(*texts: str) -> tuple[Turn, ...]:
    """The last four texts are the ambiguous exchange; those before are questions and answers."""
    earlier = len(texts) - 4
    acts = tuple(("question", "answer")[i % 2] for i in range(earlier)) + ACTS
    return tuple(
        Turn(role=SPEAKER[act], act=act, text=text)  # type: ignore[index, arg-type]
        for act, text in zip(acts, texts, strict=True)
    )


def ambiguous(
    *texts: str,
    readings: tuple[Reading, ...] = (MOTTO, FLOWER),
    intended: int = 1,
    writer: str = "contrast",
) -> Dialogue:
    return Dialogue(
        id="d",
        passage_id="p",
        group="g",
        split="train",
        passage=PASSAGE,
        turns=turns(*texts),
        ambiguous=True,
        ambiguity_kind="referent",
        readings=readings,
        intended=intended,
        provenance=Provenance(source="s", license="l", writer=writer, writer_version="1"),
    )


def plain(question: str, answer: str, meant: Reading = FLOWER) -> Dialogue:
    return Dialogue(
        id="d",
        passage_id="p",
        group="g",
        split="train",
        passage=PASSAGE,
        turns=(
            Turn(role="user", act="question", text=question),
            Turn(role="assistant", act="answer", text=answer),
        ),
        ambiguous=False,
        readings=(meant,),
        provenance=Provenance(source="s", license="l", writer="questions", writer_version="1"),
    )


ASKED = "When was it adopted?"
ASKING = "Do you mean the motto or the state flower?"
REPLY = "The state flower."
GOOD = ambiguous(ASKED, ASKING, REPLY, "1895.")
GUESS = "Do you mean the motto?"

REFUSED: list[tuple[checks.Check, Dialogue]] = [
    (checks.markup, plain("When was the <b>flower</b> adopted?", "1895.")),
    (checks.markup, plain("When was it adopted [3]?", "1895.")),
    (checks.not_speakable, plain("When was the flower adopted 🌸?", "1895.")),
    (checks.turn_too_long, plain("When was " + "the very " * 60 + "old motto adopted?", "1895.")),
    (checks.turn_too_long, plain("What is " + "1,234,567.89 plus " * 18 + "one?", "1895.")),
    (checks.not_a_question, plain("The state flower was adopted.", "1895.")),
    (checks.duplicate_turns, ambiguous(ASKED, "1865.", ASKED, ASKING, REPLY, "1895.")),
    (checks.duplicate_turns, ambiguous(ASKED, ASKING, ASKING, "1895.")),
    (
        checks.answer_not_in_evidence,
        plain("When?", "1901.", reading("When?", "1901", evidence="1895")),
    ),
    (checks.final_answer_not_intended, plain("When was the flower adopted?", "In May.")),
    (checks.final_answer_not_intended, ambiguous(ASKED, ASKING, REPLY, "1865.")),
    (
        checks.readings_share_an_answer,
        ambiguous(
            ASKED,
            ASKING,
            REPLY,
            "1895.",
            readings=(MOTTO, FLOWER, reading("When was the seal adopted?", "the 1895")),
        ),
    ),
    (
        checks.question_names_the_reading,
        ambiguous("When was the state flower adopted?", ASKING, REPLY, "1895."),
    ),
    (
        checks.clarifying_question_omits_a_reading,
        ambiguous(ASKED, "Do you mean the motto or something else?", REPLY, "1895."),
    ),
    (checks.clarifying_question_omits_a_reading, ambiguous(ASKED, "Which one?", REPLY, "1895.")),
    (checks.reply_fits_two_readings, ambiguous(ASKED, ASKING, "Yes.", "1895.")),
    (checks.reply_fits_two_readings, ambiguous(ASKED, ASKING, "The motto or flower.", "1895.")),
    (checks.reply_fits_two_readings, ambiguous(ASKED, GUESS, "Yes.", "1895.")),
    (
        checks.answer_leaks,
        ambiguous("What was new in 1895?", "A flower.", ASKED, ASKING, REPLY, "1895."),
    ),
]

ACCEPTED = [
    GOOD,
    plain("When was the state flower adopted?", "1895."),
    plain("Name the year in which the state flower was adopted.", "It was adopted in 1895."),
    ambiguous("Who wrote it?", "A poet.", ASKED, ASKING, "I mean the flower.", "In 1895."),
    ambiguous(ASKED, GUESS, "No, I mean the state flower.", "1895."),
    ambiguous(ASKED, GUESS, "No.", "1895."),
    ambiguous(ASKED, GUESS, "Yes.", "1865.", intended=0),
    ambiguous(
        "When did Chopin live?",
        "Do you mean when he was born, or when he died?",
        "When he died.",
        "1849.",
        readings=(
            reading("When was Chopin born?", "1810"),
            reading("When did Chopin die?", "1849"),
        ),
    ),
]


@pytest.mark.parametrize(("check", "dialogue"), REFUSED)
def test_check_refuses_what_it_names(check: checks.Check, dialogue: Dialogue) -> None:
    assert check(dialogue)


@pytest.mark.parametrize("dialogue", ACCEPTED)
def test_good_dialogues_pass_every_check(dialogue: Dialogue) -> None:
    assert checks.check(dialogue) is None


def test_every_check_is_tested() -> None:
    assert {check for check, _ in REFUSED} == set(checks.CHECKS)
    assert set(checks.CHECKS) >= checks.MACHINE_ONLY


def test_check_gives_the_name_of_the_first_failure() -> None:
    fault = checks.check(plain("The <b>state</b> flower.", "In May."))
    assert fault is not None
    assert fault[0] == "markup"
    assert "<b>" in fault[1]


def test_people_may_ask_openly_and_programs_may_not() -> None:
    def openly(writer: str) -> Dialogue:
        return ambiguous(ASKED, "What do you mean by it?", REPLY, "1895.", writer=writer)

    assert checks.check(openly("import")) is None
    assert checks.check(openly("contrast")) is not None


def test_the_same_conversation_on_a_passage_is_a_duplicate() -> None:
    seen = checks.Duplicates()
    louder = GOOD.model_copy(update={"id": "e", "turns": turns(ASKED, ASKING, REPLY, "1895!")})
    elsewhere = louder.model_copy(update={"id": "f", "passage_id": "other"})
    assert seen.check(GOOD) is None
    assert seen.check(louder) == ("duplicate_dialogue", "says the same as 'd'")
    assert seen.check(elsewhere) is None


def test_normal_form_is_that_of_squad() -> None:
    assert checks.normalized('The "Great" Fire, of 1666!') == "great fire of 1666"


@pytest.fixture(scope="module")
def human(shared_data: Path) -> list[Dialogue]:
    writer = open_writer("import")
    items = open_source(f"abg-coqa:{shared_data / 'abg-coqa' / 'abg-coqa-val.json'}")
    passages = [item for item in items if isinstance(item, Passage)]
    made = [
        dialogue_of(passage, draft, writer.name, writer.version)  # type: ignore[arg-type]
        for passage in passages
        for draft in writer.write(passage)
    ]
    return [item for item in made if isinstance(item, Dialogue)]


def test_human_dialogues_are_hardly_ever_refused(human: list[Dialogue]) -> None:
    refused = [fault for d in human if (fault := checks.check(d)) is not None]
    assert len(human) > 400
    assert len(refused) <= len(human) // 100, refused


def test_checks_for_programs_would_refuse_many_human_dialogues(human: list[Dialogue]) -> None:
    refuses: Callable[[Dialogue], bool] = lambda d: any(c(d) for c in checks.MACHINE_ONLY)  # noqa: E731
    assert sum(map(refuses, human)) > len(human) // 20
