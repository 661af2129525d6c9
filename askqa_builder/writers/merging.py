"""From two questions to the one that leaves open which of them is meant."""

from __future__ import annotations

from askqa_builder.writers import nominals, omissions
from askqa_builder.writers.grammar import Parse
from askqa_builder.writers.pairs import Merge, aligned, difference, is_open

_WHOLE = (
    omissions.fronted,
    omissions.final_clause,
    omissions.dimension,
    omissions.wh_noun,
    omissions.wh_modifier,
    omissions.toll,
    omissions.counted,
    omissions.time_adverb,
)


def merge(one: Parse, other: Parse, passage: str) -> Merge | None:
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
