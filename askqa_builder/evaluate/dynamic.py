"""Multi-turn evaluation: when the model asks, the user answers, until the model answers.

The protocol is that of ACT (Chen et al., arXiv 2406.00222): a response is a clarifying question or
an answer; after at most `rounds` clarifications the response counts as final.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from askqa_builder.evaluate.decision import Decision, classify
from askqa_builder.evaluate.responders import Conversation, Responder, Utterance
from askqa_builder.evaluate.simulate import Reply, SimulatedUser


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
) -> list[Trajectory | Exception]:
    """Several conversations side by side, so that a model can respond to them in a batch.

    What a model raises on one of them is returned in its place.
    """
    states = [_State(conversation) for conversation in conversations]
    for step in range(rounds + 1):
        open_states = [i for i, state in enumerate(states) if state.asks or step == 0]
        if step:
            for i in open_states:
                states[i].reply(users[i])
            open_states = [i for i in open_states if states[i].asks]
        said = responses(responder, [states[i].conversation for i in open_states])
        for i, response in zip(open_states, said, strict=True):
            states[i].take(response)
    return [state.outcome() for state in states]


def responses(responder: Responder, conversations: Sequence[Conversation]) -> list[str | Exception]:
    """What a model says to each conversation, or what it raised.

    A model that has `respond_many(conversations)`, of the same result, is asked for all at once.
    """
    together = getattr(responder, "respond_many", None)
    if together is not None:
        many: list[str | Exception] = list(together(conversations))
        return many
    said: list[str | Exception] = []
    for conversation in conversations:
        try:
            said.append(responder.respond(conversation))
        except Exception as error:  # whatever a model raises is the item's failure, on record
            said.append(error)
    return said


class _State:
    """One conversation on its way."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self._exchanges: list[Exchange] = []
        self._first: Decision | None = None
        self._last: str | Exception = ""
        self.asks = False

    def take(self, response: str | Exception) -> None:
        self._last = response
        decision = classify(response) if isinstance(response, str) else "none"
        self._first = self._first or decision
        self.asks = decision == "ask"

    def reply(self, user: SimulatedUser) -> None:
        assert isinstance(self._last, str)
        try:
            reply, spoken = user.reply(self._last)
        except Exception as error:  # a reply that cannot be spoken fails this item alone
            self.take(error)
            return
        self._exchanges.append(Exchange(self._last, reply))
        self.conversation = self.conversation.then(Utterance("assistant", self._last), spoken)

    def outcome(self) -> Trajectory | Exception:
        if isinstance(self._last, Exception):
            return self._last
        answered = classify(self._last) == "answer"
        assert self._first is not None
        return Trajectory(self._first, tuple(self._exchanges), self._last, answered)
