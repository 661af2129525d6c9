"""Two questions that differ in one stretch, and the ambiguous question that they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from askqa_builder.schema import AmbiguityKind
from askqa_builder.writers.grammar import Parse, Token, content_words, word_classes
from askqa_builder.writers.lexicon import PREPOSITIONS, SYNONYMS

MAX_SLOT = 8
"""Words in the stretch that differs, and …"""
MAX_PHRASE = 10
"""… in the phrase that names a reading; longer ones are clumsy to say twice."""

Style = Literal["noun", "person", "adjunct", "clause", "which"]
"""How the readings' phrases are offered to the user."""


@dataclass(frozen=True, slots=True)
class Merge:
    """An ambiguous question and how each of its two readings is named."""

    asked: str
    phrases: tuple[str, str]
    kind: AmbiguityKind
    style: Style
    pattern: str
    shorter: tuple[str, str] | None = None
    """The phrases with "one" for their noun, where they share it: "the old one"."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where two questions differ: from token `start` on, up to `tail` tokens before the end."""

    start: int
    tail: int

    def end(self, parse: Parse) -> int:
        """Index of the first token after the slot."""
        return len(parse.tokens) - self.tail


def difference(one: tuple[Token, ...], other: tuple[Token, ...]) -> Slot | None:
    """The single stretch in which two questions differ, if both have one of at most MAX_SLOT."""
    shortest = min(len(one), len(other))
    start = 0
    while start < shortest and same(one[start], other[start]):
        start += 1
    if start == 0 and one[0].lower not in PREPOSITIONS:
        return None
    tail = 0
    while tail < shortest - start and same(one[-1 - tail], other[-1 - tail]):
        tail += 1
    longest = max(len(one), len(other)) - start - tail
    return Slot(start, tail) if start + tail < shortest and longest <= MAX_SLOT else None


def same(one: Token, other: Token) -> bool:
    """Whether two words are the same to an annotator."""
    left, right = one.lower, other.lower
    return left == right or SYNONYMS.get(left, left) == SYNONYMS.get(right, right)


def both(one: Parse, other: Parse, name: Callable[[Parse], str]) -> tuple[str, str]:
    """A phrase of each of two questions."""
    return name(one), name(other)


def aligned(one: Parse, other: Parse, slot: Slot) -> bool:
    """Whether wh-word, auxiliary and verb stand in the common part, at the same place in both."""
    pairs = ((one.wh, other.wh), (one.auxiliary, other.auxiliary), (one.verb, other.verb))
    for a, b in pairs:
        if a is None or b is None:
            if a is not b:
                return False
        elif not (
            (a < slot.start and a == b)
            or (a >= slot.end(one) and len(one.tokens) - a == len(other.tokens) - b)
        ):
            return False
    return True


def is_open(found: Merge) -> bool:
    """Whether the question really leaves open what two clearly different phrases name."""
    left, right = (content_words(phrase) for phrase in found.phrases)
    asked = content_words(found.asked)
    if not (left - right and right - left) or (left ^ right) & asked or not asked:
        return False
    if any("," in phrase or len(phrase.split()) > MAX_PHRASE for phrase in found.phrases):
        return False
    if found.style in ("noun", "person") and any(" and " in phrase for phrase in found.phrases):
        return False  # "A or B and C": two or three things?
    letters = ["".join(filter(str.isalnum, phrase.lower())) for phrase in found.phrases]
    if letters[0] == letters[1]:
        return False
    changed = [sorted(left - right), sorted(right - left)]
    if any(word[0].isdigit() or word_classes(word) for words in changed for word in words):
        return True
    spelled = [" ".join(words) for words in changed]  # or one name in two spellings?
    return SequenceMatcher(None, spelled[0], spelled[1]).ratio() < 0.8
