"""Where a quote stands in a passage, exactly.

Models copy nearly letter by letter: they straighten quotation marks, join lines, change a first
capital, end with a full stop. The place is found in a folded text in which such differences are
gone, and what is given back is the passage's own.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "`": "'"}
    | dict.fromkeys("‐‑‒–—−", "-")
    | {"…": "..."}
)


def find_quote(passage: str, quote: str) -> tuple[int, str] | None:
    """Return the offset of the first place that has the quote, and the passage's text there."""
    if (exact := _find(passage, quote)) is not None:
        return exact, quote
    wanted = _folded(quote.strip())[0].strip()
    text, places = _folded(passage)
    for tried in (wanted, wanted.strip("\"' "), wanted.strip("\"'. ")):
        if (at := _find(text, tried)) is not None:
            start, end = places[at], places[at + len(tried) - 1] + 1
            while end < len(passage) and unicodedata.combining(passage[end]):
                end += 1  # an accent that is a character of its own
            return start, passage[start:end]
    return None


def _find(text: str, wanted: str) -> int | None:
    """Find whole words: "3" is not a part of 1935."""
    at = text.find(wanted) if wanted.strip() else -1
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(wanted) : at + len(wanted) + 1]
        if not (before.isalnum() and wanted[0].isalnum()) and not (
            after.isalnum() and wanted[-1].isalnum()
        ):
            return at
        at = text.find(wanted, at + 1)
    return None


@lru_cache(maxsize=256)
def _folded(text: str) -> tuple[str, tuple[int, ...]]:
    """Fold case, marks, accents and white space; also return where each character came from."""
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character.isascii():
            plain = character.lower()
        else:
            parts = unicodedata.normalize("NFKD", character.translate(_PLAIN))
            plain = "".join(part for part in parts if not unicodedata.combining(part)).casefold()
        for part in plain:
            if part.isspace():
                if folded and folded[-1] == " ":
                    continue
                part = " "
            folded.append(part)
            places.append(place)
    return "".join(folded), tuple(places)
