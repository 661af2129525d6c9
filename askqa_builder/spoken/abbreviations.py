"""Readers of abbreviations and initials: Dr. Smith, St. Louis, No. 5, U.S., John F. Kennedy."""

from __future__ import annotations

import re

from askqa_builder.spoken.acronyms import spell
from askqa_builder.spoken.context import (
    Edit,
    ends_sentence,
    is_capitalised,
    word_after,
    word_before,
)
from askqa_builder.spoken.lexicon import (
    ABBREVIATIONS,
    ABBREVIATIONS_WITHOUT_DOT,
    BEFORE_NUMBER,
    DOTTED,
    MONTHS,
    NUMBERED_WITHOUT_DOT,
    SENTENCE_STARTERS,
    TITLES,
    TITLES_THAT_NEED_A_DOT,
)
from askqa_builder.spoken.numerals import numeral_follows

Match = re.Match[str]

_SHORT_MONTHS = {short for short, name in MONTHS.items() if short != name}
_SHORT = sorted({*TITLES, *ABBREVIATIONS, *BEFORE_NUMBER, *_SHORT_MONTHS}, key=len, reverse=True)
ABBREVIATED = rf"(?:{'|'.join(_SHORT)})(?!\w)"
ABBREVIATION = re.compile(rf"(?P<what>{'|'.join(_SHORT)})(?!\w)(?P<dot>\.)?")
VERSUS = re.compile(r"v\.?(?=\s[\"“]?[A-Z])")
DOTTED_LOWER = re.compile(r"(?:[a-z]\.){2,}")
DEGREE = re.compile(r"(?P<first>Ph|M|B|D|F|LL|Lic)\.\s?(?P<last>D|Sc|Phil|Ed|Eng|Div|M|B)\b\.?")
DOTTED_CAPITALS = re.compile(r"(?:[A-Z]\.){2,}(?:[A-Z](?!\w))?|[A-Z]\.[A-Z](?!\w)")
INITIAL = re.compile(r"(?P<letter>[A-Z])\.(?!\w)")
LETTER_AND_NUMBER = re.compile(r"[A-Z]\.(?=\d)")

_NUMBER_AHEAD = re.compile(r"\s{0,2}(?:(?:AD|A\.D\.)\s)?\d")
_AFTER_NAME = frozenset({"St", "Dr", "Co", "Rd"})
_NEVER_LAST = frozenset("approx vs viz cf esp incl".split())
_STREETS = frozenset("Wall Main Fleet High Bond Canal Broad Bourbon State Market Union".split())


def read_abbreviation(found: Match) -> list[Edit] | None:
    """Dr. Smith, St. Louis, Main St., No. 5, c. 1350, Inc., Sept. 11."""
    text, what, dot = found.string, found["what"], bool(found["dot"])
    start, stop = found.span()
    before = word_before(text, start)
    next_char = text[stop : stop + 1]
    after = text[stop : stop + 3].lstrip()[:1]
    numbered = _NUMBER_AHEAD.match(text, stop) or (
        numeral_follows(text, stop)
        and (what not in ("No", "no") or word_after(text, stop) != "I")  # "No. I mean …"
    )
    if what in BEFORE_NUMBER and numbered and (dot or what in NUMBERED_WITHOUT_DOT):
        gap = "" if next_char.isspace() else " "
        return [Edit(start, stop, BEFORE_NUMBER[what] + gap)]
    if _is_title(what, dot, before) and (
        (next_char.isspace() and (after.isupper() or after in '"“'))
        or (what == "St" and next_char == "-")  # St.-Barthélemy
    ):
        return [Edit(start, stop, TITLES[what])]
    if what in MONTHS and dot and (after.isdigit() or before[-1:].isdigit()):
        return [Edit(start, stop - ends_sentence(text, stop), MONTHS[what])]
    if what not in ABBREVIATIONS or not (dot or what in ABBREVIATIONS_WITHOUT_DOT):
        return None
    if what in _AFTER_NAME and not (is_capitalised(before) or before[:1].isdigit()):
        return None
    if dot and what not in _NEVER_LAST and ends_sentence(text, stop, what in ("etc", "al")):
        stop -= 1
    return [Edit(start, stop, ABBREVIATIONS[what])]


def read_versus(found: Match) -> list[Edit] | None:
    """Roe v. Wade."""
    before = word_before(found.string, found.start())
    if not (is_capitalised(before) or before.endswith(".")):
        return None
    return [Edit(found.start(), found.end(), "versus")]


def read_dotted_lower(found: Match) -> list[Edit] | None:
    """e.g., i.e., a.m."""
    text = found.string
    said = DOTTED.get(found.group()) or spell(found.group().replace(".", "").upper())
    stop = found.end()
    if text[stop : stop + 1].isalpha():
        said += " "
    if said in ("AM", "PM") and ends_sentence(text, stop, any_capital=True):
        stop -= 1
    return [Edit(found.start(), stop, said)]


def read_degree(found: Match) -> list[Edit] | None:
    """Ph.D., M.Sc."""
    stop = found.end()
    if found.group().endswith(".") and ends_sentence(found.string, stop):
        stop -= 1
    return [Edit(found.start(), stop, found["first"] + found["last"])]


def read_dotted_capitals(found: Match) -> list[Edit] | None:
    """U.S., D.C., J.R.R. Tolkien."""
    text, stop = found.string, found.end()
    glue = " " if text[stop : stop + 1].isalpha() else ""
    if text[stop - 1] == "." and ends_sentence(text, stop):
        stop -= 1
    return [Edit(found.start(), stop, spell(found.group().replace(".", "")) + glue)]


def read_initial(found: Match) -> list[Edit] | None:
    """John F. Kennedy loses the dot; "Plan B. The" keeps it, and so does A., lest it be "uh"."""
    text, letter = found.string, found["letter"]
    after = word_after(text, found.end())
    if letter == "A" or not after:
        return None
    before = word_before(text, found.start())
    if after in SENTENCE_STARTERS and not (is_capitalised(before) and len(after) > 3):
        return None
    if not is_capitalised(after) and before and not before[-1].isalnum():
        return None
    return [Edit(found.start(), found.end(), letter)]


def read_letter_and_number(found: Match) -> list[Edit] | None:
    """S.742, H.264."""
    return [Edit(found.start(), found.end(), f"{found.group()[0]} ")]


def _is_title(what: str, dot: bool, before: str) -> bool:
    """Not the street of "Wall St. Journal", nor the Senior of "Sammy Davis Sr."."""
    if what not in TITLES or not (dot or what not in TITLES_THAT_NEED_A_DOT):
        return False
    if what in ("St", "Dr"):
        return before not in _STREETS and not before[:1].isdigit()
    return what != "Sr" or not is_capitalised(before)
