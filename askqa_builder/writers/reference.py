"""Which pronoun can stand for two phrases, if any."""

from __future__ import annotations

import re
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
    "weigh cost located mean cover contain consist".split()
)
_OF_PEOPLE = frozenset("born die died marry married wed veto move retire resign say think".split())


def pronoun_for(
    phrases: tuple[str, str], parse: Parse, chunk: tuple[int, int], passage: str
) -> Number | None:
    """ "it", "they", "he" or "she" where it fits both phrases and is sure; else None."""
    verb = parse.tokens[parse.verb].lower if parse.verb is not None else ""
    kinds = [_kind(phrase, verb, passage) for phrase in phrases]
    if kinds[0] is None or kinds[0] != kinds[1]:
        return None
    return kinds[0]


def _kind(phrase: str, verb: str, passage: str) -> Number | None:
    tokens = [t for t in tokenize(phrase) if t.text[0].isalnum()]
    if not tokens:
        return None
    determined = tokens[0].lower in DETERMINERS
    core = tokens[1:] if determined else tokens
    cut = next((i for i, t in enumerate(core) if t.lower in PREPOSITIONS), len(core))
    if cut == 0:
        return None
    head = core[cut - 1]
    if head.lower in PERSON_NOUNS or (core[0].lower in PERSON_TITLES and core[0].text[0].isupper()):
        return _gender(core, passage)
    if head.text[0].islower():
        if is_plural(head):
            return "they"
        return "it"
    return _name(phrase, core, head, determined, verb, passage)


def _name(
    phrase: str, core: list[Token], head: Token, determined: bool, verb: str, passage: str
) -> Number | None:
    """A proper name: a person, a thing, or (often) we cannot know."""
    if verb in _OF_PEOPLE:
        return _gender(core, passage)
    if head.lower in THING_ENDINGS or verb in _OF_THINGS or head.text.isupper():
        return "it"
    if len(core) > 1 and core[0].text in MALE_NAMES | FEMALE_NAMES:
        return _gender(core, passage)
    name = re.escape(phrase)
    if determined:
        return None if is_plural(head) else "it"
    if re.search(rf"\b(in|at|near|from|into|across|throughout|the) {name}\b(?!'s)", passage):
        return "it"
    return None


def _gender(core: list[Token], passage: str) -> Number | None:
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
