"""In which order examples are learnt, and validation with the sound of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from torch.utils.data import Sampler

from askqa_builder.learn.examples import Example, Examples

_POOL = 50
"""Batches that are sorted by length together."""
_PASSAGES = 8
"""A large batch has examples on about so many passages, or more."""


class Grouped(Sampler[int]):
    """Examples in random order, those of one batch of similar length.

    In a large batch, a few examples on one passage stand together: its narration is then decoded
    once, and heard once by a model that shares it. Each pass has an order of its own that depends
    on the seed and the number of the pass alone, so a run that goes on in the middle finds the
    same batches.
    """

    def __init__(self, examples: Examples, batch: int, *, seed: int) -> None:
        """`batch` counts the examples of an optimiser step on all devices."""
        self._examples, self._batch, self._seed, self._epoch = examples, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which pass comes next; the trainer does."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._examples)

    def __iter__(self) -> Iterator[int]:
        n, batch = len(self._examples), self._batch
        rng = Random(f"{self._seed}:order:{self._epoch}")
        dialogues, length = [], []
        for place in map(self._examples.place, range(self._epoch * n, (self._epoch + 1) * n)):
            dialogues.append(place.dialogue)
            length.append(place.length)  # of the place itself, no more is kept
        groups = self._groups(dialogues, rng)
        rng.shuffle(groups)
        order: list[int] = []
        size = _POOL * batch // self._together
        for start in range(0, len(groups), size):
            pool = groups[start : start + size]
            pool.sort(key=lambda group: -max(length[i] for i in group))
            order += (i for group in pool for i in group)
        batches = [order[i : i + batch] for i in range(0, n, batch)]
        short = [batches.pop()] if n % batch else []
        rng.shuffle(batches)
        return (self._epoch * n + i for some in [*batches, *short] for i in some)

    @property
    def _together(self) -> int:
        return max(1, self._batch // _PASSAGES)

    def _groups(self, dialogues: list[int], rng: Random) -> list[list[int]]:
        """Examples that stay together: on one passage, and in random order."""
        by_passage: dict[str, list[int]] = {}
        for index, dialogue in enumerate(dialogues):
            passage: str = self._examples.dialogues[dialogue].passage_id
            by_passage.setdefault(passage, []).append(index)
        groups = []
        for some in by_passage.values():
            rng.shuffle(some)
            groups += [some[i : i + self._together] for i in range(0, len(some), self._together)]
        return groups


class Swapped(Sequence[Example]):
    """The same examples with sounds of another passage: does the model listen?"""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        passages = [examples.dialogues[examples.place(i).dialogue] for i in range(len(examples))]
        ids = [dialogue.passage_id for dialogue in passages]
        self._donors = [
            next((j % len(ids) for j in range(i + 1, i + len(ids)) if ids[j % len(ids)] != own), i)
            for i, own in enumerate(ids)
        ]

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: Any) -> Any:
        example, donor = self._examples[index], self._examples[self._donors[index]]
        sounds, spoken = donor.sounds, iter(range(len(example.sounds)))

        def swapped(part: dict[str, Any]) -> dict[str, Any]:
            if part["type"] != "audio" or not sounds:
                return part
            found: dict[str, Any] = sounds[next(spoken) % len(sounds)]
            return found

        return replace(
            example,
            messages=[
                {"role": m["role"], "content": [swapped(part) for part in m["content"]]}
                for m in example.messages
            ],
        )
