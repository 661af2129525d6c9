"""Finds, among the questions on a passage, those that one ambiguous question could mean."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from askqa_builder.schema import AmbiguityKind, Passage, Question
from askqa_builder.writers.grammar import Parse, Token, content_words, parse, tokenize
from askqa_builder.writers.lexicon import AUXILIARIES, PREPOSITIONS, SYNONYMS
from askqa_builder.writers.merging import merge
from askqa_builder.writers.pairs import MAX_SLOT, Merge, Style
from askqa_builder.writers.quality import (
    MAX_QUESTION_WORDS,
    answer_fits,
    answers_differ,
    is_clean_answer,
    is_spelled_well,
    stands_alone,
)
from askqa_builder.writers.reference import is_topic
from askqa_builder.writers.utterances import capitalised, is_question, tidy_answer, tidy_question

MAX_READINGS = 3
"""More are too long a list to be followed by ear, and so are …"""
MAX_LISTED_WORDS = 15
"""… more words than this in a list of three."""

_ENDS = "?.! "
_WHEN = re.compile(
    r"^(?:(?:in|on|during|at) )?(?:what|which) (?:year|date|day|month|century|decade)\b"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A usable human question."""

    question: Question
    text: str
    answer: str
    tokens: tuple[Token, ...]

    @property
    def words(self) -> set[str]:
        """The question's content words."""
        return content_words(self.text)


@dataclass(frozen=True, slots=True)
class Member:
    """One reading of an ambiguous question: how it is named, and the human question."""

    phrase: str
    shorter: str | None
    item: Asked


@dataclass(frozen=True, slots=True)
class Group:
    """Questions that one ambiguous question could mean."""

    asked: str
    kind: AmbiguityKind
    style: Style
    pattern: str
    members: tuple[Member, ...]


def usable(passage: Passage) -> list[Asked]:
    """The questions that are clean enough to be spoken, each text once."""
    found: dict[str, Asked] = {}
    for question in passage.questions:
        item = _clean(question)
        if item is not None and _is_well_formed(item, passage.text):
            found.setdefault(item.text.casefold(), item)
    return list(found.values())


def _is_well_formed(item: Asked, passage: str) -> bool:
    if not is_spelled_well(item.tokens, passage):
        return False
    return item.tokens[0].lower in AUXILIARIES or parse(item.text, item.tokens[:-1]) is not None


def _clean(question: Question) -> Asked | None:
    text = tidy_question(question.text)
    if not is_question(question.text) or len(text.split()) > MAX_QUESTION_WORDS:
        return None
    answer = tidy_answer(question.answers[0].text)
    tokens = tokenize(text)
    if is_clean_answer(answer) and answer_fits(tokens, answer) and stands_alone(tokens):
        return Asked(question, text, answer, tokens)
    return None


def groups(passage: Passage) -> list[Group]:
    """Merge every pair of questions; those that merge to the same question are one group.

    Most passages have no pair. So a pair is first looked at as plain lists of words, and only
    those that might fit are taken apart.
    """
    plain = [_plain_words(question.text) for question in passage.questions]
    merged: dict[str, tuple[Merge, dict[str, Member]]] = {}
    read: dict[int, tuple[Asked, Parse] | None] = {}
    for i, j in itertools.combinations(range(len(plain)), 2):
        if not _may_pair(plain[i], plain[j]):
            continue
        for index in (i, j):
            if index not in read:
                read[index] = _read(passage.questions[index], passage.text)
        left, right = read[i], read[j]
        if left is None or right is None or not answers_differ(left[0].answer, right[0].answer):
            continue
        found = merge(left[1], right[1], passage.text)
        if found is None:
            continue
        _, members = merged.setdefault(found.asked.casefold(), (found, {}))
        shorter = found.shorter or (None, None)
        for phrase, short, (item, _) in zip(found.phrases, shorter, (left, right), strict=True):
            members.setdefault(item.question.id, Member(phrase, short, item))
    made = [_group(found, members.values(), passage.title) for found, members in merged.values()]
    # what a person has asked in these words has an answer of its own
    return [group for group in made if group and _plain_words(group.asked) not in plain]


def _plain_words(text: str) -> list[str]:
    line = _WHEN.sub("when", " ".join(text.lower().split()).rstrip(_ENDS))
    return [SYNONYMS.get(word, word) for word in line.split(" ")]


def _may_pair(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two questions might merge: a quick look that never says no to a pair that does."""
    first = one[0]
    if first != other[0] and not (first in PREPOSITIONS and other[0] in PREPOSITIONS):
        return False
    shortest = min(len(one), len(other))
    start = 0
    while start < shortest and one[start] == other[start]:
        start += 1
    tail = 0
    while tail < shortest - start and one[-1 - tail] == other[-1 - tail]:
        tail += 1
    if first in ("when", "where"):
        return True
    if start + tail < (2 if first in ("who", "where", "when") else 3):
        return False
    return max(len(one), len(other)) - start - tail <= MAX_SLOT


def _read(question: Question, passage: str) -> tuple[Asked, Parse] | None:
    item = _clean(question)
    if item is None or not is_spelled_well(item.tokens, passage):
        return None
    parsed = parse(item.text, item.tokens[:-1])
    return None if parsed is None else (item, parsed)


def _group(found: Merge, members: Iterable[Member], title: str) -> Group | None:
    kept: list[Member] = []
    for member in members:
        if all(
            member.phrase.casefold() != other.phrase.casefold()
            and answers_differ(member.item.answer, other.item.answer)
            for other in kept
        ):
            kept.append(member)
    if not 2 <= len(kept) <= MAX_READINGS:
        return None
    if len(kept) > 2 and sum(len(m.phrase.split()) for m in kept) > MAX_LISTED_WORDS:
        return None
    if any(is_topic(member.phrase, title) for member in kept):
        return None  # what the passage is about is what is meant, unless one says otherwise
    asked = capitalised(found.asked) + "?"
    return Group(asked, found.kind, found.style, found.pattern, tuple(kept))
