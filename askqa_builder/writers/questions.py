"""The writer that re-speaks human questions: one unambiguous dialogue for each."""

from __future__ import annotations

from collections.abc import Iterator

from askqa_builder.schema import Draft, Passage, Question, Reject, Turn
from askqa_builder.writers.utterances import (
    is_question,
    reading_of,
    said,
    tidy_answer,
    tidy_question,
)


class QuestionsWriter:
    """Turns every human question into the dialogue [question, answer].

    Refused with a reason: `empty_question`, `not_a_question`, `empty_answer`, and
    `duplicate_question` for what a person has asked about the same passage in the same words.
    """

    name = "questions"
    version = "1"

    def write(self, passage: Passage) -> Iterator[Draft | Reject]:
        seen: dict[str, str] = {}
        for question in passage.questions:
            asked = tidy_question(question.text)
            answer = tidy_answer(question.answers[0].text)
            first = seen.setdefault(asked.casefold(), question.id)
            if not asked:
                yield self._reject(passage, question, "empty_question", question.text)
            elif not is_question(question.text):
                yield self._reject(passage, question, "not_a_question", asked)
            elif not any(character.isalnum() for character in answer):
                detail = question.answers[0].text
                yield self._reject(passage, question, "empty_answer", detail)
            elif first != question.id:
                yield self._reject(passage, question, "duplicate_question", f"as {first!r}")
            else:
                yield plain_draft(question, asked, answer)

    def _reject(self, passage: Passage, question: Question, reason: str, detail: str) -> Reject:
        return Reject(
            id=f"{passage.id}-{question.id}",
            stage="generate",
            reason=reason,
            detail=detail,
            raw=question.model_dump(mode="json", exclude_defaults=True),
        )


def plain_draft(
    question: Question, asked: str, answer: str, history: tuple[Turn, ...] = (), key: str = ""
) -> Draft:
    """An unambiguous dialogue: earlier turns, the question, its answer."""
    turns = (
        *history,
        Turn(role="user", act="question", text=asked),
        Turn(role="assistant", act="answer", text=said(answer)),
    )
    return Draft(
        key=key or question.id,
        turns=turns,
        ambiguous=False,
        readings=(reading_of(question, asked),),
        question_ids=(question.id,),
    )
