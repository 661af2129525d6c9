"""The simulated user: answers the model's clarifying question, by rules.

The user knows what they meant and answers *that* question honestly:

    names several readings       "The motto or the flower?"      I mean the flower.
    names the intended reading   "Do you mean the flower?"       Yes.
    names another one            "Do you mean the motto?"        No, I mean the flower.
    open, asks what was meant    "Which one do you mean?"        I mean the flower.
    anything else                "Do you mean the weather?"      I'm not sure what you mean.

So a question that does not help gets no help. That people answer so is seen in Abg-CoQA (Guo et
al., 2021): "Yes.", "No, I mean …", "I mean …". All readings are used to understand the question;
the reply tells nothing but the intended one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from askqa_builder.evaluate.questions import (
    distinguishing_words,
    mentions,
    named,
    shares_topic,
    span_of,
)
from askqa_builder.evaluate.responders import Sound, Utterance

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Speak = Callable[[str], tuple[npt.NDArray[np.float32], int]]

ReplyKind = Literal["option", "yes", "no", "restated", "unclear"]

UNCLEAR = "I'm not sure what you mean."

LONGEST_QUESTION = 150
"""Words. Nobody can follow a longer question by ear; reciting the passage is no way to ask."""

_CHOICE = re.compile(
    r"\bor\b(?! (?:not|so|something|anything|someone|give|provide|rephrase|tell)\b)"
)
_NEGATION = re.compile(r"\b(?:not|\w+n't)\b")
_OPEN = re.compile(
    r"\b(?:which|who|whom|whose|what|where|when|how)\b[^.?!]{0,80}?\b(?:do|did|are|were|would) you"
    r" (?:mean|refer|ask|talk|interested|looking|thinking of|have in mind|after"
    r"|want (?:to (?:know|hear)|the|me)|like (?:to (?:know|hear)|me)|prefer)"
    r"|\b(?:clarify|specify|rephrase|repeat|elaborate|more (?:specific|precise|details?|context))\b"
    r"|\b(?:sure|certain|clear|unclear|know|tell me|say|depends on|understand) (?:to me )?"
    r"(?:which|who|whom|whose|what)\b"
    # "Which one?", "Who?", "Which of the two?"; not "Who are you?"
    r"|(?:^|[.?!] )(?:sorry,? |okay,? )?(?:which|who|whom|whose|what)"
    r"(?: (?!are|is|was|were|do|did|does|can|of)\w+)?(?: of the\w*(?: \w+)?)?$"
    r"|\b(?:is|was|are|were|did|does|do) (?:what|who|which)$"
)
_QUESTION_WORDS = frozenset(
    "what which who whom whose when where why how is are was were do does did has have had can "
    "could will would should in on at for by from to with the name".split()
)


@dataclass(frozen=True)
class Reply:
    """What the user says to a clarifying question, and why."""

    text: str
    kind: ReplyKind


class SimulatedUser:
    """A user who meant one reading, and says so in their own voice where `speak` is given."""

    def __init__(self, readings: Sequence[str], intended: int, speak: Speak | None = None) -> None:
        """`readings` are full questions; `speak` turns a reply into (samples, rate in Hz)."""
        self.readings = tuple(readings)
        self.intended = intended
        self._speak = speak

    def say(self, reply: Reply) -> Utterance:
        """The reply as a turn of the conversation. Raises what `speak` raises."""
        sound = Sound(*self._speak(reply.text)) if self._speak else None
        return Utterance("user", reply.text, sound)


Answer = Callable[[Sequence[tuple[SimulatedUser, str]]], Sequence["Reply | Exception"]]
"""Users and the clarifying questions put to them → what each replies, or why there is no reply."""


def by_rules(asked: Sequence[tuple[SimulatedUser, str]]) -> list[Reply | Exception]:
    """`reply_to` for each."""
    return [reply_to(question, user.readings, user.intended) for user, question in asked]


def reply_to(question: str, readings: Sequence[str], intended: int) -> Reply:
    """The user's reply to a clarifying question; a pure function of its arguments.

    `readings` are full questions, one or more, of which the user means `readings[intended]`.
    """
    if len(question.split()) > LONGEST_QUESTION:
        return Reply(UNCLEAR, "unclear")
    asked = question.lower().replace("’", "'").strip(" .?!\n")
    restated = Reply(f"I mean {_option(readings, intended)}.", "restated")
    is_choice = _CHOICE.search(asked) is not None
    is_open = _OPEN.search(asked) is not None

    said = mentions(question, readings)
    mine = said[intended]
    helps = any(words != mine for index, words in enumerate(said) if index != intended)
    if len(readings) == 1:  # nothing to tell apart: the user can only say it again
        helps_out = (is_open and not is_choice) or shares_topic(question, readings[0])
        return restated if helps_out else Reply(UNCLEAR, "unclear")
    if not helps:
        return restated if is_open and not is_choice else Reply(UNCLEAR, "unclear")

    option = Reply(restated.text, "option")
    clear = named(said)
    if is_choice or is_open or len(clear) > 1 or _NEGATION.search(asked):
        return option
    if intended in clear:
        return Reply("Yes.", "yes")
    return option if mine else Reply(f"No, {restated.text}", "no")


def _option(readings: Sequence[str], intended: int) -> str:
    """What the user calls their reading: its distinguishing part, or the whole question."""
    question = readings[intended]
    if len(readings) > 1:
        part = span_of(question, distinguishing_words(tuple(readings))[intended])
        if part is not None:
            return part
    # Imported readings may be worded "Where? I mean the harbour."
    question = question.rpartition(" I mean ")[2]
    first, _, rest = question.strip().rstrip(" .?!").partition(" ")
    return f"{first.lower() if first.lower() in _QUESTION_WORDS else first} {rest}".strip()
