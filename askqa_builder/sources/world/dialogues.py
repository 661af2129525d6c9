"""Dialogues about one story of the closed world, ambiguous or not by construction."""

from __future__ import annotations

from collections.abc import Iterator

from askqa_builder.schema import Draft, Reading, Turn
from askqa_builder.sources.world.story import THINGS, Fact, Story
from askqa_builder.sources.world.words import CLARIFYING, COUNTS, FOLLOW_UPS, REPLIES, SLOTS

_FORMS = {"vague": 9, "resolved": 12, "specific": 4, "follow_up": 2}
"""How often an unambiguous dialogue of each form is tried; the first two look ambiguous."""


def make_drafts(
    story: Story, prefix: str, ambiguous: list[bool], most_history: int
) -> Iterator[Draft]:
    """Yield a story's dialogues, one for each entry: ambiguous or not.

    `prefix` begins the ids of the story's questions, `most_history` bounds the earlier turns.
    """
    rng = story.rng
    asked_back = [(pair, intended) for pair in story.twice for intended in (0, 1)]
    rng.shuffle(asked_back)
    direct = _direct(story, most_history > 0)
    for asks in ambiguous:
        if asks:
            yield _ask_back(story, prefix, most_history, *asked_back.pop())
        else:
            forms = [form for form in _FORMS if direct[form]]
            form = rng.choices(forms, [_FORMS[form] for form in forms])[0]
            fact, clue = direct[form].pop(rng.randrange(len(direct[form])))
            yield _answer_at_once(story, prefix, most_history, form, fact, clue)


def _direct(story: Story, history: bool) -> dict[str, list[tuple[Fact, Fact | None]]]:
    """Collect, by form, every question that story and earlier turns leave one answer to.

    Each is a fact, and the fact that must be asked about just before, if any.
    """
    found: dict[str, list[tuple[Fact, Fact | None]]] = {form: [] for form in _FORMS}
    paired = [fact for pair in story.twice for fact in pair]
    found["specific"] = [(fact, None) for fact in story.facts]
    found["vague"] = [(f, None) for f in story.facts if f.option.alone and f not in paired]
    if history:
        ordered = [both for a, b in story.twice for both in ((a, b), (b, a))]
        found["follow_up"] = list(ordered)
        found["resolved"] = [
            (fact, clue)
            for fact, other in ordered
            if fact.frame.pronoun
            for clue in story.facts
            if _settles(clue, fact, other)
        ]
    return found


def _settles(clue: Fact, fact: Fact, other: Fact) -> bool:
    """Say whether a turn about `clue` tells what the pronoun of `fact`'s vague question means."""
    slot = fact.frame.pronoun
    if clue.frame is fact.frame or clue.slots.get(slot) != fact.slots[slot]:
        return False
    if other.slots[slot] in clue.topics:
        return False
    # "What did she buy at the bakery?" is about her, not about the bakery.
    return slot == "who" or "who" not in clue.slots


def _history(story: Story, most: int, asked: list[Fact], *, vague: bool) -> list[Fact]:
    """Choose earlier turns that say no answer to what is `asked`, and hint at none if `vague`."""
    fact = asked[0]
    count = min(most, story.rng.choice((0, 0, 0, 1, 1, 2)))
    if not count:
        return []
    free = [
        other
        for other in story.facts
        if other not in asked
        and not any(one.value in f"{other.question} {other.value}" for one in asked)
    ]
    if vague:
        barred: set[str] = set()
        if fact.frame.vary:
            barred.update(story.people if fact.frame.vary == "who" else SLOTS[fact.frame.vary])
        if fact.frame.pronoun == "place":
            barred |= THINGS
        free = [
            other
            for other in free
            if other.frame is not fact.frame and barred.isdisjoint(other.topics)
        ]
    return story.rng.sample(free, min(count, len(free)))


def _ask_back(
    story: Story, prefix: str, most_history: int, pair: list[Fact], intended: int
) -> Draft:
    """Make an ambiguous dialogue about the fact `pair[intended]`."""
    meant = pair[intended]
    facts = pair if story.rng.random() < 0.5 else pair[::-1]
    a, b = (story.fill(fact.option.which, fact.slots) for fact in facts)
    named = a if facts[0] is meant else b
    history = _history(story, most_history, pair, vague=True)
    vague = story.fill(story.pick(meant.frame.vague), meant.slots)
    clarifying = story.pick(CLARIFYING).format(a=a, b=b, A=_capital(a))
    reply = story.pick(REPLIES).format(a=named, A=_capital(named))
    return Draft(
        key=f"{meant.frame.name}-{meant.number}-asks",
        turns=(
            *_asked_before(history),
            Turn(role="user", act="question", text=vague),
            Turn(role="assistant", act="clarifying_question", text=clarifying),
            Turn(role="user", act="clarification", text=reply),
            _answer(meant),
        ),
        ambiguous=True,
        ambiguity_kind=meant.frame.kind,
        readings=tuple(_reading(fact) for fact in facts),
        intended=facts.index(meant),
        question_ids=tuple(f"{prefix}{fact.number}" for fact in (*history, *facts)),
        details={"form": "asks", "frame": meant.frame.name},
    )


def _answer_at_once(
    story: Story, prefix: str, most_history: int, form: str, fact: Fact, clue: Fact | None
) -> Draft:
    """Make an unambiguous dialogue.

    vague: the thing is said once. resolved: it is said twice, and `clue` settles which.
    specific: the question itself says which. follow_up: it asks the same of the other.
    """
    history = [clue] if clue else _history(story, most_history, [fact], vague=form == "vague")
    if form == "specific":
        question = fact.question
    elif form == "follow_up":
        named = story.fill(fact.option.which, fact.slots)
        question = story.pick(FOLLOW_UPS).format(b=named)
    else:
        question = story.fill(story.pick(fact.frame.vague), fact.slots)
    return Draft(
        key="-".join([fact.frame.name, str(fact.number), form, *(str(f.number) for f in history)]),
        turns=(
            *_asked_before(history),
            Turn(role="user", act="question", text=question),
            _answer(fact),
        ),
        ambiguous=False,
        readings=(_reading(fact),),
        question_ids=tuple(f"{prefix}{used.number}" for used in (*history, fact)),
        details={"form": form, "frame": fact.frame.name},
    )


def _asked_before(history: list[Fact]) -> Iterator[Turn]:
    for fact in history:
        yield Turn(role="user", act="question", text=fact.question)
        yield _answer(fact)


def _answer(fact: Fact) -> Turn:
    return Turn(role="assistant", act="answer", text=f"{_capital(fact.value)}.")


def _reading(fact: Fact) -> Reading:
    """Make the full question; its answers as said and, where shorter, without at, by, coins …"""
    first, _, rest = fact.value.partition(" ")
    if first in ("at", "by", "near"):
        short = rest
    elif first == "made":
        short = rest.removeprefix("of ")
    else:
        short = first if first in COUNTS else ""
    return Reading(
        question=fact.question,
        answers=(fact.value, short) if short else (fact.value,),
        evidence=fact.clause,
        evidence_start=fact.start,
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
