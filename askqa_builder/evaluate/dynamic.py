"""Multi-turn evaluation: when the model asks, the user answers, until the model answers.

The protocol is that of ACT (Chen et al., arXiv 2406.00222): a response is a clarifying question or
an answer; after at most `rounds` clarifications the response counts as final.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    """What the model did first."""
    exchanges: tuple[Exchange, ...]
    final: str
    """The last response."""
    answered: bool
    """Whether that is an answer; a model that still asks has not reached the goal, and scores 0
    whatever words its question shares with the reference."""
    fault: str | None = None
    """Why the last response is none."""

    @property
    def rounds(self) -> int:
        """Clarifications used."""
        return len(self.exchanges)


def converse(
    responder: Responder, conversation: Conversation, user: SimulatedUser, *, rounds: int = 1
) -> Trajectory:
    """Let the model respond and ask, at most `rounds` times. Passes on what the model raises."""
    (trajectory,) = converse_many(responder, [conversation], [user], rounds=rounds)
    if isinstance(trajectory, Exception):
        raise trajectory
    return trajectory


def converse_many(
    responder: Responder,
    conversations: Sequence[Conversation],
    users: Sequence[SimulatedUser],
    *,
    rounds: int = 1,
    answer: Answer = by_rules,
    fault: Fault = fault,
) -> list[Trajectory | Exception]:
    """Several conversations side by side, so that a model can respond to them in a batch.

    What a model, or a user, raises on one of them is returned in its place.
    """
    states = [_State(conversation, fault) for conversation in conversations]
    for step in range(rounds + 1):
        open_states = [i for i, state in enumerate(states) if state.asks or step == 0]
        if step and open_states:
            replies = answer([(users[i], states[i].question) for i in open_states])
            for i, reply in zip(open_states, replies, strict=True):
                states[i].reply(users[i], reply)
            open_states = [i for i in open_states if states[i].asks]
        if not open_states:
            break
        said = responses(responder, [states[i].conversation for i in open_states])
        for i, response in zip(open_states, said, strict=True):
            states[i].take(response)
    return [state.outcome() for state in states]


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

    def __init__(self, conversation: Conversation, fault: Fault) -> None:
        self.conversation = conversation
        self._find_fault = fault
        self._exchanges: list[Exchange] = []
        self._decisions: list[Decision] = []
        self._last: str | Exception = ""
        self._fault: str | None = None

    @property
    def asks(self) -> bool:
        return not isinstance(self._last, Exception) and self._decisions[-1:] == ["ask"]

    @property
    def question(self) -> str:
        assert isinstance(self._last, str)
        return self._last

    def take(self, response: str | Exception) -> None:
        self._last = response
        if isinstance(response, str):
            self._fault = self._find_fault(response)
            self._decisions.append("none" if self._fault else classify(response))

    def reply(self, user: SimulatedUser, reply: Reply | Exception) -> None:
        question = self.question
        try:
            if isinstance(reply, Exception):
                raise reply
            spoken = user.say(reply)
        except Exception as error:  # a reply that cannot be had or spoken fails this item alone
            self._last = error
            return
        self._exchanges.append(Exchange(question, reply))
        self.conversation = self.conversation.then(Utterance("assistant", question), spoken)

    def outcome(self) -> Trajectory | Exception:
        if isinstance(self._last, Exception):
            return self._last
        return Trajectory(
            decision=self._decisions[0],
            exchanges=tuple(self._exchanges),
            final=self._last,
            answered=self._decisions[-1] == "answer",
            fault=self._fault,
        )
