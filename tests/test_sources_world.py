"""The closed world: deterministic, without end, and right by construction."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections import Counter
from itertools import islice
from string import Formatter

import pytest

from askqa_builder.checks import check
from askqa_builder.errors import SettingsError
from askqa_builder.generate import dialogue_of
from askqa_builder.schema import AMBIGUITY_KINDS, Dialogue, Draft, Passage
from askqa_builder.sources import open_source
from askqa_builder.sources.world import World, make_passage, parse_world
from askqa_builder.sources.world.frames import FRAMES
from askqa_builder.sources.world.words import SLOTS, THEMES, VALUES


def stories(spec: str) -> list[Passage]:
    items = list(open_source(spec))
    assert all(isinstance(item, Passage) for item in items)
    return [item for item in items if isinstance(item, Passage)]


def drafts(passages: list[Passage]) -> list[Draft]:
    return [draft for passage in passages for draft in passage.drafts]


def test_the_same_spec_gives_the_same_stories_and_another_seed_others() -> None:
    assert stories("world:30,seed=3") == stories("world:30,seed=3")
    assert not {p.text for p in stories("world:30,seed=3")} & {
        p.text for p in stories("world:30,seed=4")
    }


def test_a_story_does_not_depend_on_the_others() -> None:
    assert stories("world:40")[:20] == stories("world:20")
    assert make_passage(World(passages=40), 37) == stories("world:40")[37]


def test_every_kind_of_ambiguity_is_about_as_frequent() -> None:
    kinds = Counter(d.ambiguity_kind for d in drafts(stories("world:1200")) if d.ambiguous)
    assert set(kinds) == set(AMBIGUITY_KINDS)
    assert min(kinds.values()) > 0.8 * 1200 / 6


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 75), (0.5, 150), (1.0, 300)])
def test_the_share_of_ambiguous_dialogues_is_kept(share: float, count: int) -> None:
    found = drafts(stories(f"world:150,dialogues=2,ambiguous={share}"))
    assert len(found) == 300
    assert sum(d.ambiguous for d in found) == count


def test_evidence_holds_the_answer_and_questions_have_exact_answers() -> None:
    for passage in stories("world:300,facts=9,dialogues=5"):
        spans = {q.text: q.answers[0] for q in passage.questions}
        assert len(spans) == 9
        for draft in passage.drafts:
            for reading in draft.readings:
                answer = spans[reading.question]
                assert reading.answers[0] == answer.text
                assert reading.evidence is not None
                assert reading.evidence_start is not None
                assert answer.start is not None
                end = reading.evidence_start + len(reading.evidence)
                assert reading.evidence_start <= answer.start < end
            final = draft.turns[-1].text.rstrip(".").lower()
            assert final == draft.readings[draft.intended].answers[0].lower()


def test_the_clarifying_question_names_both_and_the_reply_one() -> None:
    for draft in drafts(stories("world:300")):
        if draft.ambiguous:
            asked, reply = draft.turns[-3].text.lower(), draft.turns[-2].text.lower()
            meant = re.sub(r"^(i mean|i meant) |(, please)?\.$", "", reply)
            assert meant in asked
            assert asked.count(meant) == 1


def test_a_vague_question_is_answered_exactly_where_one_reading_is_left() -> None:
    """The same words are asked of stories that say one thing and of stories that say two."""
    surfaces: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    forms = Counter[str]()
    for draft in drafts(stories("world:2000")):
        question = draft.turns[-4 if draft.ambiguous else -2].text
        forms[str(draft.details["form"])] += 1
        if draft.details["form"] in ("asks", "vague", "resolved"):
            surfaces[draft.ambiguous][re.sub(r"\b(she|he|[A-Z]\w+)\b", "X", question)] += 1
    shared = surfaces[True].keys() & surfaces[False].keys()
    assert sum(surfaces[True][s] for s in shared) > 0.95 * surfaces[True].total()
    assert set(forms) == {"asks", "vague", "resolved", "specific", "follow_up"}
    assert forms["vague"] + forms["resolved"] > forms["specific"] + forms["follow_up"]


@pytest.mark.parametrize(
    "spec", ["world:400", "world:200,facts=9,dialogues=4,seed=5", "world:200,facts=3,frames=6"]
)
def test_every_dialogue_passes_the_checks_for_machine_writing(spec: str) -> None:
    for passage in stories(spec):
        for draft in passage.drafts:
            dialogue = dialogue_of(passage, draft, "world", "1")
            assert isinstance(dialogue, Dialogue)
            assert check(dialogue) is None, dialogue.turns


def test_no_earlier_turn_gives_the_meaning_of_an_ambiguous_question_away() -> None:
    for draft in drafts(stories("world:1000")):
        if draft.ambiguous and len(draft.turns) > 4:
            asked = draft.turns[-3].text.lower()
            before = " ".join(turn.text for turn in draft.turns[:-4])
            for name in re.findall(r"\b[A-Z]\w+day|spring|summer|autumn|winter", before):
                assert name.lower() not in asked
            if draft.details["frame"] in ("opens", "runs", "roof", "bought", "met", "saw"):
                assert not any(place in before for place in SLOTS["place"])


def test_the_plain_style_has_one_wording_and_no_opening() -> None:
    found = stories("world:60,facts=3,style=plain,history=0")
    assert all(d.turns[1].text.startswith("Do you mean") for d in drafts(found) if d.ambiguous)
    assert all(len(d.turns) in (2, 4) for d in drafts(found))
    assert all(p.text.count(".") == 3 for p in found)


def test_the_vocabulary_is_small() -> None:
    words = set()
    for passage in stories("world:1500"):
        texts = [passage.text, *(t.text for d in passage.drafts for t in d.turns)]
        words.update(re.findall(r"[a-z]+", " ".join(texts).lower()))
    assert 150 < len(words) <= 250


def test_few_frames_are_one_of_each_kind_of_ambiguity() -> None:
    found = drafts(stories("world:60,facts=3,frames=6"))
    assert len({draft.details["frame"] for draft in found}) == 6
    assert {draft.ambiguity_kind for draft in found} - {None} == set(AMBIGUITY_KINDS)


def test_the_grammar_is_whole() -> None:
    names = [frame.name for frame in FRAMES]
    assert len(set(names)) == len(names)
    for opening, theme in THEMES.items():
        assert theme <= set(names), opening
        assert {f.kind for f in FRAMES if f.name in theme} == set(AMBIGUITY_KINDS)
    assert set().union(*THEMES.values()) == set(names)
    for frame in FRAMES:
        assert len(frame.options) == (1 if frame.vary else 2)
        known = {"she", "value", *frame.slots, frame.vary}
        for option in frame.options:
            assert option.value == "name" or option.value in VALUES
            for template in (*option.say, *option.also, *option.ask, option.which, *frame.vague):
                assert {f for _, f, _, _ in Formatter().parse(template) if f} <= known
            for template in (*option.say, *option.also):
                # A value at the beginning would be capitalised, and stand nowhere in the text.
                assert not template.startswith("{value}") or option.value == "name"


def test_memory_does_not_grow_with_the_number_of_stories() -> None:
    items = iter(open_source("world:1000000000"))
    next(items)
    tracemalloc.start()
    for _ in islice(items, 300):
        pass
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_thousand_stories_take_seconds() -> None:
    begun = time.process_time()
    stories("world:1000,facts=3")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "argument",
    (
        "x 0 -1 1.5 ٣ 5,seed 5,seed=x 5,facts=2 5,facts=99 5,ambiguous=2 5,ambiguous=nan "
        "5,colour=red 5,style=odd 5,history=3 5,dialogues=0 5,facts=3,dialogues=8 "
        "5,facts=3,dialogues=4,ambiguous=1 5,frames=5 5,frames=23 5,facts=12,frames=6"
    ).split(),
)
def test_a_setting_that_cannot_be_is_one_line(argument: str) -> None:
    with pytest.raises(SettingsError, match=r"^world: ") as caught:
        open_source(f"world:{argument}")
    assert "\n" not in str(caught.value)


def test_settings_are_read() -> None:
    assert parse_world(
        "7, seed=2,facts=3,dialogues=1,ambiguous=.25,history=1,frames=6,style=plain"
    ) == World(7, 2, 3, 1, 0.25, 1, 6, "plain")
