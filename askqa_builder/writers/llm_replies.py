"""The shapes in which a model replies to the prompts; their descriptions are part of what it reads.

What a schema can say is said here, and goes back to the model in the validator's words. What needs
the passage (is the quote in it?) or the whole dialogue is checked later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_READINGS = 4
"""More cannot be offered in one spoken question."""

Line = Annotated[str, Field(min_length=1, max_length=600)]
Quote = Annotated[str, Field(min_length=1, max_length=2000, description="Copied letter by letter.")]


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class PlannedReading(_Reply):
    """One way to understand the question."""

    full_question: Line = Field(description="The question in full: it has this answer only.")
    answer: Line
    quote: Quote


class AmbiguousIdea(_Reply):
    """A question with two or more answers."""

    question: Line = Field(description="As it is asked, with no word that tells the reading.")
    readings: tuple[PlannedReading, ...] = Field(min_length=2, max_length=MOST_READINGS)

    @model_validator(mode="after")
    def _answers_differ(self) -> Self:
        _differ(reading.answer for reading in self.readings)
        return self


class AmbiguousPlan(_Reply):
    """Ambiguous questions about the passage, the best one first; may be empty."""

    ideas: tuple[AmbiguousIdea, ...] = Field(max_length=10)


class ClearIdea(_Reply):
    """A question with exactly one answer."""

    question: Line
    answer: Line
    quote: Quote


class ClearPlan(_Reply):
    """Clear questions about the passage, the best one first; may be empty."""

    ideas: tuple[ClearIdea, ...] = Field(max_length=10)


class Exchange(_Reply):
    """An earlier question and its answer, as they are said."""

    question: Line
    answer: Line


class WrittenReading(_Reply):
    """One way to understand the question, and how the conversation goes on with it."""

    full_question: Line = Field(description="The question in full: it has this answer only.")
    answers: tuple[Line, ...] = Field(
        min_length=1, max_length=5, description="The shortest good one first."
    )
    quote: Quote
    clarification: Line = Field(description="What the user says to choose this reading.")
    reply: Line = Field(description="The assistant's answer, as it is said.")


class AmbiguousDialogue(_Reply):
    """A conversation in which the assistant asks which reading is meant."""

    earlier: tuple[Exchange, ...] = Field(max_length=3)
    question: Line = Field(description="The ambiguous question, as it is said.")
    readings: tuple[WrittenReading, ...] = Field(min_length=2, max_length=MOST_READINGS)
    clarifying_question: Line = Field(description="What the assistant asks back.")

    @model_validator(mode="after")
    def _answers_differ(self) -> Self:
        _differ(reading.answers[0] for reading in self.readings)
        return self


class ClearDialogue(_Reply):
    """A conversation in which the assistant answers at once."""

    earlier: tuple[Exchange, ...] = Field(max_length=3)
    question: Line = Field(description="The question, as it is said.")
    answers: tuple[Line, ...] = Field(
        min_length=1, max_length=5, description="The shortest good one first."
    )
    quote: Quote
    reply: Line = Field(description="The assistant's answer, as it is said.")


class Solution(_Reply):
    """What the passage answers; empty where it does not."""

    answers: tuple[Line, ...] = Field(max_length=8)


def _differ(answers: Iterable[str]) -> None:
    seen: set[str] = set()
    for answer in answers:
        folded = " ".join(answer.casefold().split())
        if folded in seen:
            raise ValueError("two readings have the same answer: nothing is ambiguous")
        seen.add(folded)
