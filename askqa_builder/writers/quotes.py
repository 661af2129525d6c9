"""Where a quote stands in a passage, exactly.

Models copy nearly letter by letter: they straighten quotation marks, join lines, change a first
capital, end with a full stop. The place is found in a folded text in which such differences are
gone, and what is given back is the passage's own.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "`": "'"}
    | dict.fromkeys("‐‑‒–—−", "-")
    | {"…": "..."}
)


def find_quote(passage: str, quote: str) -> tuple[int, str] | None:
    """Return the offset of the first place that has the quote, and the passage's text there."""
    wanted = _folded(quote.strip())[0].strip()
    text, places = _folded(passage)
    for tried in filter(None, (wanted, wanted.strip("\"' "), wanted.strip("\"'. "))):
        # whole words: "3" is not a part of 1935
        start_of_word = r"(?<!\w)" if tried[0].isalnum() else ""
        end_of_word = r"(?!\w)" if tried[-1].isalnum() else ""
        match = re.search(start_of_word + re.escape(tried) + end_of_word, text)
        if match is not None:
            start, end = places[match.start()], places[match.end() - 1] + 1
            while end < len(passage) and unicodedata.combining(passage[end]):
                end += 1  # an accent that is a character of its own
            return start, passage[start:end]
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
