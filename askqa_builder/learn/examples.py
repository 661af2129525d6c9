"""Dialogues → examples: Hugging Face chat messages with audio, for any trainer.

[{"role": "user", "content": [{"type": "text", "text": …}, {"type": "audio", "audio": samples}]},
 {"role": "assistant", "content": [{"type": "text", "text": …}]}]

The last message is what the model learns to say. Which examples there are depends on the seed and
on each dialogue alone; each pass over the data (`epoch`) draws them anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import accumulate
from random import Random
from typing import Any

from askqa_builder.learn.dialogues import Dialogues, SpokenDialogue
from askqa_builder.learn.tasks import MAIN, TASKS, Mixture
from askqa_builder.learn.tasks.main import responses
from askqa_builder.learn.tasks.parts import Draft, Others

Chat = list[dict[str, Any]]

# What a second of sound and a character cost in a model's context: for grouping by length only.
_TOKENS_PER_S, _TOKENS_PER_CHARACTER = 25.0, 0.25


@dataclass(frozen=True, eq=False)
class Example:
    """A conversation to learn from; the last message is the assistant's, and the target."""

    id: str
    dialogue_id: str
    passage_id: str
    task: str
    form: str
    """Sub-form of the task, such as `which_was_narrated`."""
    messages: Chat = field(repr=False)
    """Audio parts are `{"type": "audio", "audio": samples}`: mono, 16 kHz, float32, shape (n,);
    others `{"type": "text", "text": …}`."""
    transcripts: tuple[str, ...]
    """What is said in each audio part, in order."""

    @property
    def target(self) -> str:
        """What is to be said."""
        text: str = self.messages[-1]["content"][0]["text"]
        return text

    @property
    def sounds(self) -> list[dict[str, Any]]:
        """The audio parts, in order."""
        return [p for m in self.messages for p in m["content"] if p["type"] == "audio"]


@dataclass(frozen=True)
class Place:
    """An example that has not been made yet."""

    dialogue: int
    id: str
    task: str
    draft: Draft

    @property
    def length(self) -> float:
        """About how many tokens it has."""
        characters = len(self.draft.target) + sum(
            len(part)
            for message in self.draft.messages
            for part in message.parts
            if isinstance(part, str)
        )
        seconds = sum(clip.seconds for clip in self.draft.clips)
        return _TOKENS_PER_S * seconds + _TOKENS_PER_CHARACTER * characters


class Examples(Sequence[Example]):
    """The examples of a mixture of tasks; index n + i is example i of the second pass, and so on,
    with n = len(self)."""

    def __init__(self, dialogues: Dialogues, mixture: Mixture, *, seed: int = 0) -> None:
        self.dialogues, self.mixture, self.seed = dialogues, dict(mixture), seed
        self._others = Others.of(dialogues)
        self._ends = list(accumulate(sum(self._counts(d).values()) for d in dialogues))
        self._drawn = lru_cache(maxsize=256)(self._draw)

    def __reduce__(self) -> Any:
        """A process that makes batches ready, where it is not forked, draws anew: the same."""
        return partial(Examples, self.dialogues, self.mixture, seed=self.seed), ()

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: Any) -> Any:
        place = self.place(index)
        clips = place.draft.clips
        sounds = iter(self.dialogues.sounds(place.dialogue, clips) if clips else ())
        messages: Chat = [
            {
                "role": message.role,
                "content": [
                    {"type": "text", "text": part}
                    if isinstance(part, str)
                    else {"type": "audio", "audio": next(sounds)}
                    for part in message.parts
                ],
            }
            for message in place.draft.messages
        ]
        target = {"type": "text", "text": place.draft.target}
        dialogue: SpokenDialogue = self.dialogues[place.dialogue]
        return Example(
            id=place.id,
            dialogue_id=dialogue.id,
            passage_id=dialogue.passage_id,
            task=place.task,
            form=place.draft.form,
            messages=[*messages, {"role": "assistant", "content": [target]}],
            transcripts=tuple(clip.said for clip in clips),
        )

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))

    def place(self, index: int) -> Place:
        """What example `index` will be, without its sound."""
        epoch, index = divmod(index, len(self))
        number = bisect_right(self._ends, index)
        first = self._ends[number - 1] if number else 0
        place: Place = self._drawn(number, epoch)[index - first]
        return place

    def texts(self) -> Iterator[str]:
        """Everything written and said in the first pass, for a tokenizer to learn from."""
        for index in range(len(self)):
            draft = self.place(index).draft
            yield draft.target
            for message in draft.messages:
                yield from (p if isinstance(p, str) else p.said for p in message.parts)

    def _counts(self, dialogue: SpokenDialogue) -> dict[str, int]:
        """How many examples of each task a dialogue gives in every pass.

        A fraction of an example is one with that probability.
        """
        rng = Random(f"{self.seed}:{dialogue.id}")
        responses_ = sum(1 for _ in responses(dialogue))
        return {
            name: responses_ if name == MAIN else int(weight * responses_ + rng.random())
            for name, weight in self.mixture.items()
        }

    def _draw(self, number: int, epoch: int) -> list[Place]:
        """The examples of a dialogue in a pass: of each task, its drafts in random order, as many
        as count; each draft once before any comes again."""
        dialogue: SpokenDialogue = self.dialogues[number]
        rng = Random(
            f"{self.seed}:{dialogue.id}:{epoch}" if epoch else f"{self.seed}:{dialogue.id}"
        )
        found: list[Place] = []
        for task, count in self._counts(dialogue).items():
            drawn: list[Draft] = []
            while len(drawn) < count:
                fresh = TASKS[task](dialogue, self._others, rng)
                if task != MAIN:
                    rng.shuffle(fresh)
                drawn += fresh
            found += [
                Place(number, f"{dialogue.id}:{task}:{i}", task, draft)
                for i, draft in enumerate(drawn[:count])
            ]
        return found
