"""The contrast writer: pairs of human questions become ambiguous dialogues that are right."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from askqa_builder import checks
from askqa_builder.generate import dialogue_of
from askqa_builder.schema import Answer, Dialogue, Draft, Passage, Question
from askqa_builder.sources import open_source
from askqa_builder.writers import open_writer
from askqa_builder.writers.contrast import ContrastWriter
from askqa_builder.writers.grammar import parse, tokenize
from askqa_builder.writers.merging import merge
from askqa_builder.writers.phrasing import clarification, clarifying_question, place_in_row
from askqa_builder.writers.quality import answer_fits, answers_differ, stands_alone
from askqa_builder.writers.utterances import capitalised

Pair = tuple[str, str]

MOTTO = ("When was the motto adopted?", "1865")
FLOWER = ("When was the state flower adopted?", "1895")


def passage(*pairs: Pair, text: str = "", id: str = "p") -> Passage:
    """A passage in which every answer stands exactly once."""
    body = text + " ".join(f"<{answer}>" for _, answer in pairs)
    return Passage(
        id=id,
        group="g",
        text=body,
        source="test",
        questions=tuple(
            Question(
                id=f"q{number}",
                text=asked,
                answers=(Answer(text=answer, start=body.index(f"<{answer}>") + 1),),
            )
            for number, (asked, answer) in enumerate(pairs)
        ),
    )


def drafts(one: Passage, **settings: float) -> list[Draft]:
    writer = ContrastWriter(**{"ambiguous_share": 1.0, **settings})  # type: ignore[arg-type]
    return [item for item in writer.write(one) if isinstance(item, Draft)]


def merged(one: str, other: str, text: str = "") -> str | None:
    left, right = parse(one), parse(other)
    if left is None or right is None:
        return None
    found = merge(left, right, text)
    return None if found is None else capitalised(found.asked) + "?"


def test_pair_becomes_a_dialogue_for_each_reading() -> None:
    made = drafts(passage(MOTTO, FLOWER))
    assert len(made) == 2
    assert {draft.intended for draft in made} <= {0, 1}
    for draft in made:
        asked, asking, reply, answer = (turn.text for turn in draft.turns)
        meant = draft.readings[draft.intended]
        assert asked == "When was it adopted?"
        assert "the motto" in asking.lower()
        assert "the state flower" in asking.lower()
        named = "motto" if "motto" in meant.question else "state flower"
        assert named in reply
        assert answer == f"{meant.answers[0]}."
        assert meant.evidence == meant.answers[0]
        assert draft.ambiguity_kind == "referent"
        assert set(draft.question_ids) == {"q0", "q1"}
    assert {draft.turns[-1].text for draft in made} == {"1865.", "1895."}


@pytest.mark.parametrize(
    ("one", "other", "asked"),
    [
        # a pronoun for the noun phrase
        ("Who wrote the tragedy?", "Who wrote the comedy?", "Who wrote it?"),
        ("Who trains the horses?", "Who trains the acrobats?", "Who trains them?"),
        ("How high is Granite Peak?", "How high is the Bear Plateau?", "How high is it?"),
        (
            "When was Holy Abbey founded?",
            "In what year was Oak Hall established?",
            "When was it founded?",
        ),
        ("What was Ann's mother's name?", "What was Ann's sister's name?", "What was her name?"),
        ("Who is the mayor of the city?", "Who is the mayor of the port?", "Who is its mayor?"),
        ("How did George Smith die?", "How did Paul Brown die?", "How did he die?"),
        # a modifier left out
        ("Who built the old oven?", "Who built the new oven?", "Who built the oven?"),
        (
            "What oil company paid for it?",
            "What food company paid for it?",
            "What company paid for it?",
        ),
        (
            "What is the Irish term for king?",
            "What is the Latin term for king?",
            "What is the term for king?",
        ),
        # a time, a place, an event left out
        (
            "How many works did he write in 1842?",
            "How many works did he write in 1845?",
            "How many works did he write?",
        ),
        ("In 1939, who paid the tax?", "In 1994, who paid the tax?", "Who paid the tax?"),
        (
            "How old was Ann when she won the cup?",
            "How old was Ann when she left home?",
            "How old was Ann?",
        ),
        # an attribute left open
        ("What sport did Ann play?", "What instrument did Ann play?", "What did Ann play?"),
        ("How long is the bridge?", "How wide is the bridge?", "How big is the bridge?"),
        (
            "How many men were killed in May?",
            "How many men were hurt in May?",
            "How many men were affected in May?",
        ),
        # whose it is
        ("What was Oda's first song?", "What was Ulf's first song?", "What was the first song?"),
    ],
)
def test_what_tells_two_questions_apart_is_left_open(one: str, other: str, asked: str) -> None:
    assert merged(one, other) == asked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the largest city in Peru?", "What is the oldest city in Peru?"),  # "the city"?
        ("Where did Ann attend college?", "Where did Bea attend college?"),  # who Ann is, unsure
        ("What is causal efficacy?", "What is perception?"),  # "What is it?"
        ("Where does the Duke live in May?", "Where does the Duke live in Rome?"),
        ("Who lives in Paris?", "Who lives in Rome?"),  # "Who lives?"
        (
            "When was Longmenshan formed?",
            "When was Longmen Shan formed?",
        ),  # one name, two spellings
        ("What city did the king take?", "What year did the king die?"),
        ("Why did it fail?", "Why did the dam fail?"),
        ("How many of the men were from the army?", "How many of the men were from the navy?"),
        # broad, not ambiguous: one would say both, or ask what is meant at all
        ("When was Chopin born?", "When did Chopin die?"),
        ("What crops does Peru grow?", "What flowers does Peru grow?"),
        ("How many tents were sold?", "How many quilts were sold?"),
        ("What does an active filter do?", "What does a passive filter do?"),
        ("What percentage of male dogs bite?", "What percentage of female dogs bite?"),
        # not alike enough to be offered side by side
        ("Who sang the song from the film?", "Who sang the song for the album?"),
        ("What is removed in male dogs?", "What is removed in a female dog?"),
        ("How much did he spend in its seventh season?", "How much did he spend in 2014?"),
        ("Who paid the king and the queen?", "Who paid the cook and the maid?"),
        ("What was the second area of study?", "What was the final area of study?"),
    ],
)
def test_doubtful_pairs_are_left_alone(one: str, other: str) -> None:
    assert merged(one, other) is None


def test_gender_comes_from_the_passage_or_not_at_all() -> None:
    pair = ("When was Rinchen born?", "When was Sonam born?")
    assert merged(*pair, text="She ruled long. Her heirs did not.") == "When was she born?"
    assert merged(*pair, text="He met her.") is None
    assert merged(*pair) is None


def test_kind_of_thing_that_is_asked_for_is_named_with_its_article() -> None:
    poodle, siamese = (
        ("What kind of dog did Ann own?", "Rex"),
        ("What kind of cat did Ann own?", "Tom"),
    )
    made = [draft for seed in range(8) for draft in drafts(passage(poodle, siamese), seed=seed)]
    assert made
    for draft in made:
        asked, asking, reply, _ = (turn.text.lower() for turn in draft.turns)
        assert asked == "what did ann own?"
        assert "the dog" in asking
        assert "the cat" in asking
        assert "the dog" in reply or "the cat" in reply


def test_three_questions_are_one_choice_of_three() -> None:
    trio = [(f"What does {name} stand for?", name.lower()) for name in ("LE", "MYS", "EYS")]
    made = drafts(passage(*trio), per_passage=9)
    assert [len(draft.readings) for draft in made] == [3, 3, 3]
    assert len({draft.turns[-1].text for draft in made}) == 3, "each reading is meant once"
    for draft in made:
        assert all(name in draft.turns[1].text for name in ("LE", "MYS", "EYS"))
    four = passage(*trio, ("What does GNI stand for?", "gni"))
    assert drafts(four) == [], "four are too many to be followed by ear"


def test_what_the_passage_is_about_is_no_reading() -> None:
    pair = passage(("When did Peru join?", "1945"), ("When did Chile join?", "1946"))
    assert drafts(pair.model_copy(update={"text": f"in Peru, in Chile {pair.text}"}))
    assert drafts(pair.model_copy(update={"title": "Peru"})) == []


def test_alternatives_stand_in_their_order_and_say_their_noun_once() -> None:
    ovens = [("Who built the second oven?", "Tobias"), ("Who built the first oven?", "Ines")]
    for number in range(9):
        for draft in drafts(passage(*ovens, id=f"p{number}")):
            assert "the first oven or the second one" in draft.turns[-3].text.lower()
    halls = [("Who built the Oak Hall?", "Tobias"), ("Who built the Ash Hall?", "Ines")]
    made = drafts(passage(*halls))
    assert made
    assert not any(" one" in turn.text for draft in made for turn in draft.turns)
    assert place_in_row("in 1842") < place_in_row("in 1845")


def test_same_or_nested_answers_make_no_pair() -> None:
    assert drafts(passage(MOTTO, ("When was the state flower adopted?", "in 1865"))) == []
    assert not answers_differ("Tibetan Plateau", "the edge of the Tibetan Plateau")
    assert not answers_differ("seven", "7")
    assert answers_differ("2 metres", "2.3 metres")


def test_question_that_a_person_asked_is_not_called_ambiguous() -> None:
    plain = ("When was it adopted?", "1911")
    assert drafts(passage(MOTTO, FLOWER, plain)) == []


@pytest.mark.parametrize(
    "bad",
    [
        ("When was the state flower adopted?", "the senate"),  # no time
        ("When was the state flower adopted?", "in 1895 by the"),  # a fragment
        ("When was the the state flower adopted?", "1895"),  # doubled word
        ("When was the state flowr adopted?", "1895"),  # misspelt
    ],
)
def test_flawed_questions_and_answers_are_not_used(bad: Pair) -> None:
    assert drafts(passage(MOTTO, bad)) == []


def test_answer_keeps_its_article_from_the_passage() -> None:
    text = "The dynasty of Jin was ruled by the Jurchen, that of Liao by the Khitan. "
    one = Passage(
        id="p",
        group="g",
        text=text,
        source="test",
        questions=(
            Question(
                id="q0",
                text="Who ruled the Liao dynasty?",
                answers=(Answer(text="Khitan", start=text.index("Khitan")),),
            ),
            Question(
                id="q1",
                text="Who ruled the Jin dynasty?",
                answers=(Answer(text="Jurchen", start=text.index("Jurchen")),),
            ),
        ),
    )
    assert {d.turns[-1].text for d in drafts(one)} == {"The Khitan.", "The Jurchen."}


def test_earlier_turns_name_no_reading_and_precede_no_pronoun() -> None:
    ovens = [
        ("Who built the old oven?", "Tobias Wren"),
        ("Who built the new oven?", "Ines Calloway"),
    ]
    others = [
        ("How long does the old oven take to heat?", "three hours"),
        ("When does the shop open on Sundays?", "eight"),
        ("Which wood do the bakers burn?", "beech"),
    ]
    found = 0
    for number in range(40):
        for draft in drafts(passage(*ovens, *others, id=f"p{number}"), history_share=1.0):
            earlier = [turn.text for turn in draft.turns[:-4]]
            assert earlier
            assert not any("old" in text or "new" in text for text in earlier)
            found += len(earlier)
    assert found
    pronouns = drafts(passage(MOTTO, FLOWER, *others), history_share=1.0)
    assert pronouns
    assert all(len(draft.turns) == 4 for draft in pronouns)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_share_of_ambiguous_dialogues_is_the_one_asked_for(share: float) -> None:
    pairs = [
        MOTTO,
        FLOWER,
        *((f"Who painted hall {n} for the king?", f"Painter {n}") for n in range(9)),
    ]
    made = [
        draft
        for number in range(150)
        for draft in drafts(passage(*pairs, id=f"p{number}"), ambiguous_share=share)
    ]
    assert made
    assert sum(draft.ambiguous for draft in made) / len(made) == pytest.approx(share, abs=0.03)


def test_one_passage_does_not_dominate() -> None:
    many = [
        (f"When was the {name} built?", f"19{n}0") for n, name in enumerate(("mill", "barn"), 1)
    ]
    many += [(f"Who bought the {name}?", name.title()) for name in ("goat", "boat", "coat")]
    assert len(drafts(passage(*many), per_passage=3)) == 3


def test_the_same_passage_gives_the_same_drafts_and_another_seed_others() -> None:
    one = passage(MOTTO, FLOWER, ("Who chose the seal?", "a clerk"))
    assert drafts(one) == drafts(one)
    variants = {draft.turns for seed in range(12) for draft in drafts(one, seed=seed)}
    assert len(variants) > 12


def test_questions_and_replies_come_in_many_forms() -> None:
    rng = random.Random(0)
    for style in ("noun", "person", "adjunct", "clause", "which"):
        asked = {
            clarifying_question(["in May", "in June"], [None, None], style, rng)  # type: ignore[arg-type]
            for _ in range(300)
        }
        replies = {clarification("Which?", "in May", None, style, rng) for _ in range(300)}  # type: ignore[arg-type]
        assert len(asked) >= 6
        assert len(replies) >= 7


def test_questions_in_the_air_do_not_stand_alone() -> None:
    assert stands_alone(tokenize("Where did Chopin live when he was a boy?"))
    assert stands_alone(tokenize("How long did it take to build the dam?"))
    assert not stands_alone(tokenize("Where did he live?"))
    assert not stands_alone(tokenize("Where does this person announce the result?"))
    assert not stands_alone(tokenize("What other vehicle did Ann own?"))
    assert not answer_fits(tokenize("How many men died?"), "the king")


def accepted(source: str) -> tuple[list[Dialogue], int]:
    """The dialogues of a source that pass the checks, and how many were drafted."""
    writer = open_writer("contrast")
    made: list[Dialogue] = []
    drafted = 0
    for one in open_source(source):
        if isinstance(one, Passage):
            for draft in writer.write(one):
                assert isinstance(draft, Draft)
                drafted += 1
                item = dialogue_of(one, draft, writer.name, writer.version)
                assert isinstance(item, Dialogue), item
                if checks.check(item) is None:
                    made.append(item)
    return made, drafted


def test_bundled_passages_give_every_kind_of_ambiguity_and_pass_every_check() -> None:
    made, drafted = accepted("sample")
    kinds = {dialogue.ambiguity_kind for dialogue in made if dialogue.ambiguous}
    assert len(made) == drafted
    assert kinds == {"referent", "attribute", "time", "place", "event", "other"}


def test_squad_gives_many_ambiguous_dialogues_that_are_right(shared_data: Path) -> None:
    made, drafted = accepted(f"squad:{shared_data / 'squad' / 'squad-44-articles.json'}")
    ambiguous = [dialogue for dialogue in made if dialogue.ambiguous]
    assert len(ambiguous) >= 120
    assert len(made) >= 0.97 * drafted
    for dialogue in ambiguous:
        answers = [checks.normalized(reading.answers[0]) for reading in dialogue.readings]
        final = checks.normalized(dialogue.turns[-1].text)
        assert final == answers[dialogue.intended]
        assert len(set(answers)) == len(answers)
        start = dialogue.readings[dialogue.intended].evidence_start
        assert start is not None
