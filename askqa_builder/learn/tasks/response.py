"""Response generation: the right response, once there is nothing left to hear or to guess."""

from __future__ import annotations

from random import Random

from askqa_builder.evaluate.items import PROMPT
from askqa_builder.learn.dialogues import SpokenDialogue
from askqa_builder.learn.tasks import main
from askqa_builder.learn.tasks.parts import Draft, Others, conversation, text_of

READ = PROMPT.replace("Listen to the passage and to the", "Read the passage and the", 1)
MEANT = "Listen to the passage and to the conversation about it. The user means: {question} Answer."


def drafts(dialogue: SpokenDialogue, others: Others, rng: Random) -> list[Draft]:
    """`from_text` for each response of the main task, `given_the_reading` for each reading."""
    read = [
        Draft("from_text", conversation(dialogue, turns, READ, text_of), target)
        for turns, _, target in main.responses(dialogue)
    ]
    meant = [
        Draft(
            "given_the_reading",
            conversation(dialogue, dialogue.asked + 1, MEANT.format(question=reading.question)),
            reading.answers[0],
        )
        for reading in dialogue.readings
    ]
    return read + meant
