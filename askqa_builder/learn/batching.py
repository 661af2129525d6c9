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


class LengthGrouped(Sampler[int]):
    """Examples in random order, those of one batch of similar length.

    Each pass has an order of its own that depends on the seed and the number of the pass alone,
    so a run that goes on in the middle finds the same batches.
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
        n = len(self._examples)
        rng = Random(f"{self._seed}:order:{self._epoch}")
        order = list(range(self._epoch * n, (self._epoch + 1) * n))
        rng.shuffle(order)
        batches: list[list[int]] = []
        for start in range(0, n, _POOL * self._batch):
            pool = order[start : start + _POOL * self._batch]
            pool.sort(key=lambda index: -self._examples.place(index).length)
            batches += [pool[i : i + self._batch] for i in range(0, len(pool), self._batch)]
        short = [b for b in batches if len(b) < self._batch]
        batches = [b for b in batches if len(b) == self._batch]
        rng.shuffle(batches)
        return (index for batch in [*batches, *short] for index in batch)


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
