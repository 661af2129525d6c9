"""Readers of capitals and codes: NYC is spelled, NATO is said, F-16 and MP3 are both."""

from __future__ import annotations

import re
from itertools import pairwise

from askqa_builder.spoken import words
from askqa_builder.spoken.context import Edit, glued_before, word_after, word_before
from askqa_builder.spoken.lexicon import (
    READ_AS_WORDS,
    SAID_OTHERWISE,
    SCALES,
    SPELLED_OUT,
    SPELLED_WELL,
)

Match = re.Match[str]

CAPITALS = re.compile(r"(?P<what>[A-Z]{2,})(?P<end>s|['’]s)?(?!\w)")
LETTERED = re.compile(r"[A-Z]+(?:&[A-Z]+)+(?!\w)")
CODE = re.compile(
    r"(?:(?=[a-z]{0,9}[A-Z])[A-Za-z]{1,12}\d|\d{1,12}[a-z]{0,9}[A-Z])[A-Za-z\d]*"
    r"|\d{1,12}[a-z]{1,3}(?!\w)|[a-z]{2,12}\d{1,12}(?!\w)"
)
AMOUNT = re.compile(r"(?P<what>[A-Z]{2,4})(?P<number>\d[\d,]*\.\d+)(?P<scale>bn|m)?(?!\w)")

LONGEST_ACRONYM = 12
"""Letters; a longer run of capitals is a word that is shouted."""

_ONSET = (
    "(?:sch|scr|shr|spl|spr|str|thr|bl|br|ch|cl|cr|dr|fl|fr|gl|gr|kl|kn|kr|ph|pl|pr|qu|rh|sc|sh|"
    "sk|sl|sm|sn|sp|st|sw|th|tr|tw|wh|wr|[bcdfghjklmnpqrstvwxz])"
)
_CODA = (
    "(?:nch|rch|rth|nth|ch|ck|ct|ff|ft|ld|lf|lk|ll|lm|lp|lt|mp|nd|ng|nk|nn|nt|pt|rd|rk|rl|rm|rn|rp|"
    "rt|sh|sk|sm|sp|ss|st|th|tt|[bcdfgklmnprstvxz])"
)
_SYLLABLES = re.compile(rf"{_ONSET}?[aeiouy]+(?:{_CODA}?{_ONSET}[aeiouy]+)*(?:{_CODA}s?)?")
_HEADING_WORDS = frozenset(
    "THE OF AND AN IN ON TO FOR WITH FROM BY IS ARE WAS HIS HER CHAPTER BOOK PART".split()
)
_HEADING_REACH = 4
"""Words to look at on each side."""
_REST_OF_TOKEN = re.compile(r"\S{1,80}")


def read_capitals(found: Match) -> list[Edit] | None:
    """NYC "N-Y-C", CE "C-E"; NATO and BBC are left as they are."""
    text, what = found.string, found["what"]
    if _is_shouted(text, found) or _is_respelling(text, found):
        return [Edit(found.start(), found.end(), found.group().lower())]
    if what in SAID_OTHERWISE:
        return [Edit(found.start(), found.end("what"), SAID_OTHERWISE[what])]
    said = spell(what) if is_spelled(what) else what
    if said == what:
        return None
    end = "'s" if found["end"] else ""
    return [Edit(found.start(), found.end(), said + end)]


def read_lettered(found: Match) -> list[Edit] | None:
    """R&B, AT&T, Texas A&M."""
    parts = [spell(part) for part in found.group().split("&")]
    joined = "-and-" if "A" in parts else " and "
    return [Edit(found.start(), found.end(), joined.join(parts))]


def read_code(found: Match) -> list[Edit] | None:
    """MP3, F16, 3D, A38, BBC2."""
    parts = re.findall(r"[A-Za-z]+|\d+", found.group())
    said = [
        words.code(part)
        if part.isdigit()
        else spell(part)
        if part.isupper() and is_spelled(part)
        else part
        for part in parts
    ]
    if parts[-1] == "s" and len(parts) > 1 and parts[-2].isdigit():  # DB10s
        said[-2:] = [words.plural(said[-2])]
        parts = parts[:-1]
    out = said[0]
    for (left, right), part in zip(pairwise(parts), said[1:], strict=True):
        lone = "A" in (left, right)  # alone it would be read as the article
        out += f"{'-' if lone else ' '}{part}"
    return [Edit(found.start(), found.end(), out)]


def read_amount(found: Match) -> list[Edit] | None:
    """RM24.5 million."""
    said = f"{spell(found['what'])} {words.number(found['number'])}"
    if found["scale"]:
        said += f" {SCALES[found['scale']]}"
    return [Edit(found.start(), found.end(), said)]


def is_spelled(capitals: str) -> bool:
    """Whether capitals are said letter by letter: short, or no syllables that English could say."""
    if len(capitals) == 1 or capitals in READ_AS_WORDS:
        return False
    if len(capitals) <= 3 or capitals in SPELLED_OUT:
        return True
    if len(capitals) > LONGEST_ACRONYM:
        return False
    return _SYLLABLES.fullmatch(capitals.lower()) is None


def spell(letters: str) -> str:
    """Letters for eSpeak NG: joined where it spells them, hyphened where it would say a word."""
    if len(letters) == 1 or letters in SPELLED_WELL:
        return letters
    if not set(letters) & set("AEIOUY") and letters not in ("MR", "MRS", "ST"):
        return letters
    return "-".join(letters)


def _is_shouted(text: str, found: Match) -> bool:
    """A word in a heading in capitals is no acronym: "THE BENEFIT OF THE DOUBT"."""
    run = {found["what"]}
    start, stop = found.span()
    while len(run) < _HEADING_REACH and (word := word_before(text, start)).isupper():
        run.add(word)
        start = text.rfind(word, 0, start)
    while len(run) < 2 * _HEADING_REACH and (word := word_after(text, stop)).isupper():
        run.add(word)
        stop = text.find(word, stop) + len(word)
    return len(run) > 1 and not run.isdisjoint(_HEADING_WORDS)


def _is_respelling(text: str, found: Match) -> bool:
    """bee-YON-say, GI-nee-bi-SOW."""
    rest = _REST_OF_TOKEN.match(text, found.end())
    token = glued_before(text, found.start()) + found.group() + (rest.group() if rest else "")
    parts = token.split("-")
    return len(parts) > 2 and any(map(str.islower, parts))
