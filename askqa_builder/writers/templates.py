"""Pairs of questions that differ in more than one phrase, yet ask for the same thing of two.

"When was X born?"  "When did X die?"                → "When did X live?"
"When did X begin?" "When did X end?"                → "When was X?"
"When was X founded in Y?" "When was Z founded?"     → "When was it founded?"
"""

from __future__ import annotations

from dataclasses import replace

from askqa_builder.writers.grammar import Parse, inflected, is_plural
from askqa_builder.writers.lexicon import (
    BE,
    BEGINNING,
    DETERMINERS,
    ENDING,
    PERSON_NOUNS,
    PREPOSITIONS,
    SUBJECT_FORMS,
)
from askqa_builder.writers.merging import merge
from askqa_builder.writers.pairs import Merge, difference, is_open
from askqa_builder.writers.predicates import done, figure, left_open
from askqa_builder.writers.reference import gender


def match(one: Parse, other: Parse, passage: str, answers: tuple[str, str]) -> Merge | None:
    """The question that leaves open which of two questions is asked, by any template."""
    return (
        merge(one, other, passage)
        or _life(one, other, passage)
        or _turned(_life(other, one, passage))
        or _span(one, other)
        or _turned(_span(other, one))
        or _without_tails(one, other, passage)
        or _opened(_figure(one, other, answers))
        or _opened(left_open(one, other))
        or _opened(done(one, other, passage))
    )


def _figure(one: Parse, other: Parse, answers: tuple[str, str]) -> Merge | None:
    slot = difference(one.tokens, other.tokens)
    return None if slot is None else figure(one, other, slot, answers)


def _opened(found: Merge | None) -> Merge | None:
    return found if found is not None and is_open(found) else None


def _turned(found: Merge | None) -> Merge | None:
    return found and replace(found, phrases=(found.phrases[1], found.phrases[0]))


def _life(birth: Parse, death: Parse, passage: str) -> Merge | None:
    if birth.lower(0) != "when" or death.lower(0) != "when":
        return None
    if birth.verb is None or birth.lower(birth.verb) != "born" or birth.auxiliary != 1:
        return None
    if death.verb is None or death.lower(death.verb) != "die" or death.lower(1) != "did":
        return None
    if len(birth.tokens) != birth.verb + 1 or len(death.tokens) != death.verb + 1:
        return None
    if birth.lower(birth.verb - 1) != death.lower(death.verb - 1):
        return None  # "Frédéric Chopin", "Chopin"
    subject = max(birth.slice(2, birth.verb), death.slice(2, death.verb), key=len)
    number = gender(birth.tokens[2 : birth.verb], passage)
    if number in ("he", "she"):
        phrases = (f"when {number} was born", f"when {number} died")
        return Merge(f"When did {subject} live", phrases, "event", "clause", "life")
    phrases = ("the date of birth", "the date of death")
    return Merge(f"When did {subject} live", phrases, "event", "noun", "life")


def _span(start: Parse, end: Parse) -> Merge | None:
    if start.lower(0) != end.lower(0) or start.lower(0) not in ("when", "where"):
        return None
    if start.verb is None or end.verb is None or start.auxiliary != 1 or end.auxiliary != 1:
        return None
    first, last = start.lower(start.verb), end.lower(end.verb)
    if start.lower(1) != "did" or end.lower(1) != "did":
        return None
    if first not in BEGINNING or last not in ENDING:
        return None
    if [t.lower for t in start.tokens[2 : start.verb]] != [
        t.lower for t in end.tokens[2 : end.verb]
    ]:
        return None
    head, subject = start.tokens[start.verb - 1], start.slice(2, start.verb)
    if head.lower in PERSON_NOUNS or start.lower(2) not in DETERMINERS:
        return None
    for parse, verb in ((start, start.verb), (end, end.verb)):
        if len(parse.tokens) > verb + 1 and parse.lower(verb + 1) not in PREPOSITIONS:
            return None
    plural = is_plural(head)
    pronoun = SUBJECT_FORMS["they" if plural else "it"]
    asking = start.lower(0)
    phrases = (
        f"{asking} {pronoun} {inflected(first, 'VBD')[0]}",
        f"{asking} {pronoun} {inflected(last, 'VBD')[0]}",
    )
    asked = f"{asking} {'were' if plural else 'was'} {subject}"
    return Merge(asked, phrases, "event", "clause", "span")


def _without_tails(one: Parse, other: Parse, passage: str) -> Merge | None:
    """Compare two passive questions up to the verb: "When was X founded (in Y by Z)?"."""
    short = _up_to_verb(one), _up_to_verb(other)
    if short[0] is None or short[1] is None or (one is short[0] and other is short[1]):
        return None
    found = merge(short[0], short[1], passage)
    if found is None or found.pattern not in ("pronoun", "modifier"):
        return None
    return replace(found, pattern=f"{found.pattern}, trimmed")


def _up_to_verb(parse: Parse) -> Parse | None:
    if parse.wh != 0 or parse.lower(0) not in ("when", "where") or parse.auxiliary != 1:
        return None
    if parse.verb is None or parse.lower(1) not in BE:
        return None
    end = parse.verb + 1
    if end == len(parse.tokens):
        return parse
    if parse.lower(end) not in PREPOSITIONS or parse.lower(len(parse.tokens) - 1) in PREPOSITIONS:
        return None  # nothing to cut off, or "Where was it brought from?"
    return replace(parse, text=parse.text[: parse.tokens[end - 1].end], tokens=parse.tokens[:end])
