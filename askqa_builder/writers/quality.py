"""Which human questions and answers are clean enough to build on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from askqa_builder.writers.grammar import Token, word_classes
from askqa_builder.writers.lexicon import (
    AUXILIARIES,
    CLOSED,
    CONJUNCTIONS,
    DETERMINERS,
    DIGITS,
    NUMBER_WORDS,
    PERSONAL,
    PREPOSITIONS,
    TIME_NOUNS,
)

MAX_QUESTION_WORDS = 22
MAX_ANSWER_CHARS = 140
_UNSPOKEN = frozenset("\n()[]")
"""Signs of writing: "50% (10.1 EJ/yr)"."""

_FRACTIONS = frozenset("third quarter fifth tenth".split())
_POINTING = frozenset("this these those both such".split())
_FURTHER = frozenset("other another else also".split())
_THAN = frozenset("besides than except beyond".split()) | {"addition", "apart"}
_PRESENT = frozenset("you your i me my we us our".split())
_DANGLING = (PREPOSITIONS | CONJUNCTIONS | AUXILIARIES | DETERMINERS) - {"off", "up", "out", "in"}
_STARTS_BADLY = frozenset("and or but of that which who whose than is are was were".split())
_TIMES = TIME_NOUNS | frozenset(
    "today yesterday tomorrow now currently present ago early late mid middle end beginning "
    "christmas easter".split()
)


def stands_alone(tokens: Sequence[Token]) -> bool:
    """Whether a question is understood without an earlier one: no "he", "this" in the air."""
    words = {token.lower for token in tokens}
    if words & _POINTING or (words & _FURTHER and not words & _THAN):
        return False
    named = mentioned = False
    for index, token in enumerate(tokens):
        if token.lower in PERSONAL and token.lower not in _PRESENT:
            following = tokens[index + 1].lower if index + 1 < len(tokens) else ""
            later = {t.lower for t in tokens[index:]}
            expletive = token.lower == "it" and (
                following in ("called", "known")
                or (following in ("take", "cost") and not later.isdisjoint(("to", "for")))
            )
            of_thing = token.lower in ("it", "its", "they", "them", "their")
            if not (named or expletive or (of_thing and mentioned)):
                return False
        named = named or bool(index and token.text[0].isupper())
        mentioned = mentioned or token.lower in ("the", "a", "an")
    return True


def is_spelled_well(tokens: Sequence[Token], passage: str) -> bool:
    """Whether each small word is in the dictionary or in the passage, and none is doubled."""
    if any(a.lower == b.lower and a.is_word for a, b in pairwise(tokens)):
        return False
    folded = ""
    for token in tokens:
        word = token.lower
        if word in CLOSED or not word.isascii() or not word.isalpha() or len(word) < 2:
            continue
        if token.text != word or word_classes(word):
            continue
        folded = folded or passage.lower()
        if word not in folded:
            return False
    return True


def is_clean_answer(answer: str) -> bool:
    """Whether a span is a whole phrase of a length to be said."""
    words = answer.lower().split()
    if not words or len(answer) > MAX_ANSWER_CHARS or not _UNSPOKEN.isdisjoint(answer):
        return False
    if words[-1].strip('".,') in _DANGLING or words[0] in _STARTS_BADLY:
        return False
    return any(ch.isalnum() for ch in answer) and answer.count('"') % 2 == 0


def answer_fits(tokens: Sequence[Token], answer: str) -> bool:
    """Whether "when" is answered by a time and "how many" by a number: annotations have errors."""
    asked = [token.lower for token in tokens]
    words = set(re.findall(r"[^\W_]+", answer.lower()))
    if len(words) == 1 and words & _FRACTIONS:
        return False  # "third": of a third, or the third?
    numeric = any(ch.isdigit() for ch in answer) or bool(words & NUMBER_WORDS)
    if "when" in asked[:2]:
        return numeric or bool(words & _TIMES)
    if "how" in asked[:3]:
        place = asked.index("how")
        if asked[place + 1 : place + 2] in (["many"], ["much"], ["old"]):
            return numeric
    return True


def answers_differ(one: str, other: str) -> bool:
    """Whether two answers really differ: neither says the other's words and more."""
    left, right = _said(one), _said(other)
    return bool(left - right) and bool(right - left)


def _said(answer: str) -> set[str]:
    words = re.findall(r"[^\W_]+(?:[.,]\d+)*", answer.lower())
    kept = {DIGITS.get(word, word.replace(",", "")) for word in words if word not in CLOSED}
    return kept or {DIGITS.get(word, word) for word in words}
