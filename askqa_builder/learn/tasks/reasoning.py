"""Cross-modal commonsense reasoning: speech and text have to be put together."""

from __future__ import annotations

from random import Random

from askqa_builder.learn.dialogues import SpokenDialogue
from askqa_builder.learn.tasks.parts import (
    LETTERS,
    Draft,
    Others,
    about_passage,
    conversation,
    elsewhere,
    lettered,
    written_passage,
)

AMBIGUOUS = (
    "Read the passage and listen to the conversation about it. Could the user's last question "
    "mean more than one thing? Respond with yes or no."
)
READINGS = (
    "Read the passage and listen to the conversation about it. Which of these could the user's "
    "last question mean? Respond with the letters.\n{choices}"
)
FOLLOWS = (
    "Listen to the passage. Does it answer the written question as the proposed answer says? "
    "Respond with yes or no."
)
_CHOICES = 4


def drafts(dialogue: SpokenDialogue, others: Others, rng: Random) -> list[Draft]:
    """`is_it_ambiguous`, `which_readings` and `does_it_follow`."""
    heard = dialogue.asked + 1
    found = [
        Draft(
            "is_it_ambiguous",
            conversation(dialogue, heard, AMBIGUOUS, written_passage),
            "yes" if dialogue.ambiguous else "no",
        )
    ]
    for draft in (_which_readings(dialogue, others, rng), _follows(dialogue, others, rng)):
        if draft is not None:
            found.append(draft)
    return found


def _which_readings(dialogue: SpokenDialogue, others: Others, rng: Random) -> Draft | None:
    """The readings of the question among those of questions to other passages."""
    true = [reading.question for reading in dialogue.readings][: _CHOICES - 1]
    false: list[str] = []
    while len(true) + len(false) < _CHOICES:
        foreign = elsewhere(
            rng, others.questions, dialogue, lambda text: text not in true and text not in false
        )
        if foreign is None:
            break
        false.append(foreign)
    if not false:
        return None
    choices = [*true, *false]
    rng.shuffle(choices)
    letters = [letter for letter, text in zip(LETTERS, choices, strict=False) if text in true]
    prompt = READINGS.format(choices=lettered(choices))
    messages = conversation(dialogue, dialogue.asked + 1, prompt, written_passage)
    return Draft("which_readings", messages, ", ".join(letters))


def _follows(dialogue: SpokenDialogue, others: Others, rng: Random) -> Draft | None:
    """A reading with its own answer, or with that of another reading or another passage."""
    reading = rng.choice(dialogue.readings)
    own = {answer.casefold() for answer in reading.answers}
    rivals = [r.answers[0] for r in dialogue.readings if r.answers[0].casefold() not in own]
    wrong = (
        rng.choice(rivals)
        if rivals
        else elsewhere(rng, others.answers, dialogue, lambda text: text.casefold() not in own)
    )
    if wrong is None:  # "yes" alone would teach to say yes
        return None
    true = rng.random() < 0.5
    answer = reading.answers[0] if true else wrong
    then = f"The question:\n{reading.question}\nThe proposed answer: {answer}"
    messages = about_passage(dialogue, FOLLOWS, then)
    return Draft("does_it_follow", messages, "yes" if true else "no")
