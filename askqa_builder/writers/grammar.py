"""The little grammar that the contrast writer needs to take a human question apart.

A question is tokenised with offsets (so that what is printed is always a slice of the original)
and given a flat parse: where its wh-word, its auxiliary and its main verb stand. Closed classes
of English are in `lexicon.py`; which open-class words can be verbs, nouns or adjectives is looked
up in `lemminflect`'s dictionary (made from the NIH SPECIALIST lexicon).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from askqa_builder.writers.lexicon import (
    AUXILIARIES,
    BE,
    CLOSED,
    DETERMINERS,
    HAVE,
    ORDINALS,
    PREPOSITIONS,
    QUANTIFIERS,
    SUBORDINATORS,
    WH,
)
from askqa_builder.writers.utterances import without_stop

_TOKEN = re.compile(
    r"['’]s\b"
    r"|(?:[^\W\d_]\.){2,}"  # initials: U.S.
    r"|\w+(?:(?:[.,:/&–-]|['’](?!s\b))\w+)*"
    r"|[^\w\s]"
)
_RELATIVES = frozenset("that which who whom whose".split())
# Infinitives that are hardly ever nouns after a noun: "the battle take place".
_SURE_VERBS = frozenset(
    "take make have get give go come become begin see say find leave lose win meet".split()
)
_VERBS_WITH_OF = frozenset("consist think die speak dispose approve dream hear".split())
_DATED = frozenset("year date day month century decade".split())


class Token(NamedTuple):
    """A word or a punctuation mark and where it stands in its text."""

    text: str
    lower: str
    start: int
    end: int

    @property
    def closed(self) -> bool:
        """Of a closed class; a capital within a sentence makes a name of it: US, One, The."""
        return self.lower in CLOSED and (self.text == self.lower or self.start == 0)

    @property
    def is_word(self) -> bool:
        return self.text[0].isalnum() or self.lower == "'s"


def tokenize(text: str) -> tuple[Token, ...]:
    """Words, punctuation marks and possessive 's, each with its offsets."""
    return tuple([Token(m[0], m[0].lower(), m.start(), m.end()) for m in _TOKEN.finditer(text)])


def content_words(text: str) -> set[str]:
    """Lower-cased words that carry meaning: what is left without closed classes and marks."""
    return {
        t.lower
        for t in tokenize(text)
        if t.text[0].isalnum() and (not t.closed or (t.text.isupper() and len(t.text) > 1))
    }


# -- words -----------------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 14)
def word_classes(word: str) -> dict[str, tuple[str, ...]]:
    """Universal parts of speech that a lower-case word can have, each with its lemmas."""
    from lemminflect import getAllLemmas  # 0.3 s to load: only when it is needed

    return dict(getAllLemmas(word))


@lru_cache(maxsize=1 << 12)
def inflected(lemma: str, tag: str) -> tuple[str, ...]:
    """The forms of a verb under a Penn tag (VBD, VBN, VBZ), the commonest first."""
    from lemminflect import getInflection

    return tuple(getInflection(lemma, tag=tag))


def can_be(word: str, part: str) -> bool:
    """Whether the dictionary knows `word` as a NOUN, VERB, ADJ or ADV."""
    return part in word_classes(word)


def is_base_verb(token: Token) -> bool:
    """Whether a token can be an infinitive, as it follows `did` or `can`."""
    return (
        token.text == token.lower
        and not token.closed
        and token.lower in word_classes(token.lower).get("VERB", ())
    )


def is_participle(token: Token) -> bool:
    """Whether a token can follow `was` or `has` as a past or present participle."""
    lemmas = word_classes(token.lower).get("VERB", ()) if token.text == token.lower else ()
    if not lemmas or token.closed:
        return False
    return token.lower.endswith(("ed", "ing")) or is_past_participle(token)


def is_past_participle(token: Token) -> bool:
    """Whether a token can follow `has`."""
    lemmas = word_classes(token.lower).get("VERB", ()) if token.text == token.lower else ()
    regular = token.lower.endswith("ed")
    return bool(lemmas) and (regular or token.lower in inflected(lemmas[0], "VBN"))


def is_plural(token: Token) -> bool:
    """Whether a noun is plural: another word than its lemma, or a regular -s on a name."""
    lemmas = word_classes(token.lower).get("NOUN", ())
    if lemmas and token.lower != "people":
        return token.lower not in lemmas
    if token.lower == "people":
        return True
    return token.lower.endswith("s") and not token.lower.endswith(("ss", "us", "is"))


def is_adjective_only(token: Token) -> bool:
    """Whether a lower-case word can modify a noun but hardly be one."""
    classes = word_classes(token.lower)
    return (
        token.text == token.lower
        and "ADJ" in classes
        and "NOUN" not in classes
        and "VERB" not in classes
    )


def is_adverb(token: Token) -> bool:
    """Whether a word is an adverb in -ly."""
    return token.lower.endswith("ly") and can_be(token.lower, "ADV")


# -- questions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parse:
    """A wh-question taken apart; positions count tokens, the final question mark left out."""

    text: str
    tokens: tuple[Token, ...]
    """"In what year", "What day" … are one token, "when"."""
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

    def lower(self, index: int) -> str:
        """The lower-case token at an index; empty beyond the end."""
        return self.tokens[index].lower if 0 <= index < len(self.tokens) else ""


def parse(text: str, tokens: tuple[Token, ...] | None = None) -> Parse | None:
    """Take a question apart; None where it is no single wh-question of a known form.

    `tokens` are those of the text without its final mark, where they are known already.
    """
    body = without_stop(text)
    tokens = _when_as_one(tokenize(body) if tokens is None else tokens)
    wh = next((i for i, t in enumerate(tokens) if t.lower in WH), None)
    if wh is None or len(tokens) < 3:
        return None
    if wh > 0 and tokens[0].lower not in PREPOSITIONS:
        return None
    if any(a.lower == "and" and b.lower in WH for a, b in pairwise(tokens)):
        return None  # two questions in one
    auxiliary = next(
        (i for i in range(wh + 1, len(tokens)) if tokens[i].lower in AUXILIARIES), None
    )
    if auxiliary is None or any(
        t.lower in SUBORDINATORS | _RELATIVES for t in tokens[wh + 1 : auxiliary]
    ):
        verb = _subject_question_verb(tokens, wh)
        return None if verb is None else Parse(body, tokens, wh, None, verb)
    verb = _main_verb(tokens, wh, auxiliary)
    if verb is None and tokens[auxiliary].lower not in BE:
        return None
    return Parse(body, tokens, wh, auxiliary, verb)


def _when_as_one(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    first = 1 if tokens and tokens[0].lower in ("in", "on", "during", "at") else 0
    words = [t.lower for t in tokens[first : first + 3]]
    if len(words) < 3 or words[0] not in ("what", "which") or words[1] not in _DATED:
        return tokens
    if words[2] not in AUXILIARIES:
        return tokens
    last = tokens[first + 1]
    text = " ".join(t.text for t in tokens[: first + 2])
    return (Token(text, "when", tokens[0].start, last.end), *tokens[first + 2 :])


def _subject_question_verb(tokens: Sequence[Token], wh: int) -> int | None:
    """The finite verb of "Who portrayed M?", "What county saw …?", "How many guards died?"."""
    start = wh + {"who": 1, "whom": 1, "how": 3}.get(tokens[wh].lower, 2)
    if tokens[wh].lower == "what" and len(tokens) > wh + 1:
        known = word_classes(tokens[wh + 1].lower)
        start -= "VERB" in known and "NOUN" not in known  # "What caused …?"
    found = [
        i
        for i in range(start, len(tokens))
        if tokens[i].text == tokens[i].lower
        and not tokens[i].closed
        and can_be(tokens[i].lower, "VERB")
        and not tokens[i].lower.endswith("ing")
        and tokens[i - 1].lower not in DETERMINERS | QUANTIFIERS | PREPOSITIONS | {"'s"}
    ]
    sure = [i for i in found if not can_be(tokens[i].lower, "NOUN")]
    return min(sure or found, default=None)


def _main_verb(tokens: Sequence[Token], wh: int, auxiliary: int) -> int | None:
    kind = tokens[auxiliary].lower
    fits = is_base_verb
    if kind in BE | HAVE:
        fits = is_participle if kind in BE else is_past_participle
    first = auxiliary + 1
    subject_asked = first > wh + 2 or tokens[wh].lower in ("who", "what", "which")
    if subject_asked and first < len(tokens) and kind not in ("do", "does", "did"):
        # "Which language is associated with …", "How many tents were flown …"
        after = first + (is_adverb(tokens[first]) or tokens[first].lower in ("been", "be"))
        if after < len(tokens) and fits(tokens[after]):
            return after
    found: list[int] = []
    for i in range(first + 1, len(tokens)):
        token, before = tokens[i], tokens[i - 1]
        if token.lower in _RELATIVES or (
            token.lower in SUBORDINATORS and token.lower not in PREPOSITIONS
        ):
            break
        if token.lower in ("do", "have") and kind not in BE | HAVE and _closes(tokens, i + 1):
            return i  # "What does an active technique do?"
        if not fits(token) or before.lower in DETERMINERS | QUANTIFIERS | PREPOSITIONS | {"'s"}:
            continue
        if is_adjective_only(before) or (
            before.lower in ORDINALS and tokens[i - 2].lower in DETERMINERS
        ):
            continue
        if kind in BE | HAVE and i + 1 < len(tokens):
            following = tokens[i + 1]
            noun = not following.closed and can_be(following.lower, "NOUN")
            if noun and (token.lower.endswith("ing") or before.lower in ORDINALS):
                continue  # "the lowest ranking cardinals", "the first published book"
            if token.lower.endswith("ing") and is_participle(following):
                continue  # "the Chrysler building built"
        found.append(i)
        sure = token.lower in _SURE_VERBS or not can_be(token.lower, "NOUN")
        behind_adverb = before.lower in ORDINALS and tokens[i - 2].lower not in DETERMINERS
        if kind not in BE | HAVE and (sure or behind_adverb):
            return i
    # of words that can be nouns too ("war", "end") the one before a boundary is the verb
    last_resort = None if not found else found[-1] if kind in BE | HAVE else found[0]
    return next((i for i in found if _closes(tokens, i + 1)), last_resort)


def _closes(tokens: Sequence[Token], index: int) -> bool:
    if index >= len(tokens):
        return True
    token = tokens[index]
    if token.lower == "of" and tokens[index - 1].lower not in _VERBS_WITH_OF:
        return False
    if can_be(token.lower, "ADJ") and not can_be(token.lower, "VERB"):
        return True  # "did the emperor use military force"
    return token.closed or token.text != token.lower or is_adverb(token)
