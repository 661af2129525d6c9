"""Readers of plain numbers: quantities, years, days, ranges, and what they count.

A reader takes a match whose start is the start of the thing and gives the edits, or None if the
thing is something else after all; the next reader is then asked (see `scan`).
"""

from __future__ import annotations

import re

from askqa_builder.spoken import words
from askqa_builder.spoken.context import (
    DASH,
    NUM,
    Edit,
    ends_sentence,
    glued_before,
    is_capitalised,
    word_after,
    word_before,
)
from askqa_builder.spoken.lexicon import (
    COUNTED,
    MONTHS,
    NEVER_COUNTED,
    NUMBERED,
    QUANTITY_BEFORE,
    SCALES,
    UNITS_ONLY_IN_COMPOUNDS,
    YEAR_BEFORE,
)
from askqa_builder.spoken.measures import UNIT, degrees, is_attributive, unit

Match = re.Match[str]

_MONTH = "(?:" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"
_ERA = r"(?:BCE?|CE|AD|B\.C\.(?:E\.)?|C\.E\.|A\.D\.)"

NUMBER = re.compile(NUM)
ERA_FIRST = re.compile(r"(?:AD|A\.D\.)\s(?=\d)")
ELIDED_CENTURY = re.compile(r"['’‘](?P<year>\d\d)(?P<many>['’]?s)?(?!['’\w])")

_RANGE = re.compile(rf"(?P<dash>\s?{DASH}\s?)(?P<high>{NUM})")
_TAIL = re.compile(
    rf"""(?P<ordinal>(?:st|nd|rd|th)\b)
    |(?P<plural>['’]?s\b['’]?)
    |(?P<percent>\s?%)
    |(?P<degree>\s?[°º]\s?(?P<scale>[CFK]\b)?(?P<minutes>\d+['′’]\s?(?:[\d.]+[\"″”])?)?
        \s?(?P<wind>[NSEW]\b)?)
    |(?P<era>\s?{_ERA}(?!\w))
    |(?P<clock>\s?(?:[ap]\.m\.|[ap]m\b|[AP]M\b|[AP]\.M\.))
    |(?P<unit>\s?(?:(?P<what>{UNIT})(?P<power>[23²³])?)?(?P<per>/(?P<by>{UNIT})(?P<root>[23²³])?)?
        (?![\w$]|-\d))
    |(?P<plus>\+)
    |(?P<bn>bn|mn|tn)\b
    """,
    re.VERBOSE,
)
_JOINT = re.compile(r"[-–](?=['’]?\d)")
_INCHES = re.compile(
    r"\)|/| ?[;×x]|,|\.(?:\s|$)| (?:of|thick|long|wide|tall|high|deep|in diameter)\b|$"
)
_DOT_WITHIN = re.compile(r"\.(?=\)|\s[a-z])")
_DATE_BEFORE = re.compile(
    rf"(?:^|[\s(\"“,;–—-]){_MONTH}\s(?:\d{{1,2}}(?:st|nd|rd|th)?,?(?:\s(?:and|or|to|through|until|&)\s"
    rf"|{DASH}))?$"
)
_DATE_AFTER = re.compile(
    rf"(?:\s?(?:{DASH}|\b(?:and|or|to)\b)\s?\d{{1,2}})?\s{_MONTH}(?!\s?{DASH}?\w*['’]s\b)"
)
_ERAS = {"BC": "BC", "BCE": "BCE", "CE": "C-E", "AD": "A-D"}
_HYPHENED = frozenset(
    {"mile", "foot", "acre", "mete", "year", "page", "seat", "poun", "hour", "tonn"}
)
_STATE = re.compile(r"[A-Z]{2}")
_LATER_THAN = re.compile(r"\b(?:earlier|later|before|after)\sthan\s$")


def read_number(found: Match) -> list[Edit] | None:
    """Any number, alone or in a range, with whatever says what is counted."""
    text, start, stop = found.string, found.start(), found.end()
    low = found.group()
    if text[stop : stop + 1] == "." and text[stop + 1 : stop + 2].isdigit():
        return None
    if len(low) > words.LONGEST_CARDINAL:
        return [Edit(start, stop, words.number(low))]
    span = _RANGE.match(text, stop)
    if span and not _is_range(text, start, low, span):
        span = None
    place = span.end() if span else stop
    tail = _TAIL.match(text, place)
    kind = _kind(tail, text, start, low)
    if not kind and text[place : place + 1].isalpha():
        return None  # a code such as 3D
    high = span["high"] if span else ""
    low_said, high_said = _say(kind, text, start, place, low, high)
    edits = [Edit(start, stop, low_said)]
    if span:
        between = word_before(text, start) == "between"
        joint = " " if low == high else " and " if between else " to "  # 50-50
        edits.append(Edit(stop, span.end("dash"), joint))
        edits.append(Edit(span.start("high"), place, high_said))
    if tail and kind in ("ordinal", "plural"):
        edits[-1] = Edit(edits[-1].start, tail.end(), edits[-1].spoken)
        if kind == "plural" and tail.group()[0] in "'’" and not _is_decade(high or low):
            edits[-1] = Edit(
                edits[-1].start,
                edits[-1].end,
                _say("", text, start, place, low, high)[bool(high)] + "'s",
            )
    elif tail and kind:
        edits += _read_tail(kind, tail, text, start, high or low)
    dash = _JOINT.match(text, edits[-1].end) if kind else None
    if dash:  # 1960s-70s, 6am-9pm
        edits.append(Edit(dash.start(), dash.end(), " to "))
    return edits


def read_era_first(found: Match) -> list[Edit] | None:
    """AD 79: the number follows by itself."""
    return [Edit(found.start(), found.end() - 1, "A-D")]


def read_elided_century(found: Match) -> list[Edit] | None:
    """'60s, the class of '98."""
    year = int(found["year"])
    said = words.year(2000 + year if year < 10 else year).replace("two thousand ", "oh ")
    return [Edit(found.start(), found.end(), words.plural(said) if found["many"] else said)]


def _kind(tail: Match | None, text: str, start: int, low: str) -> str:
    """Which alternative of `_TAIL` really applies; "" if none."""
    if tail is None or not tail.group().strip():
        return ""
    kind = tail.lastgroup or ""
    if kind in ("ordinal", "era") and not low.replace(",", "").isdigit():
        return ""
    if kind == "clock" and not (low.isdigit() and int(low) <= 24):
        return ""
    if kind == "clock" and tail.group() == " am" and word_before(text, start) in ("", "I"):
        return ""
    if kind == "unit" and not tail["per"]:
        what = tail["what"]
        if not what or what in UNITS_ONLY_IN_COMPOUNDS:
            return ""
        if what == "K" and not tail.group()[0].isspace():  # a 10K race
            return ""
        if what == "in" and (_looks_like_year(low) or not _INCHES.match(text, tail.end())):
            return ""
    return kind


def _read_tail(kind: str, tail: Match, text: str, start: int, amount: str) -> list[Edit]:
    """What follows the number: percent, degrees, unit, era, AM or PM."""
    body = tail.group()
    at = tail.start() + (len(body) - len(body.lstrip()))
    gap = "" if at > tail.start() else " "  # "90°F" is one written token, "90 °F" two
    end = tail.end()
    if kind == "percent":
        said = "percent"
    elif kind == "plus":
        said = "plus"
    elif kind == "bn":
        said = SCALES[tail["bn"]]
    elif kind == "clock":
        said = "AM" if body.strip()[0] in "aA" else "PM"
        if body.endswith(".") and ends_sentence(text, end, any_capital=True):
            end -= 1
    elif kind == "era":
        said = _ERAS[body.strip().replace(".", "")]
        if body.endswith(".") and ends_sentence(text, end, any_capital=True):
            end -= 1
    elif kind == "degree":
        said = degrees(tail, amount != "1" and not is_attributive(text, start, end))
    else:
        many = amount != "1" and not is_attributive(text, start, end)
        said = unit(tail, many)
        if _DOT_WITHIN.match(text, end):  # 560 lbs. is
            end += 1
    return [Edit(at, end, gap + said)]


def _say(kind: str, text: str, start: int, stop: int, low: str, high: str) -> tuple[str, str]:
    """Words for the number, or for both ends of a range."""
    if kind == "ordinal" and not high and _month_follows(text, stop + len("rd")):
        article = "" if word_before(text, start) == "the" else "the "
        return f"{article}{_ordinal(low)} of", ""  # 3rd June
    if kind == "ordinal":
        return (words.number(low) if high else _ordinal(low)), (_ordinal(high) if high else "")
    if kind == "plural":
        return (_many(low) if not high else _year_or_number(low)), (_many(high) if high else "")
    if kind == "era" and low.isdigit():
        return words.year(int(low)), words.year(int(high)) if high.isdigit() else words.number(high)
    if kind:
        return words.number(low), words.number(high) if high else ""
    if _is_day(text, start, stop, low) and (not high or (high.isdigit() and int(high) <= 31)):
        article = (
            "" if not _month_follows(text, stop) or word_before(text, start) == "the" else "the "
        )
        of = " of" if _month_follows(text, stop) and not _is_pair_of_days(text, stop) else ""
        first, last = words.ordinal(int(low)), words.ordinal(int(high)) if high else ""
        return article + first + ("" if high else of), last + of if high else ""
    if high:
        alone = text[start - 1 : start] == "(" and text[stop : stop + 1] == ")"
        early = alone and len(low) == 3 and low.isdigit() and _looks_like_year(high)  # (476–1453)
        if high.isdigit() and (_looks_like_year(low) or early):
            return words.year(int(low)), words.year(_second_year(low, high))
        return words.number(low), words.number(high)
    if _is_year(text, start, stop, low):
        return words.year(int(low)), ""
    glued = glued_before(text, start)
    if low.isdigit() and (
        word_before(text, start) in NUMBERED or (glued.endswith("-") and glued[-2:-1].isupper())
    ):
        return words.code(low), ""
    if len(low) == 5 and low.isdigit() and _STATE.fullmatch(word_before(text, start)):
        return words.digits(low), ""  # New York, NY 10021
    return words.number(low), ""


def _is_range(text: str, start: int, low: str, span: Match) -> bool:
    """Whether "low - high" is one: both plain, and the dash really joins them."""
    high, dash = span["high"], span["dash"]
    glued = glued_before(text, start)
    if glued.endswith("-") and glued[-2:-1].isupper():
        return False  # IT-98-33
    after = text[span.end() : span.end() + 1]
    if after.isalpha() and not _TAIL.match(text, span.end()):
        return False
    if dash.strip() == "−" or len(high) > words.LONGEST_CARDINAL:
        return False
    if dash != dash.strip():
        return _looks_like_year(low) and _looks_like_year(high)
    return not (after in ("-", ":") and text[span.end() + 1 : span.end() + 2].isdigit())


def _looks_like_year(number: str) -> bool:
    return len(number) == 4 and number.isdigit() and 1000 <= int(number) < 2100


def _second_year(low: str, high: str) -> int:
    """As it is said: 1939-45 ends in 45, 2007-08 in 2008, 2013-4 in 2014, 1999-00 in 2000."""
    year = words.second_year(low, high)
    in_full = len(high) >= 4 or year % 100 < 10 or year >= 2000
    return year if in_full else year % 100


def _is_year(text: str, start: int, stop: int, low: str) -> bool:
    """Four bare digits are a year unless the words around them count something."""
    if not _looks_like_year(low):
        return False
    after, before = word_after(text, stop), word_before(text, start)
    if after in COUNTED or (
        text[stop : stop + 1] == "-" and text[stop + 1 : stop + 5] in _HYPHENED
    ):
        return False
    if after.endswith("s") and after.islower() and after not in NEVER_COUNTED and len(after) > 3:
        cue = before.lower().rstrip(".,")
        return (
            cue in YEAR_BEFORE
            or before.rstrip(".,") in MONTHS
            or before.endswith(("'s", "’s", ","))
            or not before
            or before[-1].isdigit()
            or (is_capitalised(before) and cue not in QUANTITY_BEFORE)
        )
    if before.lower() in QUANTITY_BEFORE:
        return (
            before.lower() == "than"
            and _LATER_THAN.search(text[max(0, start - 16) : start]) is not None
        )
    return True


def _is_day(text: str, start: int, stop: int, low: str) -> bool:
    if not (low.isdigit() and 1 <= int(low) <= 31) or len(low) > 2:
        return False
    if text[stop : stop + 1] in ("%", ":", "°", "/"):
        return False
    return _month_follows(text, stop) or bool(_DATE_BEFORE.search(text[max(0, start - 32) : start]))


def _month_follows(text: str, stop: int) -> bool:
    return _DATE_AFTER.match(text, stop) is not None


def _is_pair_of_days(text: str, stop: int) -> bool:
    """ "12 and 13 May": "of" comes with the second day."""
    found = _DATE_AFTER.match(text, stop)
    return found is not None and any(char.isdigit() for char in found.group())


def _year_or_number(low: str) -> str:
    return words.year(int(low)) if _looks_like_year(low) else words.number(low)


def _is_decade(written: str) -> bool:
    return len(written) in (2, 4) and written[-1] == "0"


def _ordinal(written: str) -> str:
    return words.ordinal(int(written.replace(",", "")))


def _many(written: str) -> str:
    """The 1960s, his 20s, two 747s."""
    if _looks_like_year(written):
        return words.decade(int(written))
    if len(written) == 3 and written.isdigit() and written[1:] != "00":
        return words.plural(words.code(written))
    return words.plural(words.number(written))
