"""Readers of figures with marks inside: times, dates in digits, fractions, scores, telephones."""

from __future__ import annotations

import re
from math import gcd

from askqa_builder.spoken import words
from askqa_builder.spoken.context import NUM, Edit, ends_sentence, word_after
from askqa_builder.spoken.lexicon import MONTH_NAMES

Match = re.Match[str]

ISO_DATE = re.compile(r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?![\w-])")
TIME = re.compile(
    r"(\d{1,2}):([0-5]\d)(?::(?P<second>[0-5]\d(?:\.\d+)?))?(?![\d:])"
    r"(?P<gap>\s?)(?P<half>[ap]\.m\.|[ap]m\b|[AP]M\b|[AP]\.M\.)?"
)
RATIO = re.compile(r"(\d+(?:\.\d+)?)((?::\d+(?:\.\d+)?)+)(?![\d:])")
TELEPHONE = re.compile(
    r"(?:\+?\d{1,3}[ .-])?\d{3}(?:\) ?|[ .-])\d{3}[.-]\d{4}(?![\w-])|\d{3}-\d{4}(?![\w-])"
    r"|\+\d{1,3}(?:[ .-]\(?\d{2,4}\)?){2,5}(?![\w-])"
)
HYPHENED = re.compile(r"\d+(?:[-–]\d+){2,}(?![\w-])")
OUT_OF = re.compile(r"(?P<score>\d{1,9}(?:\.\d+)?)/(?P<best>5|10|100)(?![\d/])")
DECIMAL_COMMA = re.compile(
    r"(\d{1,3}),(\d{1,2})(?=\s(?:million|billion|trillion|per\s?cent)\b|\s?%)"
)
VERSION = re.compile(r"\d+(?:\.\d+){2,}(?!\w)")
MIXED = re.compile(r"(?P<whole>\d+)[\s-](?P<above>\d{1,2})[/⁄](?P<below>\d{1,2})(?![\d/])")
VULGAR = re.compile(r"(?P<whole>\d+)?\s?(?P<sign>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
SLASHED = re.compile(r"(\d{1,9})[/⁄](\d{1,9})(?:/(\d{1,9}))?(?:ths?|rds?)?(?![\d/])")
DIMENSIONS = re.compile(rf"{NUM}(?:\s?[x×]\s?{NUM})+(?![A-Za-z])")
CITED_PAGES = re.compile(r":(?:pages?\s?|pp?\.\s?)?\d+(?:[-–]\d+)?(?=\s|$)")

_VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5),
    "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8),
    "⅞": (7, 8),
}  # fmt: skip
_CALLED = re.compile(
    r"\b(?:call|dial|phone|telephone|tel|fax|text|ring|reach|contact|hotline|helpline"
    r"|number(?! of\b))\b[^\d.;!?]{0,16}[.:]?\s?\(?$",
    re.IGNORECASE,
)
_DENOMINATORS = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 32, 64, 100})


def read_iso_date(found: Match) -> list[Edit] | None:
    """2008-05-12."""
    year, month, day = (int(part) for part in found.groups())
    said = f"{MONTH_NAMES[month - 1]} {words.ordinal(day)}, {words.year(year)}"
    return [Edit(found.start(), found.end(), said)]


def read_time(found: Match) -> list[Edit] | None:
    """7:30 pm "seven thirty | PM", 19:00 "nineteen hundred", 9:00 "nine o'clock", 14:28:01."""
    hour, minute, second = int(found[1]), int(found[2]), (found["second"] or "").lstrip("0")
    if hour > 24:
        return None
    half, stop = found["half"], found.start("gap")
    said = words.cardinal(hour) if hour or minute else "zero hundred"
    if second:
        name = "second" if second == "1" else "seconds"
        said = f"{said} {_minutes(minute) or 'zero'} and {words.number(second)} {name}"
    elif minute:
        said += f" {_minutes(minute)}"
    elif not half and hour:
        said += " o'clock" if hour <= 12 and not found[1].startswith("0") else " hundred"
    edits = [Edit(found.start(), stop, said)]
    if half:
        end = found.end()
        if half.endswith(".") and ends_sentence(found.string, end, any_capital=True):
            end -= 1
        name = "AM" if half[0] in "aA" else "PM"
        edits.append(Edit(found.start("half"), end, name if found["gap"] else f" {name}"))
    return edits


def read_ratio(found: Match) -> list[Edit] | None:
    """3:1, 16:9."""
    parts = found.group().split(":")
    return [Edit(found.start(), found.end(), " to ".join(words.number(part) for part in parts))]


def read_telephone(found: Match) -> list[Edit] | None:
    """555-1234: digit by digit, a breath between the groups; a crowd of 800-1200 is a range."""
    groups = re.findall(r"\d+", found.group())
    if len(groups) == 2 and groups[0] != "555" and int(groups[0]) < int(groups[1]):
        before = found.string[max(0, found.start() - 32) : found.start()]
        if not _CALLED.search(before):
            return None
    said = ", ".join(words.digits(group) for group in groups)
    plus = "plus " if found.group().startswith("+") else ""
    return [Edit(found.start(), found.end(), plus + said)]


def read_hyphened(found: Match) -> list[Edit] | None:
    """3-2-1, 9-1-1 and codes such as 0-19-853453-1."""
    groups = re.split("[-–]", found.group())
    said = [words.digits(group) if len(group) > 2 else words.number(group) for group in groups]
    return [
        Edit(
            found.start(),
            found.end(),
            ", ".join(said) if max(map(len, groups)) > 1 else " ".join(said),
        )
    ]


def read_decimal_comma(found: Match) -> list[Edit] | None:
    """18,2 million, as continental Europe writes it."""
    said = words.number(f"{found[1]}.{found[2]}")
    return [Edit(found.start(), found.end(), said)]


def read_version(found: Match) -> list[Edit] | None:
    """10.4.8."""
    parts = found.group().split(".")
    return [Edit(found.start(), found.end(), " point ".join(words.number(part) for part in parts))]


def read_mixed(found: Match) -> list[Edit] | None:
    """1 1/2."""
    above, below = int(found["above"]), int(found["below"])
    if not _is_fraction(above, below):
        return None
    return [Edit(found.start(), found.end(), _with_whole(found["whole"], above, below))]


def read_vulgar(found: Match) -> list[Edit] | None:
    """½, 10½."""
    above, below = _VULGAR[found["sign"]]
    if found["whole"]:
        return [Edit(found.start(), found.end(), _with_whole(found["whole"], above, below))]
    return [Edit(found.start(), found.end(), words.fraction(above, below))]


def read_slashed(found: Match) -> list[Edit] | None:
    """1/2 is a fraction, 2007/08 are years, 9/11 and 80/20 are just two numbers."""
    left, right, third = found.groups()
    rest = found.string[found.end() : found.end() + 6]
    if third:
        said = " ".join((words.number(str(int(left))), words.number(str(int(right))), _year(third)))
    elif len(left) == 4 and len(right) in (2, 4) and 1000 <= int(left) < 2100:
        said = f"{words.year(int(left))} to {words.year(words.second_year(left, right))}"
    elif (
        _is_fraction(int(left), int(right))
        and not rest.startswith(("-year", " time"))
        and word_after(found.string, found.end()) not in ("rhythm", "meter", "metre", "signature")
    ):
        said = words.fraction(int(left), int(right))
    else:
        said = f"{words.code(left)} {words.code(right)}"
    return [Edit(found.start(), found.end(), said)]


def read_out_of(found: Match) -> list[Edit] | None:
    """7.2/10."""
    score, best = found["score"], found["best"]
    if "." not in score and (best == "5" or score == "1" or int(score) > int(best)):
        return None
    return [Edit(found.start(), found.end(), f"{words.number(score)} out of {words.number(best)}")]


def read_dimensions(found: Match) -> list[Edit] | None:
    """4x4, 1,920 × 1,080."""
    said = " by ".join(words.number(part) for part in re.findall(NUM, found.group()))
    return [Edit(found.start(), found.end(), said)]


def read_cited_pages(found: Match) -> list[Edit] | None:
    """The ":31-32" that a citation leaves behind a sentence is not read."""
    before = found.string[found.start() - 1 : found.start()]
    if before.isdigit() or before.isspace() or not before:
        return None
    return [Edit(found.start(), found.end(), "")]


def _minutes(minute: int) -> str:
    if not minute:
        return ""
    return f"oh {words.cardinal(minute)}" if minute < 10 else words.cardinal(minute)


def _year(third: str) -> str:
    return words.year(int(third)) if len(third) == 4 else words.number(third)


def _is_fraction(above: int, below: int) -> bool:
    return 0 < above < below and below in _DENOMINATORS and gcd(above, below) == 1


def _with_whole(whole: str, above: int, below: int) -> str:
    part = words.fraction(above, below)
    if above == 1:
        part = part.removeprefix("one ")
        part = f"{'an' if part.startswith('e') else 'a'} {part}"
    return f"{words.number(whole)} and {part}"
