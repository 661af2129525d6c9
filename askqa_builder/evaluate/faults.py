"""Responses that are none: silence, loops, lectures, other scripts.

Such an item is a recorded failure: it counts as 0 in every score, is told apart from a wrong
answer, and its text is kept. Like `decision.classify`, these rules are for English.
"""

from __future__ import annotations

from collections.abc import Sequence

from askqa_builder.evaluate.decision import classify

MAX_WORDS = 1_000
"""A longer response is no answer, and nobody can listen to it: it would last six minutes."""
MAX_CHARACTERS = 10_000
_TAIL = 48
_LONGEST_UNIT = 12
"""A response loops if its last 48 words, or letters of a word, repeat a piece of 12 or fewer."""


def silence(response: str) -> str | None:
    """Whether nothing was said; for benchmarks, where whatever was said is scored."""
    return None if response.strip() else "the model said nothing"


def fault(response: str) -> str | None:
    """Why a response cannot be taken for an answer or a question, in words; None if it can."""
    words = response.split()
    if not words:
        return silence(response)
    if _loops(words):
        return f"the model loops: {' '.join(words[-_LONGEST_UNIT:])[:60]!r} again and again"
    if len(words) > MAX_WORDS:
        return f"the response has {len(words):,} words; at most {MAX_WORDS:,} are listened to"
    if len(response) > MAX_CHARACTERS:
        return (
            f"the response has {len(response):,} characters; at most {MAX_CHARACTERS:,} are "
            "listened to"
        )
    if classify(response) == "none":
        return "neither asks nor answers: no words, or another script or language"
    return None


def _loops(words: list[str]) -> bool:
    # the last word may be cut by the token limit
    return _repeats(words[:-1]) or any(_repeats(word) for word in words if len(word) > _TAIL)


def _repeats(pieces: Sequence[str]) -> bool:
    tail = pieces[-_TAIL:]
    return len(tail) == _TAIL and any(
        tail[unit:] == tail[:-unit] for unit in range(1, _LONGEST_UNIT + 1)
    )
