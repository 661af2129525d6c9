"""Merges that leave the whole predicate open: two things that are said of a kind.

    "How many pandas live at the reserve?"  "How many pandas escaped?"
                                  → "How many pandas were there?"
    "When did Chopin leave Warsaw?"  "When did Chopin visit Berlin?"
                                  → "When did Chopin do that?"
    "What was the birth rate in 2010?"  "What was the death rate in 2010?"
                                  → "What was the figure in 2010?"

The user has heard the passage and asks vaguely; the assistant asks back with both predicates.
"""

from __future__ import annotations

from askqa_builder.writers.grammar import Parse, inflected, is_adverb, is_plural, word_classes
from askqa_builder.writers.lexicon import (
    BE,
    DETERMINERS,
    ORDINALS,
    PERSON_NOUNS,
    PERSONAL,
    PREPOSITIONS,
    SUBJECT_FORMS,
    TIME_NOUNS,
    VAGUE_NOUNS,
)
from askqa_builder.writers.pairs import Merge, Slot, same
from askqa_builder.writers.reference import pronoun_for

MAX_CLAUSE = 9
"""Words of a predicate that can be said in a list of alternatives."""
# Not what one does: "When did Chopin do that?" hardly asks for a death.
_HAPPENING = frozenset(
    "begin start commence end finish die become happen occur fall rise dissolve collapse".split()
)
_STATES = frozenset("become die fall happen occur rise".split())
_FORMS = {"did": "VBD", "does": "VBZ"}


def left_open(one: Parse, other: Parse) -> Merge | None:
    """Leave open what is said of the thing that both questions ask for."""
    ends = _asked_end(one), _asked_end(other)
    if ends[0] is None or ends[0] != ends[1] or one.wh != 0 or other.wh != 0:
        return None
    end = ends[0]
    if not all(same(a, b) for a, b in zip(one.tokens[:end], other.tokens[:end], strict=True)):
        return None
    clauses = clause(one, end), clause(other, end)
    if clauses[0] is None or clauses[1] is None:
        return None
    asking = one.lower(0)
    noun = one.tokens[end - 1]
    phrases = (f"{_lead(one, end)} {clauses[0]}", f"{_lead(other, end)} {clauses[1]}")
    tail = "was it"
    if (
        is_plural(noun)
        and one.lower(1) != "percentage"
        and noun.lower not in TIME_NOUNS | {"times"}
    ):
        tail = "were there" if asking == "how" else "were they"
    asked = f"{one.slice(0, end)} {tail}"
    return Merge(asked, phrases, "event", "clause", "predicate")


def _lead(parse: Parse, end: int) -> str:
    """The asking words in an embedded question: "how many", "which song"."""
    if parse.lower(1) == "percentage":
        return "how many"
    if parse.lower(0) != "how":
        return f"which {parse.slice(1, end)}"
    inverted = parse.auxiliary is not None and parse.verb != parse.auxiliary + 1
    return f"how {parse.slice(1, end if inverted else 2)}"  # "how many died", "how many men we saw"


def _asked_end(parse: Parse) -> int | None:
    """One past the last token of "how many pandas", "which song", "what percentage of men"."""
    end = parse.verb if parse.auxiliary is None else parse.auxiliary
    if end is None or parse.verb is None or end < 2 or end > 5:
        return None
    words = parse.tokens[1:end]
    first = parse.lower(0)
    if first == "how":
        if parse.lower(1) not in ("many", "much") or len(words) < 2:
            return None
        rest = words[1:]
    elif first in ("what", "which"):
        rest = words
        if parse.lower(1) == "percentage":
            if parse.lower(2) != "of" or len(words) < 3:
                return None
            rest = words[2:]
        elif parse.lower(end - 1) in VAGUE_NOUNS | TIME_NOUNS:
            return None  # "What time was it?" asks for the hour
    else:
        return None
    if any(t.closed or not t.is_word or is_adverb(t) for t in rest):
        return None
    return end


def clause(parse: Parse, start: int) -> str | None:
    """What is said of the thing asked for, in the order of a statement; `start` follows it.

    "did Chopin write in 1842" becomes "Chopin wrote in 1842".
    """
    words = _clause(parse, start)
    return words if words is not None and len(words.split()) <= MAX_CLAUSE else None


def _clause(parse: Parse, start: int) -> str | None:
    count, verb, auxiliary = len(parse.tokens), parse.verb, parse.auxiliary
    if verb is None or any(t.text in ",;:()" or t.lower == "and" for t in parse.tokens[start:]):
        return None
    if auxiliary is None or verb == auxiliary + 1 or parse.lower(auxiliary + 1) in ("been", "be"):
        return parse.slice(start, count)
    end = verb
    if parse.lower(end - 1) in ("be", "been", "being"):
        end -= 1
    while parse.lower(end - 1) in ORDINALS | {"most", "also"} or is_adverb(parse.tokens[end - 1]):
        end -= 1
    subject = parse.tokens[auxiliary + 1 : end]
    if all(t.closed or is_adverb(t) for t in subject):
        return parse.slice(start, count)  # "had already begun"
    if subject[-1].lower in PREPOSITIONS | DETERMINERS:
        return None
    name, rest = parse.slice(auxiliary + 1, end), parse.slice(verb + 1, count)
    adverb = parse.slice(end, verb)
    kind = parse.lower(auxiliary)
    if kind in ("do", "does", "did"):
        lemma = parse.lower(verb)
        forms = inflected(lemma, _FORMS[kind]) if kind in _FORMS else (lemma,)
        if not forms or "VERB" not in word_classes(lemma):
            return None
        parts = (name, adverb, forms[0], rest)
    else:
        parts = (name, parse.tokens[auxiliary].text, adverb, parse.slice(verb, count))
    return " ".join(part for part in parts if part)


def done(one: Parse, other: Parse, passage: str) -> Merge | None:
    """Two things that one subject did, or that were done to it: "When did X do that?"."""
    asking, auxiliary = one.lower(0), one.lower(1)
    if asking not in ("when", "where", "why", "how") or other.lower(0) != asking:
        return None
    if one.auxiliary != 1 or other.auxiliary != 1 or one.verb is None or other.verb is None:
        return None
    if auxiliary not in ("did", "was", "were") or other.lower(1) != auxiliary:
        return None
    subjects = one.slice(2, one.verb), other.slice(2, other.verb)
    if subjects[0].lower() != subjects[1].lower() or one.lower(2) in PERSONAL:
        return None
    if any(t.closed and t.lower not in ("the", "'s", "of") for t in one.tokens[2 : one.verb]):
        return None
    head = one.tokens[one.verb - 1]
    if head.text == head.lower and head.lower not in PERSON_NOUNS:
        return None  # a construction or a torch is nobody that does something
    acts = {_is_act(one), _is_act(other)}
    clauses = clause(one, 1), clause(other, 1)
    if clauses[0] is None or clauses[1] is None or len(acts) > 1:
        return None
    subject = subjects[0]
    asked = f"did {subject} do that" if acts.pop() else f"did that happen to {subject}"
    number = pronoun_for((subject, subject), one, auxiliary, "", passage)
    sure = number in ("he", "she") or (number is not None and one.lower(2) == "the")
    name = SUBJECT_FORMS[number] if number is not None and sure else subject
    phrases = (
        f"{asking} {name}{clauses[0].removeprefix(subject)}",
        f"{asking} {name}{clauses[1].removeprefix(subjects[1])}",
    )
    return Merge(f"{asking} {asked}", phrases, "event", "clause", "predicate")


def _is_act(parse: Parse) -> bool:
    """Whether the subject does something: "begin broadcasting", but not "begin in May"."""
    if parse.verb is None or parse.lower(1) != "did":
        return False
    following = parse.lower(parse.verb + 1)
    bare = not following or following in PREPOSITIONS or parse.lower(parse.verb) in _STATES
    return not (bare and parse.lower(parse.verb) in _HAPPENING)


def figure(one: Parse, other: Parse, slot: Slot, answers: tuple[str, str]) -> Merge | None:
    """Two measures of one thing: "What was the figure for X?"."""
    if one.lower(0) != "what" or one.auxiliary != 1 or one.lower(1) not in BE:
        return None
    if not all(any(ch.isdigit() for ch in answer) for answer in answers):
        return None
    spans = []
    for parse in (one, other):
        end = slot.end(parse)
        of = next((i for i in range(2, len(parse.tokens)) if parse.lower(i) in PREPOSITIONS), 0)
        named = parse.tokens[2:of]
        if parse.lower(2) != "the" or not named or of != end or slot.start > 3:
            return None
        if any(t.closed or not t.is_word for t in named[1:]) or parse.verb is not None:
            return None
        spans.append((2, of))
    preposition = "for" if one.lower(spans[0][1]) == "of" else one.lower(spans[0][1])
    rest = f"{preposition} {one.slice(spans[0][1] + 1, len(one.tokens))}"
    phrases = (one.slice(*spans[0]), other.slice(*spans[1]))
    return Merge(
        f"What {one.tokens[1].text} the figure {rest}", phrases, "attribute", "noun", "figure"
    )
