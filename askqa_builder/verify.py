"""Ambiguity proved by execution: answers diverge before the clarification, agree after it.

Independent solvers answer the question from the passage. Ambiguous is what they answer in two
ways, or where one of them names two answers. Then each reading is played with its clarification,
and most solvers must give that reading's answer and no other's. An unambiguous question must
bring most solvers to its one answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from pydantic import JsonValue

from askqa_builder.evaluate.metrics import squad_f1
from askqa_builder.schema import Dialogue, Reading, Turn
from askqa_builder.writers.llm_calls import Asker, Trail, UnusableError
from askqa_builder.writers.llm_replies import Solution

AGREEMENT_F1 = 0.5
"""From this SQuAD F1 on, an answer is a reading's: half of the words are right and there."""
VERSION = 1
"""Raise it whenever the same replies would be judged otherwise."""

Answers = tuple[str, ...]

T = TypeVar("T")


class Verifier:
    """Puts dialogues to `solvers` independent solvers."""

    def __init__(self, asker: Asker, solvers: int) -> None:
        """The asker's model solves: the writer's own, or a better one."""
        assert solvers > 0, solvers
        self._asker, self._solvers = asker, solvers

    async def verify(
        self, dialogue: Dialogue, clarifications: Sequence[str], trail: Trail
    ) -> dict[str, JsonValue]:
        """Return the evidence: what every solver answered.

        `clarifications`: what the user would say to choose each reading; none where the dialogue
        is unambiguous. Raises UnusableError, with the evidence, where the dialogue fails.
        """
        evidence: dict[str, JsonValue] = {
            "model": self._asker.model.model,
            "agreement_f1": AGREEMENT_F1,
        }
        until = max(i for i, turn in enumerate(dialogue.turns) if turn.act == "question")
        asked = dialogue.turns[: until + 1]
        plain = await self._solve("solve", dialogue, asked, trail)
        evidence["question"] = _json(plain)
        if not dialogue.ambiguous:
            if not self._most_say(plain, dialogue.readings, 0):
                answer = dialogue.readings[0].answers[0]
                detail = f"{asked[-1].text!r}: not {answer!r}, but {_told(plain)}"
                raise UnusableError("solvers_disagree", detail, evidence)
            return evidence
        named = {reading_of(a, dialogue.readings) for given in plain for a in given} - {None}
        if len(named) < 2:
            detail = f"{asked[-1].text!r}: every solver understood {_told(plain)}"
            raise UnusableError("solvers_find_it_clear", detail, evidence)
        talks = [
            (*asked, dialogue.turns[until + 1], Turn(role="user", act="clarification", text=said))
            for said in clarifications
        ]
        played = await asyncio.gather(
            *(self._solve("solve-clarified", dialogue, talk, trail) for talk in talks),
            return_exceptions=True,
        )
        solved = _first_error_raised(played)
        evidence["clarified"] = [_json(given) for given in solved]
        for index, given in enumerate(solved):
            if not self._most_say(given, dialogue.readings, index):
                answer = dialogue.readings[index].answers[0]
                detail = f"{clarifications[index]!r}: not {answer!r}, but {_told(given)}"
                raise UnusableError("clarification_fails", detail, evidence)
        return evidence

    async def _solve(
        self, prompt: str, dialogue: Dialogue, turns: Sequence[Turn], trail: Trail
    ) -> list[Answers]:
        """Return each solver's answers; none where its reply is not usable: it abstains."""
        talk = "\n".join(f"{turn.role.capitalize()}: {turn.text}" for turn in turns)

        async def one(sample: int) -> Answers:
            try:
                solution = await self._asker.ask(
                    prompt, Solution, trail, sample=sample, passage=dialogue.passage, talk=talk
                )
            except UnusableError as error:
                if error.reason == "request_failed":  # may well succeed in another run
                    raise
                return ()
            return solution.answers

        solved = await asyncio.gather(*map(one, range(self._solvers)), return_exceptions=True)
        return _first_error_raised(solved)

    def _most_say(self, given: Sequence[Answers], readings: Sequence[Reading], wanted: int) -> bool:
        """Whether more than half of the solvers give this reading's answer and no other."""
        agreeing = 0
        for answers in given:
            meant = {reading_of(answer, readings) for answer in answers}
            agreeing += meant == {wanted}
        return 2 * agreeing > len(given)


def reading_of(answer: str, readings: Sequence[Reading]) -> int | None:
    """Return the reading whose answers fit best by SQuAD F1; None where none does, or two do."""
    scores = [squad_f1(answer, reading.answers) for reading in readings]
    best = max(scores)
    if best < AGREEMENT_F1 or scores.count(best) > 1:
        return None
    return scores.index(best)


def _first_error_raised(results: Sequence[T | BaseException]) -> list[T]:
    """Return the results; or raise the first error, now that nothing is under way any more."""
    values: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        values.append(result)
    return values


def _json(given: Sequence[Answers]) -> JsonValue:
    return [list(answers) for answers in given]


def _told(given: Sequence[Answers]) -> str:
    return "; ".join(" / ".join(answers) or "nothing" for answers in given)
