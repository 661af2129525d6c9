"""Numbers as words: the readings are ours, the counting is num2words'.

No commas (they would be pauses) and no "and": "one thousand eight hundred ninety-five". Years are
read in pairs: 1895 "eighteen ninety-five", 1905 "nineteen oh five", 2007 "two thousand seven",
2015 "twenty fifteen".
"""

from __future__ import annotations

from functools import lru_cache

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

LONGEST_CARDINAL = 15
"""Digits; a longer number is read digit by digit."""
LONGEST_BARE_CARDINAL = 7
"""Digits; a longer one without separators is a number of something (a telephone, an account)."""

_CACHE = 8192
_FRACTIONS = {2: "half", 4: "quarter"}


@lru_cache(_CACHE)
def cardinal(number: int) -> str:
    """1895 -> "one thousand eight hundred ninety-five"."""
    return _num2words(number, "cardinal").replace(",", "").replace(" and ", " ")


@lru_cache(_CACHE)
def ordinal(number: int) -> str:
    """21 -> "twenty-first"."""
    return _num2words(number, "ordinal").replace(",", "").replace(" and ", " ")


def digits(text: str) -> str:
    """ "911" -> "nine one one"; anything that is no digit is skipped."""
    return " ".join(DIGITS[int(char)] for char in text if char.isdecimal())


@lru_cache(_CACHE)
def number(text: str) -> str:
    """A written quantity: "1,895", "0.5", ".25", "007", "24.70"."""
    whole, point, fraction = text.partition(".")
    bare = whole.replace(",", "")
    if not bare:
        said = ""
    elif bare != "0" and bare.startswith("0"):
        said = f"double oh {DIGITS[int(bare[2])]}" if _is_agent(bare) else digits(bare)
    elif len(bare) > LONGEST_CARDINAL or (
        "," not in whole and len(bare) > LONGEST_BARE_CARDINAL and not bare.endswith("000")
    ):
        said = digits(bare)
    else:
        said = cardinal(int(bare))
    return f"{said} point {digits(fraction)}".lstrip() if point and fraction else said


@lru_cache(_CACHE)
def year(number: int) -> str:
    """1895 -> "eighteen ninety-five", 476 -> "four seventy-six", 2500 -> "twenty-five hundred"."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:  # 1000, 1005, 2000, 2007
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    if century == 0:
        return cardinal(rest)
    return f"{cardinal(century)} oh {DIGITS[rest]}" if rest < 10 else _pair(century, rest)


def second_year(low: str, high: str) -> int:
    """The year that ends a range, of which only the last digits may be written: ("1939", "45") ->
    1945, ("1999", "00") -> 2000."""
    year = int(low[: -len(high)] + high)
    turned = year + 10 ** len(high)
    return turned if year < int(low) and turned < 2100 else year


@lru_cache(_CACHE)
def code(text: str) -> str:
    """Digits of a name: "16" sixteen, "747" seven forty-seven, "46556" one by one."""
    if text.startswith("0") or len(text) > 4:
        return digits(text)
    if len(text) < 3:
        return cardinal(int(text))
    return year(int(text))


def decade(number: int) -> str:
    """1960 -> "nineteen sixties", 1900 -> "nineteen hundreds", 2000 -> "two thousands"."""
    return plural(year(number))


def plural(words: str) -> str:
    """ "sixty" -> "sixties", "six" -> "sixes", "hundred" -> "hundreds"."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def fraction(above: int, below: int) -> str:
    """(1, 2) -> "one half", (3, 4) -> "three quarters", (2, 3) -> "two thirds"."""
    part = _FRACTIONS.get(below) or ordinal(below)
    if above == 1:
        return f"one {part}"
    return f"{cardinal(above)} {'halves' if below == 2 else part + 's'}"


def _pair(left: int, right: int) -> str:
    return f"{cardinal(left)} {cardinal(right)}"


def _is_agent(bare: str) -> bool:
    """007 and its colleagues."""
    return len(bare) == 3 and bare[:2] == "00" and bare[2] != "0"


def _num2words(number: int, to: str) -> str:
    from num2words import num2words

    return str(num2words(number, to=to))
