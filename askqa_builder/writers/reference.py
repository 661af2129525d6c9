"""Which pronoun can stand for two phrases, if any."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from askqa_builder.writers.grammar import Parse, Token, is_plural, tokenize
from askqa_builder.writers.lexicon import (
    DETERMINERS,
    FEMALE_NAMES,
    FEMALE_NOUNS,
    MALE_NAMES,
    MALE_NOUNS,
    PERSON_NOUNS,
    PERSON_TITLES,
    PLACE_NOUNS,
    PLACE_PROPERTIES,
    PREPOSITIONS,
    THING_ENDINGS,
)

Number = Literal["it", "they", "he", "she"]

_HE = re.compile(r"\b(he|him|his|himself)\b", re.IGNORECASE)
_SHE = re.compile(r"\b(she|her|hers|herself)\b", re.IGNORECASE)
# What is done to things, hardly to people.
_OF_THINGS = frozenset(
    "founded established located situated built constructed released published adopted ratified "
    "signed introduced launched opened closed created developed discovered invented written "
    "manufactured produced composed recorded formed called spelled pronounced used stand measure "
    "weigh cost mean cover contain consist".split()
)
_OF_PEOPLE = frozenset(
    "born die died marry married wed veto portray portrayed played play say said think".split()
)


def pronoun_for(
    phrases: tuple[str, str], parse: Parse, agreement: str, property_of: str, passage: str
) -> Number | None:
    """ "it", "they", "he" or "she" where it surely fits both phrases; else None.

    `agreement` is the auxiliary of which the phrase is the subject, and `property_of` the noun
    that belongs to it ("Gabon's ranking"); either may be empty.
    """
    verb = parse.lower(parse.verb) if parse.verb is not None else ""
    kinds = {_kind(phrase, verb, passage) for phrase in phrases}
    if kinds == {None} and property_of in PLACE_PROPERTIES:
        return "it"
    if kinds == {"it", None} and all(phrase[0].isupper() for phrase in phrases):
        kinds = {"it"}  # the same is asked about both, so both are of a kind
    if len(kinds) != 1:
        return None
    number = kinds.pop()
    if agreement in ("are", "were", "do", "have"):
        return "they" if number in ("it", "they") else None
    if agreement in ("is", "was", "does", "has"):
        return "it" if number in ("it", "they") else number
    return number


def is_topic(phrase: str, title: str) -> bool:
    """Whether a phrase names what a passage is about: "in Portugal" in an article "Portugal"."""
    named = re.sub(r"[^\w ]", "", title.replace("_", " ").partition("(")[0]).strip().casefold()
    words = tokenize(phrase.casefold())
    while words and (words[0].lower in DETERMINERS or words[0].lower in PREPOSITIONS):
        words = words[1:]
    return " ".join(word.lower for word in words) == named


def _kind(phrase: str, verb: str, passage: str) -> Number | None:
    # behind a blank: a phrase does not start a sentence, so "One World" is a name
    tokens = [t for t in tokenize(f" {phrase}") if t.is_word]
    determined = tokens[0].lower in DETERMINERS
    if tokens[0].lower in ("a", "an"):
        return None
    core = tokens[1:] if determined else tokens
    cut = next((i for i, t in enumerate(core) if t.lower in PREPOSITIONS), len(core))
    if cut == 0 or core[0].closed:
        return None
    if any(token.lower == "and" for token in core):
        return "they"
    head = core[cut - 1]
    titled = core[0].text[0].isupper() and core[0].lower in PERSON_TITLES
    if head.lower in PERSON_NOUNS or titled:
        return gender(core[:cut], passage)
    if head.lower.rstrip("s") in PERSON_NOUNS:
        return "they"
    if head.text[0].islower():
        if not determined and head.lower in PLACE_NOUNS:
            return None  # "Where did she attend college?"
        return "they" if is_plural(head) else "it"
    if verb in _OF_PEOPLE:
        return gender(core, passage)
    return _name(phrase, core, head, determined, verb, passage)


def _name(
    phrase: str, core: list[Token], head: Token, determined: bool, verb: str, passage: str
) -> Number | None:
    """What a proper name names: a thing, a person, or (often) we cannot know."""
    given = len(core) > 1 and core[0].text in MALE_NAMES | FEMALE_NAMES
    if head.lower in THING_ENDINGS or verb in _OF_THINGS:
        return None if given else "it"  # "Charles Bridge", but "Charles Church"?
    if head.text.isupper() and len(head.text) > 1:
        return "it"  # an acronym
    if given:
        return gender(core, passage)
    if determined:
        return "they" if is_plural(head) else "it"  # "the Broncos", "the Iliad"
    name = re.escape(phrase)
    if re.search(rf"\b(in|at|near|into|across|throughout) {name}\b(?!'s)", passage):
        return "it"
    return None


def gender(core: Sequence[Token], passage: str) -> Number | None:
    """Whether people are called "he" or "she": by noun, given name, or the passage's pronouns."""
    words = {t.lower for t in core}
    if is_plural(core[-1]) and core[-1].text[0].islower():
        return "they"
    if words & MALE_NOUNS or core[0].text in MALE_NAMES:
        return "he"
    if words & FEMALE_NOUNS or core[0].text in FEMALE_NAMES:
        return "she"
    he, she = bool(_HE.search(passage)), bool(_SHE.search(passage))
    if he == she:
        return None
    return "he" if he else "she"
