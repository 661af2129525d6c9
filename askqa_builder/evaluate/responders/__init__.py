"""What is evaluated: anything that hears a conversation and says something.

class Echo:
    name = "echo"

    def respond(self, conversation: Conversation) -> str:
        return conversation.turns[-1].text
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Sound:
    """Audio as it reaches a model."""

    samples: npt.NDArray[np.float32]
    """Mono, shape (n,), full scale ±1."""
    sample_rate_hz: int


@dataclass(frozen=True)
class Utterance:
    """Something said, as sound and as the text that was spoken."""

    speaker: Literal["narrator", "user", "assistant"]
    text: str
    """What a model that listens must not look at: for text models, and for reports."""
    sound: Sound | None = None
    """None in a conversation without audio."""


@dataclass(frozen=True)
class Conversation:
    """What a model hears before it responds; the last turn is the user's."""

    id: str
    """The dialogue's id."""
    prompt: str
    """Written instruction to the model."""
    narration: tuple[Utterance, ...]
    """The passage, in segments of at most 30 s."""
    turns: tuple[Utterance, ...]

    def then(self, *utterances: Utterance) -> Conversation:
        """The same conversation, continued."""
        return replace(self, turns=(*self.turns, *utterances))


class Responder(Protocol):
    """A model under evaluation."""

    @property
    def name(self) -> str:
        """What the report calls it."""
        ...

    def respond(self, conversation: Conversation) -> str:
        """What the model says next: an answer, or a clarifying question.

        May raise: the item is then a recorded failure, and the run goes on.
        """
        ...
