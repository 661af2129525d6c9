"""The tasks, and the mixture of them that a model learns.

A task is a function from a written dialogue to drafts of examples; what a draft needs to choose,
it draws from the generator that it is given. A mixture says how many examples of each task go
with one example of the main task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from askqa_builder.errors import TrainingError
from askqa_builder.learn.dialogues import SpokenDialogue
from askqa_builder.learn.tasks import listening, main, reasoning, response
from askqa_builder.learn.tasks.parts import Draft, Others

Task = Callable[[SpokenDialogue, Others, Random], list[Draft]]

MAIN = "main"
TASKS: dict[str, Task] = {
    MAIN: main.drafts,
    "listening": listening.drafts,
    "reasoning": reasoning.drafts,
    "response": response.drafts,
}
AUXILIARY = tuple(name for name in TASKS if name != MAIN)

Mixture = Mapping[str, float]
"""Task → examples for each example of the main task."""


def mixture_of(spec: str) -> dict[str, float]:
    """Parse `main,listening=2,response=0.5`; a task without a number counts once.

    Raises TrainingError for a name that is no task, a task that is named twice, a weight that is
    not above 0, and one of the main task, which the others are counted by.
    """
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in spec.split(","))):
        name, _, number = part.partition("=")
        if name not in TASKS:
            raise TrainingError(f"task {name!r} unknown; expected some of {list(TASKS)}")
        if name in found:
            raise TrainingError(f"task {name!r} is named twice in {spec!r}")
        try:
            weight = float(number or 1)
        except ValueError:
            weight = 0.0
        if not 0 < weight <= 100:
            raise TrainingError(f"task {part!r}: the weight must be a number above 0, up to 100")
        if name == MAIN and weight != 1:
            raise TrainingError(
                f"task {part!r}: the others are counted by the main task; give them weights instead"
            )
        found[name] = weight
    if not found:
        raise TrainingError(f"no task in {spec!r}; expected some of {list(TASKS)}")
    return {name: found[name] for name in TASKS if name in found}
