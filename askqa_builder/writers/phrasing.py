"""How the assistant asks which reading is meant, and how the user replies: several ways of each."""

from __future__ import annotations

import random
import re
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
}

_ROW = "first second third fourth fifth sixth seventh eighth ninth tenth last final".split()
_SHORTER = 0.6
"""How often a reply says "the Irish one" for "the Irish term"."""

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
}


def clarifying_question(
    phrases: Sequence[str], shorter: Sequence[str | None], style: Style, rng: random.Random
) -> str:
    """Ask which of the phrases is meant; all are named, the first in full: "the Irish term or the
    Russian one"."""
    named = [_named(phrase, style) for phrase in phrases]
    named[1:] = [short or name for short, name in zip(shorter[1:], named[1:], strict=True)]
    comma = "," if style == "clause" or len(named) > 2 else ""
    choice = f"{', '.join(named[:-1])}{comma} or {named[-1]}"
    forms = _ASKS[style]
    if choice.startswith("how"):  # not: "Which do you mean, how many …?"
        forms = tuple(form for form in forms if not form.startswith("Which"))
    if style == "clause":  # not: "How many died, or …?", which would ask that itself
        forms = tuple(form for form in forms if form != "{}?")
    return capitalised(rng.choice(forms).format(choice))


def place_in_row(phrase: str) -> int:
    """Sorts "the first one" before "the second one" and "in 1842" before "in 1845"; else 0."""
    words = phrase.lower().split()
    for word in words:
        if word in _ROW:
            return _ROW.index(word)
    year = next((word for word in words if re.fullmatch(r"1\d\d\d|20\d\d", word)), "0")
    return int(year)


def clarification(
    asking: str, phrase: str, shorter: str | None, style: Style, rng: random.Random
) -> str:
    """The user's reply to `asking`: repeats the phrase that is meant, perhaps in its shorter form;
    not both sides are sorry."""
    named = _named(phrase, style)
    if shorter is not None and rng.random() < _SHORTER:
        named = shorter
    forms = _REPLIES[style]
    if asking.startswith("Sorry"):
        forms = tuple(form for form in forms if not form.startswith("Sorry"))
    return capitalised(rng.choice(forms).format(named).replace("..", "."))  # "the U.S."


def _named(phrase: str, style: Style) -> str:
    return f"the {phrase}" if style == "which" else phrase
