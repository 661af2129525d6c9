"""Units: runs of written tokens and what is read for each; their times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from askqa_builder.spoken.context import Edit

_TOKEN = re.compile(r"\S+")
_STOPS = ".,;:?!"


@dataclass(frozen=True, slots=True)
class Unit:
    """A run of written whitespace tokens that is read as one."""

    written: tuple[str, ...]
    """The tokens as written, never empty; all units' tokens in order are `text.split()`."""
    spoken: str
    """What is read, single-spaced; "" if nothing is (a lone dash, a note in brackets)."""


@lru_cache(maxsize=64)  # a clip's key, its script and its check ask for the same in a row
def units(text: str) -> tuple[Unit, ...]:
    """Cut `text` into units. Every spoken token has a letter (no token is punctuation alone)."""
    # a tenth of a second of patterns to compile: not for `askqa-build --help`
    from askqa_builder.spoken.cleaning import clean
    from askqa_builder.spoken.scan import edits

    made: list[Unit] = []
    todo = edits(text)
    index, count = 0, len(todo)
    tokens = [(found.start(), found.end()) for found in _TOKEN.finditer(text)]
    at = 0
    while at < len(tokens):
        start, stop = tokens[at]
        last = at
        while index < count and todo[index].end <= start:
            index += 1
        ours: list[Edit] = []
        while index < count and todo[index].start < stop:
            ours.append(todo[index])
            index += 1
            while (
                ours[-1].end > stop
                and last + 1 < len(tokens)
                and tokens[last + 1][0] < ours[-1].end
            ):
                last += 1
                stop = tokens[last][1]
        written = text[start:stop]
        spoken = clean(_apply(text, start, stop, ours) if ours else written)
        at = last + 1
        _append(made, tuple(written.split()), written, spoken)
    _drop_last_pause(made, text)
    return tuple(made)


def spoken_form(text: str) -> str:
    """What is read for `text`."""
    return " ".join(unit.spoken for unit in units(text) if unit.spoken)


def written_times(
    units: Sequence[Unit], token_times: Sequence[tuple[float, float]]
) -> tuple[tuple[str, float, float], ...]:
    """Carry the times of the spoken form's whitespace tokens back to the written tokens.

    `token_times` holds (start, end) in seconds, one per whitespace token of the spoken form, in
    order. Gives (written token, start, end), one per written token: starts and ends never run
    backwards. Tokens read as one share their time by length; a token that is not read gets no
    time, at the end of the one before it. Raises ValueError if the numbers of tokens differ.
    """
    expected = sum(len(unit.spoken.split()) for unit in units)
    if expected != len(token_times):
        raise ValueError(
            f"the units hold {expected} spoken tokens, but {len(token_times)} are timed"
        )
    timed: list[tuple[str, float, float]] = []
    at = 0
    clock = max(token_times[0][0], 0.0) if token_times else 0.0
    for unit in units:
        count = len(unit.spoken.split())
        start = stop = clock
        if count:
            start = max(token_times[at][0], clock)
            stop = max(token_times[at + count - 1][1], start)
            at += count
        total, before = sum(map(len, unit.written)), 0
        for token in unit.written:
            begin = start + (stop - start) * before / total
            before += len(token)
            end = stop if before == total else start + (stop - start) * before / total
            timed.append((token, begin, end))
        clock = stop
    return tuple(timed)


def _apply(text: str, start: int, stop: int, ours: list[Edit]) -> str:
    said, place = "", start
    for edit in ours:
        said += text[place : edit.start] + edit.spoken
        place = edit.end
    return said + text[place:stop]


def _append(made: list[Unit], tokens: tuple[str, ...], written: str, spoken: str) -> None:
    """Add a unit; a pause before it (an opening bracket, a lone dash) goes to the one before."""
    if not any(map(str.isalnum, spoken)):
        pause = (
            written
            if written in _STOPS
            else ","
            if set(spoken) & set(_STOPS) or written in "-–—"
            else ""
        )
        spoken = ""
    else:
        pause = "," if written.lstrip("\"“'")[:1] == "(" else ""
        if written[-1] == ")" and "(" not in written[1:] and spoken[-1] not in _STOPS:
            spoken += ","
    if pause and made:
        _pause_after(made, pause)
    made.append(Unit(tokens, spoken))


def _drop_last_pause(made: list[Unit], text: str) -> None:
    """A text that ends with a closing bracket ends without a comma."""
    if made and made[-1].spoken.endswith(",") and not text.rstrip().endswith(","):
        made[-1] = Unit(made[-1].written, made[-1].spoken.rstrip(","))


def _pause_after(made: list[Unit], stop: str) -> None:
    for index in range(len(made) - 1, -1, -1):
        unit = made[index]
        if unit.spoken:
            if unit.spoken[-1] not in _STOPS:
                made[index] = Unit(unit.written, unit.spoken + stop)
            return
