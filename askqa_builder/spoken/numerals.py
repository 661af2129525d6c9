"""The reader of Roman numerals: World War II, Louis XIV, but never the pronoun I."""

from __future__ import annotations

import re
from itertools import pairwise

from askqa_builder.spoken import words
from askqa_builder.spoken.context import Edit, glued_before, is_capitalised, word_after, word_before
from askqa_builder.spoken.lexicon import (
    BOWLS,
    NO_NUMERAL,
    NUMERAL_HEADS,
    REGNAL,
    RULERS,
    SENTENCE_STARTERS,
)

Match = re.Match[str]

NUMERAL = re.compile(r"(?P<what>[IVXLC]+)(?P<end>th|nd|rd|st|['’]s)?(?!\w|['’]\w)")

_ROMAN = re.compile(
    r"(?=.)(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})|C{1,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
)
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_PRONOUN = re.compile(
    r"['’](?:m|d|ve|ll)\b|\s(?:am|have|had|think|know|knew|will|would|should|could|can|did|do|want|"
    r"wanted|love|feel|felt|saw|went|said|must|might|never|was going|always)\b"
)
_EARLIER_NUMERAL = re.compile(r"\b([IVXL]+)(?:\s?,|\s?[-–]|\s(?:and|or|to|&))\s?$")
_STOPS = frozenset(",;:?!")


def read_numeral(found: Match) -> list[Edit] | None:
    """World War II "two", Louis XIV "the fourteenth"; None for the pronoun I and for words."""
    text, what, start = found.string, found["what"], found.start()
    if not _ROMAN.fullmatch(what):
        return None
    if len(what) == 1 and _is_initial(text, start, found.end()):
        return None
    style = _style(text, start, found.end("what"), what)
    if style is None:
        return None
    value = _roman(what)
    suffix = found["end"] or ""
    if suffix and suffix[0] not in "'’":
        return [Edit(start, found.end(), words.ordinal(value))]
    if word_after(text, found.end()) in ("century", "centuries"):
        style = "ordinal"
    said = {
        "cardinal": words.cardinal(value),
        "ordinal": words.ordinal(value),
        "regnal": f"the {words.ordinal(value)}",
    }[style]
    return [Edit(start, found.end("what"), said)]


def numeral_follows(text: str, place: int) -> bool:
    after = word_after(text, place)
    return bool(after) and set(after) <= set("IVXL")


def _style(text: str, start: int, stop: int, what: str) -> str | None:
    """How the numeral at `text[start:stop]` is read: cardinal, ordinal, regnal, or not at all."""
    earlier = _EARLIER_NUMERAL.search(text, max(0, start - 12), start)
    if earlier and _ROMAN.fullmatch(earlier[1]):
        style = _style(text, earlier.start(1), earlier.end(1), earlier[1])
        if style:
            return style
    before = word_before(text, start)
    if text[start - 2 : start - 1] in _STOPS:
        before = ""
    head = before.rsplit("-", 1)[-1]
    if not before and glued_before(text, start).endswith("-"):
        head = glued_before(text, start)[:-1].rsplit("-", 1)[-1].strip('("“')
    if head in BOWLS:
        return "cardinal"
    if what == "I" and is_capitalised(before) and text[stop : stop + 2] == ": ":
        return "cardinal"
    numbered = is_capitalised(head) and head in NUMERAL_HEADS
    if what == "I" and not numbered and _PRONOUN.match(text, stop):
        return None  # "the part I did", but not "World War I did"
    if set(what) - set("IVX") and (what in NO_NUMERAL or len(what) < 2):
        return None
    if head in NUMERAL_HEADS or (head.isupper() and head.capitalize() in NUMERAL_HEADS):
        return None if what in NO_NUMERAL else "cardinal"
    title = word_before(text, text.rfind(before, 0, start)) if before else ""
    if head in REGNAL and before[-1:].isalpha():
        return "regnal" if (head, what) != ("Malcolm", "X") else None
    if is_capitalised(before) and (title in RULERS or before in RULERS) and before[-1:].isalpha():
        return "regnal" if before not in RULERS else None
    if len(what) < 2 or set(what) - set("IVX") or what in NO_NUMERAL:
        return None
    if is_capitalised(before) and re.fullmatch(r"[A-Z]\.", title):
        return "regnal"  # John D. Rockefeller III
    if what in ("IV", "XX", "XXX", "VI") and (
        before.islower()
        or word_after(text, stop).startswith(("chromosome", "therapy", "fluid", "drug"))
    ):
        return None
    return "cardinal"


def _is_initial(text: str, start: int, place: int) -> bool:
    """John I. Jenkins."""
    if word_before(text, start).capitalize() in NUMERAL_HEADS:
        return False
    after = word_after(text, place + 1)
    return (
        text[place : place + 1] == "."
        and is_capitalised(after)
        and after not in SENTENCE_STARTERS | REGNAL
    )


def _roman(numeral: str) -> int:
    values = [_VALUES[char] for char in numeral]
    return sum(-now if now < then else now for now, then in pairwise([*values, 0]))
