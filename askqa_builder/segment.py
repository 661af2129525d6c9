"""Cuts a passage into the segments that the narrator reads one after the other."""

from __future__ import annotations

import re
from itertools import pairwise

MAX_CLIP_S = 30.0
"""Whisper-style encoders silently cut audio here, so no clip may be longer."""

CHARS_PER_S = 11.0
"""A careful reading speed, in characters of the spoken form a second: the slowest speaker of the
embedded bank at the slowest rate that is cast still reads faster (a test says so)."""

_END = re.compile(r"""(?<=[.!?…])["'”’)\]]*\s+(?=["'“‘(\[]*[A-Z0-9])""")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Mt|Gen|Lt|Col|Capt|Sgt|Rev|Hon|Sen|Rep|Gov|Jr|"
    r"Sr|No|Nos|vs|cf|ca|c|ed|eds|vol|pp|p|Fig|approx|est|e\.g|i\.e|(?:[A-Z]\.)+[A-Z])\.$"
)
_WORD = re.compile(r"\s+(?!(?<=\d,\s)\d{4}\b|\d\d?,\s\d{4}\b)")  # not within "July 4, 1776"
_CLAUSE = re.compile(r"(?<=[,;:–—])" + _WORD.pattern)


def sentences(text: str) -> list[str]:
    """Split at sentence ends; abbreviations and initials do not end a sentence."""
    parts: list[str] = []
    for paragraph in re.split(r"\s*\n\s*", text.strip()):
        start = 0
        for match in _END.finditer(paragraph):
            head = paragraph[start : match.start()].rstrip("\"'”’)]")
            if not _ABBREVIATION.search(head):
                parts.append(paragraph[start : match.end()].strip())
                start = match.end()
        parts.append(paragraph[start:].strip())
    return [part for part in parts if part]


def segments(text: str, max_chars: int) -> list[str]:
    """Group the sentences of `text` into as few pieces as fit `max_chars`, of similar length.

    A sentence that alone is longer is cut at clauses, and a clause at words. The pieces, joined
    by blanks, hold every word of the text in order.
    """
    atoms: list[str] = []
    for sentence in sentences(text):
        atoms += _cut(sentence, max_chars)
    if not atoms:
        return []
    fewest = _packed(atoms, max_chars)
    # the same number of pieces, but level: a last piece of one word sounds like an accident
    for limit in range(-(-len(text) // len(fewest)), max_chars + 1, max(1, max_chars // 20)):
        level = _packed(atoms, limit)
        if len(level) == len(fewest) and all(len(piece) <= max_chars for piece in level):
            return level
    return fewest


def _packed(atoms: list[str], max_chars: int) -> list[str]:
    pieces = [atoms[0]]
    for _, atom in pairwise(atoms):
        if len(pieces[-1]) + 1 + len(atom) <= max_chars:
            pieces[-1] += " " + atom
        else:
            pieces.append(atom)
    return pieces


def _cut(sentence: str, max_chars: int) -> list[str]:
    if len(sentence) <= max_chars:
        return [sentence]
    clauses = _CLAUSE.split(sentence)
    atoms = clauses if len(clauses) > 1 else _WORD.split(sentence)
    if len(atoms) == 1:  # one endless word: nothing can be cut that a person would read
        return [sentence]
    return _packed([piece for atom in atoms for piece in _cut(atom, max_chars)], max_chars)
