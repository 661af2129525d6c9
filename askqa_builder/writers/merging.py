"""From two questions to the one that leaves open which of them is meant."""

from __future__ import annotations

from dataclasses import replace

from askqa_builder.writers import nominals, omissions
from askqa_builder.writers.grammar import Parse
from askqa_builder.writers.lexicon import BE, PREPOSITIONS
from askqa_builder.writers.pairs import Merge, aligned, difference, is_open

_WHOLE = (
    omissions.fronted,
    omissions.final_clause,
    omissions.dimension,
    omissions.wh_noun,
    omissions.wh_modifier,
    omissions.toll,
    omissions.time_adverb,
)


def merge(one: Parse, other: Parse, passage: str) -> Merge | None:
    """The question that leaves open which of two is asked: they differ in what they ask about,
    and perhaps in what follows a passive ("When was X founded (in Y by Z)?")."""
    return _differing(one, other, passage) or _without_tails(one, other, passage)


def _differing(one: Parse, other: Parse, passage: str) -> Merge | None:
    """Merge two questions that differ in one stretch, by the first strategy that fits."""
    slot = difference(one.tokens, other.tokens)
    if slot is None:
        return None
    for strategy in _WHOLE:
        found = strategy(one, other, slot)
        if found is not None:
            return found if is_open(found) else None
    if not aligned(one, other, slot):
        return None
    spans = nominals.phrases_around(one, other, slot)
    if spans is None:
        return None
    found = (
        omissions.adjunct(one, other, slot, spans)
        or nominals.modifier(one, other, slot, spans)
        or nominals.owner(one, other, spans, passage)
        or nominals.pronoun(one, other, spans, passage)
    )
    return found if found is not None and is_open(found) else None


def _without_tails(one: Parse, other: Parse, passage: str) -> Merge | None:
    """Compare two passive questions up to the verb."""
    short = _up_to_verb(one), _up_to_verb(other)
    if short[0] is None or short[1] is None or (one is short[0] and other is short[1]):
        return None
    found = _differing(short[0], short[1], passage)
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
