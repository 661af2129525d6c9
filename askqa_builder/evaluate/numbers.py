"""One spelling for English numbers: "twenty-one" and "21" become the same text.

Cardinals, ordinals, decades and years as they are read aloud, with digits or words or both
("2.5 million"). Fractions, dozens and Roman numerals are left as they are.
"""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_UNIT_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth".split()
_TEEN_ORDINALS = (
    "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth "
    "nineteenth"
).split()

_SCALES = {
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "quadrillion": 10**15,
}

# Word → (kind, value, suffix): the suffix says how the number ends ("" | "th" | "s").
_WORDS: dict[str, tuple[str, int, str]] = {
    **{word: ("unit", value, "") for value, word in enumerate(_UNITS)},
    **{word: ("unit", value, "th") for value, word in enumerate(_UNIT_ORDINALS)},
    **{word: ("teen", value, "") for value, word in enumerate(_TEENS, start=10)},
    **{word: ("teen", value, "th") for value, word in enumerate(_TEEN_ORDINALS, start=10)},
    **{word: ("ten", 10 * value, "") for value, word in enumerate(_TENS, start=2)},
    **{f"{word[:-1]}ieth": ("ten", 10 * value, "th") for value, word in enumerate(_TENS, start=2)},
    **{f"{word[:-1]}ies": ("ten", 10 * value, "s") for value, word in enumerate(_TENS, start=2)},
    "hundred": ("hundred", 100, ""),
    "hundredth": ("hundred", 100, "th"),
    **{word: ("scale", value, "") for word, value in _SCALES.items()},
    **{f"{word}th": ("scale", value, "th") for word, value in _SCALES.items()},
}

# At most 30 digits: nobody says longer numbers, and a model that loops on digits costs nothing.
_NUMERAL = (
    r"(?<![\w.,])(?:\d{1,3}(?:,\d{3}){1,9}|\d{1,30})(?:\.\d{1,30})?(?:st|nd|rd|th)?(?![\w]|[.,]\d)"
)
_ATOM = rf"(?:{_NUMERAL}|\b(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})\b)"
_LINK = r"(?:[\s‐‑–-]+(?:and\s+|point\s+|oh[\s-]+|o[\s-]+)?)"
_EXPRESSION = re.compile(rf"{_ATOM}(?:{_LINK}{_ATOM})*", re.IGNORECASE)
_NUMERALS = re.compile(rf"{_NUMERAL}(?:{_LINK}{_NUMERAL})*", re.IGNORECASE)
_TOKEN = re.compile(r"[^\s‐‑–-]+")
_DIGIT = re.compile(r"\d")
_LETTERS = re.compile(r"[a-z]+")


def digits(text: str) -> str:
    """Write the numbers in `text` in digits: "Twenty-one men" → "21 men", "1,000.0" → "1000".

    Neighbours that make no number together stay apart: "two three" → "2 3".
    """
    # Most texts hold no number, or no number word: checks that are much faster than the grammar.
    if not _WORDS.keys().isdisjoint(_LETTERS.findall(text.lower())):
        pattern = _EXPRESSION
    elif _DIGIT.search(text) is not None:
        pattern = _NUMERALS
    else:
        return text
    return pattern.sub(lambda match: _rewrite(match.group().lower()), text)


def _rewrite(expression: str) -> str:
    if expression.isascii() and expression.isdigit():
        return expression.lstrip("0") or "0"
    tokens = _TOKEN.findall(expression)
    written: list[str] = []
    position = 0
    while position < len(tokens):
        reader = _Reader(tokens, position)
        reader.read()
        if reader.position == position:  # a link word that joins nothing here
            written.append(tokens[position])
            position += 1
        else:
            written.append(reader.written())
            position = reader.position
    return " ".join(written)


class _Reader:
    """Reads the longest number that starts at a token, by the grammar of English numerals."""

    def __init__(self, tokens: list[str], position: int) -> None:
        self.tokens = tokens
        self.position = position
        self.total = Fraction(0)
        """What lies above the scale words read so far."""
        self.group: Fraction | None = None
        """The number since the last scale word."""
        self.last = ""
        """Kind of the last token."""
        self.scale = 10**18
        self.suffix = ""

    def read(self) -> None:
        while self.position < len(self.tokens) and not self.suffix and self._take():
            pass

    def written(self) -> str:
        value = self.total + (self.group or 0)
        number = str(value.numerator) if value.denominator == 1 else _decimal(value)
        return number + (_ordinal(value) if self.suffix == "th" else self.suffix)

    def _take(self) -> bool:
        """Read one more token, or two where the first is a link; False where the number ends."""
        token = self.tokens[self.position]
        if token in ("and", "point", "oh", "o"):
            return self._take_link(token)
        kind, value, suffix = _parse(token)
        accepted = self._accept(kind, value)
        if accepted:
            self.position += 1
            self.last = kind
            self.suffix = suffix
        return accepted

    def _take_link(self, link: str) -> bool:
        kind, value, suffix = _parse(self.tokens[self.position + 1])
        if link == "and":
            fits = self.last in ("hundred", "scale") and kind in ("unit", "teen", "ten")
            if not (fits and self._accept(kind, value)):
                return False
        elif link == "point":
            if self.group is None or self.last == "decimal" or kind != "unit" or suffix:
                return False
            return self._take_decimals()
        else:  # nineteen oh five
            if not (self._is_century() and kind == "unit" and self.group is not None):
                return False
            self.group = 100 * self.group + value
            kind = "year"
        self.position += 2
        self.last = kind
        self.suffix = suffix
        return True

    def _take_decimals(self) -> bool:
        """Three point one four."""
        assert self.group is not None
        self.position += 1
        place = Fraction(1, 10)
        while self.position < len(self.tokens):
            word = self.tokens[self.position]
            if word not in _UNITS:
                break
            self.group += _UNITS.index(word) * place
            place /= 10
            self.position += 1
        self.last = "decimal"
        return True

    def _accept(self, kind: str, value: Fraction) -> bool:
        """Add the value if the grammar allows it here."""
        if kind == "scale":
            if value >= self.scale or (self.group is None and self.last):
                return False
            self.total += (1 if self.group is None else self.group) * value
            self.group, self.scale = None, int(value)
            return True
        if self.group is None:
            if self.last == "scale" and kind == "numeral" and value >= self.scale:
                return False
            self.group = value
            return True
        if kind == "hundred":
            if not (self.last in ("unit", "teen", "ten", "numeral") and 0 < self.group < 100):
                return False
            self.group *= value
        elif kind == "unit":
            # No zero after a ten or a hundred: "twenty zero" is two numbers.
            if self.last not in ("ten", "hundred") or value == 0:
                return False
            self.group += value
        elif kind in ("teen", "ten"):
            if self.last == "hundred":
                self.group += value
            elif self._is_century():  # nineteen eighty-four, twenty ten
                self.group = 100 * self.group + value
            else:
                return False
        else:
            return False
        return True

    def _is_century(self) -> bool:
        return (
            self.total == 0
            and self.last in ("teen", "ten")
            and self.group is not None
            and 11 <= self.group <= 20
        )


def _parse(token: str) -> tuple[str, Fraction, str]:
    if token in _WORDS:
        kind, value, suffix = _WORDS[token]
        return kind, Fraction(value), suffix
    ordinal = token[-2:] in ("st", "nd", "rd", "th")
    number = token[:-2] if ordinal else token
    return "numeral", Fraction(number.replace(",", "")), "th" if ordinal else ""


def _decimal(value: Fraction) -> str:
    # Every value read has a denominator of tens, so the decimals end.
    whole, rest = divmod(value, 1)
    places = ""
    while rest:
        digit, rest = divmod(rest * 10, 1)
        places += str(digit)
    return f"{whole}.{places}"


def _ordinal(value: Fraction) -> str:
    if value % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(int(value % 10), "th")
