"""What the tasks are written with: drafts of examples, and what they borrow from other dialogues.

A draft refers to clips; `examples.py` reads their sound. Layout follows the evaluator's: the
instruction, the passage, then what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from askqa_builder.evaluate.responders import Utterance
from askqa_builder.evaluate.responders.messages import PASSAGE, MessageOf, laid_out
from askqa_builder.learn.dialogues import Clip, Heard, SpokenDialogue
from askqa_builder.segment import sentences

Message = MessageOf[Clip]
LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Draft:
    """An example that still refers to clips for its sound."""

    form: str
    messages: tuple[Message, ...]
    """Ends with the user's."""
    target: str

    @property
    def clips(self) -> list[Clip]:
        """The clips that are heard, in order."""
        return [p for m in self.messages for p in m.parts if isinstance(p, Clip)]


@dataclass(frozen=True)
class Others:
    """What the passages of the training data say, to take wrong choices from."""

    statements: tuple[tuple[str, str], ...] = field(repr=False)
    """(passage id, sentence)."""
    questions: tuple[tuple[str, str], ...] = field(repr=False)
    answers: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def of(cls, dialogues: Sequence[SpokenDialogue]) -> Others:
        """Each text once for each passage, in the order of the data."""
        statements: dict[tuple[str, str], None] = {}
        questions: dict[tuple[str, str], None] = {}
        answers: dict[tuple[str, str], None] = {}
        read: set[str] = set()
        for d in dialogues:
            if d.passage_id not in read:
                read.add(d.passage_id)
                statements |= dict.fromkeys((d.passage_id, s) for s in sentences(d.passage))
            questions |= dict.fromkeys((d.passage_id, r.question) for r in d.readings)
            answers |= dict.fromkeys((d.passage_id, r.answers[0]) for r in d.readings)
        return cls(tuple(statements), tuple(questions), tuple(answers))


def elsewhere(
    rng: Random,
    texts: Sequence[tuple[str, str]],
    dialogue: SpokenDialogue,
    fits: Callable[[str], bool] = lambda text: True,
) -> str | None:
    """One of the texts of other passages that fits; None where a few dozen draws find none."""
    if not texts:
        return None
    for _ in range(50):
        passage, text = rng.choice(texts)
        if passage != dialogue.passage_id and fits(text):
            return text
    return None


def clip_of(utterance: Utterance) -> str | Clip:
    """What a listener gets: the user's and the narrator's clips, the assistant's text."""
    if isinstance(utterance, Heard) and utterance.clip and utterance.speaker != "assistant":
        return utterance.clip
    return utterance.text


def text_of(utterance: Utterance) -> str | Clip:
    """What a reader gets."""
    return utterance.text


def written_passage(utterance: Utterance) -> str | Clip:
    """The passage as text, the user's turns as clips."""
    return utterance.text if utterance.speaker == "narrator" else clip_of(utterance)


def conversation(
    dialogue: SpokenDialogue,
    turns: int,
    prompt: str,
    part_of: Callable[[Utterance], str | Clip] = clip_of,
) -> tuple[Message, ...]:
    """The first `turns` turns in the evaluator's own layout, under an instruction."""
    return tuple(laid_out(dialogue.conversation(turns, prompt), part_of))


def about_passage(dialogue: SpokenDialogue, prompt: str, then: str) -> tuple[Message, ...]:
    """The narration, then something written about it."""
    return (MessageOf("user", (prompt + PASSAGE, *dialogue.narration, f"\n\n{then}")),)


def lettered(choices: Sequence[str]) -> str:
    """A list of choices, a line each."""
    return "\n".join(f"{letter}: {text}" for letter, text in zip(LETTERS, choices, strict=False))
