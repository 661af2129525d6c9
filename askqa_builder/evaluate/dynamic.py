"""Multi-turn evaluation: when the model asks, the user answers, until the model answers.

The protocol is that of ACT (Chen et al., arXiv 2406.00222): a response is a clarifying question or
an answer; after at most `rounds` clarifications the response counts as final.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

from askqa_builder.errors import AskqaError, EvaluationError, RequestError
from askqa_builder.evaluate.decision import Decision, classify
from askqa_builder.evaluate.faults import fault
from askqa_builder.evaluate.responders import Conversation, Responder, Utterance
from askqa_builder.evaluate.simulate import Answer, Reply, SimulatedUser, by_rules

Fault = Callable[[str], str | None]
"""Why a response is none, in words; None: it is one."""


@dataclass(frozen=True)
class Exchange:
    """One clarification: what the model asked and what the user replied."""

    question: str
    reply: Reply


@dataclass(frozen=True)
class Trajectory:
    """A conversation from the ambiguous question to the model's last word."""

    decision: Decision
    """What the model did first; none, if that was to raise."""
    exchanges: tuple[Exchange, ...]
    final: str
    """The last response."""
    answered: bool
    """Whether that is an answer; a model that still asks has not reached the goal, and scores 0
    whatever words its question shares with the reference."""
    fault: str | None = None
    """Why the last response is none."""
    error: Exception | None = None
    """What the model, or the user, raised instead of going on; the last response is then ""."""

    @property
    def rounds(self) -> int:
        """Clarifications used."""
        return len(self.exchanges)


def converse(
    responder: Responder, conversation: Conversation, user: SimulatedUser, *, rounds: int = 1
) -> Trajectory:
    """Let the model respond and ask, at most `rounds` times. Passes on what the model raises."""
    (trajectory,) = converse_many(responder, [conversation], [user], rounds=rounds)
    if trajectory.error is not None:
        raise trajectory.error
    return trajectory


def converse_many(
    responder: Responder,
    conversations: Sequence[Conversation],
    users: Sequence[SimulatedUser],
    *,
    rounds: int = 1,
    answer: Answer = by_rules,
    fault: Fault = fault,
) -> list[Trajectory]:
    """Several conversations side by side, so that a model can respond to them in a batch.

    What a model, or a user, raises on one of them is in its trajectory.
    """
    talks = Talks(
        responder, conversations, users, rounds=rounds, answer=answer, fault=fault, voice=None
    )
    while talks.step():
        pass
    return talks.outcomes()


class Talks:
    """Several conversations side by side, a step at a time.

    With a `voice`, replies are spoken by it while the model is busy with something else.
    """

    def __init__(
        self,
        responder: Responder,
        conversations: Sequence[Conversation],
        users: Sequence[SimulatedUser],
        *,
        rounds: int,
        answer: Answer,
        fault: Fault,
        voice: Executor | None,
    ) -> None:
        self._responder = responder
        self._states = [
            _State(conversation, user, fault)
            for conversation, user in zip(conversations, users, strict=True)
        ]
        self._rounds = rounds
        self._answer = answer
        self._voice = voice
        self._open = list(self._states)
        self.model_s = 0.0
        """Time that the model has taken so far."""

    def step(self) -> bool:
        """Let the model respond to all conversations that are open; False when none is."""
        for state in self._open:
            state.hear()
        talking = [state for state in self._open if not state.is_broken]
        started = time.perf_counter()
        said = responses(self._responder, [state.conversation for state in talking])
        self.model_s += time.perf_counter() - started
        for state, response in zip(talking, said, strict=True):
            state.take(response)
        self._open = [state for state in talking if state.asks] if self._rounds else []
        self._rounds -= 1
        if self._open:
            replies = self._answer([(state.user, state.question) for state in self._open])
            for state, reply in zip(self._open, replies, strict=True):
                state.reply(reply, self._voice)
        return bool(self._open)

    def outcomes(self) -> list[Trajectory]:
        """How each conversation went, up to what was raised in it."""
        return [state.outcome() for state in self._states]


def responses(responder: Responder, conversations: Sequence[Conversation]) -> list[str | Exception]:
    """What a model says to each conversation, or what it raised.

    A model that has `respond_many(conversations)`, of the same result, is asked for all at once.
    Raises what makes every further response impossible, such as an endpoint that is down.
    """
    together = getattr(responder, "respond_many", None)
    said: list[Any] = []
    if together is not None:
        try:
            said = list(together(conversations))
        except Exception as error:
            said = [_of_one(error)] * len(conversations)
        if len(said) != len(conversations):
            raise EvaluationError(
                f"{responder.name}: respond_many gave {len(said)} responses to "
                f"{len(conversations)} conversations"
            )
    else:
        for conversation in conversations:
            try:
                said.append(responder.respond(conversation))
            except Exception as error:
                said.append(_of_one(error))
    return [
        one
        if isinstance(one, str | Exception)
        else TypeError(f"the model responded with {type(one).__name__}, not with text")
        for one in said
    ]


def _of_one(error: Exception) -> Exception:
    """Whatever a model raises is the item's failure, on record; our own errors may be more."""
    if isinstance(error, AskqaError) and not isinstance(error, RequestError | EvaluationError):
        raise error
    return error


class _State:
    """One conversation on its way."""

    def __init__(self, conversation: Conversation, user: SimulatedUser, fault: Fault) -> None:
        self.conversation = conversation
        self.user = user
        self._find_fault = fault
        self._exchanges: list[Exchange] = []
        self._decisions: list[Decision] = []
        self._last: str | Exception = ""
        self._fault: str | None = None
        self._coming: tuple[Reply, Callable[[], Utterance]] | None = None
        """A reply, and how to wait for its sound."""

    @property
    def is_broken(self) -> bool:
        return isinstance(self._last, Exception)

    @property
    def asks(self) -> bool:
        return not self.is_broken and self._decisions[-1] == "ask"

    @property
    def question(self) -> str:
        assert isinstance(self._last, str)
        return self._last

    def take(self, response: str | Exception) -> None:
        """Note what the model said."""
        self._last = response
        if isinstance(response, str):
            self._fault = self._find_fault(response)
            self._decisions.append("none" if self._fault else classify(response))

    def reply(self, reply: Reply | Exception, voice: Executor | None) -> None:
        """Let the user begin to reply."""
        if isinstance(reply, Exception):
            self._last = reply
        elif voice is None:
            self._coming = reply, partial(self.user.say, reply)
        else:
            self._coming = reply, voice.submit(self.user.say, reply).result

    def hear(self) -> None:
        """Wait for the reply, if there is one; one that cannot be spoken fails this item alone."""
        if self._coming is None:
            return
        (reply, sound), question = self._coming, self.question
        self._coming = None
        try:
            spoken = sound()
        except Exception as error:
            self._last = error
            return
        self._exchanges.append(Exchange(question, reply))
        self.conversation = self.conversation.then(Utterance("assistant", question), spoken)

    def outcome(self) -> Trajectory:
        decision: Decision = self._decisions[0] if self._decisions else "none"
        exchanges = tuple(self._exchanges)
        if isinstance(self._last, Exception):
            return Trajectory(decision, exchanges, "", answered=False, error=self._last)
        return Trajectory(
            decision,
            exchanges,
            self._last,
            answered=self._decisions[-1] == "answer",
            fault=self._fault,
        )
