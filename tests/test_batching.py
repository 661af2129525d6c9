"""In which order examples are learnt, and with whose sound."""

from __future__ import annotations

from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from short_training import short_release

from askqa_builder.learn.batching import Grouped, Swapped
from askqa_builder.learn.dialogues import Dialogues
from askqa_builder.learn.examples import Examples
from askqa_builder.learn.tasks import mixture_of

PASSAGES, EACH = 60, 6


class Places:
    """Examples of two dialogues on each passage, of any length, without their content."""

    def __init__(self) -> None:
        rng = Random(0)
        self.dialogues = [SimpleNamespace(passage_id=f"p{d // 2}") for d in range(2 * PASSAGES)]
        self._lengths = [rng.uniform(10, 100) for _ in range(PASSAGES * EACH)]

    def __len__(self) -> int:
        return len(self._lengths)

    def place(self, index: int) -> Any:
        index %= len(self)
        return SimpleNamespace(dialogue=index // (EACH // 2), length=self._lengths[index])

    def passage(self, index: int) -> str:
        name: str = self.dialogues[self.place(index).dialogue].passage_id
        return name


@pytest.fixture
def examples() -> Any:
    return Places()


def batches(order: list[int], size: int) -> list[list[int]]:
    return [order[i : i + size] for i in range(0, len(order) - size + 1, size)]


@pytest.mark.parametrize("size", [3, 7, 32])
def test_each_pass_holds_every_example_once(examples: Any, size: int) -> None:
    sampler = Grouped(examples, size, seed=0)
    n = len(examples)
    orders = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert order == list(sampler)
        assert sorted(order) == list(range(epoch * n, (epoch + 1) * n))
        orders.append([index % n for index in order])
    assert orders[0] != orders[1]


def test_small_batches_are_of_similar_length(examples: Any) -> None:
    def padding(order: list[int]) -> float:
        lengths = [[examples.place(i).length for i in batch] for batch in batches(order, 4)]
        return sum(max(batch) * len(batch) - sum(batch) for batch in lengths)

    assert padding(list(Grouped(examples, 4, seed=0))) < 0.1 * padding(list(range(len(examples))))


def test_large_batches_share_passages(examples: Any) -> None:
    found = batches(list(Grouped(examples, 32, seed=0)), 32)
    # fours of a passage: eight of them, and two that a boundary has cut
    assert all(6 <= len({examples.passage(i) for i in batch}) <= 16 for batch in found)
    mean = sum(len({examples.passage(i) for i in batch}) for batch in found) / len(found)
    by_chance = list(range(len(examples)))
    Random(0).shuffle(by_chance)
    others = batches(by_chance, 32)
    assert mean < 0.6 * sum(len({examples.passage(i) for i in b}) for b in others) / len(others)


def test_swapped_sound_is_of_another_passage(tmp_path: Path) -> None:
    dialogues = Dialogues(short_release(tmp_path / "tiny"), "train")
    examples = Examples(dialogues, mixture_of("main,listening,response"))
    swapped = Swapped(examples)
    assert len(swapped) == len(examples)
    for index in range(len(examples)):
        own, other = examples[index], swapped[index]
        assert (own.id, own.target) == (other.id, other.target)
        assert len(own.sounds) == len(other.sounds)
    sounds = {
        e.passage_id: {s["audio"].tobytes() for s in e.sounds} for e in examples if e.task == "main"
    }
    main = [i for i in range(len(examples)) if examples[i].task == "main"]
    changed = [
        any(s["audio"].tobytes() not in sounds[examples[i].passage_id] for s in swapped[i].sounds)
        for i in main
    ]
    assert sum(changed) > len(main) / 2
