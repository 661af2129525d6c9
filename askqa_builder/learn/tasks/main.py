"""The main task: respond to the spoken question, and after a clarification answer it.

Messages are those that the evaluator gives a model, so that training and test agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from askqa_builder.evaluate.items import PROMPT
from askqa_builder.learn.dialogues import SpokenDialogue
from askqa_builder.learn.tasks.parts import Draft, Others, conversation


def drafts(dialogue: SpokenDialogue, others: Others, rng: Random) -> list[Draft]:
    """`respond` to the question, and `after_clarification` what comes then."""
    return [
        Draft(form, conversation(dialogue, turns, PROMPT), target)
        for turns, form, target in responses(dialogue)
    ]


def responses(dialogue: SpokenDialogue) -> Iterator[tuple[int, str, str]]:
    """How many turns come before each response to the question, its form, and its text."""
    for index in range(dialogue.asked + 1, len(dialogue.turns)):
        turn = dialogue.turns[index]
        if turn.role == "assistant":
            form = "respond" if index == dialogue.asked + 1 else "after_clarification"
            yield index, form, turn.clip.text
