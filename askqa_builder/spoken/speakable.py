"""Whether a text can be read aloud at all."""

from __future__ import annotations

import re
import unicodedata

FOREIGN_LETTER_SHARE = 0.1
"""More letters than this that are neither Latin nor Greek: too much would be left out."""

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufffd\ufff9-\ufffb\ue000-\uf8ff\ud800-\udfff]"
)
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u266c\u2670-\u27bf\u2b50\u2b55\ufe0f]")
_MARKUP = re.compile(
    r"https?://\S*|www\.\S+|</?[A-Za-z][^<>]{0,200}>|<!--|&(?:[a-z]+|#\d+);|\[\[|\]\]|\{\{|\}\}|```|"
    r"\]\(|\\[a-z]+\{|(?m:^={2,}[^=]+={2,}\s*$)|(?m:^#{1,6}\s)|\*\*\w"
)
_FOREIGN = re.compile(
    "[\u0400-\u1cff\u2c00-\u2c5f\u2c80-\ua6ff\ua840-\ud7ff\uf900-\ufaff\ufb1d-\ufdff\ufe70-\ufefc\uff66-\uffdc\U00010000-\U0001efff\U00020000-\U0003ffff]"
)


def unspeakable(text: str) -> str | None:
    """Why `text` cannot be read aloud in English, or None: a reason for people, one line."""
    if found := _CONTROL.search(text):
        return f"control character U+{ord(found.group()):04X}"
    if found := _MARKUP.search(text):
        return f"markup {found.group()[:40]!r}"
    if found := _EMOJI.search(text):
        return f"emoji {unicodedata.name(found.group(), found.group()).lower()!r}"
    if not any(map(str.isalnum, text)):
        return "no letters or digits"
    if text.isascii():
        return None
    foreign = len(_FOREIGN.findall(text))
    letters = sum(map(str.isalpha, text))
    if foreign > FOREIGN_LETTER_SHARE * letters:
        return f"{foreign} of {letters} letters are neither Latin nor Greek"
    return None
