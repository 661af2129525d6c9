"""Multi-turn evaluation: when the model asks, the user answers, until the model answers.

The protocol is that of ACT (Chen et al., arXiv 2406.00222): a response is a clarifying question or
an answer; after at most `rounds` clarifications the response counts as final.
"""

from __future__ import annotations

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
    exchanges: list[Exchange] = []
    response = responder.respond(conversation)
    decision = first = classify(response)
    while decision == "ask" and len(exchanges) < rounds:
        reply, spoken = user.reply(response)
        exchanges.append(Exchange(response, reply))
        conversation = conversation.then(Utterance("assistant", response), spoken)
        response = responder.respond(conversation)
        decision = classify(response)
    return Trajectory(first, tuple(exchanges), response, answered=decision == "answer")
