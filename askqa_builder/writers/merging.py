"""From two questions that differ in one phrase to the question that leaves the phrase open."""

from __future__ import annotations

import re
from dataclasses import dataclass

from askqa_builder.schema import AmbiguityKind
from askqa_builder.writers.grammar import (
    Parse,
    Token,
    can_be,
    content_words,
    is_plural,
)
from askqa_builder.writers.lexicon import (
    AUXILIARIES,
    BE,
    CLOSED,
    CONJUNCTIONS,
    DETERMINERS,
    OBJECT_FORMS,
    PERSON_NOUNS,
    PLACE_NOUNS,
    POSSESSIVE_FORMS,
    PREPOSITIONS,
    QUANTIFIERS,
    SUBJECT_FORMS,
    SUBORDINATORS,
    TIME_NOUNS,
    VAGUE_NOUNS,
)
from askqa_builder.writers.reference import pronoun_for

MAX_SLOT = 8
"""Words in the phrase that differs; longer ones are clumsy to say twice."""

_ADJUNCT = frozenset("in on at during for after before under within through by".split())
_YEAR = re.compile(r"^(1[0-9]|20)\d\d(s|-\d\d)?$|^q[1-4]$|^\d{1,2}th$")
# Verbs that want the phrase that a dropped preposition would take along.
_NEEDS_PLACE = frozenset("live lived reside based included involved interested participate".split())


@dataclass(frozen=True, slots=True)
class Merge:
    """An ambiguous question and how each of its readings is named."""

    asked: str
    phrases: tuple[str, str]
    kind: AmbiguityKind
    style: str
    """How the phrases are offered: `noun`, `person`, `adjunct`, `which`, `count`, `clause`."""
    pattern: str


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where two questions differ: from `start` on, up to `tail` tokens before the end."""

    start: int
    tail: int

    def end(self, parse: Parse) -> int:
        return len(parse.tokens) - self.tail


def merge(one: Parse, other: Parse, passage: str) -> Merge | None:
    """The question that both would become if the asker left out what tells them apart."""
    slot = _difference(one.tokens, other.tokens)
    if slot is None:
        return None
    for strategy in (_fronted, _final_clause, _wh_noun, _counted, _adjunct, _modifier, _pronoun):
        found = strategy(one, other, slot, passage)
        if found is not None:
            return found if _is_open(found) else None
    return None


def _is_open(found: Merge) -> bool:
    left, right = (content_words(phrase) for phrase in found.phrases)
    asked = content_words(found.asked)
    return bool(left - right and right - left) and not (left ^ right) & asked and bool(asked)


def _difference(one: tuple[Token, ...], other: tuple[Token, ...]) -> _Slot | None:
    shortest = min(len(one), len(other))
    start = 0
    while start < shortest and _same(one[start], other[start]):
        start += 1
    tail = 0
    while tail < shortest - start and one[-1 - tail].lower == other[-1 - tail].lower:
        tail += 1
    longest = max(len(one), len(other)) - start - tail
    if shortest - start - tail < 1 or longest > MAX_SLOT:
        return None
    return _Slot(start, tail)


def _same(one: Token, other: Token) -> bool:
    return one.lower == other.lower or {one.lower, other.lower} == {"a", "an"}


def _aligned(one: Parse, other: Parse, slot: _Slot) -> bool:
    """Whether auxiliary and verb stand in the common part, at the same place in both."""
    for a, b in ((one.auxiliary, other.auxiliary), (one.verb, other.verb), (one.wh, other.wh)):
        if (a is None) != (b is None):
            return False
        if a is None or b is None:
            continue
        if a < slot.start and a == b:
            continue
        if a >= slot.end(one) and len(one.tokens) - a == len(other.tokens) - b:
            continue
        return False
    return True


# -- strategies ------------------------------------------------------------------------------------


def _fronted(one: Parse, other: Parse, slot: _Slot, passage: str) -> Merge | None:
    """ "In 1939, how many …?" / "In 1994, how many …?" → "How many …?" """
    if one.wh < 2 or other.wh < 2 or slot.end(one) > one.wh or slot.end(other) > other.wh:
        return None
    if one.tokens[0].lower not in _ADJUNCT or one.tokens[one.wh - 1].lower in PREPOSITIONS:
        return None
    phrases = (_fronted_phrase(one), _fronted_phrase(other))
    return Merge(
        one.slice(one.wh, len(one.tokens)), phrases, _adjunct_kind(phrases), "adjunct", "fronted"
    )


def _fronted_phrase(parse: Parse) -> str:
    phrase = parse.slice(0, parse.wh).rstrip(", ")
    return phrase[0].lower() + phrase[1:]


def _final_clause(one: Parse, other: Parse, slot: _Slot, passage: str) -> Merge | None:
    """ "How old was X when he moved?" / "… when he won?" → "How old was X?" """
    if slot.tail:
        return None
    starts = [_clause_start(parse, slot) for parse in (one, other)]
    if starts[0] is None or starts[1] is None or starts[0] != starts[1]:
        return None
    cut = starts[0]
    rest = one.slice(0, cut).rstrip(", ")
    if cut - one.wh < 3 or one.tokens[cut - 1].lower in CLOSED:
        return None
    phrases = (one.slice(cut, len(one.tokens)), other.slice(cut, len(other.tokens)))
    return Merge(rest, phrases, "event", "clause", "clause")


def _clause_start(parse: Parse, slot: _Slot) -> int | None:
    for i in range(slot.start, parse.wh + 2, -1):
        if i < len(parse.tokens) and parse.tokens[i].lower in ("when", "while", "after", "before"):
            following = parse.tokens[i + 1 :]
            if len(following) >= 2:
                return i
    return None


def _wh_noun(one: Parse, other: Parse, slot: _Slot, passage: str) -> Merge | None:
    """ "What instrument did X play?" / "What piece did X play?" → "What did X play?" """
    first = one.wh + 1
    if one.tokens[one.wh].lower not in ("what", "which") or slot.start != first or one.wh != 0:
        return None
    ends = [parse.auxiliary for parse in (one, other)]
    if ends[0] is None or ends[1] is None or one.verb is None or other.verb is None:
        return None
    if slot.end(one) != ends[0] or slot.end(other) != ends[1]:
        return None
    nouns = [parse.tokens[first:end] for parse, end in ((one, ends[0]), (other, ends[1]))]
    for words in nouns:
        head = words[-1].lower
        if len(words) > 3 or head in TIME_NOUNS | PLACE_NOUNS | VAGUE_NOUNS | PERSON_NOUNS:
            return None
        if any(w.lower in CLOSED for w in words) or not can_be(head, "NOUN"):
            return None
    asked = f"What {one.slice(ends[0], len(one.tokens))}"
    phrases = (one.slice(first, ends[0]), other.slice(first, ends[1]))
    return Merge(asked, phrases, "attribute", "which", "wh-noun")


def _counted(one: Parse, other: Parse, slot: _Slot, passage: str) -> Merge | None:
    """ "How many tents were flown in?" / "How many quilts …?" → "How many were flown in?" """
    first = one.wh + 2
    if one.wh != 0 or slot.start != first or one.tokens[0].lower != "how":
        return None
    if one.tokens[1].lower != "many" or one.verb is None or other.verb is None:
        return None
    ends = [
        parse.auxiliary if parse.auxiliary is not None else parse.verb for parse in (one, other)
    ]
    if ends[0] is None or ends[1] is None or ends[0] <= first or ends[1] <= first:
        return None
    if slot.end(one) != ends[0] or slot.end(other) != ends[1]:
        return None
    for parse, end in ((one, ends[0]), (other, ends[1])):
        words = parse.tokens[first:end]
        if len(words) > 4 or any(w.lower in CLOSED for w in words) or not is_plural(words[-1]):
            return None
    asked = f"How many {one.slice(ends[0], len(one.tokens))}"
    phrases = (one.slice(first, ends[0]), other.slice(first, ends[1]))
    return Merge(asked, phrases, "referent", "count", "counted")


def _chunk(parse: Parse, slot: _Slot) -> tuple[int, int] | None:
    """The base noun phrase around the slot: from a boundary to the next one."""
    floor = parse.wh + 1
    for anchor in (parse.auxiliary, parse.verb):
        if anchor is not None and anchor < slot.start:
            floor = max(floor, anchor + 1)
    left = slot.start
    while left > floor:
        word = parse.tokens[left - 1]
        if word.lower in PREPOSITIONS | CONJUNCTIONS | AUXILIARIES or not _is_word(word):
            break
        left -= 1
    right = slot.end(parse)
    while right < len(parse.tokens):
        word = parse.tokens[right]
        if word.lower in CLOSED or not _is_word(word) or right == parse.verb:
            break
        right += 1
    return (left, right) if left < right else None


def _is_word(token: Token) -> bool:
    return token.text[0].isalnum() or token.lower == "'s"


def _chunks(
    one: Parse, other: Parse, slot: _Slot
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    if not _aligned(one, other, slot):
        return None
    left, right = _chunk(one, slot), _chunk(other, slot)
    if left is None or right is None or left[0] != right[0]:
        return None
    if len(one.tokens) - left[1] != len(other.tokens) - right[1]:
        return None
    return left, right


def _adjunct(one: Parse, other: Parse, slot: _Slot, passage: str) -> Merge | None:
    """ "How many works did X write in 1842?" / "… in 1845?" → "How many works did X write?" """
    if not _aligned(one, other, slot) or slot.tail:
        return None
    cut = _preposition_before(one, slot)
    if cut is None or cut != _preposition_before(other, slot):
        return None
    before = one.tokens[cut - 1]
    if before.lower in CLOSED or not _is_word(before) or before.lower in _NEEDS_PLACE:
        return None
    if cut - one.wh < 3:
        return None
    for parse in (one, other):
        if parse.tokens[cut].lower not in _ADJUNCT:
            return None
        if parse.tokens[cut].lower in ("for", "by") and parse.verb == cut - 1:
            return None
    phrases = (one.slice(cut, len(one.tokens)), other.slice(cut, len(other.tokens)))
    return Merge(one.slice(0, cut), phrases, _adjunct_kind(phrases), "adjunct", "adjunct")


def _preposition_before(parse: Parse, slot: _Slot) -> int | None:
    if slot.start < len(parse.tokens) and parse.tokens[slot.start].lower in PREPOSITIONS:
        return slot.start
    for i in range(slot.start - 1, parse.wh + 1, -1):
        word = parse.tokens[i]
        if word.lower in PREPOSITIONS:
            return i
        if word.lower in AUXILIARIES | CONJUNCTIONS or i in (parse.verb, parse.auxiliary):
            return None
    return None


def _adjunct_kind(phrases: tuple[str, str]) -> AmbiguityKind:
    if all(_is_time(phrase) for phrase in phrases):
        return "time"
    if all(re.match(r"(in|at|on) (the )?[A-Z]", phrase) for phrase in phrases):
        return "place"
    return "other"


def _is_time(phrase: str) -> bool:
    words = phrase.lower().split()
    return any(_YEAR.match(word) or word in TIME_NOUNS for word in words)


def _modifier(one: Parse, other: Parse, slot: _Slot, passage: str) -> Merge | None:
    """ "What is the Russian term for …?" / "… the Irish term …?" → "What is the term for …?" """
    chunks = _chunks(one, other, slot)
    if chunks is None:
        return None
    (left, right), (_, other_right) = chunks
    end, other_end = slot.end(one), slot.end(other)
    if end >= right:
        return None
    start = slot.start
    if one.tokens[start].lower in DETERMINERS:
        if one.tokens[start].lower not in ("a", "an", "the") or start + 1 >= end:
            return None
        if not _same(one.tokens[start], other.tokens[start]):
            return None
        start += 1
    before = one.tokens[start - 1].lower
    if before not in {"the", "a", "an", "'s"} | DETERMINERS:
        return None
    words = (*one.tokens[start:end], *other.tokens[start:other_end])
    if any(w.lower in CLOSED - {"'s"} or not _is_word(w) for w in words):
        return None
    head = one.tokens[end:right]
    if head[0].lower in VAGUE_NOUNS and len(head) == 1 and right == len(one.tokens):
        return None
    rest = one.slice(end, len(one.tokens))
    if len(head) == 1 and head[0].text[0].isupper() and can_be(head[0].lower, "NOUN"):
        rest = rest[0].lower() + rest[1:]
    lead = one.slice(0, start)
    if before in ("a", "an"):
        lead = one.slice(0, start - 1) + (" an" if rest[0] in "aeiouAEIOU" else " a")
    phrases = (one.slice(left, right), other.slice(left, other_right))
    return Merge(f"{lead} {rest}", phrases, "referent", "noun", "modifier")


def _pronoun(one: Parse, other: Parse, slot: _Slot, passage: str) -> Merge | None:
    """ "When was the motto adopted?" / "When was the state flower …?" → "When was it …?" """
    chunks = _chunks(one, other, slot)
    if chunks is None:
        return None
    (left, right), (_, other_right) = chunks
    if left <= one.wh + (1 if one.auxiliary is None and one.verb is None else 0):
        return None
    if one.auxiliary is not None and left < one.auxiliary:
        return None
    if one.auxiliary is None and one.verb is not None and left < one.verb:
        return None
    phrases = (one.slice(left, right), other.slice(left, other_right))
    number = pronoun_for(phrases, one, (left, right), passage)
    if number is None:
        return None
    following = one.tokens[right].lower if right < len(one.tokens) else ""
    if following == "'s":
        word = POSSESSIVE_FORMS[number]
        rest = one.slice(right + 1, len(one.tokens))
    else:
        if following in ("of", "and", "or", "that", "who", "which"):
            return None
        subject = one.auxiliary is not None and left == one.auxiliary + 1
        word = (SUBJECT_FORMS if subject else OBJECT_FORMS)[number]
        rest = one.slice(right, len(one.tokens))
        if one.verb is None and not _asks_property(one):
            return None
    asked = " ".join(part for part in (one.slice(0, left), word, rest) if part)
    style = "person" if number in ("he", "she") else "noun"
    return Merge(asked, phrases, "referent", style, "pronoun")


def _asks_property(parse: Parse) -> bool:
    """Whether a question without a main verb still asks something: "How high is it?"."""
    if parse.auxiliary is None:
        return False
    asking = parse.tokens[parse.wh].lower
    return asking in ("where", "when") or parse.auxiliary - parse.wh > 1 or asking == "whose"


__all__ = ["BE", "MAX_SLOT", "QUANTIFIERS", "SUBORDINATORS", "Merge", "merge"]
