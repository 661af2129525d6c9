"""Merges that leave out a time, a place, a clause, or what kind of thing the wh-word asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from askqa_builder.schema import AmbiguityKind
from askqa_builder.writers.grammar import Parse, Token, can_be, content_words, is_plural
from askqa_builder.writers.lexicon import (
    ADMINISTRATIVE,
    AUXILIARIES,
    BE,
    CONJUNCTIONS,
    DETERMINERS,
    DIMENSIONS,
    EVENT_NOUNS,
    HARMED,
    LEANING,
    MODAL,
    ORDINALS,
    PERSON_NOUNS,
    PERSONAL,
    PLACE_NOUNS,
    PREPOSITIONS,
    TIME_NOUNS,
    VAGUE_NOUNS,
)
from askqa_builder.writers.nominals import Spans
from askqa_builder.writers.pairs import Merge, Slot, both

_ADJUNCT = frozenset(
    "in on at during for after before under within through throughout across by from".split()
)
_LEADING = frozenset("for by from on under through".split())  # often part of the verb before them
_WHEREABOUTS = frozenset("in on at within throughout".split())
_CLAUSAL = frozenset("when while after before".split())
_SIDES = frozenset("north south east west left right front back".split())
_YEAR = re.compile(r"^(1[0-9]|20)\d\d(s|-\d\d)?$|^q[1-4]$|^\d{1,2}(st|nd|rd|th)$")


def fronted(one: Parse, other: Parse, slot: Slot) -> Merge | None:
    """ "In 1939, how many …?" / "In 1994, how many …?" → "How many …?" """
    if min(one.wh, other.wh) < 2 or slot.end(one) > one.wh or slot.end(other) > other.wh:
        return None
    for parse in (one, other):
        if parse.lower(0) not in _ADJUNCT or parse.lower(parse.wh - 1) in PREPOSITIONS:
            return None
    phrases = both(one, other, _fronted_phrase)
    asked = one.slice(one.wh, len(one.tokens))
    return Merge(asked, phrases, _kind(phrases), "adjunct", "fronted")


def _fronted_phrase(parse: Parse) -> str:
    phrase = parse.slice(0, parse.wh).rstrip(", ")
    return phrase[0].lower() + phrase[1:]


def final_clause(one: Parse, other: Parse, slot: Slot) -> Merge | None:
    """ "How old was X when he moved?" / "… when he won?" → "How old was X?" """
    cut = _clause_start(one, slot)
    if slot.tail or cut is None or cut != _clause_start(other, slot):
        return None
    if cut - one.wh < 3 or one.tokens[cut - 1].closed:
        return None
    phrases = both(one, other, lambda parse: parse.slice(cut, len(parse.tokens)))
    return Merge(one.slice(0, cut).rstrip(", "), phrases, "event", "clause", "clause")


def _clause_start(parse: Parse, slot: Slot) -> int | None:
    for i in range(slot.start, parse.wh + 2, -1):
        if parse.lower(i) in _CLAUSAL and len(parse.tokens) - i >= 3:
            following = parse.tokens[i + 1 :]
            has_subject = any(t.lower in PERSONAL | DETERMINERS for t in following[:2])
            has_verb = any(can_be(t.lower, "VERB") for t in following[1:])
            if has_verb and (has_subject or parse.lower(i) in ("when", "while")):
                return i
    return None


def time_adverb(one: Parse, other: Parse, slot: Slot) -> Merge | None:
    """ "When did X first win?" / "When did X last win?" → "When did X win?" """
    words = one.tokens[slot.start : slot.end(one)], other.tokens[slot.start : slot.end(other)]
    if len(words[0]) != 1 or len(words[1]) != 1 or one.verb != slot.start + 1:
        return None
    if one.lower(slot.start - 1) in DETERMINERS:
        return None  # "during the first firing"
    if one.verb != other.verb or not {words[0][0].lower, words[1][0].lower} <= ORDINALS:
        return None
    asked = f"{one.slice(0, slot.start)} {one.slice(slot.start + 1, len(one.tokens))}"
    phrases = (f"the {words[0][0].lower} time", f"the {words[1][0].lower} time")
    return Merge(asked, phrases, "event", "noun", "time-adverb")


def adjunct(one: Parse, other: Parse, slot: Slot, spans: Spans) -> Merge | None:
    """ "How many works did X write in 1842?" / "… in 1845?" → "How many works did X write?" """
    cut = _preposition_before(one, slot)
    if cut is None or cut != _preposition_before(other, slot):
        return None
    before, rights = one.tokens[cut - 1], (spans[0][1], spans[1][1])
    if before.closed or not before.is_word or cut - one.wh < 3:
        return None
    words = {one.lower(cut), other.lower(cut)}
    if not words <= _ADJUNCT or not _can_end(one, rights[0], before):
        return None
    if len(words) == 1 and one.verb == cut - 1 and _leans(one, before, words.pop()):
        return None
    phrases = (one.slice(cut, rights[0]), other.slice(cut, rights[1]))
    if not _parallel(one.tokens[cut : rights[0]], other.tokens[cut : rights[1]]):
        return None
    asked = f"{one.slice(0, cut)} {one.slice(rights[0], len(one.tokens))}".strip()
    if one.verb is None and len(content_words(asked)) < 2:
        return None  # "What is the split?" says too little
    return Merge(asked, phrases, _kind(phrases), "adjunct", "adjunct")


def _parallel(one: Sequence[Token], other: Sequence[Token]) -> bool:
    """Whether two phrases can be offered side by side, as "in 1842 or in 1845" can.

    Not "from the film or for the soundtrack", "in male dogs or in a female dog", "in its seventh
    season or in 2014".
    """
    words = one[0].lower, other[0].lower
    heads = one[-1], other[-1]
    if words[0] != words[1]:
        if not set(words) <= _WHEREABOUTS or heads[0].lower == heads[1].lower:
            return False
    elif heads[0].lower.rstrip("s") == heads[1].lower.rstrip("s") and (
        is_plural(heads[0]) != is_plural(heads[1])
    ):
        return False
    years = [any(_YEAR.match(t.lower) for t in phrase) for phrase in (one, other)]
    return years[0] == years[1]


def _preposition_before(parse: Parse, slot: Slot) -> int | None:
    if parse.lower(slot.start) in PREPOSITIONS:
        return slot.start
    for i in range(slot.start - 1, parse.wh + 1, -1):
        word = parse.lower(i)
        if word in PREPOSITIONS:
            return i
        if word in AUXILIARIES | CONJUNCTIONS or i in (parse.verb, parse.auxiliary):
            return None
    return None


def _leans(parse: Parse, verb: Token, preposition: str) -> bool:
    """Whether a verb wants the phrase after it: "fight for …", "What does X depend on …?"."""
    if verb.lower in LEANING:
        return True
    return preposition in _LEADING and parse.lower(parse.wh) not in ("when", "where", "how")


def _can_end(parse: Parse, right: int, before: Token) -> bool:
    """Whether a phrase that ends at `right` can be taken out without breaking what follows."""
    if right == len(parse.tokens) or right in (parse.verb, parse.auxiliary):
        return True
    return parse.lower(right) in _ADJUNCT | MODAL and before.lower not in LEANING


def _kind(phrases: tuple[str, str]) -> AmbiguityKind:
    if all(_is_time(phrase) for phrase in phrases):
        return "time"
    if all(_is_event(phrase) for phrase in phrases):
        return "event"
    return "place" if all(_is_place(phrase) for phrase in phrases) else "other"


def _is_event(phrase: str) -> bool:
    return not EVENT_NOUNS.isdisjoint(phrase.lower().split())


def _is_place(phrase: str) -> bool:
    if not re.match(r"(in|at|on|from|near) ", phrase):
        return False
    head = phrase.rsplit(" ", 1)[-1].lower()
    named = re.match(r"\w+ (the )?[A-Z]", phrase) is not None
    return named or head.rstrip("s") in PLACE_NOUNS | _SIDES or phrase.startswith("at the ")


def _is_time(phrase: str) -> bool:
    words = phrase.lower().split()
    if any(word in TIME_NOUNS for word in words):
        return True
    return any(_YEAR.match(word) for word in words[:3]) and len(words) < 6


def dimension(one: Parse, other: Parse, slot: Slot) -> Merge | None:
    """ "How long is the bridge?" / "How wide is the bridge?" → "How big is the bridge?" """
    if one.lower(0) != "how" or slot.start != 1 or slot.end(one) != 2 or slot.end(other) != 2:
        return None
    words = (one.lower(1), other.lower(1))
    if not set(words) <= DIMENSIONS or one.auxiliary != 2 or one.lower(2) not in BE:
        return None
    be = one.tokens[2].text
    pronoun = "they" if be in ("are", "were") else "it"
    phrases = (f"how {words[0]} {pronoun} {be}", f"how {words[1]} {pronoun} {be}")
    asked = f"How big {one.slice(2, len(one.tokens))}"
    return Merge(asked, phrases, "attribute", "clause", "dimension")


def wh_noun(one: Parse, other: Parse, slot: Slot) -> Merge | None:
    """ "What instrument did X play?" / "What piece did X play?" → "What did X play?" """
    if one.lower(0) not in ("what", "which"):
        return None
    typed = one.lower(2) == "of" and one.lower(1) in ("kind", "kinds", "type", "types")
    first = 3 if typed else 1
    for parse in (one, other):
        if parse.auxiliary is None or parse.verb is None or slot.end(parse) != parse.auxiliary:
            return None
        words = parse.tokens[first : parse.auxiliary]
        if slot.start != first or not 1 <= len(words) <= 3:
            return None
        head = words[-1].lower
        if head in TIME_NOUNS | ADMINISTRATIVE | VAGUE_NOUNS | PERSON_NOUNS:
            return None
        if any(w.closed for w in words) or not can_be(head, "NOUN"):
            return None
        # "What does Portugal produce?" is broad, not ambiguous: one would name all of it
        if parse.lower(parse.auxiliary) in BE or is_plural(words[-1]):
            return None
    phrases = both(one, other, lambda parse: parse.slice(first, slot.end(parse)))
    asked = f"What {one.slice(slot.end(one), len(one.tokens))}"
    return Merge(asked, phrases, "attribute", "which", "wh-noun")


def wh_modifier(one: Parse, other: Parse, slot: Slot) -> Merge | None:
    """ "What health company paid?" / "What oil company paid?" → "What company paid?" """
    first = {"what": 1, "which": 1, "how": 2}.get(one.lower(0))
    if first is None or slot.start != first:
        return None
    counts = first == 2
    if counts and one.lower(1) != "many":
        return None
    for parse in (one, other):
        end = parse.verb if parse.auxiliary is None else parse.auxiliary
        start = slot.end(parse)
        if end is None or not start < end <= start + 2:
            return None
        words = parse.tokens[first:end]
        if len(words) > 4 or any(w.closed or not w.is_word for w in words):
            return None
        if not can_be(words[-1].lower, "NOUN") or (counts and not is_plural(words[-1])):
            return None
    end = one.verb if one.auxiliary is None else one.auxiliary
    head = one.slice(slot.end(one), end or 0)
    rest = one.slice(slot.end(one), len(one.tokens))
    article = "" if counts else "the "
    phrases = both(
        one, other, lambda parse: f"{article}{parse.slice(first, slot.end(parse))} {head}"
    )
    asked = f"{one.slice(0, first)} {rest}"
    return Merge(asked, phrases, "referent", "noun", "wh-modifier")


def toll(one: Parse, other: Parse, slot: Slot) -> Merge | None:
    """ "How many were killed in X?" / "… injured in X?" → "How many were affected in X?" """
    for parse in (one, other):
        harmed = parse.tokens[slot.start : slot.end(parse)]
        if parse.lower(0) != "how" or parse.lower(1) != "many" or parse.auxiliary is None:
            return None
        if parse.lower(parse.auxiliary) not in BE or slot.start != parse.auxiliary + 1:
            return None
        if not 1 <= len(harmed) <= 3 or harmed[-1].lower not in HARMED:
            return None
    be = one.tokens[slot.start - 1].text
    phrases = both(
        one, other, lambda parse: f"how many {be} {parse.slice(slot.start, slot.end(parse))}"
    )
    rest = one.slice(slot.end(one), len(one.tokens))
    asked = f"{one.slice(0, slot.start)} affected {rest}".strip()
    return Merge(asked, phrases, "attribute", "clause", "toll")
