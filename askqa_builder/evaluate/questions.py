"""What a clarifying question is about: which readings does it name, and does it tell them apart?

Readings are full questions, such as "What is the motto of Wales?" and "What is the flower of
Wales?". What distinguishes them are the words that not all of them have: *motto* and *flower*. A
text *names* a reading when it has distinguishing words of that reading, and not all of these are
words of another reading that it has as many of. Words are compared without endings, numbers in
digits, and question words with their nouns (when: time, date, year …).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from askqa_builder.evaluate.numbers import digits

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

FUNCTION_WORDS = frozenset(
    (
        "a an the this that these those and or but nor so of in on at to for from by with about as "
        "into is are was were be been being am do does did done has have had will would can could "
        "shall should may might must it its they them their he him his she her i me my you your we "
        "us our there here what which whose whom one ones any some not no yes if then than also "
        "please mean meant"
    ).split()
)

# Words that ask, and the nouns that name what they ask for: "Do you mean the place or the time?"
_ASKED_FOR = {
    "when": "time date year day month century",
    "where": "place location",
    "who": "person name identity",
    "why": "reason cause",
    "tall": "height",
    "high": "height",
    "old": "age",
    "long": "length duration",
    "big": "size",
    "large": "size",
    "far": "distance",
    "many": "number amount count",
    "much": "amount price cost",
    "wide": "width",
    "deep": "depth",
    "heavy": "weight",
    "born": "birth birthday birthplace",
    "died": "death",
}

# Parts of a clarifying question that are about the conversation; "who" in "Who do you mean?" does
# not name the reading "Who built it?".
_FRAME = re.compile(
    r"\b(?:(?:which|what|who|whom|where|when|how|why)(?: one| ones| exactly)? )?"
    r"(?:(?:do|did|are|were|would|could|can) (?:you|we)"
    r"(?: (?:mean|meant|want|wish|need|like|refer|referring|talking|asking|thinking|looking"
    r"|interested|speaking|have in mind|to know|to|about|for|of|in|please|be more|clarify|specify"
    r"|tell me|let me know))*"
    r"|you (?:mean|meant|are asking(?: about)?|are referring to)"
    r"|when you (?:say|said|ask|asked))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Coverage:
    """What a clarifying question does for a set of readings."""

    named: tuple[bool, ...]
    """Which readings it names."""
    separates: bool
    """Whether any honest reply to it tells the intended reading from every other one."""

    @property
    def names_all(self) -> bool:
        return all(self.named)


def clarifying_coverage(question: str, readings: Sequence[str], intended: int) -> Coverage:
    """Which readings a clarifying question names, and whether it separates the intended one.

    `readings` are full questions, two or more. A question separates the intended reading if what
    it says about that one, it says about no other. Naming every reading separates every reading.
    """
    said = mentions(question, readings)
    others = [words for index, words in enumerate(said) if index != intended]
    return Coverage(
        named=tuple(index in named(said) for index in range(len(readings))),
        separates=all(words != said[intended] for words in others),
    )


def mentions(text: str, readings: Sequence[str]) -> list[frozenset[str]]:
    """The distinguishing words of each reading that a text has.

    A text that quotes a reading's question in full mentions that reading in any case.
    """
    tokens = _stems(_FRAME.sub(" ", text))
    present = set(tokens)
    quoted = _stems(text)
    return [
        frozenset(present & words) | ({f"reading {index}"} if _holds(quoted, question) else set())
        for index, (words, question) in enumerate(
            zip(distinguishing_words(tuple(readings)), map(_stems, readings), strict=True)
        )
    ]


def named(said: Sequence[frozenset[str]]) -> set[int]:
    """Readings with a mention that is not part of what is said about another reading."""
    return {
        index
        for index, words in enumerate(said)
        if words
        and not any(words < other for other in said)
        # The same words for two readings name neither.
        and sum(words == other for other in said) == 1
    }


@lru_cache(maxsize=4096)
def distinguishing_words(readings: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    """For each reading the stems that not all readings have, nouns for question words included.

    Content words; where these say nothing about a reading, all its words: "before" and "after" may
    be all the difference. Empty for a reading that has no word of its own.
    """
    everything = [frozenset(_stems(reading)) for reading in readings]
    content = _own([_with_nouns(words - _FUNCTION_STEMS) for words in everything])
    return tuple(mine or fallback for mine, fallback in zip(content, _own(everything), strict=True))


def _own(words: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """Each set without what all of them share."""
    shared = frozenset.intersection(*words) if len(words) > 1 else frozenset[str]()
    return [each - shared for each in words]


def shares_topic(text: str, reading: str) -> bool:
    """Whether a text has a content word of a reading's question."""
    return bool(set(_stems(text)) & set(_stems(reading)) - _FUNCTION_STEMS)


def resolve(text: str, readings: Sequence[str]) -> int | None:
    """The one reading that a text names; None if it names none, or several."""
    said = mentions(text, readings)
    candidates = named(said)
    if len(candidates) > 1:
        # "How tall is the tower antenna?" also quotes "How tall is the tower?": the longest counts.
        quoted = [index for index in candidates if f"reading {index}" in said[index]]
        candidates = set(sorted(quoted, key=lambda index: -len(readings[index]))[:1])
    return candidates.pop() if len(candidates) == 1 else None


def span_of(reading: str, words: frozenset[str]) -> str | None:
    """The shortest part of a reading's question that has all its distinguishing words.

    With the article or possessive in front of it. None where that is most of the question, or
    where the part would not stand alone after "I mean".
    """
    tokens = list(_TOKEN.finditer(reading))
    lower = [token.group().lower() for token in tokens]
    hits = [index for index, token in enumerate(tokens) if words.intersection(_stems(token[0]))]
    if not hits:
        return None
    first, last = hits[0], hits[-1]
    if any(word in _ASKED_FOR or word in _QUESTION_WORDS for word in lower[first : last + 1]):
        return None
    if all(word in FUNCTION_WORDS | _PREPOSITIONS for word in lower[first : last + 1]):
        last = len(tokens) - 1  # "before", "after": the rest of the question belongs to it
    if last - first + 1 > 0.6 * len(tokens) or all(
        word in FUNCTION_WORDS - _PREPOSITIONS for word in lower[first : last + 1]
    ):
        return None
    # Names, and what follows a preposition or an article, stand alone; a verb does not.
    is_name = all(token.group()[0].isupper() for token in tokens[first : last + 1])
    before = lower[first - 1] if first > 0 else ""
    if not (is_name or lower[first] in _PREPOSITIONS or before in _PREPOSITIONS | _DETERMINERS):
        return None
    while first > 0 and lower[first - 1] in _DETERMINERS:
        first -= 1
    return reading[tokens[first].start() : tokens[last].end()]


_DETERMINERS = frozenset("the a an his her its their my your our this that these those".split())
_QUESTION_WORDS = frozenset("what which how whose".split())
_PREPOSITIONS = frozenset(
    "of in on at to for from by with about as into before after during until since above below "
    "under over between among against through throughout without within behind near inside "
    "outside across around along towards toward besides".split()
)


def _with_nouns(stems: frozenset[str]) -> frozenset[str]:
    """The stems, with the nouns that their question words ask for, and the other way round."""
    more = set(stems)
    for word, nouns in _STEMMED_ASKED_FOR.items():
        if word in stems:
            more |= nouns
        elif stems & nouns:
            more.add(word)
    return frozenset(more)


def _stems(text: str) -> list[str]:
    shouted = text.isupper()
    return [
        # "the US" is not "us": capitals tell, unless everything is in capitals.
        token if token.isupper() and not shouted and len(token) > 1 else _stem(token.lower())
        for token in _TOKEN.findall(digits(text).replace("’", "'"))
    ]


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    """Without possessive, plural, -ed, -ing and final e: "bridges" → "bridg", "removed" → "remov".

    The plural rules are the S-stemmer's (Harman, 1991).
    """
    word = word.removesuffix("'s").removesuffix("'")
    if word.endswith("ies") and not word.endswith(("eies", "aies")) and len(word) > 4:
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith(_NO_PLURAL):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            word = word.removesuffix(ending)
            break
    return word.removesuffix("e") if len(word) > 3 else word


def _holds(tokens: list[str], part: list[str]) -> bool:
    """Whether `part` occurs in `tokens`, in one piece."""
    n = len(part)
    return n > 0 and any(tokens[i : i + n] == part for i in range(len(tokens) - n + 1))


_NO_PLURAL = ("us", "ss", "aes", "ees", "oes")
_FUNCTION_STEMS = frozenset(map(_stem, FUNCTION_WORDS))
_STEMMED_ASKED_FOR = {
    _stem(word): frozenset(_stem(noun) for noun in nouns.split())
    for word, nouns in _ASKED_FOR.items()
}
