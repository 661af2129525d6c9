"""Readers of marks: notes and phonetic script in brackets, other scripts, dashes, symbols."""

from __future__ import annotations

import re

from askqa_builder.spoken import words
from askqa_builder.spoken.cleaning import bare
from askqa_builder.spoken.context import Edit, word_after, word_before
from askqa_builder.spoken.lexicon import (
    DAYS,
    GREEK,
    GREEK_SOUNDS,
    MONTHS,
    PER,
    SENTENCE_STARTERS,
    SLASHED,
    SYMBOLS,
)

Match = re.Match[str]

_PHONETIC = "ɐ-ʯʰ-˿ᵻθχ\u0300-\u036f"
_FOREIGN = "\u0400-\u1cff\u2e80-\ud7ff\uf900-\ufaff\ufb1d-\ufdff\ufe70-\ufefc\uff66-\uffdc"
_GREEK = "\u0370-\u03ff\u1f00-\u1fff"
OTHER_SCRIPTS = _FOREIGN + _GREEK
_FOREIGN_TAIL = rf"[{_FOREIGN}\u3000-\u30ff\u200b-\u200f《》「」·\u0301-]"
_LABEL = re.compile(
    r"(?:[A-Za-z]+ )?(?:[A-Z][A-Za-z]+(?: [Pp]ronunciation)?|[Pp]ronounced|pronunciation|"
    r"devanagari):?\s[\u200b-\u200f]*$"
)

BRACKET = re.compile(r"\[(?P<what>[^\[\]]{0,80})\]")
PHONETIC = re.compile(rf"i?/(?=[^/\n]{{0,60}}[{_PHONETIC}])[^/\n]{{1,60}}/")
FOREIGN = re.compile(rf"[《「“(]*[{_FOREIGN}]{_FOREIGN_TAIL}*(?:\s+[{_FOREIGN}]{_FOREIGN_TAIL}*)*")
GREEK_WORD = re.compile(rf"[{_GREEK}]+")
LONG_DASH = re.compile(r"\s?[\u200b-\u200f]*(?:—|--+|―)[\u200b-\u200f]*\s?")
SPACED_DASH = re.compile(r"[-–−](?=\s)")
SHORT_DASH = re.compile(r"[–‑]")
SIGN = re.compile(r"(?P<sign>[-−–]|[+±~≈<>]\s?)(?=(?:[A-Z]{1,3})?[$£€]?\.?\d)")
ELLIPSIS = re.compile(r"\s?(?:\.\s?\.\s?\.\.?|…)")
SLASH = re.compile(r"(?P<left>[A-Za-z.]*)/(?P<right>[A-Za-z]*)")
HASH = re.compile(r"#(?P<after>\s?\d|[A-Za-z])?")
DOMAIN_END = (
    "(?:com|org|net|edu|gov|uk|co|ac|tv|fm|io|ru|de|fr|jp|tj|cn|ca|au|eu|info|biz|txt|html|pdf|zip)"
)
DOMAIN = re.compile(rf"(?:[A-Za-z\d-]+\.)+{DOMAIN_END}(?:\.[a-z]{{2}})?(?![\w-])(?<!\.co)(?<!\.ac)")
SYMBOL = re.compile("[" + re.escape("".join(SYMBOLS)) + "]")

_NOTE = re.compile(
    r"(?:[Nn]otes?|web|n|N|nb|ref|a|b)?\s?\d+|[a-z]|update|sic|.*\bneeded|.*\?|dubious.*|dated.*|"
    r".*original research.*|citation.*|clarification.*"
)
_FIGURE_AFTER = re.compile(
    rf"\s\d[\d,.]*(?:\s?(?:BCE?|CE|AD|%)|\s(?:{'|'.join(MONTHS)}))?\s?(?:[),.;:?]|$|\s[A-Z\d])"
)
_DIGITS = re.compile(r"\d+")
_FIGURE_LEFT = re.compile(r"\d(?:st|nd|rd|th|s|%|°)?$|\b(?:BC|BCE|CE|AD)$")
_FUNCTION_WORDS = frozenset(map(str.lower, SENTENCE_STARTERS)) - {"all", "no", "you"} | {"all"}
_ROUND = re.compile(r"(?:10)?0(?:,?000)*\b|1,000\b")
_FIGURE_RIGHT = re.compile(r"[$£€'’]?\d")


def read_bracket(found: Match) -> list[Edit] | None:
    """[note 5], [citation needed], [ˈsan] are not read; [the] words of an editor are."""
    text, what = found.string, found["what"]
    before = text[found.start() - 1 : found.start()]
    after = text[found.end() : found.end() + 1]
    if re.search(rf"[{_PHONETIC}]", what):
        return _dropped(found)
    if what.strip(" .…") == "":
        return [Edit(found.start(), found.end(), "")]
    outer = (
        text[found.start() - 2 : found.start() - 1] if before in ("'", '"', "”", "’") else before
    )
    glued = bool(outer) and not outer.isspace() and outer not in "([“"
    ending = len(what) < 3 and before.isalpha() and what in ("s", "d", "n", "r", "ed", "es", "ly")
    if glued and not (after.isalpha() and len(what) < 3) and not ending and _NOTE.fullmatch(what):
        return [Edit(found.start(), found.end(), "")]
    if what == "sic" or re.fullmatch(r"(?:citation|clarification|page|.*source)s? needed", what):
        return [Edit(found.start(), found.end(), "")]
    return None


def read_phonetic(found: Match) -> list[Edit] | None:
    """/ˈfoʊ/ and its label."""
    return _dropped(found)


def read_foreign(found: Match) -> list[Edit] | None:
    """汶川 and its label "Chinese:" are not read: no English voice can."""
    return _dropped(found)


def read_greek(found: Match) -> list[Edit] | None:
    """β is "beta"; a whole word is sounded out."""
    letters = bare(found.group().lower())
    if len(letters) == 1:
        return [Edit(found.start(), found.end(), GREEK.get(letters, GREEK["σ"]))]
    sounds = "".join(GREEK_SOUNDS.get(letter, "") for letter in letters)
    return [Edit(found.start(), found.end(), sounds)]


def read_long_dash(found: Match) -> list[Edit] | None:
    """A pause."""
    start = found.start() + len(found.group()) - len(found.group().lstrip())
    stop = found.end() - (len(found.group()) - len(found.group().rstrip()))
    text = found.string
    if found.start() == start and stop == found.end():
        return [Edit(start, stop, ", ")]
    return [Edit(start, stop, "," if text[start - 1 : start].strip() else "")]


def read_spaced_dash(found: Match) -> list[Edit] | None:
    """A pause ("it was – he said"), "to" between dates, nothing within a word ("low- and")."""
    text = found.string
    before = word_before(text, found.start())
    after = word_after(text, found.end())
    if not text[found.start() - 1 : found.start()].isspace():
        return [Edit(found.start(), found.end(), "")]
    dated = before[-1:].isdigit() or before in ("BC", "BCE", "CE", "AD")
    if dated and (after in MONTHS or after == "present" or _FIGURE_AFTER.match(text, found.end())):
        return [Edit(found.start(), found.end(), "to")]
    return [Edit(found.start(), found.end(), ",")]


def read_short_dash(found: Match) -> list[Edit] | None:
    """Monday–Friday "to"; elsewhere a hyphen."""
    text = found.string
    if _FIGURE_LEFT.search(text[max(0, found.start() - 6) : found.start()]) and _FIGURE_RIGHT.match(
        text, found.end()
    ):
        return [Edit(found.start(), found.end(), " to ")]
    left = re.search(r"[A-Za-z]+$", text[max(0, found.start() - 12) : found.start()])
    right = re.match(r"[A-Za-z]+", text[found.end() : found.end() + 12])
    if left and right:
        pair = {left.group(), right.group()}
        if pair <= DAYS or pair <= set(MONTHS):
            return [Edit(found.start(), found.end(), " to ")]
        if right.group() in _FUNCTION_WORDS:
            return [Edit(found.start(), found.end(), ", ")]
        return [Edit(found.start(), found.end(), "-")]
    return [Edit(found.start(), found.end(), " ")]


def read_sign(found: Match) -> list[Edit] | None:
    """−40, +5, ~200, <6."""
    text, sign = found.string, found["sign"].strip()
    before = text[found.start() - 1 : found.start()]
    if sign in "-−–":
        if before.strip() and before not in '(["“':
            return None
        return [Edit(found.start(), found.end(), "minus ")]
    return [Edit(found.start(), found.end(), f" {SYMBOLS[sign]} ")]


def read_ellipsis(found: Match) -> list[Edit] | None:
    """A pause: a comma before a small letter, a full stop else."""
    text = found.string
    rest = text[found.end() : found.end() + 3].lstrip(" ])\"'”’")
    said = "," if rest[:1].islower() else "."
    start = found.start() + (found.group()[0].isspace())
    return [Edit(start, found.end(), said)]


def read_slash(found: Match) -> list[Edit] | None:
    """and/or, his/her, terabytes/month; else just the two words."""
    both = SLASHED.get(found.group().lower())
    if both:
        return [Edit(found.start(), found.end(), both)]
    middle = found.end("left")
    per = found["right"] in PER or (found["left"] and _ROUND.match(found.string, middle + 1))
    said = " per " if per else " "
    return [Edit(middle, middle + 1, said)]


def read_hash(found: Match) -> list[Edit] | None:
    """#1, C#, #metoo."""
    text, after = found.string, found["after"] or ""
    said = "number " if after.strip().isdigit() else "hashtag " if after else " "
    if not after and text[found.start() - 1 : found.start()] in tuple("ABCDEFG"):
        said = " sharp"
    return [Edit(found.start(), found.start() + 1, said)]


def read_domain(found: Match) -> list[Edit] | None:
    """Amazon.com."""
    said = found.group().replace(".", " dot ").removeprefix("www dot ")
    said = _DIGITS.sub(lambda digits: f" {words.code(digits.group())} ", said)
    return [Edit(found.start(), found.end(), said)]


def read_symbol(found: Match) -> list[Edit] | None:
    """&, @, =, § ..., said as a word; < and > only between words."""
    text, sign = found.string, found.group()
    before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    if sign in "<>~" and not (before.isspace() and after.isspace()):
        return [Edit(found.start(), found.end(), " ")]
    if text.startswith("amp;", found.end()):
        return [Edit(found.start(), found.end() + 4, " and ")]
    if before == "A" and sign in "+−":
        return [Edit(found.start(), found.end(), "-plus" if sign == "+" else "-minus")]
    if sign == "$" and after.isalpha():  # Ma$e
        return [Edit(found.start(), found.end(), "s")]
    return [Edit(found.start(), found.end(), f" {SYMBOLS[sign]} ")]


def _dropped(found: Match) -> list[Edit]:
    """Drop the match and the label before it, if that belongs to it alone."""
    text, start = found.string, found.start()
    opening = max(text.rfind(char, 0, start) for char in "(;,")
    label = _LABEL.search(text, max(0, opening + 1), start)
    if label and opening >= 0 and not text[opening + 1 : label.start()].strip():
        start = label.start()
    return [Edit(start, found.end(), "")]
