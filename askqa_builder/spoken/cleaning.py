"""What is left to do once everything is read: quotes, brackets, stops and rare letters."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from askqa_builder.spoken import words

_FLATTEN = str.maketrans(
    {
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "ħ": "h", "ŋ": "ng", "œ": "oe", "Œ": "Oe",
        "ṛ": "ri", "ṣ": "sh", "Ṣ": "Sh", "ś": "sh", "Ś": "Sh", "ʻ": "", "ʼ": "'", "ʿ": "", "ʾ": "",
    }
)  # fmt: skip
_KEPT = frozenset("àáâãäåæçèéìîïñòôõöøùúûüýÿÀÁÂÃÄÅÆÇÈÉÌÎÏÑÒÔÕÖØÙÚÛÜÝßšžćčāēīōŠŽĆČĀĒĪŌ")
_QUOTES = str.maketrans(
    {
        **dict.fromkeys("\"“”„‟«»‹›()[]{}`*†‡™®©•·\\^¶¦¨´ˈˌ″", ""),
        **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u00ad\ufeff", ""),  # invisible
        "’": "'", "‘": "'", "‛": "'", "′": "'", "_": " ", "|": " ", "…": ",", "。": ".",
        "，": ",", "\u2011": "-",
    }
)  # fmt: skip
_STOPS = re.compile(r"[.,;:?!][.,;:?!'\s]*[.,;:?!]")
_PHONETIC_WORD = re.compile(r"[\w'-]*[ɐ-ʯˈˌːᵻ][\w'ˈˌː.-]*")
_TIGHT = re.compile(r"(?<=\w)\((?=\w)(?![a-z]{1,3}\))|(?<=\w\w)\)(?=\w)")
_NO_SPACE = re.compile(r"(?<=[A-Za-z])([,;:])(?=[A-Za-z])|(?<=[a-z]{2})([.?!])(?=[A-Z])")
_HANGING = re.compile(r"(?<![^\s])[-–—/'.,;:?!]+(?=\w)|[-–—/]+(?=[\s,.;:?!]|$)")
_GAP = re.compile(r"\s+(?=[,.;:?!]+(?:\s|$))")
_DIGITS = re.compile(r"\d+")  # whatever no reader knew
_UNSAYABLE = re.compile(r"[^\w\s.,;:?!'-]")
_ALONE = re.compile(r"(?<=\s)[^\w\s]+(?=\s|$)|^[^\w\s]+(?=\s)")
_ELIDED = frozenset("tis twas em til cause n bout round neath".split())


@lru_cache(65536)
def clean(piece: str) -> str:
    """What is left of a token once it is read: no quotes, no brackets, one stop, plain letters."""
    if piece.isascii():
        said = piece
    else:
        said = _PHONETIC_WORD.sub("", piece)
        said = said if said.isascii() else " ".join(map(_flat, said.split()))
    said = _TIGHT.sub(" ", said).replace("''", "'").translate(_QUOTES)
    said = _DIGITS.sub(lambda run: f" {words.code(run.group())} ", said)
    said = " ".join(map(_unquoted, said.split()))
    said = _HANGING.sub("", said)
    said = _STOPS.sub(_one_stop, _GAP.sub("", said))
    said = _ALONE.sub("", _NO_SPACE.sub(r"\1\2 ", _UNSAYABLE.sub("", said)))
    return " ".join(said.split()).strip(" -")


def _unquoted(word: str) -> str:
    """Without single quotes around; an apostrophe inside, or before 'tis, stays."""
    head = word.lstrip("'")
    if head != word and head.lower().rstrip(".,;:?!") in _ELIDED:
        head = "'" + head
    body = head.rstrip(".,;:?!")
    return body.rstrip("'") + head[len(body) :] if body.endswith("'") else head


def _one_stop(found: re.Match[str]) -> str:
    run: str = found.group()
    for stop in "?!":
        if stop in run:
            return stop
    if "," in run:
        return ","
    return run[-1]


def _flat(word: str) -> str:
    """Letters that eSpeak NG knows stay (é, ö, ñ); it would spell out a word with any other."""
    letters = [char for char in word if not char.isascii() and char.isalpha()]
    lone = sum(map(str.isalpha, word.split("-")[0])) == 1
    if letters and not lone and all(char in _KEPT for char in letters):
        return word
    return bare(word.translate(_FLATTEN))


def bare(word: str) -> str:
    """Without diacritics."""
    kept = (c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return "".join(kept)
