"""How the assistant asks which reading is meant, and how the user replies: several ways of each."""

from __future__ import annotations

import random
from collections.abc import Sequence

from askqa_builder.writers.pairs import Style
from askqa_builder.writers.utterances import capitalised

_ASK = (
    "Do you mean {}?",
    "Do you mean {}?",
    "{}?",
    "Sorry, do you mean {}?",
    "Just to be sure, do you mean {}?",
    "Let me check: do you mean {}?",
    "Which do you mean, {}?",
    "Would that be {}?",
    "I'm not sure which you mean: {}?",
)
_ASK_ABOUT = (
    *_ASK,
    "Are you asking about {}?",
    "Is this about {}?",
    "Do you want to know about {}?",
)
_ASKS: dict[Style, tuple[str, ...]] = {
    "noun": _ASK_ABOUT,
    "person": tuple(form.replace("hich", "ho") for form in _ASK_ABOUT),
    "adjunct": _ASK,
    "clause": tuple(form for form in _ASK if not form.startswith("Would")),
    "which": _ASK_ABOUT,
    "count": _ASK_ABOUT,
}

_SHORTER = 0.4
"""How often "the Irish one" is said for "the Irish term"."""

_REPLY = (
    "{}.",
    "{}.",
    "I mean {}.",
    "I meant {}.",
    "{}, please.",
    "Oh, {}.",
    "Sorry, I mean {}.",
    "{}, I mean.",
)
_REPLY_ABOUT = (*_REPLY, "I'm asking about {}.", "I was thinking of {}.")
_REPLIES: dict[Style, tuple[str, ...]] = {
    "noun": _REPLY_ABOUT,
    "person": _REPLY_ABOUT,
    "adjunct": _REPLY,
    "clause": _REPLY,
    "which": _REPLY_ABOUT,
    "count": _REPLY_ABOUT,
}


def clarifying_question(
    phrases: Sequence[str], shorter: str | None, style: Style, rng: random.Random
) -> str:
    """Ask which of the phrases is meant; all are named, the last perhaps in its shorter form."""
    named = [_named(phrase, style) for phrase in phrases]
    if shorter is not None and rng.random() < _SHORTER:
        named[-1] = shorter
    comma = "," if style == "clause" or len(named) > 2 else ""
    choice = f"{', '.join(named[:-1])}{comma} or {named[-1]}"
    forms = _ASKS[style]
    if choice.startswith(("which", "how")):  # not: "Which do you mean, which song …?"
        forms = tuple(form for form in forms if not form.startswith("Which"))
    if choice.startswith("which"):  # not: "Which song she sang, or …?"
        forms = tuple(form for form in forms if form != "{}?")
    return capitalised(rng.choice(forms).format(choice))


def clarification(phrase: str, shorter: str | None, style: Style, rng: random.Random) -> str:
    """The user's reply, which repeats the phrase that is meant, perhaps in its shorter form."""
    named = _named(phrase, style)
    if shorter is not None and rng.random() < _SHORTER:
        named = shorter
    return capitalised(rng.choice(_REPLIES[style]).format(named))


def _named(phrase: str, style: Style) -> str:
    return f"the {phrase}" if style == "which" else phrase
