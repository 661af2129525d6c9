"""Responders whose scores are known beforehand: they show that the measuring side is right."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from askqa_builder.evaluate.questions import resolve
from askqa_builder.evaluate.responders import Conversation
from askqa_builder.schema import Reading

Policy = Literal["when_ambiguous", "never", "always"]


@dataclass(frozen=True)
class Constant:
    """Says the same whatever it hears."""

    name: str
    text: str

    def respond(self, conversation: Conversation) -> str:
        return self.text


ALWAYS_ANSWER = Constant("always-answer", "I don't know.")
ALWAYS_ASK = Constant("always-ask", "Which one do you mean?")


def most_frequent_answer(answers: Sequence[str]) -> Constant:
    """Gives the most frequent of `answers` (the training split's); ties go to the first seen.

    Raises ValueError if there are none.
    """
    if not answers:
        raise ValueError("there is no answer to take the most frequent of")
    return Constant("most-frequent-answer", Counter(answers).most_common(1)[0][0])


@dataclass(frozen=True)
class Random:
    """Asks half of the time, else gives an answer to another question."""

    answers: Sequence[str]
    """To choose from: the training split's."""
    seed: int = 0
    name: str = "random"

    def respond(self, conversation: Conversation) -> str:
        draw = random.Random(f"{self.seed}:{conversation.id}:{len(conversation.turns)}")
        return ALWAYS_ASK.text if draw.random() < 0.5 else draw.choice(self.answers)


@dataclass(frozen=True)
class OracleText:
    """Knows every dialogue's readings and answers, but not which one the user means.

    It asks, naming every reading, understands the reply from its text, and gives the best
    reference answer. With `policy="never"` it answers the first reading without asking (what can
    be had without ever asking); with "always" it also asks where nothing is ambiguous.
    """

    readings: Mapping[str, Sequence[Reading]]
    """By dialogue id."""
    policy: Policy = "when_ambiguous"

    @property
    def name(self) -> str:
        return "oracle-text" if self.policy == "when_ambiguous" else f"oracle-text-{self.policy}"

    def respond(self, conversation: Conversation) -> str:
        readings = self.readings[conversation.id]
        questions = [reading.question for reading in readings]
        request = _request(questions)
        if len(conversation.turns) > 1 and conversation.turns[-2].text == request:
            meant = resolve(conversation.turns[-1].text, questions) if len(questions) > 1 else 0
            return readings[meant or 0].answers[0]
        if self.policy == "always" or (self.policy == "when_ambiguous" and len(questions) > 1):
            return request
        return readings[0].answers[0]


def _request(questions: Sequence[str]) -> str:
    """Do you mean …, or …?"""
    options = [question.strip().rstrip("?. ") for question in questions]
    return f"Do you mean {', or '.join(option[:1].lower() + option[1:] for option in options)}?"
