"""What stands around a place in the text, and the edits that readers make there."""

from __future__ import annotations

import re
from typing import NamedTuple

from askqa_builder.spoken.lexicon import SENTENCE_STARTERS

NUM = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
"""A number as written: 1,895 or 1895 or 0.5 or .25."""
DASH = r"[-–−‑]"

_REACH = 80
"""Characters: no token that matters is longer, and a text without spaces stays linear."""
_TOKEN = re.compile(r"\S+")
_SENTENCE = re.compile(r"[\"')\]”’]*(?:\s+[\"'(“‘\[]*([A-Z][\w'’]*)|\s*$)")
_EDGES = "\"'()[]“”‘’,;:"


class Edit(NamedTuple):
    """Read `spoken` for `text[start:end]`; everything that no edit covers is read as written."""

    start: int
    end: int
    spoken: str


def word_before(text: str, place: int) -> str:
    """The whitespace token before `place` (or "") without quotes and brackets; the dot stays."""
    stop = place
    while stop and stop > place - _REACH and text[stop - 1].isspace():
        stop -= 1
    if stop == place and place:
        return ""  # glued to something
    return glued_before(text, stop).strip(_EDGES)


def glued_before(text: str, place: int) -> str:
    """What of the same token stands before `place`."""
    start = place
    while start and start > place - _REACH and not text[start - 1].isspace():
        start -= 1
    return text[start:place]


def word_after(text: str, place: int) -> str:
    """The next whitespace token after `place`, without quotes and punctuation; "" if glued."""
    if place >= len(text) or not text[place].isspace():
        return ""
    found = _TOKEN.search(text, place, place + _REACH)
    return found.group().strip(_EDGES + ".?!") if found else ""


def ends_sentence(text: str, place: int, any_capital: bool = False) -> bool:
    """Whether a dot just before `place` closes a sentence, and not only an abbreviation."""
    found = _SENTENCE.match(text, place)
    if found is None:
        return False
    word = found.group(1)
    return word is None or any_capital or word.capitalize() in SENTENCE_STARTERS


def is_capitalised(word: str) -> bool:
    return bool(word) and word[0].isupper()
