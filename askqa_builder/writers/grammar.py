"""The little grammar that the contrast writer needs to take a human question apart.

A question is tokenised with offsets (so that what is printed is always a slice of the original)
and given a flat parse: where its wh-word, its auxiliary and its main verb stand. Closed classes
of English are listed here; which open-class words can be verbs, nouns or adjectives is looked up
in `lemminflect`'s dictionary (made from the NIH SPECIALIST lexicon).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from askqa_builder.writers.lexicon import (
    AUXILIARIES,
    BE,
    CLOSED,
    DETERMINERS,
    HAVE,
    PREPOSITIONS,
    QUANTIFIERS,
    SUBORDINATORS,
    WH,
)

_TOKEN = re.compile(
    r"['’]s\b"
    r"|(?:[^\W\d_]\.){2,}"  # initials: U.S.
    r"|\w+(?:(?:[.,:/&–-]|['’](?!s\b))\w+)*"
    r"|[^\w\s]"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a punctuation mark and where it stands in its text."""

    text: str
    lower: str
    start: int
    end: int


def tokenize(text: str) -> tuple[Token, ...]:
    """Words, punctuation marks and possessive 's, each with its offsets."""
    return tuple(
        Token(m[0], m[0].lower().replace("’", "'"), m.start(), m.end())
        for m in _TOKEN.finditer(text)
    )


def content_words(text: str) -> set[str]:
    """Lower-cased words that carry meaning: what is left without closed classes and marks."""
    return {t.lower for t in tokenize(text) if t.lower not in CLOSED and t.lower[0].isalnum()}


@lru_cache(maxsize=1 << 14)
def word_classes(word: str) -> dict[str, tuple[str, ...]]:
    """Universal parts of speech that a lower-case word can have, each with its lemmas."""
    from lemminflect import getAllLemmas  # 0.3 s to load: only when a pair is found

    return dict(getAllLemmas(word))


def can_be(word: str, part: str) -> bool:
    """Whether the dictionary knows `word` as a NOUN, VERB, ADJ or ADV."""
    return part in word_classes(word)


def is_base_verb(token: Token) -> bool:
    """Whether a token can be an infinitive, as it follows `did` or `can`."""
    return (
        token.text == token.lower
        and token.lower not in CLOSED
        and token.lower in word_classes(token.lower).get("VERB", ())
    )


def is_participle(token: Token) -> bool:
    """Whether a token can follow `was` or `has` as a past or present participle."""
    lemmas = word_classes(token.lower).get("VERB", ()) if token.text == token.lower else ()
    if not lemmas or token.lower in CLOSED:
        return False
    if token.lower.endswith(("ed", "ing")):
        return True
    return token.lower in _past_participles(lemmas[0])


@lru_cache(maxsize=1 << 12)
def _past_participles(lemma: str) -> tuple[str, ...]:
    from lemminflect import getInflection

    return tuple(getInflection(lemma, tag="VBN"))


def is_plural(token: Token) -> bool:
    """Whether a noun is plural: another word than its lemma, or a regular -s on a name."""
    lemmas = word_classes(token.lower).get("NOUN", ())
    if lemmas:
        return token.lower not in lemmas
    return token.lower.endswith("s") and not token.lower.endswith(("ss", "us", "is"))


def is_adjective_only(token: Token) -> bool:
    """Whether a word can modify a noun but hardly be one."""
    classes = word_classes(token.lower)
    return "ADJ" in classes and "NOUN" not in classes and "VERB" not in classes


@dataclass(frozen=True, slots=True)
class Parse:
    """A wh-question taken apart; positions count tokens, the final question mark left out."""

    text: str
    tokens: tuple[Token, ...]
    wh: int
    """Where the wh-word stands: 0, or later after a fronted phrase ("In 1653, who …")."""
    auxiliary: int | None
    """None in subject questions: "Who portrayed M?"."""
    verb: int | None
    """None where the auxiliary is the only verb: "How high is Granite Peak?"."""

    def slice(self, start: int, end: int) -> str:
        """The original text of tokens `start` to `end` (exclusive)."""
        if start >= end:
            return ""
        return self.text[self.tokens[start].start : self.tokens[end - 1].end]


def parse(text: str) -> Parse | None:
    """Take a question apart; None where it is no wh-question of a known form."""
    body = text.strip().rstrip("?.! ")
    tokens = tokenize(body)
    wh = next((i for i, t in enumerate(tokens) if t.lower in WH), None)
    if wh is None or len(tokens) < 3:
        return None
    fronted = wh > 0 and not (wh == 1 and tokens[0].lower in PREPOSITIONS)
    if fronted and tokens[0].lower not in PREPOSITIONS:
        return None
    auxiliary = next(
        (i for i in range(wh + 1, len(tokens)) if tokens[i].lower in AUXILIARIES), None
    )
    if auxiliary is None or _finite_verb_before(tokens, wh, auxiliary):
        verb = _subject_question_verb(tokens, wh)
        return None if verb is None else Parse(body, tokens, wh, None, verb)
    return Parse(body, tokens, wh, auxiliary, _main_verb(tokens, wh, auxiliary))


def _finite_verb_before(tokens: Sequence[Token], wh: int, auxiliary: int) -> bool:
    """Whether the auxiliary belongs to a later clause: "Who built the tower that was …"."""
    return any(
        t.lower in SUBORDINATORS | {"that", "who", "which"} for t in tokens[wh + 1 : auxiliary]
    )


def _subject_question_verb(tokens: Sequence[Token], wh: int) -> int | None:
    start = wh + 1
    if tokens[wh].lower in ("what", "which", "whose", "how"):
        start += 1  # the noun that the wh-word asks for comes first
    for i in range(start, len(tokens)):
        token = tokens[i]
        if token.text == token.lower and can_be(token.lower, "VERB") and token.lower not in CLOSED:
            return i
        if token.lower in PREPOSITIONS and tokens[wh].lower == "who":
            return None
    return None


def _main_verb(tokens: Sequence[Token], wh: int, auxiliary: int) -> int | None:
    kind = tokens[auxiliary].lower
    fits = is_participle if kind in BE | HAVE else is_base_verb
    subject_asked = auxiliary == wh + 1 and tokens[wh].lower in ("who", "what", "which")
    first = auxiliary + 1
    asks_subject = kind in BE and (subject_asked or auxiliary > wh + 1)
    if asks_subject and first < len(tokens) and fits(tokens[first]):
        return first  # "Which language is associated with …", "How many tents were flown …"
    for i in range(first + 1, len(tokens)):
        token, before = tokens[i], tokens[i - 1]
        if token.lower in SUBORDINATORS and token.lower not in PREPOSITIONS:
            return None
        if not fits(token) or before.lower in DETERMINERS | QUANTIFIERS | PREPOSITIONS | {"'s"}:
            continue
        if is_adjective_only(before) and before.text == before.lower:
            continue
        if kind in BE and token.lower.endswith("ing") and i + 1 < len(tokens):
            following = tokens[i + 1]
            if can_be(following.lower, "NOUN") and following.lower not in CLOSED:
                continue  # "the lowest ranking cardinals"
        return i
    return None
