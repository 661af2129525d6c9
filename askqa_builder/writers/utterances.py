"""Makes utterances of what annotators typed: questions and answers fit to be said aloud."""

from __future__ import annotations

import re

from askqa_builder.schema import Question, Reading

_QUOTES = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "`": "'"})
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_ASKING = re.compile(
    r"\b(what|which|who|whom|whose|when|where|why|how)\b"
    r"|^(is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|must"
    r"|name|list|tell|give|describe|explain)\b",
    re.IGNORECASE,
)
_ABBREVIATED = re.compile(r"(?:\b[A-Za-z]|\b(?:Inc|Ltd|Co|Corp|Jr|Sr|St|Mt|Dr|Mr|Mrs|vs|etc))\.$")
# A first word that is written with a small letter even at the start: iPod, eBay.
_SMALL_START = re.compile(r"[a-z]+[A-Z]")


def tidy_question(text: str) -> str:
    """One line with one final question mark and a capital; empty where nothing is left."""
    line = " ".join(text.translate(_QUOTES).replace("''", '"').split())
    line = without_stop(re.sub(r"\s+([,.;:?!])", r"\1", line).lstrip("?.!,;: "))
    line = re.sub(r"^(what|who|where|when|how)'s\b", r"\1 is", line, flags=re.IGNORECASE)
    line = re.sub(r"\b(in|at|of|for|on|to|from|by|with) it's\b", r"\1 its", line)
    first, _, rest = line.partition(" ")
    if _ASKING.fullmatch(first):
        line = f"{first.lower()} {rest}".strip()  # "WHen was …"
    return capitalised(line) + "?" if line else ""


def without_stop(question: str) -> str:
    """A question without its final marks; the dot of "the U.S." stays."""
    line = question.rstrip("?!,;: ")
    return line if _ABBREVIATED.search(line) else line.rstrip("?.!,;: ")


def is_question(text: str) -> bool:
    """Whether a typed text asks: it has a question mark or a wh-word, or starts like a question."""
    return len(text.split()) > 1 and ("?" in text or _ASKING.search(text.strip()) is not None)


def tidy_answer(text: str) -> str:
    """A span as people would say it: no stray marks at its ends, brackets and quotes whole."""
    line = " ".join(text.translate(_QUOTES).replace("''", '"').split()).strip(" ,;:–—-")
    for opening, closing in _BRACKETS.items():
        if line.count(opening) != line.count(closing):
            line = line.strip(opening + closing + " ")
    if line.count('"') % 2:
        line = line.strip('" ')
    elif line.count('"') == 2 and line[0] == line[-1] == '"':
        line = line[1:-1]
    line = re.sub(r"\s+([,.;:?!])", r"\1", line).strip(" ,;:–—")
    return line if _ABBREVIATED.search(line) else line.rstrip(". ")


def said(answer: str) -> str:
    """An answer as a turn: a capital at its start and a full stop at its end."""
    return capitalised(answer) + ("" if answer.endswith((".", "?", "!", '."', '!"')) else ".")


def capitalised(text: str) -> str:
    """A capital at the start, unless the first word is written like iPod."""
    if not text or _SMALL_START.match(text):
        return text
    return text[0].upper() + text[1:]


def reading_of(question: Question, asked: str) -> Reading:
    """The reading that a question's annotation gives; evidence is the first answer's exact span.

    The reference answers are tidied like the spoken one; each is given once.
    """
    first = question.answers[0]
    exact = first.start is not None
    tidied = [tidy_answer(answer.text) for answer in question.answers]
    return Reading(
        question=asked,
        answers=tuple(dict.fromkeys(filter(None, tidied))),
        evidence=first.text if exact else None,
        evidence_start=first.start,
    )
