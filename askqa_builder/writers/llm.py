"""The writer that asks a language model: plan, write, let the checks look, mend once.

    passage ─▶ plan ─▶ idea ─▶ dialogue ─▶ Draft ─▶ (judge) ─▶ Dialogue
                                  ▲                    │
                                  └──── repair ◀───────┘  at most once

A model gives evidence as a quote; where it stands is found here. Which reading the user meant is
drawn by lot, for every reading comes with its own clarification and reply.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue, ValidationError

from askqa_builder import checks
from askqa_builder.files import first_problem
from askqa_builder.schema import AmbiguityKind, Dialogue, Draft, Passage, Reading, Reject, Turn
from askqa_builder.writers.llm_calls import Asker, Trail, UnusableError
from askqa_builder.writers.llm_replies import (
    AmbiguousDialogue,
    AmbiguousPlan,
    ClearDialogue,
    ClearPlan,
    Exchange,
    WrittenReading,
)
from askqa_builder.writers.quotes import find_quote

IDEAS_PER_PLAN = 3
"""How many dialogues of one kind are made from one plan of a passage."""
EARLIER = (0, 0, 0, 1, 1, 2)
"""Earlier exchanges, drawn by lot."""

Judge = Callable[[Draft], Dialogue | Reject]
"""Makes a draft the dialogue that it would be in the data set, or says why it may not be."""


@dataclass(frozen=True)
class Written:
    """A dialogue that passed the checks, with what the dialogue itself does not hold."""

    dialogue: Dialogue
    clarifications: tuple[str, ...]
    """What the user would say to choose each reading; empty for an unambiguous dialogue."""
    repaired: str | None
    """The fault that was mended."""


class LlmWriter:
    """Writes one dialogue at a time."""

    name = "llm"
    version = "1"

    def __init__(self, asker: Asker, seed: int) -> None:
        self._asker, self._seed = asker, seed

    async def write(
        self,
        passage: Passage,
        kind: AmbiguityKind | None,
        sample: int,
        judge: Judge,
        trail: Trail,
    ) -> Written:
        """Write the dialogue `sample` (0, 1 …) of this kind, None being unambiguous.

        Raises UnusableError where nothing usable comes of it, EndpointError where the endpoint
        is of no use.
        """
        key = draft_key(kind, sample)
        rng = random.Random(f"{self._seed}:{passage.id}:{key}")
        idea = await self._idea(passage, kind, sample, trail)
        facts: dict[str, JsonValue] = {"earlier": rng.choice(EARLIER)}
        schema: type[AmbiguousDialogue | ClearDialogue]
        if kind is not None:
            prompt, schema = "write-ambiguous", AmbiguousDialogue
            facts["kind"] = kind
        else:
            prompt, schema = "write-clear", ClearDialogue
        reply = await self._asker.ask(
            prompt, schema, trail, facts=facts, passage=passage.text, idea=idea
        )
        lot = rng.random()
        outcome = _judged(passage, reply, kind, key, lot, judge)
        repaired = None
        if isinstance(outcome, Reject) and outcome.reason in _RULES:  # a reviewer's word is final
            repaired = outcome.reason
            reply = await self._asker.ask(
                "repair",
                schema,
                trail,
                facts={"rule": _RULES[outcome.reason]},
                passage=passage.text,
                dialogue=reply.model_dump_json(indent=1),
                fault=outcome.detail,
            )
            outcome = _judged(passage, reply, kind, key, lot, judge)
        if isinstance(outcome, Reject):
            raise UnusableError(outcome.reason, outcome.detail, outcome.raw)
        said: tuple[str, ...] = ()
        if isinstance(reply, AmbiguousDialogue):
            said = tuple(reading.clarification for reading in reply.readings)
        return Written(outcome, said, repaired)

    async def _idea(
        self, passage: Passage, kind: AmbiguityKind | None, sample: int, trail: Trail
    ) -> str:
        """Return the idea for this sample, as JSON."""
        number, place = divmod(sample, IDEAS_PER_PLAN)
        facts: dict[str, JsonValue] = {"ideas": IDEAS_PER_PLAN}
        prompt = "plan-clear"
        schema: type[AmbiguousPlan | ClearPlan] = ClearPlan
        if kind is not None:
            prompt, schema = "plan-ambiguous", AmbiguousPlan
            facts["kind"] = kind
        plan = await self._asker.ask(
            prompt,
            schema,
            trail,
            sample=number,
            charged=place == 0,  # to the first dialogue that is made from it
            facts=facts,
            passage=passage.text,
        )
        if place < len(plan.ideas):
            return plan.ideas[place].model_dump_json(indent=1)
        raw = plan.model_dump(mode="json")
        wanted = f"of kind {kind!r}" if kind else "with one answer only"
        if plan.ideas:
            detail = f"the plan has {len(plan.ideas)} questions {wanted}, this is number {sample}"
            raise UnusableError("no_more_questions", detail, raw)
        raise UnusableError("no_such_question", f"the planner found no question {wanted}", raw)


def draft_key(kind: AmbiguityKind | None, sample: int) -> str:
    """Name a candidate of a passage, such as `llm-time-0`."""
    return f"llm-{kind or 'clear'}-{sample}"


def _judged(
    passage: Passage,
    reply: AmbiguousDialogue | ClearDialogue,
    kind: AmbiguityKind | None,
    key: str,
    lot: float,
    judge: Judge,
) -> Dialogue | Reject:
    """Make a reply a draft, if that can be, and have it judged."""
    try:
        if isinstance(reply, AmbiguousDialogue):
            draft = _ambiguous(passage, reply, kind, key, lot)
        else:
            draft = _clear(passage, reply, key)
    except UnusableError as error:
        reason, detail = error.reason, error.detail
    except ValidationError as error:
        reason, detail = "invalid", first_problem(error)
    else:
        return judge(draft)
    raw = reply.model_dump(mode="json")
    return Reject(id=f"{passage.id}-{key}", stage="generate", reason=reason, detail=detail, raw=raw)


def _ambiguous(
    passage: Passage, reply: AmbiguousDialogue, kind: AmbiguityKind | None, key: str, lot: float
) -> Draft:
    intended = int(lot * len(reply.readings))
    meant = reply.readings[intended]
    return Draft(
        key=key,
        turns=(
            *_earlier(reply.earlier),
            Turn(role="user", act="question", text=reply.question),
            Turn(role="assistant", act="clarifying_question", text=reply.clarifying_question),
            Turn(role="user", act="clarification", text=meant.clarification),
            Turn(role="assistant", act="answer", text=meant.reply),
        ),
        ambiguous=True,
        ambiguity_kind=kind,
        readings=tuple(_reading(passage, reading) for reading in reply.readings),
        intended=intended,
    )


def _clear(passage: Passage, reply: ClearDialogue, key: str) -> Draft:
    start, evidence = _place(passage, reply.quote)
    reading = Reading(
        question=reply.question, answers=reply.answers, evidence=evidence, evidence_start=start
    )
    return Draft(
        key=key,
        turns=(
            *_earlier(reply.earlier),
            Turn(role="user", act="question", text=reply.question),
            Turn(role="assistant", act="answer", text=reply.reply),
        ),
        ambiguous=False,
        readings=(reading,),
    )


def _earlier(exchanges: tuple[Exchange, ...]) -> list[Turn]:
    return [
        turn
        for exchange in exchanges
        for turn in (
            Turn(role="user", act="question", text=exchange.question),
            Turn(role="assistant", act="answer", text=exchange.answer),
        )
    ]


def _reading(passage: Passage, written: WrittenReading) -> Reading:
    start, evidence = _place(passage, written.quote)
    return Reading(
        question=written.full_question,
        answers=written.answers,
        evidence=evidence,
        evidence_start=start,
    )


def _place(passage: Passage, quote: str) -> tuple[int, str]:
    found = find_quote(passage.text, quote)
    if found is None:
        raise UnusableError("quote_not_in_passage", f"the passage does not have {quote!r}")
    return found


_RULES = {
    "quote_not_in_passage": "A quote must stand in the passage, letter by letter.",
    "invalid": "The conversation is not well formed.",
} | {check.__name__: " ".join((check.__doc__ or "").split()) for check in checks.CHECKS}
"""What a model is told about a fault that it can mend: the check's own description."""
