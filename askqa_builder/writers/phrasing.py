"""How the assistant asks which reading is meant, and how the user replies: several ways of each."""

from __future__ import annotations

import random
from collections.abc import Sequence

from askqa_builder.writers.utterances import capitalised

_ASK_NOUN = (
    "Do you mean {}?",
    "Are you asking about {}?",
    "Which one do you mean, {}?",
    "{}?",
    "Sorry, do you mean {}?",
    "Would that be {}?",
    "Just to be sure, do you mean {}?",
    "Is that about {}?",
    "Let me check: do you mean {}?",
    "Which one are you asking about, {}?",
)
_ASK_PERSON = (
    "Do you mean {}?",
    "Are you asking about {}?",
    "Who do you mean, {}?",
    "{}?",
    "Sorry, do you mean {}?",
    "Would that be {}?",
    "Just to be sure, do you mean {}?",
    "Is that about {}?",
    "Let me check: do you mean {}?",
)
_ASK_ADJUNCT = (
    "Do you mean {}?",
    "{}?",
    "Sorry, do you mean {}?",
    "Just to be sure, do you mean {}?",
    "Which do you mean, {}?",
    "Would that be {}?",
    "Let me check: do you mean {}?",
    "Are you asking about the one {}?",
)
_REPLY_NOUN = (
    "{}.",
    "I mean {}.",
    "{}, please.",
    "I meant {}.",
    "I'm asking about {}.",
    "Oh, {}.",
    "Sorry, I mean {}.",
    "I was thinking of {}.",
)
_REPLY_ADJUNCT = (
    "{}.",
    "I mean {}.",
    "{}, please.",
    "I meant {}.",
    "Oh, {}.",
    "Sorry, I mean {}.",
    "{}, I mean.",
)

_ASK = {
    "noun": _ASK_NOUN,
    "person": _ASK_PERSON,
    "adjunct": _ASK_ADJUNCT[:-1],
    "clause": _ASK_ADJUNCT[:-2],
    "which": _ASK_NOUN,
    "count": _ASK_NOUN,
}
_REPLY = {"noun": _REPLY_NOUN, "person": _REPLY_NOUN}


def choice(phrases: Sequence[str]) -> str:
    """ "the motto, the song or the state flower" """
    return f"{', '.join(phrases[:-1])} or {phrases[-1]}"


def clarifying_question(phrases: Sequence[str], style: str, rng: random.Random) -> str:
    """Ask which of the phrases is meant, all of them named."""
    return capitalised(rng.choice(_ASK[style]).format(choice(_offered(phrases, style))))


def clarification(phrase: str, style: str, rng: random.Random) -> str:
    """The user's reply, which repeats the phrase that is meant."""
    return capitalised(rng.choice(_REPLY.get(style, _REPLY_ADJUNCT)).format(_named(phrase, style)))


def _offered(phrases: Sequence[str], style: str) -> list[str]:
    return [_named(phrase, style) for phrase in phrases]


def _named(phrase: str, style: str) -> str:
    if style == "which":
        return f"the {phrase}"
    return phrase
