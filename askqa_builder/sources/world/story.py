"""One story of the closed world: who, what is said twice, what once, and the telling of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from askqa_builder.schema import AMBIGUITY_KINDS
from askqa_builder.sources.world.frames import FRAMES
from askqa_builder.sources.world.words import (
    COUNTS,
    JOINED,
    MEN,
    SLOTS,
    THEMES,
    VALUES,
    WOMEN,
    Frame,
    Option,
)

THINGS: frozenset[str] = frozenset(
    word
    for slot in ("place", "event", "contest", "furniture", "vehicle", "fruit")
    for word in SLOTS[slot]
).union(("ticket", "walk"), (f"{fruit}s" for fruit in SLOTS["fruit"]))
"""Whatever "it" could mean, where an earlier turn brought it up."""

_TOPICS = THINGS | {*WOMEN, *MEN, *SLOTS["day"], *SLOTS["season"]}
_BY_KIND = {kind: [f for f in FRAMES if f.kind == kind] for kind in AMBIGUITY_KINDS}
_EVENLY = [f for some in zip_longest(*_BY_KIND.values()) for f in some if f is not None]
"""One frame of each kind of ambiguity, another of each kind …"""
_BY_THEME = {opening: [f for f in FRAMES if f.name in names] for opening, names in THEMES.items()}


@dataclass(slots=True, eq=False)
class Fact:
    """One clause of a story, and what can be asked about it."""

    frame: Frame
    option: Option
    slots: dict[str, str]
    value: str
    question: str
    """The full question, which only this fact answers."""
    number: int = -1
    """Place among the story's facts, in the order of telling."""
    clause: str = ""
    start: int = 0
    """Offset of the clause in the text; `value_start` likewise."""
    value_start: int = 0

    @property
    def topics(self) -> frozenset[str]:
        """What a turn about this fact brings up."""
        return _TOPICS.intersection([*self.question[:-1].split(), *self.clause.split()])


@dataclass
class Story:
    """A story in the making: its people and places, its facts, its random choices."""

    rng: random.Random
    plain: bool
    she: str
    people: Sequence[str]
    others: Sequence[str]
    """People of the other sex: whoever `she` is, it is none of them."""
    twice: list[list[Fact]] = field(default_factory=list)
    """Pairs of facts that one vague question fits."""
    facts: list[Fact] = field(default_factory=list)
    """All facts, in the order of telling."""
    text: str = ""
    _drawn: dict[str, list[str]] = field(default_factory=dict)

    def two(self, slot: str) -> list[str]:
        """Return the two people, places, days … of everything that happens in this story."""
        if slot not in self._drawn:
            words = self.people if slot == "who" else SLOTS[slot]
            self._drawn[slot] = self.rng.sample(words, 2)
        return self._drawn[slot]

    def pick(self, wordings: Sequence[str]) -> str:
        """Choose one of several wordings; the plain style has only the first."""
        if self.plain or len(wordings) == 1:
            return wordings[0]
        return wordings[int(self.rng.random() * len(wordings))]

    def fill(self, template: str, slots: dict[str, str], value: str = "") -> str:
        return template.format(**slots, value=value, she=self.she)


def tell(rng: random.Random, facts: int, plain: bool, frames: int = len(FRAMES)) -> Story:
    """Invent a story of so many facts (3 to 12), a third of which are pairs.

    `frames` is how many things can be said at all.
    """
    women = rng.random() < 0.5
    people, others = (WOMEN, MEN) if women else (MEN, WOMEN)
    story = Story(rng, plain, "she" if women else "he", people, others)
    theme, pairs, singles = _plot(rng, facts, frames)
    blocks = [_draw(story, frame, 1) for frame in singles]
    for frame in pairs:
        pair = _draw(story, frame, 2)
        rng.shuffle(pair)
        story.twice.append(pair)
        # A pair mostly stands together, as people tell things.
        blocks += [pair] if rng.random() < 0.7 else [[fact] for fact in pair]
    rng.shuffle(blocks)
    if not plain:
        (place, place2), (who, who2) = story.two("place"), story.two("who")
        story.text = theme.format(place=place, place2=place2, who=who, who2=who2)
    for block in blocks:
        _narrate(story, block)
    for pair in story.twice:
        pair.sort(key=lambda fact: fact.number)
    return story


def _plot(rng: random.Random, facts: int, frames: int) -> tuple[str, list[Frame], list[Frame]]:
    """Choose a theme, what is said twice and what once; all kinds of ambiguity are as frequent."""
    known = _EVENLY[:frames]
    kinds = rng.sample(AMBIGUITY_KINDS, facts // 3)
    first = rng.choice([f for f in _BY_KIND[kinds[0]] if f in known])
    theme = rng.choice([opening for opening, some in _BY_THEME.items() if first in some])
    # a few frames are too few for a theme
    fitting = _BY_THEME[theme] if frames == len(FRAMES) else known
    pairs = [first] + [rng.choice([f for f in fitting if f.kind == kind]) for kind in kinds[1:]]
    rest = [frame for frame in fitting if frame not in pairs]
    return theme, pairs, rng.sample(rest, facts - 2 * len(pairs))


def _draw(story: Story, frame: Frame, count: int) -> list[Fact]:
    """Draw one or two facts of a frame, different in what the vague question leaves out."""
    rng = story.rng
    shared = {slot: rng.choice(story.two(slot)) for slot in frame.slots}
    if frame.vary:
        words = rng.sample(story.two(frame.vary), count)
        if frame.rising:
            words.sort(key=SLOTS[frame.vary].index)
        options = [(frame.options[0], {**shared, frame.vary: word}) for word in words]
    elif count == 2:
        options = [(option, shared) for option in frame.options]
    else:
        options = [(rng.choice(frame.options), shared)]
    # Questions of a pair are worded alike: nothing but what they ask about tells them apart.
    wording = 0 if story.plain else rng.randrange(2)
    pools = [story.others if o.value == "name" else VALUES[o.value] for o, _ in options]
    values = [rng.choice(pool) for pool in pools]
    while count == 2 and _core(values[0]) == _core(values[1]):
        values[1] = rng.choice(pools[1])
    if frame.rising:
        values.sort(key=VALUES[options[0][0].value].index)
    return [
        Fact(frame, option, slots, value, story.fill(option.ask[wording % len(option.ask)], slots))
        for (option, slots), value in zip(options, values, strict=True)
    ]


def _core(value: str) -> str:
    """Return what must differ between two answers: of 'six miles' and 'six hours', the number."""
    number = value.split()[0]
    return number if number in COUNTS else value


def _narrate(story: Story, block: list[Fact]) -> None:
    """Tell one or two facts that stand together, noting where each clause and value stands."""
    for place, fact in enumerate(block):
        template = story.pick(fact.option.say)
        lead = " " if story.text else ""
        joined = False
        if place > 0 and fact.option.also:
            template = story.pick(fact.option.also)
        elif place > 0 and not story.plain and story.rng.random() < 0.4:
            joined = True
            story.text, lead = story.text.removesuffix("."), story.rng.choice(JOINED)
        head = story.fill(template.partition("{value}")[0], fact.slots)
        clause = story.fill(template, fact.slots, fact.value)
        fact.clause = clause if joined else clause[0].upper() + clause[1:]
        fact.start = len(story.text) + len(lead)
        fact.value_start = fact.start + len(head)
        fact.number = len(story.facts)
        story.text += f"{lead}{fact.clause}."
        story.facts.append(fact)
