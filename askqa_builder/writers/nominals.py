"""Merges of noun phrases: a modifier is left out, or a pronoun stands for the whole."""

from __future__ import annotations

from askqa_builder.writers.grammar import (
    Parse,
    Token,
    can_be,
    is_adjective_only,
    is_adverb,
    is_plural,
    word_classes,
)
from askqa_builder.writers.lexicon import (
    AUXILIARIES,
    CONJUNCTIONS,
    DETERMINERS,
    OBJECT_FORMS,
    ORDINALS,
    POSSESSIVE_FORMS,
    POSSESSIVES,
    PREPOSITIONS,
    SUBJECT_FORMS,
    TIME_NOUNS,
    VAGUE_NOUNS,
)
from askqa_builder.writers.pairs import Merge, Slot, Style, same
from askqa_builder.writers.reference import pronoun_for

Spans = tuple[tuple[int, int], tuple[int, int]]
"""First and one past the last token of a noun phrase, in each of two questions."""

_LAST = frozenset("last final".split())
_PARTS = frozenset("branch part side half end edge corner section area region".split())
_WITH_PRONOUN = frozenset("with to of about".split())
"""Prepositions after which "it" sounds right: "associated with it", hardly "served on it"."""


_NO_OBJECT = (
    AUXILIARIES | CONJUNCTIONS | frozenset("be been mean means meant become became".split())
)
"""Words after which "it" would not stand for a thing: "What term means it?"."""


def phrases_around(one: Parse, other: Parse, slot: Slot) -> Spans | None:
    """The base noun phrases around the slot: from one boundary to the next, alike in both."""
    spans = _phrase_around(one, slot), _phrase_around(other, slot)
    if spans[0][0] != spans[1][0] or any(left == right for left, right in spans):
        return None
    if len(one.tokens) - spans[0][1] != len(other.tokens) - spans[1][1]:
        return None
    return spans


def _phrase_around(parse: Parse, slot: Slot) -> tuple[int, int]:
    floor = parse.wh + 1
    for anchor in (parse.auxiliary, parse.verb):
        if anchor is not None and anchor < slot.start:
            floor = max(floor, anchor + 1)
    left = slot.start
    while left > floor:
        word = parse.tokens[left - 1]
        if word.lower in PREPOSITIONS | CONJUNCTIONS | AUXILIARIES or not word.is_word:
            break
        left -= 1
    right = slot.end(parse)
    while right < len(parse.tokens) and right != parse.verb:
        word = parse.tokens[right]
        if word.closed or not word.is_word:
            break
        if word.lower in ("last", "next") and parse.lower(right + 1) in TIME_NOUNS:
            break  # "Which film won the jury prize | last year?"
        right += 1
    last = parse.tokens[right - 1]
    inside = right == parse.verb and right == slot.end(parse) and slot.start < right - 1
    if inside and (last.lower in ORDINALS or is_adverb(last)):
        return left, left  # "the tower first | built": only one of two has the adverb
    if right - 1 > left and right - 1 >= slot.end(parse):
        ends = right == parse.verb and (last.lower in ORDINALS or is_adverb(last))
        describes = parse.verb is None and is_adjective_only(last)
        right -= ends or describes  # "When was the phrase | first used?", "the lake | famous for"
    return left, right


def modifier(one: Parse, other: Parse, slot: Slot, spans: Spans) -> Merge | None:
    """ "What is the Russian term for …?" / "… the Irish term …?" → "What is the term for …?" """
    (_, right), (_, other_right) = spans
    start, end = slot.start, slot.end(one)
    if one.lower(start) == "the" and start + 1 < end:
        if not same(one.tokens[start], other.tokens[start]):
            return None
        start += 1
    before = one.lower(start - 1)
    changed = one.tokens[start:end], other.tokens[start : slot.end(other)]
    head = one.tokens[end:right]
    if not head:
        return None
    if before not in {"the", "'s"} | POSSESSIVES:
        return None  # "dogs" are male and female ones: that is no question of which
    if any(w.closed or not w.is_word for w in (*changed[0], *changed[1], *head)):
        return None
    if head[-1].lower in _PARTS and one.lower(right) == "of":
        return None  # "the branch of Iranian" lacks what "the western branch" has
    if len(head) > 1 and head[0].lower.endswith(("ing", "ed")):
        return None  # "the lowest ranking cardinals": the modifier belongs to "ranking"
    if head[0].lower in VAGUE_NOUNS and right == len(one.tokens) and before != "'s":
        return None
    if any(map(_is_superlative, changed[0] + changed[1])):
        return None  # "What is the largest city?": "What is the city?" is no question
    numbers = [{w.lower for w in words} & ORDINALS for words in changed]
    if bool(numbers[0]) != bool(numbers[1]):
        return None  # "the first cell or the silicon one"
    if (numbers[0] | numbers[1]) & _LAST and "first" not in numbers[0] | numbers[1]:
        return None  # "the second area or the final one" leaves the first out
    rest = one.slice(end, len(one.tokens))
    if len(head) == 1 and head[0].text[0].isupper() and not head[0].text.isupper():
        rest = rest[0].lower() + rest[1:]  # "the North Tower" → "the tower"
    lead = one.slice(0, start)
    phrases = (
        _from_determiner(one, start, right, before),
        _from_determiner(other, start, other_right, before),
    )
    shorter = None
    heads = head[-1].text, other.tokens[other_right - 1].text
    named = any(word[0].isupper() and not word.isupper() for word in heads)
    if (
        before in ("the", "'s") and not named
    ):  # not: "the Empire State Building or the Chrysler one"
        noun = "ones" if is_plural(head[-1]) else "one"
        shorter = (
            f"the {one.slice(start, end)} {noun}",
            f"the {other.slice(start, slot.end(other))} {noun}",
        )
    return Merge(f"{lead} {rest}", phrases, "referent", "noun", "modifier", shorter)


def _is_superlative(token: Token) -> bool:
    adjective = word_classes(token.lower).get("ADJ", ())
    return token.lower in ("most", "least", "best", "worst") or (
        token.lower.endswith("est") and bool(adjective) and token.lower not in adjective
    )


def _from_determiner(parse: Parse, start: int, right: int, before: str) -> str:
    """The phrase from its last determiner on: "Whitehead's final area" as "the final area"."""
    if before == "'s":
        return f"the {parse.slice(start, right)}"
    return parse.slice(start - 1, right)


def owner(one: Parse, other: Parse, spans: Spans, passage: str) -> Merge | None:
    """ "What is the capital of France?" / "… of Spain?" → "What is its capital?" """
    (left, right), (_, other_right) = spans
    if one.auxiliary is None or one.verb is not None or right != len(one.tokens):
        return None
    of, noun_start = left - 1, one.auxiliary + 2
    if one.lower(of) != "of" or of <= noun_start - 1 or one.lower(noun_start - 1) != "the":
        return None
    noun = one.tokens[noun_start:of]
    if not noun or any(t.closed or not t.is_word for t in noun):
        return None
    if noun[-1].lower in VAGUE_NOUNS | TIME_NOUNS:
        return None
    if not all(_is_base(p.tokens[left:r]) for p, r in ((one, right), (other, other_right))):
        return None
    if _of_one_kind(one.tokens[right - 1], other.tokens[other_right - 1]):
        return None
    phrases = (one.slice(left, right), other.slice(left, other_right))
    number = pronoun_for(phrases, one, "", noun[-1].lower, passage)
    if number is None:
        return None
    asked = f"{one.slice(0, noun_start - 1)} {POSSESSIVE_FORMS[number]} {one.slice(noun_start, of)}"
    return Merge(asked, phrases, "referent", _style(number), "pronoun, owner")


def pronoun(one: Parse, other: Parse, spans: Spans, passage: str) -> Merge | None:
    """ "When was the motto adopted?" / "When was the state flower …?" → "When was it …?" """
    (left, right), (_, other_right) = spans
    anchor = one.verb if one.auxiliary is None else one.auxiliary
    if anchor is None or left < anchor:
        return None
    if not all(_is_base(p.tokens[left:r]) for p, r in ((one, right), (other, other_right))):
        return None
    if one.lower(left) in ("its", "their"):
        return None  # "see its lowest temperature": "see it" would be the owner
    if _of_one_kind(one.tokens[right - 1], other.tokens[other_right - 1]):
        return None
    owns, subject = one.lower(right) == "'s", left == anchor + 1 and one.auxiliary is not None
    if not owns and not _has_room(one, left, right, subject):
        return None
    phrases = (one.slice(left, right), other.slice(left, other_right))
    agreement = one.lower(anchor) if subject and not owns else ""
    number = pronoun_for(phrases, one, agreement, one.lower(right + 1) if owns else "", passage)
    if number is None:
        return _owned(one, other, left, (right, other_right)) if owns else None
    forms = POSSESSIVE_FORMS if owns else SUBJECT_FORMS if subject else OBJECT_FORMS
    rest = one.slice(right + owns, len(one.tokens))
    asked = f"{one.slice(0, left)} {forms[number]} {rest}".strip()
    return Merge(asked, phrases, "referent", _style(number), "pronoun")


def _of_one_kind(head: Token, other: Token) -> bool:
    """Whether two phrases have the same noun: "the old cell", "the silicon cell"; if anything can
    be left out, it is what tells them apart."""
    return head.text == head.lower and same(head, other)


def _owned(one: Parse, other: Parse, left: int, rights: tuple[int, int]) -> Merge | None:
    """ "What was Glover's first single?" / "… Harrison's …?" → "What was the first single?" """
    owners = one.slice(left, rights[0]), other.slice(left, rights[1])
    thing = one.tokens[rights[0] + 1 :]
    if not all(name[0].isupper() for name in owners) or not 1 <= len(thing) <= 4:
        return None
    if any(t.closed or not t.is_word for t in thing) or thing[-1].lower in VAGUE_NOUNS:
        return None
    noun = one.slice(rights[0] + 1, len(one.tokens))
    phrases = (f"{owners[0]}'s {noun}", f"{owners[1]}'s {noun}")
    shorter = (f"{owners[0]}'s", f"{owners[1]}'s")
    asked = f"{one.slice(0, left)} the {noun}"
    return Merge(asked, phrases, "referent", "noun", "owner", shorter)


def _style(number: str) -> Style:
    return "person" if number in ("he", "she") else "noun"


def _has_room(parse: Parse, left: int, right: int, subject: bool) -> bool:
    """Whether a bare pronoun reads well between what stands before and after it."""
    if parse.lower(right) in ("of", "and", "or", "that", "who", "which", "whose", "with", "for"):
        return False
    if subject:
        return parse.verb is not None or _asks_property(parse, right)
    governor = parse.lower(left - 1)
    if governor in PREPOSITIONS:
        return governor in _WITH_PRONOUN and parse.verb == left - 2
    return parse.verb is not None and governor not in _NO_OBJECT


def _asks_property(parse: Parse, right: int) -> bool:
    """Whether a question without a main verb still asks something: "How high is it?"."""
    if parse.auxiliary is None:
        return False
    if right < len(parse.tokens):
        return is_adjective_only(parse.tokens[right])  # "What is it famous for?"
    words = [t.lower for t in parse.tokens[parse.wh : parse.auxiliary]]
    if words in (["where"], ["when"]):
        return True
    if words[0] == "how" and len(words) == 2:
        return words[1] not in ("many", "much")
    return words[0] in ("what", "which") and len(words) == 2 and words[1] not in VAGUE_NOUNS


def _is_base(tokens: tuple[Token, ...]) -> bool:
    """Whether tokens are a plain noun phrase: one determiner at most, no verb, no clause."""
    if any(not t.is_word and t.text not in "\"'" for t in tokens):
        return False
    inner = tokens[1:] if tokens[0].lower in DETERMINERS else tokens
    if not inner or inner[0].lower in DETERMINERS or is_adjective_only(inner[-1]):
        return False
    for index, token in enumerate(inner):
        if token.lower in ("of", "and", "'s"):
            continue
        if token.closed:
            if token.lower != "the" or index == 0 or inner[index - 1].lower != "of":
                return False
        elif token.text == token.lower and can_be(token.lower, "VERB"):
            last = index == len(inner) - 1
            if not can_be(token.lower, "NOUN") and (last or not can_be(token.lower, "ADJ")):
                return False
    return True
