"""Listening comprehension: what was said?"""

from __future__ import annotations

import re
from random import Random

from askqa_builder.evaluate.responders.messages import MessageOf
from askqa_builder.learn.dialogues import Clip, SpokenDialogue
from askqa_builder.learn.tasks.parts import (
    Draft,
    Others,
    about_passage,
    elsewhere,
    lettered,
)
from askqa_builder.segment import sentences

TRANSCRIBE = "Write down what is said."
WHICH = "Listen to the passage. Respond with the letter of the statement that was narrated."
QUESTION = "Listen to the passage. Give a short answer to the question from it."


def drafts(dialogue: SpokenDialogue, others: Others, rng: Random) -> list[Draft]:
    """`transcribe`, `which_was_narrated` and `question_about_narration`."""
    question = dialogue.turns[dialogue.asked].clip
    found = [
        _transcribe("transcribe_question", question),
        _transcribe("transcribe_narration", rng.choice(dialogue.narration)),
    ]
    for reading in dialogue.readings:
        messages = about_passage(dialogue, QUESTION, f"The question:\n{reading.question}")
        found.append(Draft("question_about_narration", messages, reading.answers[0]))
    choice = _which(dialogue, others, rng)
    return [*found, choice] if choice else found


def _transcribe(form: str, clip: Clip) -> Draft:
    return Draft(form, (MessageOf("user", (f"{TRANSCRIBE}\n\n", clip)),), clip.text)


def _which(dialogue: SpokenDialogue, others: Others, rng: Random) -> Draft | None:
    """One narrated sentence, and one that was not: changed in what answers a question, or told
    elsewhere."""
    told = sentences(dialogue.passage)
    changed = _changed(dialogue, others, rng, told)
    if changed is None or rng.random() < 0.5:
        foreign = elsewhere(rng, others.statements, dialogue, lambda text: text not in told)
        changed = (rng.choice(told), foreign) if foreign else changed
    if changed is None:
        return None
    true, false = changed
    choices = [true, false] if rng.random() < 0.5 else [false, true]
    messages = about_passage(dialogue, WHICH, f"The statements:\n{lettered(choices)}")
    return Draft("which_was_narrated", messages, "AB"[choices.index(true)])


def _changed(
    dialogue: SpokenDialogue, others: Others, rng: Random, told: list[str]
) -> tuple[str, str] | None:
    """A narrated sentence, and the same with another answer in the place of its own."""
    places = [
        (reading, sentence, answer, found)
        for reading in dialogue.readings
        for answer in reading.answers
        for sentence in told
        if (found := re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", sentence))
    ]
    if not places:
        return None
    reading, sentence, answer, found = rng.choice(places)
    rivals = [
        r.answers[0]
        for r in dialogue.readings
        # another wording of the same answer would leave the statement true
        if r.answers[0] not in sentence and r.answers[0] not in reading.answers
    ]
    words = len(answer.split())
    other = (
        rng.choice(rivals)
        if rivals
        else elsewhere(rng, others.answers, dialogue, lambda text: len(text.split()) == words)
    )
    false = sentence[: found.start()] + (other or answer) + sentence[found.end() :]
    return (sentence, false) if false not in dialogue.passage else None
