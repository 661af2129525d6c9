"""When each written word is heard, from the durations of a model's symbols.

The model's words are not those of the text: eSpeak's phonemes run "of the" together and take
"state-of-the-art" apart. So the two rows of words are matched by their lengths, in order: one with
one, several with one, or one with several (dynamic time warping with whole words).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"\S+")
_MOST = 4
"""Words on one side that may match one word on the other."""


def token_times(
    lengths: Sequence[int], symbols: str, starts_s: Sequence[float]
) -> list[tuple[float, float]]:
    """Start and end in seconds of each token of a text.

    `lengths`: symbols that each token has by itself, 0 for one that is not spoken. `symbols` and
    `starts_s` are the model's (`Spoken`): when each symbol begins, and when the last one ends.
    Tokens that are one word to the model share its time by length; an unspoken one takes none.
    """
    words = [_span(match, starts_s) for match in _WORD.finditer(symbols) if _letters(match.group())]
    spoken = [index for index, length in enumerate(lengths) if length]
    if not words or not spoken:
        return [(0.0, 0.0)] * len(lengths)
    sizes = [_letters(match.group()) for match in _WORD.finditer(symbols)]
    times: dict[int, tuple[float, float]] = {}
    for tokens, matched in _match([lengths[i] for i in spoken], [size for size in sizes if size]):
        start, end = words[matched[0]][0], words[matched[-1]][1]
        group = [spoken[token] for token in tokens]
        per_symbol = (end - start) / sum(lengths[index] for index in group)
        for index in group:
            times[index] = (start, start + per_symbol * lengths[index])
            start = times[index][1]
    at = 0.0
    row: list[tuple[float, float]] = []
    for index in range(len(lengths)):
        row.append(times.get(index, (at, at)))
        at = row[-1][1]
    return row


def _match(ours: Sequence[int], theirs: Sequence[int]) -> list[tuple[range, range]]:
    """Cut two rows of lengths into groups that match in order, at the least total difference."""
    infinite = float("inf")
    best = [[infinite] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    came: dict[tuple[int, int], tuple[int, int]] = {}
    best[0][0] = 0.0
    most = max(_MOST, len(ours) // len(theirs) + 1, len(theirs) // len(ours) + 1)
    steps = [(1, 1)] + [s for n in range(2, most + 1) for s in ((n, 1), (1, n))]
    for i in range(len(ours)):
        for j in range(len(theirs)):
            if best[i][j] == infinite:
                continue
            for a, b in steps:
                if i + a > len(ours) or j + b > len(theirs):
                    continue
                cost = best[i][j] + abs(sum(ours[i : i + a]) - sum(theirs[j : j + b]))
                if cost < best[i + a][j + b]:
                    best[i + a][j + b] = cost
                    came[i + a, j + b] = (i, j)
    groups: list[tuple[range, range]] = []
    at = (len(ours), len(theirs))
    while at != (0, 0):
        before = came[at]
        groups.append((range(before[0], at[0]), range(before[1], at[1])))
        at = before
    return groups[::-1]


def _span(match: re.Match[str], starts_s: Sequence[float]) -> tuple[float, float]:
    """A word of the model without the marks around it."""
    word = match.group()
    begin = next(i for i, symbol in enumerate(word) if symbol.isalnum())
    end = len(word) - next(i for i, symbol in enumerate(reversed(word)) if symbol.isalnum())
    return starts_s[match.start() + begin], starts_s[match.start() + end]


def _letters(word: str) -> int:
    return sum(map(str.isalnum, word))
